package rp_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

func mac(purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, []byte("fixed key of the tests"))
	h.Write([]byte(purpose + "\x00"))
	h.Write(data)
	return h.Sum(nil)
}

func library() rp.Party {
	return rp.Party{
		ID: "library", Protocol: "oidc", Names: map[lang.Tag]string{lang.JA: "図書館", lang.EN: "Library"},
		Contact: "library@example.ac.jp", HomeURL: "https://library.example.ac.jp/",
		Release: []rp.Release{{Attribute: "mail", Required: true}, {Attribute: "displayName"}, {Attribute: "groups"}},
	}
}

type house struct {
	t    *testing.T
	db   *store.DB
	book *rp.Book
}

func open(t *testing.T, checks ...rp.Check) house {
	db, _ := storetest.Open(t, rp.Schema())
	return house{t, db, rp.New(db, mac, checks...)}
}

func (h house) write(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.db.Write(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h house) put(p rp.Party) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error { return h.book.Put(tx, p) })
}

func (h house) release(p rp.Party, attrs map[string][]string) rp.Released {
	h.t.Helper()
	var out rp.Released
	err := h.db.Read(h.t.Context(), func(tx *store.Tx) (err error) {
		out, err = h.book.Release(tx, p, "acc_1", attrs)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h house) agree(p rp.Party, items []rp.Item, chosen ...string) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error { return h.book.Consent(tx, p, "acc_1", chosen, items) })
}

func TestPartyIsStoredReplacedListedAndRemoved(t *testing.T) {
	h := open(t)
	h.put(library())
	changed := library()
	changed.Disabled = true
	changed.Registration = []byte(`{"redirect_uris":["https://a.example/cb"]}`)
	h.put(changed)
	second := library()
	second.ID = "payroll"
	h.put(second)
	h.write(func(tx *store.Tx) error {
		p, err := h.book.Get(tx, "library")
		if err != nil {
			return err
		}
		if !p.Disabled || p.Version != 2 || p.Consent != rp.ConsentAsk || p.Name("fr") != "Library" || p.Name(lang.JA) != "図書館" ||
			string(p.Registration) != string(changed.Registration) || len(p.Release) != 3 || p.Created.IsZero() {
			t.Errorf("got %+v", p)
		}
		list, err := h.book.List(tx)
		if err != nil || len(list) != 2 || list[0].ID != "library" {
			t.Errorf("list %v %v", list, err)
		}
		if err := h.book.Remove(tx, "library"); err != nil {
			return err
		}
		if _, err := h.book.Get(tx, "library"); !errors.Is(err, rp.ErrNone) {
			t.Errorf("after remove: %v", err)
		}
		if err := h.book.Remove(tx, "library"); !errors.Is(err, rp.ErrNone) {
			t.Errorf("second remove: %v", err)
		}
		return nil
	})
}

