package oidc_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/keyring"
)

func TestDiscoveryIsCompleteAndTrue(t *testing.T) {
	g := open(t)
	d := g.must(g.call("/.well-known/openid-configuration", nil), http.StatusOK)
	if other := g.call("/.well-known/oauth-authorization-server", nil); other.raw != d.raw {
		t.Error("the two documents differ")
	}
	if d.header.Get("Access-Control-Allow-Origin") != "*" || d.header.Get("Content-Type") != "application/json" || d.text("issuer") != issuer {
		t.Errorf("%v %s", d.header, d.text("issuer"))
	}
	for _, name := range []string{
		"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "pushed_authorization_request_endpoint",
		"introspection_endpoint", "revocation_endpoint", "end_session_endpoint",
	} {
		path, ours := strings.CutPrefix(d.text(name), issuer)
		get, post := g.call(path, nil), g.call(path, url.Values{})
		if !ours || get.status == http.StatusNotFound || post.status == http.StatusNotFound {
			t.Errorf("%s: %q answers %d and %d", name, d.text(name), get.status, post.status)
		}
	}
	for name, want := range map[string][]string{
		"response_types_supported": {"code"}, "response_modes_supported": {"form_post", "query"}, "subject_types_supported": {"pairwise", "public"},
		"id_token_signing_alg_values_supported": {"ES256", "RS256"}, "code_challenge_methods_supported": {"S256"},
		"grant_types_supported":                       {"authorization_code", "refresh_token"},
		"token_endpoint_auth_methods_supported":       {"client_secret_basic", "client_secret_post", "none", "private_key_jwt"},
		"request_object_signing_alg_values_supported": {"ES256", "PS256", "RS256"}, "ui_locales_supported": {"en", "ja"},
		"prompt_values_supported": {"consent", "login", "none", "select_account"},
	} {
		if got := texts(d.body[name]); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]bool{
		"claims_parameter_supported": true, "request_parameter_supported": true, "request_uri_parameter_supported": false,
		"authorization_response_iss_parameter_supported": true, "backchannel_logout_supported": true, "backchannel_logout_session_supported": true,
		"frontchannel_logout_supported": false,
	} {
		if d.body[name] != want {
			t.Errorf("%s: %v", name, d.body[name])
		}
	}
	if !slices.Contains(texts(d.body["acr_values_supported"]), "https://refeds.org/profile/mfa") || !slices.Contains(texts(d.body["scopes_supported"]), "openid") {
		t.Error("acr values or scopes")
	}
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, x := range list {
		s, _ := x.(string)
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func TestKeysArePublicAndOutliveTheirRotation(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	token := g.redeem("library", g.code(g.browser(), asking("library"))).text("id_token")
	for range 2 {
		if err := g.Ring.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.Clock.Add(49 * time.Hour)
		if err := g.Ring.Rotate(t.Context(), keyring.ES256); err != nil {
			t.Fatal(err)
		}
		g.claims(token)
		fresh := g.redeem("library", g.code(g.browser(), asking("library"))).text("id_token")
		if strings.Split(fresh, ".")[0] == strings.Split(token, ".")[0] {
			t.Error("the new key does not sign")
		}
	}
	raw := g.call("/oidc/jwks", nil).raw
	if strings.Contains(raw, `"d"`) || strings.Contains(raw, `"k"`) || !strings.Contains(raw, `"use":"sig"`) || !strings.Contains(raw, "RS256") {
		t.Error(raw)
	}
}

// preflights sends the question that a browser asks before a script's request.
func (g *gate) preflight(path, origin string) http.Header {
	r := httptest.NewRequest(http.MethodOptions, issuer+path, nil)
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", "POST")
	w := httptest.NewRecorder()
	g.Site.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusNoContent {
		g.T.Errorf("%s: %d", path, w.Code)
	}
	return w.Header()
}

func TestScriptsOfPublicClientsReadAnswers(t *testing.T) {
	g := open(t)
	g.client("spa", members{"token_endpoint_auth_method": "none", "client_secret": nil})
	g.client("library", nil)
	b := g.browser()
	if h := g.preflight("/oidc/token", "https://spa.example.org"); h.Get("Access-Control-Allow-Origin") == "" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%v", h)
	}
	readable := func(id, origin string) (token, user string) {
		form := redeeming(id, g.code(b, asking(id)), "client_id", id)
		header := []string{"Origin", origin}
		if id == "library" {
			header = append(header, basic(id)...)
		}
		r := g.must(g.call("/oidc/token", form, header...), http.StatusOK)
		u := g.call("/oidc/userinfo", nil, "Authorization", "Bearer "+r.text("access_token"), "Origin", origin)
		return r.header.Get("Access-Control-Allow-Origin"), u.header.Get("Access-Control-Allow-Origin")
	}
	if token, user := readable("spa", "https://spa.example.org"); token != "https://spa.example.org" || user != token {
		t.Errorf("its own origin: %q %q", token, user)
	}
	if token, user := readable("spa", "https://evil.example"); token != "" || user != "" {
		t.Errorf("a foreign origin: %q %q", token, user)
	}
	if token, user := readable("library", "https://library.example.org"); token != "" || user != "" {
		t.Errorf("a confidential client: %q %q", token, user)
	}
	r := httptest.NewRequest(http.MethodOptions, issuer+"/oidc/authorize", nil)
	w := httptest.NewRecorder()
	g.Site.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("authorize answers scripts: %d", w.Code)
	}
}
