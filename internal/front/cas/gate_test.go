package cas_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"
	"time"

	"seimon/internal/directory"
	"seimon/internal/login/logintest"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

// The gate before CAS services is the one before all others: places, rules, second
// steps, refusals with their causes, consent.
const gatePolicy = `
[[zone]]
name = "main-lan"
kind = "campus"
ranges = ["10.0.0.0/8"]

[[zone]]
name = "eduroam"
kind = "eduroam"
ranges = ["192.0.2.0/24"]

[[rule]]
name = "everything"
classes = 1

[[rule]]
name = "courses off campus"
service = "courses"
zones = ["off-campus"]
classes = 2

[[rule]]
name = "payroll"
service = "payroll"
classes = 2
fresh = "5m"

[[rule]]
name = "vault"
service = "vault"
phishing_resistant = true

[group.staff]
ja = "職員"
en = "Staff"

[service.staff]
groups = ["staff"]

[enrolment]
zones = ["on-campus"]
classes = 2
`

// town is a house with that policy and a service for each of its rules.
func town(t *testing.T) *gate {
	g := open(t)
	g.App(g.hanak.ID)
	for _, id := range []string{"wiki", "courses", "payroll", "vault", "staff"} {
		g.service(id, nil)
	}
	g.Apply(gatePolicy)
	return g
}

func (g *gate) from(address string) *webtest.Browser {
	b := g.browser()
	b.Address = address + ":40000"
	return b
}

// code answers the page that asks for a one-time code.
func (g *gate) code(b *webtest.Browser) *webtest.Browser {
	g.T.Helper()
	g.Clock.Add(31 * time.Second) // a code serves once
	return b.Submit("Continue", "code", g.Code(g.hanak.ID, 0))
}

// told validates the ticket that a browser brought.
func (g *gate) told(b *webtest.Browser, id string, pairs ...string) response {
	g.T.Helper()
	if !b.Left() {
		g.T.Fatalf("the browser is at %s: %s", b.Location(), b.Text())
	}
	return g.validate("p3/serviceValidate", append(pairs, "service", home(id), "ticket", b.URL.Query().Get("ticket"))...)
}

// A rule that asks for two classes is met by one more step on a live session.
func TestStepUp(t *testing.T) {
	g := town(t)
	b := g.from(logintest.Campus)
	if r := g.told(signIn(b.Get(enter(home("wiki"))), "hanako"), "wiki"); r.of("acr")[0] != "aal1" {
		t.Fatalf("a password: %s", r.raw)
	}
	if b.Get(enter(home("payroll"))); b.Left() || b.Has("password") || b.Field("code") != "" || !regexp.MustCompile(`name="code"`).MatchString(b.Body) || regexp.MustCompile(`name="password"`).MatchString(b.Body) {
		t.Fatalf("a second step is asked for alone: %s", b.Text())
	}
	r := g.told(g.code(b), "payroll")
	if amr := r.of("amr"); r.of("acr")[0] != "aal2" || !slices.Contains(amr, "pwd") || !slices.Contains(amr, "otp") {
		t.Errorf("password and code: %s", r.raw)
	}
	g.Clock.Add(time.Millisecond)
	// It is asserted to the others as well, from then on.
	if r := g.told(b.Get(enter(home("wiki"))), "wiki"); r.of("acr")[0] != "aal2" || r.of("isFromNewLogin")[0] != "false" {
		t.Errorf("after the step: %s", r.raw)
	}
	// What must be fresh is asked for again when it is not.
	g.Clock.Add(6 * time.Minute)
	if b.Get(enter(home("payroll"), "gateway", "true")); b.Location() != home("payroll") {
		t.Errorf("a gateway request for what is stale: %s", b.Location())
	}
	if b.Get(enter(home("payroll"))); b.Left() {
		t.Error("what was proved six minutes ago is taken for fresh")
	}
}

// renew asks for everything that the rule wants, whatever the session has.
func TestRenewUnderARuleOfTwoClasses(t *testing.T) {
	g := town(t)
	b := g.from(logintest.Home)
	signIn(b.Get(enter(home("courses"))), "hanako")
	if r := g.told(g.code(b), "courses", "renew", "true"); r.User != "hanako" || r.of("isFromNewLogin")[0] != "true" {
		t.Fatalf("the first sign-in is new: %s", r.raw)
	}
	g.Clock.Add(time.Minute)
	if r := g.told(b.Get(enter(home("courses"))), "courses"); r.of("isFromNewLogin")[0] != "false" || r.of("acr")[0] != "aal2" {
		t.Errorf("from the session: %s", r.raw)
	}
	if r := g.told(b.Get(enter(home("courses"))), "courses", "renew", "true"); r.Failure.Code != "INVALID_TICKET" {
		t.Errorf("renew at validation took the session: %s", r.raw)
	}
	g.Clock.Add(time.Minute)
	if b.Get(enter(home("courses"), "renew", "true")); b.Left() {
		t.Fatal("renew was answered from the session")
	}
	if signIn(b, "hanako"); b.Left() {
		t.Fatal("with renew a password was enough off campus")
	}
	if r := g.told(g.code(b), "courses", "renew", "true"); r.User != "hanako" || r.of("acr")[0] != "aal2" || r.of("isFromNewLogin")[0] != "true" {
		t.Errorf("renewed: %s", r.raw)
	}
}

