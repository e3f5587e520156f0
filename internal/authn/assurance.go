package authn

import (
	"slices"
	"time"
)

// Level is an authentication assurance level (NIST SP 800-63B-4, 2).
type Level int

// The levels. LevelNone means that nothing countable was proved.
const (
	LevelNone Level = iota
	AAL1
	AAL2
	AAL3
)

// String gives the name used in logs and on the command line.
func (l Level) String() string {
	return [...]string{"none", "aal1", "aal2", "aal3"}[l]
}

// Assurance is what a set of evidence is worth to the outside.
type Assurance struct {
	Level             Level
	Classes           Class
	PhishingResistant bool
	HardwareBound     bool
	UserVerified      bool
	AMR               []string  // RFC 8176 values, sorted, with "mfa" when two classes were proved
	AuthTime          time.Time // the moment of the newest first-factor proof: OIDC auth_time
}

// Assess computes assurance from evidence alone. Neither zones nor trusted
// browsers enter it, and evidence without a class adds an amr value at most.
func Assess(evidence []Evidence) Assurance {
	var a Assurance
	for _, e := range evidence {
		if e.Traits.RecoveryOnly {
			continue
		}
		a.Classes |= e.Traits.Class
		if e.Traits.AMR != "" && !slices.Contains(a.AMR, e.Traits.AMR) {
			a.AMR = append(a.AMR, e.Traits.AMR)
		}
		if e.Traits.Class == 0 {
			continue
		}
		a.PhishingResistant = a.PhishingResistant || e.Traits.PhishingResistant
		a.HardwareBound = a.HardwareBound || e.Traits.HardwareBound
		a.UserVerified = a.UserVerified || e.Traits.UserVerified
		if e.At.After(a.AuthTime) {
			a.AuthTime = e.At
		}
	}
	switch n := a.Classes.Count(); {
	case n >= 2 && a.hardest(evidence):
		a.Level = AAL3
	case n >= 2:
		a.Level = AAL2
	case n == 1:
		a.Level = AAL1
	}
	if a.Classes.Count() >= 2 {
		a.AMR = append(a.AMR, "mfa")
	}
	slices.Sort(a.AMR)
	return a
}

// hardest tells whether one piece of evidence alone is hardware-bound,
// phishing-resistant and user-verified, as AAL3 asks.
func (a Assurance) hardest(evidence []Evidence) bool {
	return slices.ContainsFunc(evidence, func(e Evidence) bool {
		return e.Traits.HardwareBound && e.Traits.PhishingResistant && e.Traits.UserVerified
	})
}
