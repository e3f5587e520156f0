package oidc

import (
	"time"

	"seimon/internal/authn"
	"seimon/internal/policy"
)

// contextClass is one acr value, what it asks and the level it stands for.
type contextClass struct {
	value string
	needs authn.Requirement
	level authn.Level
}

// contextClasses is the one table between acr values and proof. Mail codes,
// trusted browsers and zones never satisfy an entry: a requirement without Kinds
// and TrustedBrowser counts classes of evidence alone.
func contextClasses() []contextClass {
	return []contextClass{
		{"aal1", authn.Requirement{Classes: 1}, authn.AAL1}, // NIST SP 800-63B-4 2.1
		{"aal2", authn.Requirement{Classes: 2}, authn.AAL2}, // NIST SP 800-63B-4 2.2
		{"aal3", authn.Requirement{Classes: 2, PhishingResistant: true, HardwareBound: true, UserVerified: true}, authn.AAL3},
		{"https://refeds.org/profile/sfa", authn.Requirement{Classes: 1}, authn.AAL1},
		{"https://refeds.org/profile/mfa", authn.Requirement{Classes: 2}, authn.AAL2},
		{"phr", authn.Requirement{PhishingResistant: true}, authn.AAL1},                       // OpenID EAP ACR Values 1.0
		{"phrh", authn.Requirement{PhishingResistant: true, HardwareBound: true}, authn.AAL1}, // OpenID EAP ACR Values 1.0
	}
}

func acrValues() []string {
	var out []string
	for _, c := range contextClasses() {
		out = append(out, c.value)
	}
	return out
}

// classOf finds an acr value in the table.
func classOf(acr string) (contextClass, bool) {
	for _, c := range contextClasses() {
		if c.value == acr {
			return c, true
		}
	}
	return contextClass{}, false
}

// wanted chooses what to ask of the person for a list of acr values: as a wish the
// first known value, as a demand the weakest, so that nobody is refused who could
// satisfy one of them. A list that is demanded is both: its order is the service's
// preference (OIDC Core 5.5.1.1, REFEDS MFA "prefers MFA but accepts SFA").
func wanted(values []string, demand bool) authn.Requirement {
	var best contextClass
	found := false
	for _, v := range values {
		c, known := classOf(v)
		if !known {
			continue
		}
		if !found || weight(c.needs) < weight(best.needs) {
			best, found = c, true
		}
		if !demand {
			break
		}
	}
	return best.needs
}

// weight orders requirements of the table by what they ask.
func weight(r authn.Requirement) int {
	n := max(r.Classes, 1) * 8
	for bit, set := range []bool{r.UserVerified, r.PhishingResistant, r.HardwareBound} {
		if set {
			n += 1 << bit
		}
	}
	return n
}

// acrOf names what was proved: the first requested value that the evidence
// satisfies, else the level. It is empty when nothing countable was proved.
func acrOf(requested []string, evidence []authn.Evidence, now time.Time) string {
	level := authn.Assess(evidence).Level
	if level == authn.LevelNone {
		return ""
	}
	for _, v := range requested {
		c, known := classOf(v)
		if known && level >= c.level && policy.Met(c.needs, evidence, false, now) {
			return v
		}
	}
	return level.String()
}
