package oidc_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

// shown stops the test unless the browser got a page of ours and was sent nowhere.
func (g *gate) shown(b *webtest.Browser, what string) {
	g.T.Helper()
	if b.Left() || b.Status < 400 || b.Status >= 500 || strings.Contains(b.Header.Get("Location"), "example.org") {
		g.T.Errorf("%s: at %s with status %d:\n%s", what, b.Location(), b.Status, b.Text())
	}
}

// A client or address that cannot be trusted gets a page, never a redirect
// (RFC 6749 4.1.2.1, OIDF oidcc-ensure-registered-redirect-uri).
func TestBadClientOrRedirectIsAPage(t *testing.T) {
	g := open(t)
	g.client("library", members{"redirect_uris": []string{callback("library"), callback("library") + "?a=b"}})
	g.client("closed", nil, func(p *rp.Party) { p.Disabled = true })
	g.client("saml", nil)
	g.Write(func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE rp_party SET protocol = 'saml' WHERE id = 'saml'")
		return err
	})
	ok := callback("library")
	for what, v := range map[string]url.Values{
		"no client":             asking("library", "client_id", "-"),
		"unknown client":        asking("library", "client_id", "nobody"),
		"disabled client":       asking("closed"),
		"another protocol":      asking("saml"),
		"NUL client":            asking("library", "client_id", "library\x00"),
		"no redirect":           asking("library", "redirect_uri", "-"),
		"other path":            asking("library", "redirect_uri", ok+"/../cb"),
		"trailing slash":        asking("library", "redirect_uri", ok+"/"),
		"other case":            asking("library", "redirect_uri", strings.Replace(ok, "library", "LIBRARY", 1)),
		"query added":           asking("library", "redirect_uri", ok+"?x=1"),
		"query changed":         asking("library", "redirect_uri", ok+"?a=c"),
		"fragment":              asking("library", "redirect_uri", ok+"#x"),
		"user part":             asking("library", "redirect_uri", "https://library.example.org@evil.example/cb"),
		"port":                  asking("library", "redirect_uri", strings.Replace(ok, ".org", ".org:443", 1)),
		"backslash":             asking("library", "redirect_uri", `https://library.example.org\@evil.example/cb`),
		"encoded":               asking("library", "redirect_uri", strings.Replace(ok, "cb", "%63b", 1)),
		"script":                asking("library", "redirect_uri", "javascript:alert(1)"),
		"other client's":        asking("library", "redirect_uri", callback("saml")),
		"long redirect":         asking("library", "redirect_uri", ok+strings.Repeat("x", 3000)),
		"not UTF-8":             asking("library", "redirect_uri", ok+"\xff"),
		"loopback for web":      asking("library", "redirect_uri", "http://127.0.0.1:1/cb"),
		"pushed request of air": asking("library", "request_uri", "urn:ietf:params:oauth:request_uri:nothing"),
	} {
		g.shown(g.browser().Get(address(v)), what)
	}
	twice := asking("library")
	twice.Add("redirect_uri", "https://evil.example/")
	g.shown(g.browser().Get(address(twice)), "two redirects")
	twice = asking("library")
	twice.Add("client_id", "closed")
	g.shown(g.browser().Get(address(twice)), "two clients")
	g.shown(g.browser().ForeignPost("https://evil.example/", "/oidc/authorize", asking("library", "client_id", "nobody")), "posted")
}

// The person gets a support code, and the desk finds the field under it.
func TestAMisconfiguredServiceIsOnRecord(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	b := g.browser().Get(address(asking("library", "redirect_uri", "https://library.example.org/old")))
	e := g.events("request.refused")
	if len(e) != 1 || e[0].Party != "library" || e[0].Facts["field"] != "redirect_uri" || e[0].Facts["code"] != "R3.redirect" ||
		e[0].Facts["sent"] != "https://library.example.org/old" || e[0].Support == "" {
		t.Fatalf("on record %+v", e)
	}
	b.Want(e[0].Support)
}

