package saml_test

import (
	"slices"
	"testing"

	"seimon/internal/directory"
	"seimon/internal/front/saml"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// campusText knows the browsers of these tests as on campus.
const campusText = policyText + `
[[zone]]
name = "lab"
kind = "campus"
ranges = ["198.51.100.0/24"]
`

func TestAssuranceLeavesAsProvedWhateverThePlace(t *testing.T) {
	const high = "https://refeds.org/assurance/IAP/high"
	g := open(t)
	g.service(library, nil, func(p *rp.Party) { p.Release = append(p.Release, rp.Release{Attribute: "eduPersonAssurance"}) })
	told := func() []string {
		t.Helper()
		b := g.browser()
		signIn(b.Get(g.redirect(&asking{issuer: library})), "hanako")
		return attributes(g.response(b).assertion)["eduPersonAssurance"]
	}
	before := told()
	if slices.Contains(before, high) || !slices.Contains(before, "https://refeds.org/assurance/IAP/low") {
		t.Errorf("before any proof: %q", before)
	}
	g.Apply(campusText)
	if got := told(); !slices.Equal(got, before) {
		t.Errorf("on campus: %q, elsewhere %q", got, before)
	}
	g.Write(func(tx *store.Tx) error {
		a, p, err := g.People.ByID(tx, g.hanak.ID)
		if err != nil {
			return err
		}
		a.Attributes = map[string][]string{"eduPersonAssurance": {high}} // written by hand: it counts for nothing
		return g.People.Update(tx, a, p)
	})
	if got := told(); !slices.Equal(got, before) {
		t.Errorf("written by hand: %q", got)
	}
	g.Write(func(tx *store.Tx) error {
		_, err := g.People.Prove(tx, directory.Proof{Person: g.hanak.Person, Way: directory.AtDesk, Documents: []string{"my-number-card"}, By: "desk"})
		return err
	})
	got := told()
	for _, want := range []string{high, "https://refeds.org/assurance/IAP/medium", "https://www.gakunin.jp/profile/IAL2"} {
		if !slices.Contains(got, want) {
			t.Errorf("proved at the desk, yet %q lacks %s", got, want)
		}
	}
	if saml.AttributeNamed("urn:oid:1.3.6.1.4.1.5923.1.1.1.11") != "eduPersonAssurance" {
		t.Error("the name of the attribute has changed")
	}
}
