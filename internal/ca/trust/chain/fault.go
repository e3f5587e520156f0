package chain

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Reason says why a path is refused.
type Reason string

// The reasons, from the least to the most telling.
const (
	Unknown    Reason = "unknown"    // no path to an anchor
	Form       Reason = "form"       // not what RFC 5280 allows, or too large
	Signature  Reason = "signature"  // a signature is wrong
	Weak       Reason = "weak"       // an algorithm or a key that is not accepted
	Authority  Reason = "authority"  // an issuer that must not issue
	Names      Reason = "names"      // outside the name constraints
	Policies   Reason = "policies"   // no acceptable policy
	Critical   Reason = "critical"   // an unknown critical extension
	Early      Reason = "early"      // not valid yet
	Expired    Reason = "expired"    // not valid any more
	Usage      Reason = "usage"      // not for this use
	Unanswered Reason = "unanswered" // no list says whether it is revoked
	Revoked    Reason = "revoked"
)

// Error is a refused path.
type Error struct {
	Reason      Reason
	Certificate *x509.Certificate // the one that is at fault; nil if there is none
	Detail      string            // for the log
	Since       time.Time         // of a revocation
	Code        int               // CRL reason (RFC 5280 5.3.1) of a revocation
}

// Error gives reason and detail.
func (e *Error) Error() string { return fmt.Sprintf("chain: %s: %s", e.Reason, e.Detail) }

func refuse(r Reason, c *x509.Certificate, detail string, args ...any) *Error {
	return &Error{Reason: r, Certificate: c, Detail: fmt.Sprintf(detail, args...)}
}

// ReasonOf returns the reason of an error of this package, or "".
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}