func TestNativeClientsMayUseAnyLoopbackPort(t *testing.T) {
	g := open(t)
	g.client("app", members{
		"application_type": "native", "token_endpoint_auth_method": "none", "client_secret": nil,
		"redirect_uris": []string{"http://127.0.0.1/cb", "http://[::1]:9000/cb", "org.example.app:/cb"},
	})
	for _, good := range []string{"http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", "http://[::1]:9000/cb", "http://[::1]:51004/cb", "org.example.app:/cb"} {
		b := g.browser().Get(address(asking("app", "redirect_uri", good, "prompt", "none")))
		if !b.Left() || !strings.HasPrefix(b.Location(), good+"?error=login_required") {
			t.Errorf("%s: at %s", good, b.Location())
		}
	}
	for _, bad := range []string{
		"http://127.0.0.1:51004/other", "http://localhost:51004/cb", "https://127.0.0.1:51004/cb", "http://127.0.0.1:51004@evil.example/cb",
		"http://127.0.0.1.evil.example/cb", "http://127.0.0.1:51004/cb?x=1", "http://127.0.0.1:51004/cb#x", "http://[::1]/other",
		"http://127.1:51004/cb", "http://127.0.0.1:/cb", "http://[::ffff:127.0.0.1]:1/cb", "http://127.0.0.1:1:2/cb", "http://127.0.0.1:abc/cb",
	} {
		g.shown(g.browser().Get(address(asking("app", "redirect_uri", bad))), bad)
	}
}

// What is wrong with the rest goes to the client, with state and iss.
func TestErrorsGoToTheClient(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("pushes", members{"require_pushed_authorization_requests": true})
	g.client("signs", members{"require_signed_request_object": true, "jwks": keySet(newKey(t))})
	for what, c := range map[string]struct {
		v    url.Values
		want string
	}{
		"no response type":       {asking("library", "response_type", "-"), "invalid_request"},
		"implicit":               {asking("library", "response_type", "id_token"), "unsupported_response_type"},
		"hybrid":                 {asking("library", "response_type", "code id_token"), "unsupported_response_type"},
		"fragment mode":          {asking("library", "response_mode", "fragment"), "invalid_request"},
		"no PKCE":                {asking("library", "code_challenge", "-", "code_challenge_method", "-"), "invalid_request"},
		"plain PKCE":             {asking("library", "code_challenge_method", "plain"), "invalid_request"},
		"PKCE without method":    {asking("library", "code_challenge_method", "-"), "invalid_request"},
		"method alone":           {asking("library", "code_challenge", "-"), "invalid_request"},
		"short challenge":        {asking("library", "code_challenge", "abc"), "invalid_request"},
		"no openid":              {asking("library", "scope", "profile"), "invalid_scope"},
		"no scope":               {asking("library", "scope", "-"), "invalid_scope"},
		"prompt none and login":  {asking("library", "prompt", "none login"), "invalid_request"},
		"unknown prompt":         {asking("library", "prompt", "create"), "invalid_request"},
		"max_age":                {asking("library", "max_age", "-1"), "invalid_request"},
		"max_age text":           {asking("library", "max_age", "soon"), "invalid_request"},
		"claims":                 {asking("library", "claims", "{"), "invalid_request"},
		"claims list":            {asking("library", "claims", `{"id_token":[]}`), "invalid_request"},
		"claims twice":           {asking("library", "claims", `{"id_token":{},"id_token":{"acr":null}}`), "invalid_request"},
		"unknown essential acr":  {asking("library", "claims", `{"id_token":{"acr":{"essential":true,"values":["gold"]}}}`), "unmet_authentication_requirements"},
		"request_uri elsewhere":  {asking("library", "request_uri", "https://evil.example/r"), "request_uri_not_supported"},
		"request and uri":        {asking("library", "request_uri", "https://evil.example/r", "request", "x"), "invalid_request"},
		"request without keys":   {asking("library", "request", "eyJhbGciOiJub25lIn0.e30."), "request_not_supported"},
		"must push":              {asking("pushes"), "invalid_request"},
		"must sign":              {asking("signs"), "invalid_request"},
		"unsigned object":        {asking("signs", "request", "eyJhbGciOiJub25lIn0.e30."), "invalid_request_object"},
		"nobody signed in":       {asking("library", "prompt", "none"), "login_required"},
		"long nonce":             {asking("library", "nonce", strings.Repeat("n", 3000)), "invalid_request"},
		"hint that is no token":  {asking("library", "prompt", "none", "id_token_hint", "x.y.z"), "login_required"},
		"foreign subject":        {asking("library", "prompt", "none", "claims", `{"id_token":{"sub":{"value":"x"}}}`), "login_required"},
		"value that is a number": {asking("library", "claims", `{"id_token":{"acr":{"essential":"yes"}}}`), "invalid_request"},
	} {
		id := c.v.Get("client_id")
		q := g.answer(g.browser().Get(address(c.v)), id)
		if q.Get("error") != c.want || q.Get("state") != "st-1" || q.Has("code") {
			t.Errorf("%s: %v", what, q)
		}
	}
}