func TestBadPartiesAreRefusedWithTheField(t *testing.T) {
	h := open(t)
	cases := map[string]func(*rp.Party){
		"id":           func(p *rp.Party) { p.ID = "a b" },
		"protocol":     func(p *rp.Party) { p.Protocol = "OIDC!" },
		"names":        func(p *rp.Party) { p.Names = nil },
		"names ":       func(p *rp.Party) { p.Names = map[lang.Tag]string{"ja": "図書館\u202e"} },
		"names  ":      func(p *rp.Party) { p.Names = map[lang.Tag]string{"ja": strings.Repeat("長", 101)} },
		"logo_url":     func(p *rp.Party) { p.LogoURL = "javascript:alert(1)" },
		"logo_url ":    func(p *rp.Party) { p.LogoURL = "//evil.example/logo.png" },
		"home_url":     func(p *rp.Party) { p.HomeURL = "http://library.example" },
		"contact":      func(p *rp.Party) { p.Contact = "Somebody <a@example.com>" },
		"sector":       func(p *rp.Party) { p.Sector = "a\x00b" },
		"consent":      func(p *rp.Party) { p.Consent = "maybe" },
		"release":      func(p *rp.Party) { p.Release = []rp.Release{{Attribute: "mail"}, {Attribute: "mail"}} },
		"release ":     func(p *rp.Party) { p.Release = []rp.Release{{Attribute: "../x"}} },
		"registration": func(p *rp.Party) { p.Registration = []byte("{") },
	}
	for field, spoil := range cases {
		p := library()
		spoil(&p)
		err := h.db.Write(t.Context(), func(tx *store.Tx) error { return h.book.Put(tx, p) })
		var refusal *rp.Refusal
		if !errors.As(err, &refusal) || refusal.Field != strings.TrimSpace(field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestTheFrontJudgesItsOwnPart(t *testing.T) {
	check := rp.Check{Protocol: "oidc", Verify: func(p, old *rp.Party) (map[string]string, error) {
		if old != nil {
			return nil, nil
		}
		if string(p.Registration) == "{}" {
			return nil, errors.New("redirect_uris: missing")
		}
		p.Sector = "from.front"
		return map[string]string{"client_secret": "s"}, nil
	}}
	h := open(t, check)
	err := h.db.Write(t.Context(), func(tx *store.Tx) error { return h.book.Put(tx, library()) })
	var refusal *rp.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != "redirect_uris: missing" {
		t.Fatal(err)
	}
	p := library()
	p.Registration = []byte(`{"redirect_uris":["https://a.example/"]}`)
	h.write(func(tx *store.Tx) error {
		shown, err := h.book.Register(tx, p)
		if shown["client_secret"] != "s" {
			t.Errorf("shown %v", shown)
		}
		return err
	})
	h.write(func(tx *store.Tx) error {
		p, err := h.book.Get(tx, "library")
		if p.Sector != "from.front" {
			t.Errorf("sector %q", p.Sector)
		}
		return err
	})
	other := library()
	other.ID, other.Protocol = "old", "cas"
	err = h.db.Write(t.Context(), func(tx *store.Tx) error { return h.book.Put(tx, other) })
	if !errors.As(err, &refusal) || refusal.Field != "protocol" {
		t.Fatalf("unknown protocol: %v", err)
	}
}

// The values are frozen: a change here changes who people are at every service.
func TestSubjectsAreStable(t *testing.T) {
	book := rp.New(nil, mac)
	public, pair, sector := library(), library(), library()
	pair.Pairwise = true
	sector.Pairwise, sector.Sector = true, "Campus.example"
	for name, c := range map[string]struct {
		p    rp.Party
		want string
	}{
		"public":   {public, "misielmasxjvujepoz76gscoxkdyeqqb"},
		"pairwise": {pair, "u2yxcbcmsh7bubtrlgg4gjyrznxpgvrn"},
		"sector":   {sector, "hfrw2cnvzyp777rguskjc36jnlacle2p"},
	} {
		if got := book.SubjectFor(c.p, "acc_1"); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestSubjectsTellPartiesAndAccountsApart(t *testing.T) {
	book := rp.New(nil, mac)
	a, b := library(), library()
	b.ID = "payroll"
	if book.SubjectFor(a, "x") != book.SubjectFor(b, "x") {
		t.Error("public subjects differ between parties")
	}
	if book.SubjectFor(a, "x") == book.SubjectFor(a, "y") {
		t.Error("two accounts share a public subject")
	}
	a.Pairwise, b.Pairwise = true, true
	if book.SubjectFor(a, "x") == book.SubjectFor(b, "x") {
		t.Error("pairwise subjects are shared without a sector")
	}
	a.Sector, b.Sector = "one.example", "ONE.example"
	if book.SubjectFor(a, "x") != book.SubjectFor(b, "x") {
		t.Error("parties of one sector get different subjects")
	}
	thief := library()
	thief.ID, thief.Pairwise, thief.Sector = "thief", true, "payroll"
	b.Sector = ""
	if book.SubjectFor(thief, "x") == book.SubjectFor(b, "x") {
		t.Error("a sector named like a party's id takes over its subjects")
	}
	if !regexp.MustCompile(`^[a-z2-7]{32}$`).MatchString(book.SubjectFor(a, "x")) {
		t.Error("the form of a subject has changed")
	}
}

func TestConsentIsAskedOnceAndAgainForOtherValues(t *testing.T) {
	h := open(t)
	p := library()
	h.put(p)
	p.Consent = rp.ConsentAsk
	attrs := map[string][]string{"mail": {"a@example.ac.jp"}, "displayName": {"Hanako"}, "secret": {"x"}}

	first := h.release(p, attrs)
	if !first.Ask || first.Given || len(first.Values) != 0 || len(first.Items) != 2 || !first.Items[0].Required || !first.Items[1].Chosen {
		t.Fatalf("first: %+v", first)
	}
	h.agree(p, first.Items) // not the optional name
	second := h.release(p, attrs)
	if second.Ask || !second.Given || len(second.Values) != 1 || second.Values["mail"][0] != "a@example.ac.jp" || second.Items[1].Chosen {
		t.Fatalf("after agreeing: %+v", second)
	}

	attrs["displayName"] = []string{"Hanako Yamada"}
	if r := h.release(p, attrs); r.Ask {
		t.Error("asked again about a value that was refused before")
	}
	attrs["mail"] = []string{"new@example.ac.jp"}
	r := h.release(p, attrs)
	if !r.Ask || !r.Given || len(r.Values) != 0 {
		t.Errorf("a changed value left without being seen: %+v", r)
	}
	h.agree(p, r.Items, "displayName")
	if r := h.release(p, attrs); r.Ask || len(r.Values) != 2 {
		t.Errorf("after agreeing again: %+v", r)
	}
	attrs["groups"] = []string{"staff", "library"}
	r = h.release(p, attrs)
	if !r.Ask || r.Values["groups"] != nil || r.Values["mail"] == nil {
		t.Errorf("an attribute that is new: %+v", r)
	}
	h.agree(p, r.Items, "displayName", "groups")
	attrs["groups"] = []string{"library", "staff"}
	if r := h.release(p, attrs); r.Ask {
		t.Error("asked again because the order of values changed")
	}
	attrs["groups"] = []string{"librarystaff"}
	if r := h.release(p, attrs); !r.Ask {
		t.Error("joined values pass for the agreed ones")
	}
}

func TestAskingForLessForgetsNothing(t *testing.T) {
	h := open(t)
	p := library()
	h.put(p)
	p.Consent = rp.ConsentAsk
	all := map[string][]string{"mail": {"a@example.ac.jp"}, "displayName": {"Hanako"}}
	some := map[string][]string{"mail": {"new@example.ac.jp"}}
	h.agree(p, h.release(p, all).Items, "displayName")
	h.agree(p, h.release(p, some).Items)
	all["mail"] = some["mail"]
	if r := h.release(p, all); r.Ask || len(r.Values) != 2 {
		t.Errorf("got %+v", r)
	}
}

func TestOtherWaysOfConsent(t *testing.T) {
	h := open(t)
	p := library()
	h.put(p)
	attrs := map[string][]string{"mail": {"a@example.ac.jp"}, "displayName": {"Hanako"}}
	p.Consent = rp.ConsentNone
	if r := h.release(p, attrs); r.Ask || !r.Given || len(r.Values) != 2 {
		t.Errorf("none: %+v", r)
	}
	p.Consent = rp.ConsentInform
	r := h.release(p, attrs)
	if !r.Ask || len(r.Values) != 0 {
		t.Errorf("inform, first: %+v", r)
	}
	h.agree(p, r.Items)
	if r := h.release(p, attrs); r.Ask || len(r.Values) != 2 {
		t.Errorf("inform, seen: %+v", r)
	}
	p.Release, p.Consent = nil, rp.ConsentAsk
	h.write(func(tx *store.Tx) error { return h.book.Withdraw(tx, p.ID, "acc_1") })
	if r := h.release(p, attrs); !r.Ask || r.Given {
		t.Errorf("a party that gets no attribute still needs a first agreement: %+v", r)
	}
}

// A service that only informs offers no choice, and so the page must not show one.
func TestInformingOffersNoChoice(t *testing.T) {
	h := open(t)
	p := library()
	p.Consent = rp.ConsentInform
	h.put(p)
	attrs := map[string][]string{"mail": {"a@example.ac.jp"}, "displayName": {"Hanako"}}
	for _, i := range h.release(p, attrs).Items {
		if !i.Required || !i.Chosen {
			t.Errorf("%s can be unticked, and would be sent all the same", i.Attribute)
		}
	}
}

// Whoever is asked again learns what is not as it was; whoever is asked for the first
// time, and what was refused before, is not marked.
func TestAskedAgainIsExplained(t *testing.T) {
	h := open(t)
	p := library()
	p.Consent, p.Release = rp.ConsentAsk, []rp.Release{{Attribute: "userName", Required: true}, {Attribute: "mail"}, {Attribute: "displayName"}}
	h.put(p)
	marks := func(attrs map[string][]string) (out string) {
		for _, i := range h.release(p, attrs).Items {
			out += i.Attribute + "=" + string(i.News) + " "
		}
		return out
	}
	attrs := map[string][]string{"userName": {"hanako"}, "mail": {"a@example.ac.jp"}, "displayName": {"Hanako"}}
	if got := marks(attrs); got != "userName= mail= displayName= " {
		t.Errorf("the first time: %s", got)
	}
	h.agree(p, h.release(p, attrs).Items, "mail") // not the name
	attrs["mail"], attrs["displayName"] = []string{"b@example.ac.jp"}, []string{"H"}
	p.Release = append(p.Release, rp.Release{Attribute: "familyName"})
	attrs["familyName"] = []string{"Yamada"}
	if got := marks(attrs); got != "userName= mail=changed displayName= familyName=added " {
		t.Errorf("after changes: %s", got)
	}
}

func TestConsentsAreListedAndWithdrawn(t *testing.T) {
	h := open(t)
	p := library()
	h.put(p)
	p.Consent = rp.ConsentAsk
	attrs := map[string][]string{"mail": {"a@example.ac.jp"}, "displayName": {"Hanako"}}
	h.agree(p, h.release(p, attrs).Items, "displayName")
	err := h.db.Write(t.Context(), func(tx *store.Tx) error {
		return h.book.Consent(tx, p, "acc_1", []string{"secret"}, h.release(p, attrs).Items)
	})
	if err == nil {
		t.Error("an attribute that was not offered was accepted")
	}
	consents := func() (out []rp.Given) {
		h.write(func(tx *store.Tx) (err error) { out, err = h.book.Consents(tx, authn.AccountID("acc_1")); return err })
		return out
	}
	got := consents()
	if len(got) != 1 || got[0].Party != "library" || !slices.Equal(got[0].Attributes, []string{"displayName", "mail"}) || got[0].At.IsZero() {
		t.Fatalf("got %+v", got)
	}
	h.write(func(tx *store.Tx) error { return h.book.Withdraw(tx, "library", "acc_2") })
	if len(consents()) != 1 {
		t.Error("another account's consent was withdrawn")
	}
	h.write(func(tx *store.Tx) error { return h.book.Withdraw(tx, "library", "acc_1") })
	if r := h.release(p, attrs); len(consents()) != 0 || !r.Ask || len(r.Values) != 0 {
		t.Errorf("after withdrawing: %+v", r)
	}
	h.agree(p, h.release(p, attrs).Items)
	h.write(func(tx *store.Tx) error { return h.book.Remove(tx, "library") })
	if len(consents()) != 0 {
		t.Error("consent outlives its party")
	}
}
