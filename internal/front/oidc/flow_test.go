package oidc_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"seimon/internal/rp"
	"seimon/internal/web/webtest"
)

func TestCodeFlow(t *testing.T) {
	for _, alg := range []string{"ES256", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			g := open(t)
			g.client("library", members{"id_token_signed_response_alg": alg})
			b := g.browser()
			begun := g.Clock.Now()
			b.Get(address(asking("library"))).Want("User name", "library")
			signIn(b, "hanako")
			q := g.answer(b, "library")
			if q.Get("state") != "st-1" || q.Get("code") == "" || len(q) != 3 {
				t.Fatalf("answer %v", q)
			}
			r := g.must(g.redeem("library", q.Get("code")), http.StatusOK)
			if r.text("token_type") != "Bearer" || r.body["expires_in"] != 600.0 || r.text("refresh_token") == "" || r.text("scope") != "openid profile email" {
				t.Errorf("token answer %s", r.raw)
			}
			if r.header.Get("Cache-Control") != "no-store" || r.header.Get("Pragma") != "no-cache" {
				t.Error("tokens may be cached")
			}
			c := g.claims(r.text("id_token"))
			want := map[string]any{
				"iss": issuer, "aud": "library", "nonce": "n-1", "acr": "aal1", "at_hash": hash(r.text("access_token")),
				"iat": float64(begun.Unix()), "auth_time": float64(begun.Unix()), "exp": float64(begun.Add(10 * time.Minute).Unix()),
			}
			for name, v := range want {
				if c[name] != v {
					t.Errorf("%s is %v, want %v", name, c[name], v)
				}
			}
			if amr, _ := c["amr"].([]any); len(amr) != 1 || amr[0] != "pwd" {
				t.Errorf("amr %v", c["amr"])
			}
			if c["sub"] == "" || c["sid"] == "" || strings.Contains(r.raw, string(g.hanak.ID)) || c["name"] != nil {
				t.Errorf("claims %v", c)
			}
			u := g.must(g.userInfo(r.text("access_token")), http.StatusOK)
			if u.body["sub"] != c["sub"] || u.text("name") != "Taro Yamada" || u.text("email") != "hanako@example.ac.jp" ||
				u.body["email_verified"] != true || u.text("name#ja-Kana-JP") == "" || u.text("preferred_username") != "hanako" || u.body["groups"] != nil {
				t.Errorf("userinfo %s", u.raw)
			}
		})
	}
}

// A client written by others, with its own idea of the standard.
func TestCoreosClientSignsIn(t *testing.T) {
	g := open(t)
	g.client("library", members{"offline_access": "granted"})
	ctx := gooidc.ClientContext(context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: g.wire}), &http.Client{Transport: g.wire})
	provider, err := gooidc.NewProvider(ctx, issuer)
	if err != nil {
		t.Fatal(err)
	}
	cfg := oauth2.Config{
		ClientID: "library", ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: callback("library"),
		Scopes: []string{"openid", "profile", "groups", "offline_access"},
	}
	v := oauth2.GenerateVerifier()
	b := g.browser()
	signIn(b.Get(cfg.AuthCodeURL("s", oauth2.S256ChallengeOption(v), gooidc.Nonce("n"))), "hanako")
	tokens, err := cfg.Exchange(ctx, g.answer(b, "library").Get("code"), oauth2.VerifierOption(v))
	if err != nil {
		t.Fatal(err)
	}
	verifier := provider.Verifier(&gooidc.Config{ClientID: "library", Now: g.Clock.Now})
	id, err := verifier.Verify(ctx, tokens.Extra("id_token").(string))
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(tokens.AccessToken); err != nil || id.Nonce != "n" {
		t.Error(err, id.Nonce)
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil || info.Subject != id.Subject {
		t.Fatal(err)
	}
	tokens.Expiry = time.Unix(1, 0)
	again, err := cfg.TokenSource(ctx, tokens).Token()
	if err != nil || again.RefreshToken == tokens.RefreshToken {
		t.Fatal("refresh", err)
	}
}

// TestAnAddressThatWasTakenBackGetsNoCode: the registration may change while a person
// signs in.
func TestAnAddressThatWasTakenBackGetsNoCode(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	b, back := g.browser(), g.browser()
	b.Get(address(asking("library")))
	back.Get(address(asking("library")))
	g.change("library", members{"redirect_uris": []string{callback("elsewhere")}})
	for what, b := range map[string]*webtest.Browser{"signed in": signIn(b, "hanako"), "went back": back.Submit("Cancel")} {
		if b.Left() || b.Status != http.StatusBadRequest {
			t.Errorf("%s: %d at %s", what, b.Status, b.Location())
		}
	}
	if e := g.events("request.refused"); len(e) != 2 || e[0].Facts["field"] != "redirect_uri" {
		t.Errorf("on record %+v", e)
	}
}