// RFC 6749 3.1: a parameter stands once.
func TestRepeatedParametersAreRefused(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	for _, name := range []string{"response_type", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "prompt", "max_age", "claims", "response_mode"} {
		v := asking("library", "prompt", "login", "max_age", "5", "claims", "{}", "response_mode", "query")
		v.Add(name, v.Get(name))
		q := g.answer(g.browser().Get(address(v)), "library")
		if q.Get("error") != "invalid_request" || (name == "state") == q.Has("state") {
			t.Errorf("%s twice: %v", name, q)
		}
	}
	v := asking("library")
	v.Add("display", "") // without a value it counts as left out
	v.Add("display", "page")
	if b := g.browser().Get(address(v)); b.Left() {
		t.Errorf("an empty parameter counted: %s", b.Location())
	}
}

func TestHugeInputsAreRefusedCalmly(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	for _, name := range []string{"state", "claims", "scope", "login_hint", "id_token_hint"} {
		b := g.browser().Get(address(asking("library", name, strings.Repeat("a", 14<<10))))
		if b.Status >= 500 || b.URL.Query().Has("code") {
			t.Errorf("%s: %d", name, b.Status)
		}
	}
	b := g.browser().ForeignPost("https://library.example.org/", "/oidc/authorize", asking("library", "request", strings.Repeat("a", 200<<10)))
	if b.Status != http.StatusBadRequest && b.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("huge form: %d", b.Status)
	}
	r := g.call("/oidc/token", url.Values{"grant_type": {"authorization_code"}, "code": {strings.Repeat("a", 300<<10)}}, basic("library")...)
	g.refused(r, http.StatusBadRequest, "invalid_request")
}

func TestPromptLoginAndMaxAgeAskAgain(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("strict", members{"default_max_age": 60})
	b := g.browser()
	first := g.claims(g.redeem("library", g.code(b, asking("library"))).text("id_token"))
	g.Clock.Add(2 * time.Second)

	again := func(v url.Values, asked bool) {
		t.Helper()
		b.Get(address(v))
		if b.Left() == asked {
			t.Fatalf("%v: asked %v, at %s", v, !b.Left(), b.Location())
		}
		if asked {
			signIn(b, "hanako")
		}
		id := v.Get("client_id")
		c := g.claims(g.redeem(id, g.answer(b, id).Get("code")).text("id_token"))
		fresh := c["auth_time"].(float64) > first["auth_time"].(float64)
		if fresh != asked || c["sub"] != first["sub"] {
			t.Errorf("%v: auth_time %v after %v", v, c["auth_time"], first["auth_time"])
		}
		if asked {
			first = c
			g.Clock.Add(2 * time.Second)
		}
	}
	again(asking("library", "max_age", "10000"), false)
	again(asking("library", "prompt", "login"), true)
	again(asking("library", "max_age", "1"), true)
	again(asking("library", "max_age", "0"), true)
	again(asking("strict"), false)
	g.Clock.Add(2 * time.Minute)
	again(asking("strict"), true)
}

