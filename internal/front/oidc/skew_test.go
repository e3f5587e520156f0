package oidc_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// explained gives the desk's view of a support code in a language.
func (g *gate) explained(support string, tag lang.Tag) string {
	g.T.Helper()
	var out bytes.Buffer
	err := g.DB.Read(g.T.Context(), func(tx *store.Tx) error {
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

func supportIn(text string) string {
	_, code, _ := strings.Cut(text, "support code ")
	return code
}

// B3: the clock of a service is wrong. Its owner reads by how much in the answer; the
// desk finds the same under the support code, in both languages.
func TestWrongClocks(t *testing.T) {
	g := open(t)
	k := newKey(t)
	now := g.Clock.Now()
	at := func(d time.Duration) any { return now.Add(d).Unix() }
	for id, c := range map[string]struct {
		claims  map[string]any
		code    authn.Code
		said    string
		en, ja  string
		quietly bool // nothing is said: no clock does that
	}{
		"fast": {claims: g.assertion("fast", "iat", at(5*time.Minute), "exp", at(6*time.Minute)), code: "B3.fast", said: "300 seconds fast",
			en: "about 5 minutes fast", ja: "およそ5分進んで"},
		"slow": {claims: g.assertion("slow", "iat", at(-10*time.Minute), "exp", at(-9*time.Minute)), code: "B3.slow", said: "600 seconds slow",
			en: "about 10 minutes slow", ja: "およそ10分遅れて"},
		"bare":   {claims: g.assertion("bare", "iat", nil, "exp", at(-4*time.Minute)), code: "B3.slow", said: "240 seconds slow", en: "4 minutes slow", ja: "4分遅れて"},
		"before": {claims: g.assertion("before", "iat", nil, "nbf", at(3*time.Minute), "exp", at(4*time.Minute)), code: "B3.fast", said: "180 seconds fast", en: "3 minutes fast", ja: "3分進んで"},
		"absurd": {claims: g.assertion("absurd", "iat", 1, "exp", 2), quietly: true},
		"undone": {claims: g.assertion("undone", "exp", at(-4*time.Minute)), quietly: true},
	} {
		g.client(id, members{"token_endpoint_auth_method": "private_key_jwt", "client_secret": nil, "jwks": keySet(k)})
		g.Clock.Add(2 * time.Hour) // so that one test does not speak for another
		for _, name := range []string{"iat", "nbf", "exp"} {
			if v, ok := c.claims[name].(int64); ok {
				c.claims[name] = v + g.Clock.Now().Unix() - now.Unix()
			}
		}
		r := g.asserting(k.sign(t, "", c.claims))
		g.refused(r, http.StatusUnauthorized, "invalid_client")
		text := r.text("error_description")
		if c.quietly {
			if strings.Contains(text, "clock") {
				t.Errorf("%s: %s", id, text)
			}
			continue
		}
		if !strings.Contains(text, c.said) {
			t.Errorf("%s: the owner reads %q", id, text)
		}
		for tag, want := range map[lang.Tag]string{lang.EN: c.en, lang.JA: c.ja} {
			if desk := g.explained(supportIn(text), tag); !strings.Contains(desk, want) || !strings.Contains(desk, string(c.code)) {
				t.Errorf("%s: the desk reads\n%s", id, desk)
			}
		}
	}
}

// Whoever has not the key learns nothing about clocks, and leaves nothing on record.
func TestWrongClockOfAStranger(t *testing.T) {
	g := open(t)
	g.client("jwt", members{"token_endpoint_auth_method": "private_key_jwt", "client_secret": nil, "jwks": keySet(newKey(t))})
	r := g.asserting(newKey(t).sign(t, "", g.assertion("jwt", "iat", g.Clock.Now().Add(time.Hour).Unix(), "exp", g.Clock.Now().Add(2*time.Hour).Unix())))
	if strings.Contains(r.text("error_description"), "clock") || len(g.events("request.refused")) != 0 {
		t.Errorf("%s, %v", r.raw, g.events("request.refused"))
	}
}

// When several services are wrong alike, it is our own clock. One service is put on
// record once in a while, however often it tries.
func TestOurOwnClock(t *testing.T) {
	g := open(t)
	k := newKey(t)
	var last string
	for _, id := range []string{"one", "two", "three"} {
		g.client(id, members{"token_endpoint_auth_method": "private_key_jwt", "client_secret": nil, "jwks": keySet(k)})
		for range 3 {
			now := g.Clock.Now()
			last = g.asserting(k.sign(t, "", g.assertion(id, "iat", now.Add(4*time.Minute).Unix(), "exp", now.Add(5*time.Minute).Unix()))).text("error_description")
		}
	}
	if n := len(g.events("request.refused")); n != 3 {
		t.Errorf("%d events for three services", n)
	}
	if desk := g.explained(supportIn(last), lang.EN); !strings.Contains(desk, "B3.here") || !strings.Contains(desk, "clock of this server") {
		t.Errorf("the desk reads\n%s", desk)
	}
}

// The same for signed requests: through the browser, and pushed.
func TestWrongClockInRequests(t *testing.T) {
	g := open(t)
	k := newKey(t)
	g.client("lib", members{"jwks": keySet(k)})
	old := k.sign(t, "oauth-authz-req+jwt", object("lib", "iat", g.Clock.Now().Add(-20*time.Minute).Unix(), "exp", g.Clock.Now().Add(-15*time.Minute).Unix()))
	b := g.browser()
	b.Get(address(carrying("lib", old)))
	if q := g.answer(b, "lib"); q.Get("error") != "invalid_request_object" || !strings.Contains(q.Get("error_description"), "1200 seconds slow") {
		t.Errorf("the service reads %v", q)
	} else if desk := g.explained(supportIn(q.Get("error_description")), lang.JA); !strings.Contains(desk, "B3.slow") || !strings.Contains(desk, "20分遅れて") {
		t.Errorf("the desk reads\n%s", desk)
	}
	r := g.call("/oidc/par", url.Values{"request": {old}}, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("lib:"+secret)))
	if g.refused(r, http.StatusBadRequest, "invalid_request_object"); !strings.Contains(r.text("error_description"), "1200 seconds slow") {
		t.Errorf("pushed: %s", r.raw)
	}
}