func TestFormPost(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	b := g.browser()
	signIn(b.Get(address(asking("library", "response_mode", "form_post"))), "hanako")
	b.WantStatus(http.StatusOK).Want("Back to the service", "Press the button", "library")
	form := b.Page().ByID("response")
	if form == nil || form.Attr["action"] != callback("library") || form.Attr["method"] != "post" {
		t.Fatalf("no form: %s", b.Body)
	}
	if b.Field("state") != "st-1" || b.Field("iss") != issuer {
		t.Error("state or iss is missing")
	}
	if csp := b.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://library.example.org") {
		t.Error(csp)
	}
	if !strings.Contains(b.Header.Get("Cache-Control"), "no-store") {
		t.Error("the page with the code may be cached")
	}
	code := b.Field("code")
	b.Submit("Go on")
	g.must(g.redeem("library", code), http.StatusOK)
	b.Get(address(asking("library", "response_mode", "form_post", "prompt", "bogus")))
	if b.Field("error") != "invalid_request" || b.Field("state") != "st-1" {
		t.Errorf("error by form: %s", b.Text())
	}
}

func TestPostedRequestSeesTheSession(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	b := g.browser()
	g.code(b, asking("library"))
	b.ForeignPost("https://library.example.org/", "/oidc/authorize", asking("library", "prompt", "none"))
	if g.answer(b, "library").Get("code") == "" {
		t.Errorf("at %s", b.Location())
	}
}

func TestLiveSessionAnswersAtOnceWithTheOldProof(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("payroll", nil)
	b := g.browser()
	first := g.Clock.Now()
	g.code(b, asking("library"))
	g.Clock.Add(time.Hour)
	b.Get(address(asking("payroll")))
	c := g.claims(g.redeem("payroll", g.answer(b, "payroll").Get("code")).text("id_token"))
	if c["auth_time"] != float64(first.Unix()) || c["iat"] != float64(g.Clock.Now().Unix()) {
		t.Errorf("auth_time %v iat %v", c["auth_time"], c["iat"])
	}
}

func TestSubjectsAndSessionIdsDoNotLinkServices(t *testing.T) {
	g := open(t)
	pairwise := func(p *rp.Party) { p.Pairwise = true }
	g.client("a", nil, pairwise)
	g.client("b", nil, pairwise)
	g.client("c", nil)
	b := g.browser()
	seen := map[string]map[string]any{}
	for _, id := range []string{"a", "b", "c"} {
		seen[id] = g.claims(g.redeem(id, g.code(b, asking(id))).text("id_token"))
	}
	if seen["a"]["sub"] == seen["b"]["sub"] || seen["a"]["sub"] == seen["c"]["sub"] || seen["a"]["sid"] == seen["b"]["sid"] {
		t.Errorf("%v", seen)
	}
	again := g.claims(g.redeem("a", g.code(b, asking("a"))).text("id_token"))
	if again["sub"] != seen["a"]["sub"] || again["sid"] != seen["a"]["sid"] {
		t.Error("sub or sid changed between two sign-ins of one session")
	}
}

func TestStateAndNonceAreOptionalAndUnchanged(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	b := g.browser()
	r := g.redeem("library", g.code(b, asking("library", "state", "-", "nonce", "-")))
	if _, ok := g.claims(r.text("id_token"))["nonce"]; ok || b.URL.Query().Has("state") {
		t.Error("state or nonce came from nowhere")
	}
	odd := strings.Repeat("あ&=+ \"<%41", 20)
	b.Get(address(asking("library", "state", odd)))
	if got := g.answer(b, "library").Get("state"); got != odd {
		t.Errorf("state came back as %q", got)
	}
}

func TestScopesAndParametersThatAreUnknownAreIgnored(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	b := g.browser()
	v := asking("library", "scope", "groups phone address openid bogus", "extra", "foobar", "display", "popup", "claims_locales", "se", "ui_locales", "se")
	v.Add("unknown", "1")
	v.Add("unknown", "2")
	r := g.redeem("library", g.code(b, v))
	if r.text("scope") != "groups openid" {
		t.Errorf("scope %q", r.text("scope"))
	}
	if u := g.userInfo(r.text("access_token")); u.body["groups"] == nil || u.body["name"] != nil {
		t.Error(u.raw)
	}
}

func TestRedirectAddressKeepsItsQuery(t *testing.T) {
	g := open(t)
	with := callback("library") + "?tenant=a%20b"
	g.client("library", members{"redirect_uris": []string{with}})
	b := g.browser()
	signIn(b.Get(address(asking("library", "redirect_uri", with))), "hanako")
	q := g.answer(b, "library")
	if q.Get("tenant") != "a b" || q.Get("code") == "" || strings.Count(b.Location(), "?") != 1 {
		t.Error(b.Location())
	}
	g.must(g.redeem("library", q.Get("code"), "redirect_uri", with), http.StatusOK)
}

func TestUILocalesChoosesTheLanguageOfThePages(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	b := g.browser()
	b.Get(address(asking("library", "ui_locales", "fr ja en"))).Want("サインイン")
	b = g.browser()
	b.Accept = "ja"
	b.Get(address(asking("library", "ui_locales", "en-GB"))).Want("User name")
	b = g.browser()
	b.Get(address(asking("library", "login_hint", "hanako")))
	if b.Field("username") != "hanako" {
		t.Error("login_hint is not filled in")
	}
}