func TestPromptNone(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("asks", nil, func(p *rp.Party) { p.Consent = rp.ConsentAsk })
	b := g.browser()
	g.code(b, asking("library"))
	if q := g.answer(b.Get(address(asking("library", "prompt", "none"))), "library"); q.Get("code") == "" {
		t.Errorf("with a session: %v", q)
	}
	if q := g.answer(b.Get(address(asking("asks", "prompt", "none"))), "asks"); q.Get("error") != "consent_required" {
		t.Errorf("without consent: %v", q)
	}
	g.Clock.Add(time.Minute)
	if q := g.answer(b.Get(address(asking("library", "prompt", "none", "max_age", "5"))), "library"); q.Get("error") != "login_required" {
		t.Errorf("too old: %v", q)
	}
	g.Write(func(tx *store.Tx) error {
		return g.People.SetState(tx, g.hanak.ID, "suspended", "left", "test")
	})
	if q := g.answer(b.Get(address(asking("library", "prompt", "none"))), "library"); q.Get("error") == "" || q.Has("code") {
		t.Errorf("suspended: %v", q)
	}
}

func TestIDTokenHintNamesThePerson(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("other", nil)
	b := g.browser()
	token := g.redeem("library", g.code(b, asking("library"))).text("id_token")
	g.Clock.Add(2 * time.Hour) // the hint has long expired
	if q := g.answer(b.Get(address(asking("library", "prompt", "none", "id_token_hint", token))), "library"); q.Get("code") == "" {
		t.Errorf("the right person: %v", q)
	}
	if q := g.answer(b.Get(address(asking("other", "prompt", "none", "id_token_hint", token))), "other"); q.Get("error") != "login_required" {
		t.Errorf("another client's token: %v", q)
	}
	g.Person("taro")
	other := g.browser()
	g.code(other, asking("library", "id_token_hint", "not.a.token")) // ignored where the person can be asked
	stranger := g.browser()
	stranger.Get(address(asking("library")))
	signIn(stranger, "taro")
	if q := g.answer(stranger.Get(address(asking("library", "prompt", "none", "id_token_hint", token))), "library"); q.Get("error") != "login_required" {
		t.Errorf("somebody else: %v", q)
	}
	fresh := g.browser()
	fresh.Get(address(asking("library", "id_token_hint", token)))
	signIn(fresh, "taro")
	if q := g.answer(fresh, "library"); q.Get("error") != "login_required" || q.Has("code") {
		t.Errorf("somebody else signed in: %v", q)
	}
	tampered := token[:len(token)-4] + "AAAA"
	if q := g.answer(b.Get(address(asking("library", "prompt", "none", "id_token_hint", tampered))), "library"); q.Get("error") != "login_required" {
		t.Errorf("a changed token: %v", q)
	}
}

func TestACRIsWhatWasProved(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	b := g.browser()
	g.code(b, asking("library"))
	acr := func(v url.Values) any {
		t.Helper()
		q := g.answer(b.Get(address(v)), "library")
		if q.Get("code") == "" {
			return q.Get("error")
		}
		return g.claims(g.redeem("library", q.Get("code")).text("id_token"))["acr"]
	}
	essential := `{"id_token":{"acr":{"essential":true,"values":["https://refeds.org/profile/mfa","aal2"]}}}`
	for _, c := range []struct {
		v    url.Values
		want any
	}{
		{asking("library"), "aal1"},
		{asking("library", "acr_values", "https://refeds.org/profile/sfa"), "https://refeds.org/profile/sfa"},
		{asking("library", "acr_values", "gold 1 2", "prompt", "none"), "aal1"},
		{asking("library", "prompt", "none", "claims", essential), "unmet_authentication_requirements"},
	} {
		if got := acr(c.v); got != c.want {
			t.Errorf("%v: %v, want %v", c.v, got, c.want)
		}
	}
	// A person who has no second factor is not let through, and the page is ours.
	g.shown(b.Get(address(asking("library", "claims", essential))), "essential acr without a factor")

	b.SetCookie("__Host-session", g.prove(g.hanak.ID))
	for _, c := range []struct {
		v    url.Values
		want any
	}{
		{asking("library"), "aal2"},
		{asking("library", "claims", essential), "https://refeds.org/profile/mfa"},
		{asking("library", "acr_values", "phr aal2"), "aal2"},
		{asking("library", "claims", `{"id_token":{"acr":{"essential":true,"value":"aal3"}}}`, "prompt", "none"), "unmet_authentication_requirements"},
		{asking("library", "claims", `{"id_token":{"acr":{"essential":true,"values":["aal3","aal1"]}}}`), "aal1"},
	} {
		if got := acr(c.v); got != c.want {
			t.Errorf("with two classes, %v: %v, want %v", c.v, got, c.want)
		}
	}
}

