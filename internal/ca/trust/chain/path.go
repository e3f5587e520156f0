package chain

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

// path validates one path (RFC 5280 6.1); signatures and names fit already.
func (j *judge) path(a Anchor, path []*x509.Certificate, use Use) (Result, *Error) {
	// A pinned authority may limit how many stand below it and what they are called.
	length := len(path)
	limits, room, fault := below(a.Certificate, nil, length+1)
	if fault != nil {
		return Result{}, fault
	}
	p := newPolicies(length, j.Options)
	for i := length - 1; i >= 0; i-- {
		c := path[i]
		last := i == 0
		if fault := j.single(c); fault != nil {
			return Result{}, fault
		}
		if !selfIssued(c) || last { // 6.1.3 (b), (c)
			if fault := allow(limits, c); fault != nil {
				return Result{}, fault
			}
		}
		if fault := p.certificate(c); fault != nil {
			return Result{}, fault
		}
		if last {
			break
		}
		var fault *Error
		if limits, room, fault = below(c, limits, room); fault != nil {
			return Result{}, fault
		}
		if fault := p.next(c); fault != nil {
			return Result{}, fault
		}
	}
	valid, fault := p.finish(path[0], j.Policies)
	if fault == nil {
		fault = uses(append(slices.Clone(path), a.Certificate), use)
	}
	if fault == nil && j.Status {
		fault = j.statuses(a, path)
	}
	if fault != nil {
		return Result{}, fault
	}
	slices.Sort(valid)
	return Result{Anchor: a, Path: path, Policies: valid}, nil
}

// single judges what a certificate says by itself.
func (j *judge) single(c *x509.Certificate) *Error {
	if fault := strong(c); fault != nil {
		return fault
	}
	if fault := understood(c); fault != nil {
		return fault
	}
	switch { // 6.1.3 (a)(2)
	case j.Now.Before(c.NotBefore):
		return refuse(Early, c, "not before %s", c.NotBefore)
	case j.Now.After(c.NotAfter):
		return refuse(Expired, c, "not after %s", c.NotAfter)
	}
	return nil
}

// below prepares for the certificates below an authority (RFC 5280 6.1.4 (g), (k) to (n)).
func below(c *x509.Certificate, limits []constraints, room int) ([]constraints, int, *Error) {
	if fault := mayIssue(c); fault != nil {
		return nil, 0, fault
	}
	if value := extension(c, oidNameConstraints); value != nil {
		k, ok := readConstraints(value)
		if !ok {
			return nil, 0, refuse(Form, c, "name constraints")
		}
		limits = append(slices.Clone(limits), k)
	}
	if !selfIssued(c) {
		if room <= 0 {
			return nil, 0, refuse(Authority, c, "too many authorities below one that limits them")
		}
		room--
	}
	if c.MaxPathLen > 0 || c.MaxPathLenZero {
		room = min(room, c.MaxPathLen)
	}
	return limits, room, nil
}

// mayIssue wants an authority that may sign certificates. Version 1 is no authority.
func mayIssue(c *x509.Certificate) *Error {
	switch {
	case c.Version != 3 || !c.BasicConstraintsValid || !c.IsCA:
		return refuse(Authority, c, "no authority")
	case extension(c, oidKeyUsage) != nil && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return refuse(Authority, c, "an authority that must not sign certificates")
	}
	return nil
}

// uses judges what the path is for. Authorities that name extended usages limit
// those below, as all programs read it.
func uses(path []*x509.Certificate, use Use) *Error {
	leaf := path[0]
	if use.Key != 0 && extension(leaf, oidKeyUsage) != nil && leaf.KeyUsage&use.Key == 0 {
		return refuse(Usage, leaf, "key usage")
	}
	if len(use.Extended) == 0 {
		return nil
	}
	if leaf.IsCA {
		return refuse(Usage, leaf, "an authority, nobody's certificate")
	}
	if use.Named && extension(leaf, oidExtKeyUsage) == nil {
		return refuse(Usage, leaf, "no extended key usage")
	}
	for _, c := range path {
		if extension(c, oidExtKeyUsage) != nil && !allows(c, use.Extended) {
			return refuse(Usage, c, "extended key usage")
		}
	}
	return nil
}

func allows(c *x509.Certificate, wanted []x509.ExtKeyUsage) bool {
	return slices.ContainsFunc(c.ExtKeyUsage, func(u x509.ExtKeyUsage) bool {
		return u == x509.ExtKeyUsageAny || slices.Contains(wanted, u)
	}) || slices.Contains(wanted, SmartcardLogon) && slices.ContainsFunc(c.UnknownExtKeyUsage, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}.Equal)
}

// SmartcardLogon is an extended key usage that crypto/x509 does not name
// (1.3.6.1.4.1.311.20.2.2).
const SmartcardLogon x509.ExtKeyUsage = -1
