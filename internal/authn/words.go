package authn

import (
	"slices"
	"time"
)

// PersonID names a human being for ever; it is never shown to a service.
type PersonID string

// AccountID names one account of a person for ever and is never assigned again.
type AccountID string

// Subject is the account that a transaction, session or assertion is about.
type Subject struct {
	Person   PersonID
	Account  AccountID
	UserName string // what the person types; may change, never used as a key
}

// Kind names a factor, for example "password" or "totp".
type Kind string

// Class is a set of authentication factor classes (NIST SP 800-63B-4, 2.1).
type Class uint8

// The three classes.
const (
	Know Class = 1 << iota
	Have
	Are
)

// Count returns how many different classes the set holds.
func (c Class) Count() int {
	n := 0
	for _, x := range []Class{Know, Have, Are} {
		if c&x != 0 {
			n++
		}
	}
	return n
}

// Traits say how strong a proof by a factor is. A factor with no class counts
// toward no assurance level and satisfies only a rule that names its kind.
type Traits struct {
	Class             Class `json:"class"`
	SingleUse         bool  `json:"single_use,omitempty"`
	PhishingResistant bool  `json:"phishing_resistant,omitempty"`
	HardwareBound     bool  `json:"hardware_bound,omitempty"`
	UserVerified      bool  `json:"user_verified,omitempty"`
	// RecoveryOnly marks factors that open enrolment and recovery, never a service.
	RecoveryOnly bool `json:"recovery_only,omitempty"`
	// First marks factors that may be asked before anything else is proved.
	First bool `json:"first,omitempty"`
	// AMR is the method reference of RFC 8176 ("pwd", "otp", "sc", ...); may be empty.
	AMR string `json:"amr,omitempty"`
}

// Evidence is one proof given by the subject, as the factor reported it.
type Evidence struct {
	Kind    Kind      `json:"kind"`
	Traits  Traits    `json:"traits"`
	Binding string    `json:"binding"` // id of the binding used
	Label   string    `json:"label,omitempty"`
	At      time.Time `json:"at"`
}

// Authenticator is a factor that the account could use now.
type Authenticator struct {
	Kind   Kind
	Traits Traits
}

// Requirement is what must be proved for one service from one place. The zero
// value asks for one class of any age.
type Requirement struct {
	// Classes is how many different factor classes are needed: 1 or 2 (0 means 1).
	Classes           int  `json:"classes,omitempty"`
	PhishingResistant bool `json:"phishing_resistant,omitempty"`
	HardwareBound     bool `json:"hardware_bound,omitempty"`
	UserVerified      bool `json:"user_verified,omitempty"`
	// Kinds, when not empty, lists the kinds that may serve as the step after the
	// first factor. Naming a kind is the only way a class-less kind is accepted.
	Kinds []Kind `json:"kinds,omitempty"`
	// Fresh is the greatest age of each piece of evidence; 0 means the session's own limit.
	Fresh time.Duration `json:"fresh,omitempty"`
	// TrustedBrowser lets a browser that the person trusted stand in for the step
	// after the first factor. It never raises assurance.
	TrustedBrowser bool `json:"trusted_browser,omitempty"`
}

// SecondStep tells whether anything beyond one factor is asked.
func (r Requirement) SecondStep() bool {
	return r.Classes > 1 || r.PhishingResistant || r.HardwareBound || r.UserVerified || len(r.Kinds) > 0
}

// Stricter returns a requirement that meets both r and o. Kinds named by both
// are intersected; if nothing is left, no evidence can satisfy the result.
func (r Requirement) Stricter(o Requirement) Requirement {
	out := r
	out.Classes = max(r.Classes, o.Classes)
	out.PhishingResistant = r.PhishingResistant || o.PhishingResistant
	out.HardwareBound = r.HardwareBound || o.HardwareBound
	out.UserVerified = r.UserVerified || o.UserVerified
	// A waiver survives only where every side that asks for a second step grants it.
	out.TrustedBrowser = (r.TrustedBrowser || !r.SecondStep()) && (o.TrustedBrowser || !o.SecondStep()) &&
		(r.TrustedBrowser || o.TrustedBrowser)
	if o.Fresh > 0 && (r.Fresh == 0 || o.Fresh < r.Fresh) {
		out.Fresh = o.Fresh
	}
	switch {
	case len(r.Kinds) == 0:
		out.Kinds = slices.Clone(o.Kinds)
	case len(o.Kinds) > 0:
		out.Kinds = []Kind{}
		for _, k := range r.Kinds {
			if slices.Contains(o.Kinds, k) {
				out.Kinds = append(out.Kinds, k)
			}
		}
		if len(out.Kinds) == 0 {
			out.Kinds = []Kind{KindNone}
		}
	}
	return out
}

// KindNone is the kind that no factor has: a requirement naming only it cannot be met.
const KindNone Kind = "none"

// ZoneKind is the nature of a network, as policy sees it.
type ZoneKind string

// The kinds of zone. Elsewhere is every address that no zone claims.
const (
	Campus    ZoneKind = "campus"
	VPN       ZoneKind = "vpn"
	Eduroam   ZoneKind = "eduroam"
	Guest     ZoneKind = "guest"
	Relay     ZoneKind = "relay"
	Elsewhere ZoneKind = "elsewhere"
)

// OnCampus tells whether a kind counts as on campus: campus itself and the VPN.
func (z ZoneKind) OnCampus() bool { return z == Campus || z == VPN }

// Zone is where the gate sees a request come from. A zone relaxes or tightens a
// requirement; it never adds to evidence.
type Zone struct {
	Name   string   `json:"name"`             // stable name from the policy document; "elsewhere" when none matched
	Kind   ZoneKind `json:"kind"`             //
	Prefix string   `json:"prefix,omitempty"` // the range that matched, in CIDR form
}