// A person who has a second factor is asked for it, by a wish as by a demand;
// one who has none is only refused by a demand (OIDC Core 3.1.2.1, 5.5.1.1).
func TestStepUp(t *testing.T) {
	mfa := "https://refeds.org/profile/mfa"
	essential := asking("library", "claims", `{"id_token":{"acr":{"essential":true,"value":"`+mfa+`"}}}`)
	voluntary := asking("library", "acr_values", mfa+" aal1")
	sfa := "https://refeds.org/profile/sfa"
	either := asking("library", "claims", `{"id_token":{"acr":{"essential":true,"values":["`+mfa+`","`+sfa+`"]}}}`)
	for what, c := range map[string]struct {
		v    url.Values
		app  bool
		want string
	}{
		"demand, has an app":  {essential, true, mfa},
		"demand, has nothing": {essential, false, ""},
		"wish, has an app":    {voluntary, true, mfa},
		"wish, has nothing":   {voluntary, false, "aal1"},
		"either, has an app":  {either, true, mfa},
		"either, has nothing": {either, false, sfa},
	} {
		g := open(t)
		g.client("library", nil)
		if c.app {
			g.App(g.hanak.ID)
		}
		b := g.browser()
		g.code(b, asking("library"))
		b.Get(address(c.v))
		if b.Left() != (!c.app && c.want != "") {
			t.Errorf("%s: at %s", what, b.Location())
			continue
		}
		if c.app {
			g.Clock.Add(time.Minute)
			b.Submit("Continue", "code", g.Code(g.hanak.ID, 0))
		}
		if c.want == "" {
			g.shown(b, what)
			continue
		}
		claims := g.claims(g.redeem("library", g.answer(b, "library").Get("code")).text("id_token"))
		if claims["acr"] != c.want || slices.Contains(texts(claims["amr"]), "mfa") != c.app {
			t.Errorf("%s: acr %v amr %v", what, claims["acr"], claims["amr"])
		}
	}
}

func TestMailCodesAndTrustedBrowsersAddNothing(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	b := g.browser()
	g.code(b, asking("library"))
	var cookie string
	g.Write(func(tx *store.Tx) error {
		all, err := g.Sessions.Of(tx, g.hanak.ID)
		if err != nil {
			return err
		}
		_, cookie, err = g.Sessions.Rise(tx, all[0].ID, []authn.Evidence{{Kind: "mailcode", At: tx.Now, Traits: authn.Traits{SingleUse: true}}})
		return err
	})
	b.SetCookie("__Host-session", cookie)
	q := g.answer(b.Get(address(asking("library", "acr_values", "aal2", "prompt", "none"))), "library")
	if q.Has("code") {
		if c := g.claims(g.redeem("library", q.Get("code")).text("id_token")); c["acr"] != "aal1" || len(c["amr"].([]any)) != 1 {
			t.Errorf("acr %v amr %v", c["acr"], c["amr"])
		}
	}
}

