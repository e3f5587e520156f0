package chain

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"slices"
	"time"
)

// The extensions that are understood.
const (
	oidKeyUsage         = "2.5.29.15"
	oidAltName          = "2.5.29.17"
	oidBasicConstraints = "2.5.29.19"
	oidNameConstraints  = "2.5.29.30"
	oidCRLPoints        = "2.5.29.31"
	oidPolicies         = "2.5.29.32"
	oidMappings         = "2.5.29.33"
	oidPolicyLimits     = "2.5.29.36"
	oidExtKeyUsage      = "2.5.29.37"
	oidInhibitAny       = "2.5.29.54"
)

// The largest input; more is refused before anything is computed.
const (
	MaxCertificates = 12       // in one path or one presented chain
	MaxSize         = 16 << 10 // bytes of one certificate
	maxSignatures   = 64       // checks for one judgement
)

// Anchor is a pinned certificate. Its own dates and extensions are not judged,
// except what it forbids itself: issuing or signing lists (RFC 5280 6.1.1 (d)).
type Anchor struct {
	ID          string
	Certificate *x509.Certificate
}

// Options are the inputs of a judgement (RFC 5280 6.1.1).
type Options struct {
	Now     time.Time
	Anchors []Anchor
	Between []*x509.Certificate // what may stand between; presented, not trusted

	Policies         []string // wanted policies; none means any
	InhibitMapping   bool
	ExplicitPolicy   bool
	InhibitAnyPolicy bool

	// Use is what the first certificate must be for; zero asks nothing.
	Use Use
	// Lists are revocation lists, not trusted before they are checked. Status asks
	// that every certificate below the anchor is covered by one.
	Lists  []*List
	Status bool
	// Silent lets pass what no list covers: only a certificate that a list names is refused.
	Silent bool
	// Stale is how long after its nextUpdate a list may still be used.
	Stale time.Duration
}

// Use is what a certificate must be good for.
type Use struct {
	// Extended is one of these extended key usages; none asks nothing.
	Extended []x509.ExtKeyUsage
	// Named says that the certificate must name its usages, not leave them open.
	Named bool
	// Key is the key usage that must be there if the certificate limits it.
	Key x509.KeyUsage
}

// Result is an accepted path.
type Result struct {
	Anchor   Anchor
	Path     []*x509.Certificate // from the certificate to the one below the anchor
	Policies []string            // in the anchor's domain, sorted
}

func selfIssued(c *x509.Certificate) bool { return sameName(c.RawSubject, c.RawIssuer) }

// strong refuses keys that are too weak, or so large that checking them is an attack.
func strong(c *x509.Certificate) *Error {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < 2048 || n > 8192 {
			return refuse(Weak, c, "RSA key of %d bits", n)
		}
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize < 256 {
			return refuse(Weak, c, "curve of %d bits", k.Curve.Params().BitSize)
		}
	case ed25519.PublicKey:
	default:
		return refuse(Weak, c, "key of the kind %s", c.PublicKeyAlgorithm)
	}
	if !slices.Contains(algorithms(), c.SignatureAlgorithm) {
		return refuse(Weak, c, "signed with %s", c.SignatureAlgorithm)
	}
	return nil
}

// algorithms are the signatures that are accepted.
func algorithms() []x509.SignatureAlgorithm {
	return []x509.SignatureAlgorithm{
		x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519,
	}
}

// understood refuses unknown critical extensions (RFC 5280 4.2).
func understood(c *x509.Certificate) *Error {
	for i, e := range c.Extensions {
		if slices.ContainsFunc(c.Extensions[:i], func(o pkixExtension) bool { return o.Id.Equal(e.Id) }) {
			return refuse(Form, c, "extension %s twice", e.Id)
		}
		if !e.Critical {
			continue
		}
		switch e.Id.String() {
		case oidKeyUsage, oidAltName, oidBasicConstraints, oidNameConstraints, oidCRLPoints, oidPolicies, oidMappings,
			oidPolicyLimits, oidExtKeyUsage, oidInhibitAny:
		default:
			return refuse(Critical, c, "extension %s", e.Id)
		}
	}
	return nil
}

func sameCertificate(a, b *x509.Certificate) bool { return bytes.Equal(a.Raw, b.Raw) }
