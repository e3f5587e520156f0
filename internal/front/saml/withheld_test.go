package saml_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/rp"
)

// TestWhatIsWithheldDoesNotLeakByNames: what the person held back, or the service was
// never granted, is not found out with the form of the name or a guess at the subject.
func TestWhatIsWithheldDoesNotLeakByNames(t *testing.T) {
	const nosy = "https://nosy.example.org/sp"
	policy := `<samlp:NameIDPolicy xmlns:samlp="` + metadata.SAMLP + `" Format="` + metadata.Email + `"></samlp:NameIDPolicy>`
	subject := func(name string) string {
		return `<saml:Subject xmlns:saml="` + metadata.SAML + `"><saml:NameID>` + name + `</saml:NameID></saml:Subject>`
	}
	for what, c := range map[string]struct {
		release []rp.Release
		tick    []string // of what is asked
		told    bool
	}{
		"never granted":   {[]rp.Release{{Attribute: "displayName", Required: true}}, nil, false},
		"held back":       {[]rp.Release{{Attribute: "displayName", Required: true}, {Attribute: "mail"}, {Attribute: "userName"}}, nil, false},
		"given by choice": {[]rp.Release{{Attribute: "displayName", Required: true}, {Attribute: "mail"}, {Attribute: "userName"}}, []string{"mail", "userName"}, true},
	} {
		g := open(t)
		g.service(nosy, func(r *saml.Registration) { r.Format = metadata.Transient }, func(p *rp.Party) { p.Consent, p.Release = rp.ConsentAsk, c.release })
		b := g.browser()
		signIn(b.Get(origin+g.redirect(&asking{issuer: nosy})), "hanako")
		b.Want("Send and go on")
		b.Post(b.Location(), url.Values{"pass": {b.Field("pass")}, "shown": {b.Field("shown")}, "attribute": append([]string{"displayName"}, c.tick...)})
		r := g.response(b)
		if r.assertion == nil || strings.Contains(b.Body, "hanako@") {
			t.Fatalf("%s: %v", what, r.status)
		}
		for name, inside := range map[string]string{"an address as name": policy, "a guessed address": subject("hanako@example.ac.jp"), "a guessed user name": subject("hanako")} {
			b.Get(origin + g.redirect(&asking{issuer: nosy, inside: inside, attrs: []string{"IsPassive", "true"}}))
			r := g.response(b)
			if got := slices.Equal(r.status, []string{"Success"}); got != c.told {
				t.Errorf("%s, %s: %v", what, name, r.status)
			}
		}
	}
}

// TestIdentifiersAreAMatterOfConsent: an identifier by which services can join what they
// know stands on the page, and leaves only for whoever gives it.
func TestIdentifiersAreAMatterOfConsent(t *testing.T) {
	const nosy = "https://nosy.example.org/sp"
	for what, c := range map[string]struct{ tick, leaves []string }{
		"held back": {[]string{"pairwise-id"}, []string{"pairwise-id"}},
		"given":     {[]string{"pairwise-id", "subject-id"}, []string{"pairwise-id", "subject-id"}},
	} {
		g := open(t)
		g.service(nosy, nil, func(p *rp.Party) {
			p.Consent, p.Release = rp.ConsentAsk, []rp.Release{{Attribute: "pairwise-id", Required: true}, {Attribute: "subject-id"}}
		})
		b := g.browser()
		signIn(b.Get(origin+g.redirect(&asking{issuer: nosy})), "hanako")
		b.Want("Identifier for this service alone", "Identifier for all services", "@example.ac.jp")
		b.Post(b.Location(), url.Values{"pass": {b.Field("pass")}, "shown": {b.Field("shown")}, "attribute": c.tick})
		told := attributes(g.response(b).assertion)
		if got := slices.Sorted(maps.Keys(told)); !slices.Equal(got, c.leaves) {
			t.Errorf("%s: %v", what, told)
		}
		again := g.browser()
		again.Get(origin + g.redirect(&asking{issuer: nosy}))
		if next := attributes(g.response(signIn(again, "hanako")).assertion); !maps.EqualFunc(next, told, slices.Equal) {
			t.Errorf("%s, from another browser: %v, then %v", what, told, next)
		}
	}
}
