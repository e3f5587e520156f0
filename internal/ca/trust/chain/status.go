package chain

import (
	"crypto/x509"
	"math/big"
	"time"
)

// removeFromCRL takes a certificate off hold in a delta list (RFC 5280 5.3.1).
const removeFromCRL = 8

// statuses wants every certificate of a path to be covered by a list and revoked by none.
func (j *judge) statuses(a Anchor, path []*x509.Certificate) *Error {
	for i := len(path) - 1; i >= 0; i-- {
		issuer := a.Certificate
		if i+1 < len(path) {
			issuer = path[i+1]
		}
		if fault := j.status(a, path[i], issuer); fault != nil {
			return fault
		}
	}
	return nil
}

// status determines the status of one certificate (RFC 5280 6.3.3).
func (j *judge) status(a Anchor, c, issuer *x509.Certificate) *Error {
	id := string(c.Raw)
	if j.open[id] {
		// A signer of lists whose own status stands in the list that it signs.
		return nil
	}
	j.open[id] = true
	defer delete(j.open, id)
	points := []point{}
	if value := extension(c, oidCRLPoints); value != nil {
		list, ok := readPoints(value)
		if !ok {
			return refuse(Form, c, "distribution points")
		}
		points = list
	}
	covered := reasons(0)
	// The issuer's name is the point of lists that no point mentions.
	points = append(points, point{names: []generalName{{directoryName, c.RawIssuer}}, reasons: allReasons})
	for _, p := range points {
		if covered == allReasons {
			break
		}
		for _, l := range j.Lists {
			more, fault := j.consult(a, c, issuer, p, l)
			if fault != nil {
				return fault
			}
			covered |= more
		}
	}
	if covered != allReasons && !j.Silent {
		return refuse(Unanswered, c, "no list covers serial %s", c.SerialNumber)
	}
	return nil
}

// consult looks into one complete list, with the newest delta list that belongs to
// it, and returns the reasons that are covered.
func (j *judge) consult(a Anchor, c, issuer *x509.Certificate, p point, l *List) (reasons, *Error) {
	if l.Base != nil || !j.fresh(l) || !l.covers(c, p) || !j.trusted(a, c, issuer, l) {
		return 0, nil
	}
	state, revoked := l.of(c)
	if d := j.delta(l); d != nil {
		if !j.trusted(a, c, issuer, d) {
			return 0, nil
		}
		if e, ok := d.of(c); ok {
			state, revoked = e, e.code != removeFromCRL
		}
	}
	if revoked && state.code != removeFromCRL {
		f := refuse(Revoked, c, "serial %s", c.SerialNumber)
		f.Since, f.Code = state.since, state.code
		return 0, f
	}
	return l.scope.reasons & p.reasons, nil
}

func (j *judge) fresh(l *List) bool {
	return l.usable && !j.Now.Before(l.ThisUpdate) && !l.NextUpdate.IsZero() && !j.Now.After(l.NextUpdate.Add(j.Stale))
}

// delta finds the newest delta list for a complete one (RFC 5280 6.3.3 (c), 5.2.4).
func (j *judge) delta(l *List) *List {
	var best *List
	for _, d := range j.Lists {
		if d.Base == nil || d.Number == nil || l.Number == nil || !j.fresh(d) || d.issuer != l.issuer || d.scopeRaw != l.scopeRaw ||
			d.keyID != l.keyID || d.Base.Cmp(l.Number) > 0 || d.Number.Cmp(l.Number) < 0 {
			continue
		}
		if best == nil || d.Number.Cmp(best.Number) > 0 {
			best = d
		}
	}
	return best
}

// covers is the scope of a list (RFC 5280 6.3.3 (b)).
func (l *List) covers(c *x509.Certificate, p point) bool {
	own, err := nameKey(c.RawIssuer)
	if err != nil {
		return false
	}
	listIssuer := generalName{directoryName, l.Raw.RawIssuer}
	if len(p.issuers) > 0 {
		if !l.scope.indirect || !anySame(p.issuers, []generalName{listIssuer}) {
			return false
		}
	} else if l.issuer != own {
		return false
	}
	s := l.scope
	if s.attribute || s.users && c.IsCA || s.cas && !c.IsCA {
		return false
	}
	if !s.named() {
		return true
	}
	theirs := s.full(l.Raw.RawIssuer)
	if !p.named() {
		return anySame(theirs, p.issuers)
	}
	// A relative name of the certificate is completed by the list's issuer if it is
	// not the certificate's (RFC 5280 4.2.1.13).
	below := c.RawIssuer
	if len(p.issuers) > 0 {
		below = l.Raw.RawIssuer
	}
	return anySame(theirs, p.full(below))
}

// trusted checks who signed a list (RFC 5280 6.3.3 (f), (g)): the issuer's own key, or
// a certificate of the list's issuer below the same anchor.
func (j *judge) trusted(a Anchor, c, issuer *x509.Certificate, l *List) bool {
	if sameName(issuer.RawSubject, l.Raw.RawIssuer) && j.signedList(l, issuer) {
		return true
	}
	if sameName(a.Certificate.RawSubject, l.Raw.RawIssuer) && j.signedList(l, a.Certificate) {
		return true
	}
	for _, signer := range j.Between {
		if sameCertificate(signer, issuer) || !sameName(signer.RawSubject, l.Raw.RawIssuer) || !j.signedList(l, signer) {
			continue
		}
		if j.open[string(signer.Raw)] {
			return true
		}
		only := *j
		only.Anchors, only.Policies, only.ExplicitPolicy = []Anchor{a}, nil, false
		_, err := only.find(signer, Use{})
		j.signatures = only.signatures
		if err == nil {
			return true
		}
	}
	return false
}

func (j *judge) signedList(l *List, by *x509.Certificate) bool {
	if extension(by, oidKeyUsage) != nil && by.KeyUsage&x509.KeyUsageCRLSign == 0 || strong(by) != nil || j.signatures >= maxSignatures {
		return false
	}
	// A list is long and shared, so what was found about its signature is kept.
	id := string(by.RawSubjectPublicKeyInfo)
	if known, ok := l.checked.Load(id); ok {
		return known.(bool)
	}
	j.signatures++
	right := by.CheckSignature(l.Raw.SignatureAlgorithm, l.Raw.RawTBSRevocationList, l.Raw.Signature) == nil
	l.checked.Store(id, right)
	return right
}

// CheckList tells whether a list is good to keep: signed by one of the anchors or a
// certificate between, within its time, with a number not below the one before.
func CheckList(l *List, o Options, before *big.Int) error {
	j := &judge{Options: o, open: map[string]bool{}}
	switch {
	case !l.usable:
		return refuse(Critical, nil, "an unknown critical extension in the list")
	case j.Now.Before(l.ThisUpdate.Add(-5 * time.Minute)):
		return refuse(Early, nil, "the list is from %s", l.ThisUpdate)
	case l.NextUpdate.IsZero() || j.Now.After(l.NextUpdate):
		return refuse(Expired, nil, "the list ended at %s", l.NextUpdate)
	case before != nil && (l.Number == nil || l.Number.Cmp(before) < 0):
		return refuse(Form, nil, "the list's number went back")
	}
	for _, a := range o.Anchors {
		if j.trusted(a, a.Certificate, a.Certificate, l) {
			return nil
		}
	}
	return refuse(Signature, nil, "the list is not signed by a known issuer")
}
