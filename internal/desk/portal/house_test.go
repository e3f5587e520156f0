package portal_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/desk/portal"
	"seimon/internal/factor"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/login/logintest"
	"seimon/internal/mail"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

// rules let the portal be read with a password alone from everywhere, so that
// tests see what the portal itself asks for.
const rules = logintest.Policy + `
[[rule]]
name = "portal"
service = "portal"
classes = 1

[[rule]]
name = "portal on campus"
service = "portal"
zones = ["on-campus"]
classes = 1
`

type house struct {
	*logintest.House
	portal *portal.Portal
}

func open(t *testing.T) *house {
	t.Helper()
	h := &house{House: logintest.New(t, []store.Schema{portal.Schema()}, []lang.Source{desk.Words(), portal.Words()})}
	h.Must(desk.Templates(h.Site))
	var err error
	h.portal, err = portal.New(portal.Rooms{
		Hall: h.Hall, Loop: func(address string) bool { return strings.HasSuffix(address, "@example.ac.jp") },
	})
	h.Must(err)
	h.Must(h.Hall.Open(h.portal))
	h.Must(h.portal.Found(t.Context()))
	h.Must(h.Site.Check())
	h.Apply(rules)
	return h
}

// signIn signs in with the password to the first page.
func (h *house) signIn(user, at string) *webtest.Browser {
	h.T.Helper()
	b := h.At(at).Get("/portal")
	h.Prove(b, user)
	if b.Location() != logintest.Origin+"/portal" {
		h.T.Fatalf("signed in to %s:\n%s", b.Location(), b.Text())
	}
	return b
}

// code answers the question for an app's code; each is used once, so time goes on first.
func (h *house) code(b *webtest.Browser, account authn.AccountID) {
	h.T.Helper()
	h.Clock.Add(30 * time.Second)
	b.Want("ワンタイムパスワード").Submit("次へ", "code", h.Code(account, 0))
}

func (h *house) bindings(account authn.AccountID, state factor.State) (out []factor.Binding) {
	h.T.Helper()
	h.Read(func(tx *store.Tx) error {
		all, err := h.Bindings.Of(tx, account)
		for _, b := range all {
			if b.State == state && b.Kind != "password" {
				out = append(out, b)
			}
		}
		return err
	})
	return out
}

// told gives the message to an address with a subject.
func (h *house) told(to, subject string) mail.Received {
	h.T.Helper()
	var got []string
	for _, m := range h.Mails(to, "") {
		if m.Subject == subject {
			return m
		}
		got = append(got, m.Subject)
	}
	h.T.Fatalf("%s was not told %q but %q", to, subject, got)
	return mail.Received{}
}

// trusting makes an account trust the browser of its newest session.
func (h *house) trusting(account authn.AccountID) {
	h.T.Helper()
	s := h.SessionsOf(account)[0]
	h.Write(func(tx *store.Tx) error {
		_, version, err := h.Policy.Active(tx)
		if err != nil {
			return err
		}
		return h.Sessions.Trust(tx, session.Trust{Browser: s.Browser, Account: account, Until: tx.Now.Add(7 * 24 * time.Hour), Policy: version, At: tx.Now})
	})
}

func (h *house) trusts(account authn.AccountID) (out []session.Trust) {
	h.T.Helper()
	h.Read(func(tx *store.Tx) (err error) {
		out, err = h.Sessions.Trusts(tx, account)
		return err
	})
	return out
}

// pages are all pages that a signed-in person can open.
func pages() []string {
	return []string{
		"/portal", "/portal/factors", "/portal/sessions", "/portal/history", "/portal/history?all=1", "/portal/consents", "/portal/settings",
		"/portal/zone", "/portal/test", "/portal/test?service=library", "/portal/password", "/portal/add/totp", "/portal/add/mailcode",
		"/portal/mail/notify", "/portal/mail/recovery",
	}
}

// posts are all forms, with ids that need not exist.
func posts() []string {
	return []string{
		"/portal/add/totp", "/portal/factors/bnd_x/name", "/portal/factors/bnd_x/remove", "/portal/factors/bnd_x/restore", "/portal/password",
		"/portal/mail/notify", "/portal/sessions/sid_x/end", "/portal/sessions/end", "/portal/browsers/x/name", "/portal/browsers/x/remove",
		"/portal/consents/withdraw", "/portal/settings/language", "/portal/settings/notices",
	}
}

func TestEveryPageOpensInBothLanguagesAndIsWellMade(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.App(a.ID)
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/factors")
	for _, tag := range []string{"ja", "en"} {
		for _, page := range pages() {
			sep := "?"
			if strings.Contains(page, "?") {
				sep = "&"
			}
			b.Get(page + sep + "lang=" + tag)
			if strings.Contains(b.Location(), "/login/") {
				if logintest.Asks(b, "password") {
					b.Submit("", "password", logintest.Password)
				}
				h.Clock.Add(30 * time.Second)
				b.Submit("", "code", h.Code(a.ID, 0))
			}
			if b.Status != http.StatusOK || !strings.Contains(b.Location(), strings.Split(page, "?")[0]) {
				t.Fatalf("%s in %s: %d at %s\n%s", page, tag, b.Status, b.Location(), b.Text())
			}
			wellMade(t, b)
		}
	}
}