// The same person, service and session from two places.
func TestPlaces(t *testing.T) {
	g := town(t)
	b := g.from(logintest.Campus)
	if r := g.told(signIn(b.Get(enter(home("courses"))), "hanako"), "courses"); r.of("acr")[0] != "aal1" {
		t.Errorf("on campus: %s", r.raw)
	}
	b.Address = logintest.Home + ":40000"
	if b.Get(enter(home("courses"))); b.Left() {
		t.Error("the session from campus was enough at home")
	}
	if r := g.told(g.code(b), "courses"); r.of("acr")[0] != "aal2" {
		t.Errorf("at home: %s", r.raw)
	}
}

// Whoever cannot enter learns why, and how to, and stays out.
func TestRefusals(t *testing.T) {
	g := town(t)
	g.House.Person("taro") // without an app
	support := regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}`)
	for _, c := range []struct{ id, user, from, says string }{
		{"vault", "hanako", logintest.Home, "stronger proof than anything that you have registered"},
		{"courses", "taro", "192.0.2.7", "eduroam"},
		{"staff", "hanako", logintest.Campus, "only for: Staff"},
	} {
		b := signIn(g.from(c.from).Get(enter(home(c.id))), c.user)
		if b.Left() || !regexp.MustCompile(c.says).MatchString(b.Text()) || !support.MatchString(b.Text()) {
			t.Errorf("%s at %s: %s %d %s", c.user, c.id, b.Location(), b.Status, b.Text())
		}
		if b.Get(enter(home(c.id), "gateway", "true")); b.Location() != home(c.id) {
			t.Errorf("%s at %s by gateway: %s", c.user, c.id, b.Location())
		}
		// The way back ends on a page, for CAS knows no word for it.
		b.Get(enter(home(c.id)))
		b.Post(b.URL.Path, url.Values{"pass": {b.Field("pass")}, "act": {"cancel"}})
		if b.Left() || b.Status != http.StatusForbidden || !support.MatchString(b.Text()) {
			t.Errorf("going back from %s: %s %d %s", c.id, b.Location(), b.Status, b.Text())
		}
	}
	if b := g.from(logintest.Home).Get(enter("https://nobody.example.org/")); b.Left() || !support.MatchString(b.Text()) {
		t.Errorf("an unknown service: %s %s", b.Location(), b.Text())
	}
}

// Consent is asked for once, again when a value changed, and again after it was taken
// back, as the portal does it.
func TestConsentThroughTime(t *testing.T) {
	g := open(t)
	g.service("wiki", nil, func(p *rp.Party) {
		p.Consent = rp.ConsentAsk
		p.Release = []rp.Release{{Attribute: "userName", Required: true}, {Attribute: "mail"}}
	})
	b := signIn(g.browser().Get(enter(home("wiki"))), "hanako")
	agree := func(why string) {
		t.Helper()
		if b.Left() || !regexp.MustCompile(`name="attribute"`).MatchString(b.Body) {
			t.Fatalf("%s: nobody asked: %s", why, b.Location())
		}
		b.Post(b.URL.Path, url.Values{"pass": {b.Field("pass")}, "shown": {b.Field("shown")}, "attribute": {"mail"}})
		if r := g.told(b, "wiki"); r.User != "hanako" || len(r.of("mail")) != 1 {
			t.Errorf("%s: %s", why, r.raw)
		}
	}
	agree("the first time")
	if r := g.told(b.Get(enter(home("wiki"))), "wiki"); len(r.of("mail")) != 1 {
		t.Errorf("the second time: %s", r.raw)
	}
	g.Write(func(tx *store.Tx) error {
		return g.People.SetMail(tx, g.hanak.Person, directory.UseMail, "new@example.ac.jp")
	})
	if b.Get(enter(home("wiki"), "gateway", "true")); b.Location() != home("wiki") {
		t.Errorf("a gateway request told what nobody agreed to: %s", b.Location())
	}
	b.Get(enter(home("wiki"))).Want("You agreed before", "new@example.ac.jp (changed)")
	agree("another address")
	if given := g.consents(); !slices.Equal(given, []string{"wiki"}) {
		t.Errorf("the portal lists %v", given)
	}
	g.Write(func(tx *store.Tx) error { return g.Parties.Withdraw(tx, "wiki", g.hanak.ID) })
	if given := g.consents(); len(given) != 0 {
		t.Errorf("after it was taken back the portal lists %v", given)
	}
	if b.Get(enter(home("wiki"))); regexp.MustCompile("You agreed before").MatchString(b.Text()) {
		t.Errorf("what was taken back is not remembered: %s", b.Text())
	}
	agree("after it was taken back")
}

func (g *gate) consents() (parties []string) {
	g.T.Helper()
	err := g.DB.Read(g.T.Context(), func(tx *store.Tx) error {
		given, err := g.Parties.Consents(tx, g.hanak.ID)
		for _, c := range given {
			parties = append(parties, c.Party)
		}
		return err
	})
	if err != nil {
		g.T.Fatal(err)
	}
	return parties
}
