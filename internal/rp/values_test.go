package rp_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/rp"
	"seimon/internal/store"
)

func TestWhichValuesLeave(t *testing.T) {
	const terms, admin, other = "urn:mace:dir:entitlement:common-lib-terms", "urn:x:admin", "urn:x:Library"
	all := []string{terms, admin, other}
	h := open(t)
	for name, c := range map[string]struct {
		release rp.Release
		groups  string
		want    []string
	}{
		"everything":             {rp.Release{}, "", all},
		"one value":              {rp.Release{Only: []string{terms}}, "", []string{terms}},
		"a value in other case":  {rp.Release{Only: []string{"URN:x:admin"}}, "", nil},
		"any case":               {rp.Release{Only: []string{"/urn:X:ADMIN/i"}}, "", []string{admin}},
		"an expression":          {rp.Release{Only: []string{"/urn:x:.*/"}}, "", []string{admin, other}},
		"not a part of it":       {rp.Release{Only: []string{"/x:adm/"}}, "", nil},
		"alternatives are whole": {rp.Release{Only: []string{"/urn:x:admin|urn/"}}, "", []string{admin}},
		"all but one":            {rp.Release{Except: []string{admin}}, "", []string{terms, other}},
		"some but one":           {rp.Release{Only: []string{"/urn:x:.*/"}, Except: []string{admin}}, "", []string{other}},
		"never":                  {rp.Release{Never: []string{admin}}, "", []string{terms, other}},
		"never, though given":    {rp.Release{Only: []string{terms}, More: []rp.Share{{Only: []string{admin}}}, Never: []string{admin}}, "", []string{terms}},
		"two shares":             {rp.Release{Only: []string{terms}, More: []rp.Share{{Only: []string{other}}}}, "", []string{terms, other}},
		"a share of a group":     {rp.Release{Only: []string{terms}, More: []rp.Share{{Groups: []string{"staff"}}}}, "staff", all},
		"that of others":         {rp.Release{Only: []string{terms}, More: []rp.Share{{Groups: []string{"staff"}}}}, "students", []string{terms}},
		"of no group":            {rp.Release{Groups: []string{"staff"}, More: []rp.Share{{Only: []string{other}}}}, "", []string{other}},
		"damaged, let out":       {rp.Release{Only: []string{"/(/"}}, "", nil},
		"damaged, held back":     {rp.Release{Never: []string{"/(/"}}, "", nil},
	} {
		c.release.Attribute = "eduPersonEntitlement"
		p := rp.Party{ID: "x", Protocol: "test", Names: map[lang.Tag]string{lang.EN: "X"}, Consent: rp.ConsentNone, Release: []rp.Release{c.release}}
		var got rp.Released
		err := h.db.Read(t.Context(), func(tx *store.Tx) (err error) {
			got, err = h.book.Release(tx, p, authn.AccountID("a"), map[string][]string{"eduPersonEntitlement": all, "groups": strings.Fields(c.groups)})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Values["eduPersonEntitlement"], c.want) {
			t.Errorf("%s: %v, want %v", name, got.Values, c.want)
		}
	}
}

func TestRulesAboutValuesAddUp(t *testing.T) {
	rules, err := rp.ParseRules("rules.toml", []byte(`
[[release]]
name = "terms"
attributes = ["eduPersonEntitlement", "mail"]
only = { eduPersonEntitlement = ["urn:terms"] }

[[release]]
name = "library"
categories = ["urn:library"]
attributes = ["eduPersonEntitlement"]
only = { eduPersonEntitlement = ["/urn:library:.*/i"] }
except = { eduPersonEntitlement = ["urn:library:debt"] }

[[release]]
name = "own services"
authorities = ["https://own"]
not_services = ["https://bad"]
not_categories = ["urn:commercial"]
attributes = ["eduPersonEntitlement"]

[[release]]
name = "secret"
never = { eduPersonEntitlement = ["urn:secret"] }
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		facts rp.Facts
		want  string
	}{
		"anybody":    {rp.Facts{ID: "a"}, `only [urn:terms] never [urn:secret] more []`},
		"a library":  {rp.Facts{ID: "a", Categories: []string{"urn:library"}}, `only [urn:terms] never [urn:secret] more [{[] [/urn:library:.*/i] [urn:library:debt]}]`},
		"our own":    {rp.Facts{ID: "a", Authority: "https://own"}, `only [] never [urn:secret] more []`},
		"all of it":  {rp.Facts{ID: "a", Authority: "https://own", Categories: []string{"urn:library"}}, `only [] never [urn:secret] more []`},
		"the bad":    {rp.Facts{ID: "https://bad", Authority: "https://own"}, `only [urn:terms] never [urn:secret] more []`},
		"commercial": {rp.Facts{ID: "a", Authority: "https://own", Categories: []string{"urn:commercial"}}, `only [urn:terms] never [urn:secret] more []`},
	} {
		g := rules.Apply(c.facts)
		i := slices.IndexFunc(g.Release, func(r rp.Release) bool { return r.Attribute == "eduPersonEntitlement" })
		r := g.Release[i]
		if got := strings.TrimSpace(sprint("only", r.Only, "never", r.Never, "more", r.More)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	for text, want := range map[string]string{
		`name = "x"` + "\n" + `attributes = ["mail"]` + "\n" + `only = { mail = ["/(/"] }`:       "pattern",
		`name = "x"` + "\n" + `attributes = ["mail"]` + "\n" + `only = { mail = ["/x"] }`:        "must end with /",
		`name = "x"` + "\n" + `attributes = ["mail"]` + "\n" + `only = { mail = [] }`:            "says nothing",
		`name = "x"` + "\n" + `attributes = ["mail"]` + "\n" + `only = { displayName = ["y"] }`:  "not among its attributes",
		`name = "x"` + "\n" + `attributes = ["mail"]` + "\n" + `never = { mail = ["/(?=a)b/"] }`: "pattern",
	} {
		if _, err := rp.ParseRules("r", []byte("[[release]]\n"+text+"\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func sprint(parts ...any) string { return strings.TrimSuffix(fmt.Sprintln(parts...), "\n") }
