package saml

import (
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/policy"
)

// contextClass is an AuthnContextClassRef: what it asks of evidence, and its rank for
// comparisons.
type contextClass struct {
	value string
	needs authn.Requirement
	rank  int
	kind  authn.Kind // when not empty, evidence of this kind must be there
}

// The classes of authentication context.
const (
	classUnspecified = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"
	classPassword    = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
	classProtected   = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
	classX509        = "urn:oasis:names:tc:SAML:2.0:ac:classes:X509"
	classSFA         = "https://refeds.org/profile/sfa"
	classMFA         = "https://refeds.org/profile/mfa"
	classAAL2        = "https://www.gakunin.jp/profile/AAL2"
)

// classes is the one table between contexts and proof. Zones, trusted browsers and
// mail codes never satisfy an entry. The last entry of a rank that fits is what we say
// when nothing is asked, so the plainest stand last.
func (f *Front) classes() []contextClass {
	two := authn.Requirement{Classes: 2}
	out := []contextClass{
		{classUnspecified, authn.Requirement{Classes: 1}, 1, ""},
		{classPassword, authn.Requirement{Classes: 1}, 1, "password"},
		{classX509, authn.Requirement{Classes: 1, PhishingResistant: true}, 1, "clientcert"},
		{classSFA, authn.Requirement{Classes: 1}, 1, ""},
		{classProtected, authn.Requirement{Classes: 1}, 1, "password"},
		{classAAL2, two, 2, ""}, // GakuNin: NIST SP 800-63B AAL2
		{classMFA, two, 2, ""},  // REFEDS MFA Profile
	}
	if id := f.Settings.PhishingResistant; id != "" { // REFEDS MFA Profile 2.0
		out = append(out, contextClass{id, authn.Requirement{Classes: 2, PhishingResistant: true}, 3, ""})
	}
	return out
}

// met tells whether evidence satisfies a class.
func (c contextClass) met(evidence []authn.Evidence, now time.Time) bool {
	if c.kind != "" && !slices.ContainsFunc(evidence, func(e authn.Evidence) bool { return e.Kind == c.kind }) {
		return false
	}
	return policy.Met(c.needs, evidence, false, now)
}

// The comparisons (SAML Core 2.0, 3.3.2.2.1).
const (
	exact   = "exact"
	minimum = "minimum"
	better  = "better"
	maximum = "maximum"
)

// wanted is what a request asks of the sign-in.
type wanted struct {
	Comparison string   `json:"comparison,omitempty"`
	Classes    []string `json:"classes,omitempty"`
}

func (w wanted) empty() bool { return len(w.Classes) == 0 }

// answers lists the classes that would answer the request, the service's first choice
// first; none when it asks for what we cannot say.
func (f *Front) answers(w wanted) []contextClass {
	all := f.classes()
	var named []contextClass
	for _, v := range w.Classes {
		if i := slices.IndexFunc(all, func(c contextClass) bool { return c.value == v }); i >= 0 {
			named = append(named, all[i])
		}
	}
	if len(named) == 0 || w.Comparison == exact || w.Comparison == "" {
		return named
	}
	ranks := func(pick func(a, b int) int) int {
		r := named[0].rank
		for _, c := range named {
			r = pick(r, c.rank)
		}
		return r
	}
	least, most := ranks(func(a, b int) int { return min(a, b) }), ranks(func(a, b int) int { return max(a, b) })
	if w.Comparison == better && len(named) < len(w.Classes) {
		return nil // better than something unknown cannot be promised
	}
	out := slices.Clone(named)
	for _, c := range all {
		fits := w.Comparison == minimum && c.rank > least || w.Comparison == better && c.rank > most || w.Comparison == maximum && c.rank < most
		if fits && !slices.ContainsFunc(out, func(x contextClass) bool { return x.value == c.value }) {
			out = append(out, c)
		}
	}
	if w.Comparison == better {
		out = slices.DeleteFunc(out, func(c contextClass) bool { return c.rank <= most })
	}
	return out
}

// ask gives what the hall is asked for: as a wish the first choice, as a demand the
// weakest of the answers, so that nobody is refused who could give one of them.
func ask(answers []contextClass) (wish, want authn.Requirement) {
	if len(answers) == 0 {
		return
	}
	weakest := answers[0]
	for _, c := range answers {
		if weight(c) < weight(weakest) {
			weakest = c
		}
	}
	return answers[0].needs, weakest.needs
}

// weight orders classes by what they ask of people.
func weight(c contextClass) int {
	n := 2 * c.rank
	if c.needs.PhishingResistant {
		n++
	}
	return n
}

// said gives the class that the response names: of those that answer the request the
// first that was proved, or the strongest when nothing was asked; empty when none was.
func (f *Front) said(w wanted, evidence []authn.Evidence, now time.Time) string {
	if !w.empty() {
		for _, c := range f.answers(w) {
			if c.met(evidence, now) {
				return c.value
			}
		}
		return ""
	}
	best := contextClass{}
	for _, c := range f.classes() {
		if c.rank >= best.rank && c.met(evidence, now) {
			best = c
		}
	}
	return best.value
}