func TestClaimsParameter(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	b := g.browser()
	v := asking("library", "scope", "openid", "claims",
		`{"userinfo":{"name":{"essential":true},"email":null,"bogus":{"value":1}},"id_token":{"given_name":null,"auth_time":{"essential":true}},"other":5}`)
	r := g.redeem("library", g.code(b, v))
	if c := g.claims(r.text("id_token")); c["given_name"] != "Taro" || c["name"] != nil || c["auth_time"] == nil {
		t.Errorf("ID token %v", c)
	}
	if u := g.userInfo(r.text("access_token")); u.text("name") != "Taro Yamada" || u.text("email") == "" || u.body["given_name"] != nil {
		t.Errorf("userinfo %s", u.raw)
	}
	g.client("plain", members{"claims_in_id_token": true})
	if c := g.claims(g.redeem("plain", g.code(b, asking("plain"))).text("id_token")); c["name"] != "Taro Yamada" || c["email"] == nil {
		t.Errorf("claims_in_id_token: %v", c)
	}
	g.client("poor", nil, func(p *rp.Party) { p.Release = nil })
	r = g.redeem("poor", g.code(b, asking("poor", "claims", `{"id_token":{"name":{"essential":true}}}`)))
	if c := g.claims(r.text("id_token")); c["name"] != nil || len(g.userInfo(r.text("access_token")).body) != 1 {
		t.Error("a party got what it was not granted")
	}
	sub := g.claims(r.text("id_token"))["sub"].(string)
	q := g.answer(b.Get(address(asking("poor", "claims", `{"id_token":{"sub":{"value":"`+sub+`"}}}`, "prompt", "none"))), "poor")
	if q.Get("code") == "" {
		t.Errorf("the named subject: %v", q)
	}
}

func TestConsentAsksForWhatIsRequested(t *testing.T) {
	g := open(t)
	g.client("asks", nil, func(p *rp.Party) { p.Consent = rp.ConsentAsk })
	b := g.browser()
	b.Get(address(asking("asks", "scope", "openid email")))
	signIn(b, "hanako").Want("hanako@example.ac.jp").Refuse("Yamada")
	b.Submit("Send and go on")
	r := g.redeem("asks", g.answer(b, "asks").Get("code"))
	if u := g.userInfo(r.text("access_token")); u.text("email") == "" || u.body["name"] != nil {
		t.Error(u.raw)
	}
	b.Get(address(asking("asks", "scope", "openid profile"))).Want("Yamada")
	b.Submit("Send and go on")
	if q := g.answer(b.Get(address(asking("asks", "prompt", "none"))), "asks"); q.Get("code") == "" {
		t.Errorf("asked again although everything was agreed: %v", q)
	}
	b.Get(address(asking("asks", "prompt", "consent"))).Want("Send and go on")
	b.Submit("Cancel")
	if q := g.answer(b, "asks"); q.Get("error") != "access_denied" || q.Get("state") != "st-1" {
		t.Errorf("cancelled: %v", q)
	}
}

func TestSelectAccountShowsTheChoice(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	b := g.browser()
	g.code(b, asking("library"))
	g.Person("taro")
	b.Get(address(asking("library", "prompt", "select_account"))).Want("User name")
	signIn(b, "taro")
	if q := g.answer(b, "library"); q.Get("code") == "" {
		t.Errorf("%v", q)
	}
}

// A sign-in that somebody else began must not end in this browser (session
// fixation by request), and a request cannot be changed under way.
func TestTheRequestBelongsToTheTransaction(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("evil", nil)
	attacker, victim := g.browser(), g.browser()
	attacker.Get(address(asking("evil")))
	victim.Get(address(asking("library")))
	victim.Get(attacker.URL.Path)
	g.shown(victim, "another browser's transaction")
	b := g.browser()
	b.Get(address(asking("library")))
	b.Get(b.URL.Path + "?" + asking("evil").Encode())
	signIn(b, "hanako")
	if g.answer(b, "library").Get("code") == "" {
		t.Error(b.Location())
	}
}
