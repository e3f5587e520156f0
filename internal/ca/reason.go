package ca

import "slices"

// Reason is why a certificate was revoked (RFC 5280 5.3.1).
type Reason string

// The reasons that a certificate of a person can have.
const (
	Unspecified          Reason = "unspecified"
	KeyCompromise        Reason = "keyCompromise"
	CACompromise         Reason = "cACompromise"
	AffiliationChanged   Reason = "affiliationChanged"
	Superseded           Reason = "superseded"
	CessationOfOperation Reason = "cessationOfOperation"
	Hold                 Reason = "certificateHold"
	PrivilegeWithdrawn   Reason = "privilegeWithdrawn"
)

// codes are the numbers of the reasons (RFC 5280 5.3.1).
func codes() map[Reason]int {
	return map[Reason]int{
		Unspecified: 0, KeyCompromise: 1, CACompromise: 2, AffiliationChanged: 3, Superseded: 4,
		CessationOfOperation: 5, Hold: 6, PrivilegeWithdrawn: 9,
	}
}

// Reasons lists the reasons that can be given.
func Reasons() []Reason {
	var out []Reason
	for r := range codes() {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Reason) int { return a.Code() - b.Code() })
	return out
}

// Code is the number of the reason in lists and answers (RFC 5280 5.3.1).
func (r Reason) Code() int { return codes()[r] }

// Known tells whether the reason is one of those that can be given.
func (r Reason) Known() bool { _, ok := codes()[r]; return ok }
