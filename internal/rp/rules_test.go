package rp_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"seimon/internal/rp"
	"seimon/internal/store"
)

const (
	rs     = "http://refeds.org/category/research-and-scholarship"
	coco   = "https://refeds.org/category/code-of-conduct/v2"
	coco1  = "http://www.geant.net/uri/dataprotection-code-of-conduct/v1"
	access = "https://refeds.org/category/"
)

func (h house) rules() *rp.Rules {
	h.t.Helper()
	var out *rp.Rules
	err := h.db.Read(h.t.Context(), func(tx *store.Tx) (err error) { out, err = h.book.Rules(tx); return err })
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// spell writes a grant as text: "a! b c:group" with ! for required.
func spell(g rp.Grant) string {
	var out []string
	for _, r := range g.Release {
		text := r.Attribute
		if r.Required {
			text += "!"
		}
		if len(r.Groups) > 0 {
			text += ":" + strings.Join(r.Groups, ",")
		}
		out = append(out, text)
	}
	return g.Consent + " " + strings.Join(out, " ")
}

func TestTheBuiltInRules(t *testing.T) {
	r := open(t).rules()
	wishes := []rp.Wish{{"mail", true}, {"displayName", false}, {"employeeNumber", true}}
	for name, c := range map[string]struct {
		facts rp.Facts
		want  string
	}{
		"nothing asked": {rp.Facts{}, "ask "},
		"asked":         {rp.Facts{Wishes: wishes}, "ask displayName mail!"},
		"research": {rp.Facts{Categories: []string{rs}},
			"inform displayName! eduPersonPrincipalName! eduPersonScopedAffiliation eduPersonTargetedID familyName givenName mail!"},
		"code of conduct":   {rp.Facts{Categories: []string{coco}, Wishes: wishes}, "ask displayName mail!"},
		"code of conduct 1": {rp.Facts{Categories: []string{coco1}, Wishes: []rp.Wish{{"subject-id", true}}}, "inform subject-id!"},
		"anonymous":         {rp.Facts{Categories: []string{access + "anonymous"}}, "none eduPersonScopedAffiliation schacHomeOrganization"},
		"pseudonymous": {rp.Facts{Categories: []string{access + "pseudonymous"}},
			"inform eduPersonAssurance eduPersonScopedAffiliation pairwise-id! schacHomeOrganization"},
		"personalized": {rp.Facts{Categories: []string{access + "personalized"}},
			"inform displayName! eduPersonAssurance eduPersonScopedAffiliation familyName givenName mail! schacHomeOrganization subject-id!"},
		"unknown": {rp.Facts{Categories: []string{"urn:x"}}, "ask "},
	} {
		if got := spell(r.Apply(c.facts)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestSelectorsGroupsAndWithholding(t *testing.T) {
	r, err := rp.ParseRules("r.toml", []byte(`
[[release]]
name = "members of one federation"
feeds = ["gakunin"]
authorities = ["https://www.gakunin.jp"]
attributes = ["mail", "displayName"]
required = ["mail"]
consent = "none"

[[release]]
name = "staff"
feeds = ["gakunin"]
attributes = ["employeeNumber", "mail"]
groups = ["staff"]
consent = "inform"

[[release]]
name = "faculty"
feeds = ["gakunin"]
attributes = ["employeeNumber"]
groups = ["faculty", "staff"]

[[release]]
name = "never there"
services = ["https://bad.example.org/"]
withhold = ["mail"]
consent = "ask"
`))
	if err != nil {
		t.Fatal(err)
	}
	f := rp.Facts{ID: "https://sp.example.org/", Feed: "gakunin", Authority: "https://www.gakunin.jp"}
	if got := spell(r.Apply(f)); got != "inform displayName employeeNumber:staff,faculty mail!" {
		t.Error(got)
	}
	f.ID = "https://bad.example.org/"
	g := r.Apply(f)
	if got := spell(g); got != "ask displayName employeeNumber:staff,faculty" || !slices.Equal(g.Withheld["mail"], []string{"never there"}) {
		t.Error(got, g.Withheld)
	}
	if !slices.Equal(g.Because["employeeNumber"], []string{"staff", "faculty"}) {
		t.Error(g.Because)
	}
	f.Authority = "https://elsewhere.example.org"
	if got := spell(r.Apply(f)); got != "ask employeeNumber:staff,faculty" {
		t.Error(got)
	}
	f.Feed = "edugain"
	if got := spell(r.Apply(f)); got != "ask " {
		t.Error(got)
	}
}

func TestGroupsReceiveWhatIsForThem(t *testing.T) {
	h := open(t)
	p := library()
	p.Consent, p.Release = rp.ConsentNone, []rp.Release{{Attribute: "mail"}, {Attribute: "employeeNumber", Groups: []string{"staff"}}}
	h.put(p)
	for group, want := range map[string]int{"staff": 2, "students": 1} {
		got := h.release(p, map[string][]string{"mail": {"a@b"}, "employeeNumber": {"7"}, "groups": {group}})
		if len(got.Values) != want {
			t.Errorf("%s: %v", group, got.Values)
		}
	}
}

func TestRulesThatCannotBeMeant(t *testing.T) {
	for text, want := range map[string]string{
		"[[release]]\nattributes = ['mail']": "r.toml:1: a rule needs a name",
		"\n[[release]]\nname = 'a'":          "r.toml:2: the rule \"a\" says nothing",
		"[[release]]\nname = 'a'\nattributes = ['m']\n[[release]]\nname = 'a'\nattributes = ['m']": "r.toml:4: two rules",
		"[[release]]\nname = 'a'\nattribute = ['m']":                                               "r.toml:3: the key \"release.attribute\" is unknown",
		"[[release]]\nname = 'a'\nattributes = ['m']\nconsent = 'maybe'":                           "consent is ask",
		"[[release]]\nname = 'a'\nattributes = ['m']\nrequired = ['x']":                            "yet not among",
		"[[release]]\nname = 'a'\nattributes = ['m']\nrequired = ['m']\nwanted = true":             "service itself says",
		"[[release]]\nname = 'a'\nattributes = ['m m']":                                            "not the name of an attribute",
		"[[release]\n":                 "r.toml:1:",
		strings.Repeat("#\n", 256<<10): "longer than",
	} {
		if _, err := rp.ParseRules("r.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

func TestLintOfRules(t *testing.T) {
	for text, want := range map[string]string{
		"name = 'a'\nattributes = ['nonsense']\nfeeds = ['x']":                                                     `"nonsense"`,
		"name = 'a'\nattributes = ['mail']\ncategories = ['https://refeds.org/category/research-and-scholarship']": "is written",
		"name = 'a'\nattributes = ['mail']\ncategories = ['urn:x']":                                                "not among the usual",
		"name = 'a'\nattributes = ['mail']":                                                                        "asked for or not",
		"name = 'a'\nattributes = ['mail']\nwanted = true\nconsent = 'none'":                                       "nobody is told",
		"name = 'a'\nattributes = ['mail']\ncategories = ['https://refeds.org/category/anonymous']":                "promises not to need",
	} {
		r, err := rp.ParseRules("r.toml", []byte("[[release]]\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		got := r.Lint(func(a string) bool { return a != "nonsense" })
		if len(got) != 1 || !strings.Contains(got[0].Text, want) || got[0].Line != 1 {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestRulesCommands(t *testing.T) {
	h := open(t)
	d := &desk{house: h}
	const own, bad = "[[release]]\nname = 'a'\nattributes = ['mail']\n", "x = 1"
	given := func(text string, c interface{ Run(rp.Env) error }) (string, error) {
		d.in.Reset()
		d.out.Reset()
		d.in.WriteString(text)
		err := c.Run(d)
		return d.out.String(), err
	}
	shown, err := given("", &rp.RulesShow{})
	if err != nil || !strings.Contains(shown, "research and scholarship") {
		t.Error("the built-in rules are not shown", err)
	}
	if out, err := given(shown, &rp.RulesCheck{File: "r.toml", Strict: true, JSON: true}); err != nil || out != "[]\n" {
		t.Error("the built-in rules are not without fault: ", out, err)
	}
	if out, err := given(own, &rp.RulesCheck{File: "r.toml", Strict: true}); err == nil || !strings.Contains(out, "r.toml:1: advice") {
		t.Error("strict lets advice pass", out)
	}
	if _, err := given(bad, &rp.RulesApply{File: "r.toml"}); err == nil || h.rules().Version != 0 {
		t.Error("bad rules are applied", err)
	}
	if _, err := given(own, &rp.RulesApply{File: "r.toml"}); err != nil {
		t.Fatal(err)
	}
	if r := h.rules(); r.Version == 0 || len(r.Rules) != 1 || !slices.Contains(d.events, "rules.applied ") {
		t.Errorf("%+v", r)
	}
	if out, err := given("", &rp.RulesShow{JSON: true}); err != nil || !strings.Contains(out, `"name": "a"`) {
		t.Error(out, err)
	}
}

// shelf is a source with one party.
type shelf struct{ party rp.Party }

func (s shelf) Find(_ *store.Tx, id string) (rp.Party, error) {
	if id != s.party.ID {
		return rp.Party{}, rp.ErrNone
	}
	return s.party, nil
}

func TestOwnPartiesStandAboveThoseOfSources(t *testing.T) {
	h := open(t)
	foreign := library()
	foreign.Source, foreign.Contact = "edugain", "evil@example.org"
	h.book.Also(shelf{rp.Party{ID: "other", Source: "gakunin"}})
	h.book.Also(shelf{foreign})
	get := func(id string) (p rp.Party, err error) {
		if other := h.db.Read(t.Context(), func(tx *store.Tx) error { p, err = h.book.Get(tx, id); return nil }); other != nil {
			t.Fatal(other)
		}
		return p, err
	}
	if p, err := get("library"); err != nil || p.Source != "edugain" {
		t.Error(p, err)
	}
	if p, err := get("other"); err != nil || p.Source != "gakunin" {
		t.Error(p, err)
	}
	if _, err := get("none"); !errors.Is(err, rp.ErrNone) {
		t.Error(err)
	}
	items := []rp.Item{{Attribute: "mail", Values: []string{"a@b"}}}
	h.write(func(tx *store.Tx) error { return h.book.Consent(tx, foreign, "acc_1", []string{"mail"}, items) })
	own := library()
	own.Source = "forged"
	h.put(own)
	if p, err := get("library"); err != nil || p.Source != "" || p.Contact == foreign.Contact {
		t.Error(p, err)
	}
	h.write(func(tx *store.Tx) error { return h.book.Remove(tx, "library") })
	h.write(func(tx *store.Tx) error {
		given, err := h.book.Consents(tx, "acc_1")
		if len(given) != 0 {
			t.Error("what was agreed outlives its party")
		}
		return err
	})
}
