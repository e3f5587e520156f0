package chain

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
)

type pkixExtension = pkix.Extension

// judge is one judgement: it counts the work and remembers whose lists are being
// looked at.
type judge struct {
	Options
	signatures int
	open       map[string]bool // certificates whose status is being determined
}

// Validate finds a path from a certificate to an anchor and judges it. If there are
// several, one that is valid is enough; otherwise the fault is that of the path that
// came furthest.
func Validate(leaf *x509.Certificate, o Options) (Result, error) {
	j := &judge{Options: o, open: map[string]bool{}}
	if len(o.Between) > 2*MaxCertificates {
		return Result{}, refuse(Form, nil, "%d certificates", len(o.Between))
	}
	for _, c := range append([]*x509.Certificate{leaf}, o.Between...) {
		if len(c.Raw) > MaxSize {
			return Result{}, refuse(Form, c, "a certificate of %d bytes", len(c.Raw))
		}
	}
	return j.find(leaf, j.Use)
}

// find is Validate inside one judgement.
func (j *judge) find(leaf *x509.Certificate, use Use) (Result, error) {
	var found Result
	var worst *Error
	ok := false
	j.paths([]*x509.Certificate{leaf}, func(a Anchor, path []*x509.Certificate) bool {
		r, fault := j.path(a, path, use)
		if fault == nil {
			found, ok = r, true
			return true
		}
		if worst == nil || rank(fault) > rank(worst) {
			worst = fault
		}
		return false
	})
	switch {
	case ok:
		return found, nil
	case worst != nil:
		return found, worst
	}
	if fault := strong(leaf); fault != nil {
		return found, fault
	}
	return found, refuse(Unknown, leaf, "no path to an anchor")
}

// rank orders faults by how much they tell.
func rank(e *Error) int {
	return slices.Index([]Reason{Unknown, Form, Signature, Weak, Authority, Names, Policies, Critical, Early, Expired, Usage, Unanswered, Revoked}, e.Reason)
}

// paths offers every path whose names and signatures fit, until try is content.
func (j *judge) paths(path []*x509.Certificate, try func(Anchor, []*x509.Certificate) bool) bool {
	last := path[len(path)-1]
	for _, a := range j.Anchors {
		if sameCertificate(a.Certificate, last) {
			// An anchor itself is no certificate of somebody.
			continue
		}
		if sameName(a.Certificate.RawSubject, last.RawIssuer) && j.signed(last, a.Certificate) && try(a, slices.Clone(path)) {
			return true
		}
	}
	if len(path) >= MaxCertificates {
		return false
	}
	for _, c := range j.Between {
		if slices.ContainsFunc(path, func(p *x509.Certificate) bool { return sameCertificate(p, c) }) {
			continue
		}
		if sameName(c.RawSubject, last.RawIssuer) && j.signed(last, c) && j.paths(append(slices.Clone(path), c), try) {
			return true
		}
	}
	return false
}

// signed checks a signature within the limit.
func (j *judge) signed(c, by *x509.Certificate) bool {
	if len(c.AuthorityKeyId) > 0 && len(by.SubjectKeyId) > 0 && key(c.AuthorityKeyId) != key(by.SubjectKeyId) {
		return false // a hint (RFC 5280 4.2.1.1): it spares the work
	}
	if strong(c) != nil || strong(by) != nil || j.signatures >= maxSignatures {
		return false
	}
	j.signatures++
	return by.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}
