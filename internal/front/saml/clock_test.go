package saml_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"seimon/internal/diagnosis"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// explained is what the desk reads under a support code.
func (g *gate) explained(support string, tag lang.Tag) string {
	g.T.Helper()
	var out bytes.Buffer
	err := g.DB.Read(g.T.Context(), func(tx *store.Tx) error {
		out.Reset()
		r, err := diagnosis.Explain(tx, g.Audit, g.House.Policy, support)
		if err == nil {
			r.Print(&out, g.Words.In(tag))
		}
		return err
	})
	if err != nil {
		g.T.Fatal(err)
	}
	return out.String()
}

// B3: the clock of a service is wrong. The person sees a calm page, in both languages;
// the desk and the owner of the service read whose clock it is and by how much.
func TestWrongClocks(t *testing.T) {
	g := open(t)
	key, _ := pairs()
	g.service(library, func(r *saml.Registration) { r.Signing = []string{key.text()} })
	l := g.leaver("asker.example.org")
	now := g.Clock.Now()
	at := func(d time.Duration) string { return now.Add(d).UTC().Format(time.RFC3339) }
	signIn := func(d time.Duration) string {
		return origin + g.redirect(&asking{issuer: library, instant: at(d), sign: key})
	}
	request, _, _ := l.request(mustParse(t, []byte(plainName("x", metadata.Persistent))), "")
	signOut := func(issued, until time.Duration) string {
		text := strings.Replace(string(request), `IssueInstant="`+at(0)+`"`, `IssueInstant="`+at(issued)+`"`, 1)
		if until != 0 {
			text = strings.Replace(text, " Version=", ` NotOnOrAfter="`+at(until)+`" Version=`, 1)
		}
		return l.signed("SAMLRequest", []byte(text), "")
	}
	left := strings.NewReplacer("LogoutRequest", "LogoutResponse").Replace(string(request))
	for name, c := range map[string]struct {
		address, code, field, en, ja, page, seite string
	}{
		"fast":                   {signIn(7 * time.Minute), "B3.fast", "IssueInstant", "7 minutes fast", "7分進んで", "not set up correctly", "設定に問題があります"},
		"slow":                   {signIn(-20 * time.Minute), "B3.slow", "IssueInstant", "20 minutes slow", "20分遅れて", "open for a long time", "長い間開いたまま"},
		"sign-out, fast":         {signOut(2*time.Hour, 0), "B3.fast", "IssueInstant", "2 hours fast", "2時間進んで", "asked us to sign you out", "サインアウト"},
		"sign-out, slow":         {signOut(-15*time.Minute, 0), "B3.slow", "IssueInstant", "15 minutes slow", "15分遅れて", "asked us to sign you out", "サインアウト"},
		"sign-out, over":         {signOut(-9*time.Minute, -4*time.Minute), "B3.slow", "NotOnOrAfter", "9 minutes slow", "9分遅れて", "asked us to sign you out", "サインアウト"},
		"sign-out, over at once": {signOut(0, -4*time.Minute), "R3.logout", "NotOnOrAfter", "NotOnOrAfter", "NotOnOrAfter", "asked us to sign you out", ""},
		"answer, slow":           {l.signed("SAMLResponse", []byte(strings.Replace(left, at(0), at(-time.Hour), 1)), "x"), "B3.slow", "IssueInstant", "1 hour slow", "1時間遅れて", "not set up correctly", ""},
		"another year":           {signIn(-800 * 24 * time.Hour), "R3.request", "IssueInstant", "2024-", "", "not set up correctly", ""},
	} {
		for tag, want := range map[lang.Tag][2]string{lang.EN: {c.page, c.en}, lang.JA: {c.seite, c.ja}} {
			b := g.browser()
			b.Accept = string(tag)
			b.Get(c.address).WantStatus(400).Want(want[0])
			e := g.events("request.refused")[0]
			if e.Facts["code"] != c.code || e.Facts["field"] != c.field || !strings.Contains(b.Body, e.Support) {
				t.Errorf("%s: %+v\n%s", name, e, b.Text())
			}
			if desk := g.explained(e.Support, tag); !strings.Contains(desk, want[1]) || !strings.Contains(desk, c.field) {
				t.Errorf("%s: the desk reads\n%s", name, desk)
			}
			if strings.Contains(b.Text(), "clock") || strings.Contains(b.Text(), "時計") {
				t.Errorf("%s: the person reads of clocks: %s", name, b.Text())
			}
		}
	}
	// By SOAP the owner reads it in the answer itself.
	_, n := g.call(envelope(firstString(l.byCall(mustParse(t, []byte(plainName("x", metadata.Persistent))), "", at(0), at(-40*time.Minute)))))
	if said := text(n, metadata.SAMLP, "StatusMessage"); !strings.Contains(said, "your clock is 2400 seconds slow") {
		t.Errorf("the owner reads %q: %s", said, xmldoc.Canonical(n, nil, nil))
	}
}

// When several services are wrong alike, it is our own clock; strangers cannot make it
// look so.
func TestOurOwnClockIsWrong(t *testing.T) {
	g := open(t)
	key, _ := pairs()
	for i, id := range []string{"https://one.example.org/sp", "https://two.example.org/sp", "https://three.example.org/sp"} {
		g.service(id, func(r *saml.Registration) { r.Signing = []string{key.text()} })
		for _, signed := range []*pair{nil, key} {
			g.browser().Get(g.redirect(&asking{issuer: id, instant: g.Clock.Now().Add(5 * time.Minute).UTC().Format(time.RFC3339), sign: signed})).WantStatus(400)
			e := g.events("request.refused")[0]
			want := "B3.fast"
			if i == 2 && signed != nil {
				want = "B3.here"
			}
			if e.Facts["code"] != want || e.Facts["seconds"] != "300" {
				t.Errorf("%s: %+v", id, e.Facts)
			}
			if desk := g.explained(e.Support, lang.EN); want == "B3.here" && !strings.Contains(desk, "clock of this server") {
				t.Errorf("the desk reads\n%s", desk)
			}
		}
	}
}