// wellMade checks what every page owes to people who do not see it.
func wellMade(t *testing.T, b *webtest.Browser) {
	t.Helper()
	page := b.Page()
	if n := len(page.All("h1")); n != 1 {
		t.Errorf("%s has %d h1", b.Location(), n)
	}
	ids := map[string]bool{}
	for _, tag := range []string{"h2", "h3", "section", "input", "select", "textarea", "p", "div"} {
		for _, n := range page.All(tag) {
			if id := n.Attr["id"]; id != "" {
				if ids[id] {
					t.Errorf("%s: the id %q stands twice", b.Location(), id)
				}
				ids[id] = true
			}
		}
	}
	labelled := map[string]bool{}
	for _, l := range page.All("label") {
		labelled[l.Attr["for"]] = true
		for _, in := range l.All("input") {
			in.Attr["labelled"] = "yes"
		}
	}
	for _, tag := range []string{"input", "select", "textarea"} {
		for _, n := range page.All(tag) {
			_, hidden := n.Attr["hidden"]
			if n.Attr["type"] == "hidden" || hidden || n.Attr["labelled"] != "" {
				continue
			}
			if !labelled[n.Attr["id"]] {
				t.Errorf("%s: the field %q has no label", b.Location(), n.Attr["name"])
			}
		}
	}
	for _, table := range page.All("table") {
		if len(table.All("caption")) != 1 {
			t.Errorf("%s: a table has no caption", b.Location())
		}
	}
	for _, s := range page.All("section") {
		if id := s.Attr["aria-labelledby"]; id != "" && page.ByID(id) == nil {
			t.Errorf("%s: a section is named by %q, which is not there", b.Location(), id)
		}
	}
}

func TestNobodyEntersWithoutSigningIn(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	for _, page := range pages() {
		b := h.At(logintest.Campus).Get(page)
		if !strings.Contains(b.Location(), "/login/") {
			t.Errorf("GET %s: %s", page, b.Location())
		}
	}
	for _, form := range posts() {
		b := h.At(logintest.Campus).Post(form, nil)
		if !strings.Contains(b.Location(), "/login/") {
			t.Errorf("POST %s: %s", form, b.Location())
		}
		h.Prove(b, "s1234567")
		if b.Status >= http.StatusInternalServerError || !strings.HasPrefix(b.Location(), logintest.Origin+"/portal") {
			t.Errorf("POST %s leads to %s (%d)", form, b.Location(), b.Status)
		}
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	for _, form := range posts() {
		if b.ForeignPost("https://evil.example", form, nil); b.Status != http.StatusForbidden {
			t.Errorf("POST %s from another site: %d", form, b.Status)
		}
	}
}

func TestTheWayBackStaysInThePortal(t *testing.T) {
	h := open(t)
	for _, path := range []string{
		"//evil.example/portal", "https://evil.example/portal", "/portal/../../evil", "/portal\\@evil.example", "javascript:alert(1)", "/oidc/authorize",
		"/portalevil", "", "/portal/\r\nSet-Cookie: x=1", "http:/portal",
	} {
		respond, err := h.portal.Complete(nil, login.Outcome{Request: []byte(`{"path":` + quote(path) + `}`)})
		h.Must(err)
		w := &recorder{header: http.Header{}}
		r, err := http.NewRequest(http.MethodGet, "/", nil)
		h.Must(err)
		h.Must(respond(w, r))
		if got := w.header.Get("Location"); got != "/portal" {
			t.Errorf("%q leads to %q", path, got)
		}
	}
	h.Person("s1234567")
	b := h.At(logintest.Campus).Get("/portal/history?all=1&before=7")
	h.Prove(b, "s1234567")
	if b.Location() != logintest.Origin+"/portal/history?all=1&before=7" {
		t.Error("the page asked for was lost:", b.Location())
	}
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\r", `\r`, "\n", `\n`).Replace(s) + `"`
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *recorder) WriteHeader(status int)      { r.status = status }

func TestOnlyOurOwnPagesSayWhatWasDone(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/factors?done=portal.done.password.AAAAAAAAAAAA").Refuse("新しいパスワードを設定しました")
	b.Get("/portal/factors?done=portal.done.password").Refuse("新しいパスワードを設定しました")
	b.Get("/portal/settings").Submit("保存する", "notices", "every").Want("設定を保存しました")
	mark := b.URL.Query().Get("done")
	other := h.signIn("s1234567", logintest.Campus)
	other.Get("/portal/settings?done=" + mark).Refuse("設定を保存しました")
	if !slices.Contains([]int{http.StatusOK}, other.Status) {
		t.Error(other.Status)
	}
}
