package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"seimon/internal/front/oidc"
	"seimon/internal/lang"
	"seimon/internal/rp"
)

// judged registers a client with members over a sound registration.
func judged(t *testing.T, change func(p *rp.Party), more members) (rp.Party, map[string]string, error) {
	t.Helper()
	reg := members{"redirect_uris": []string{"https://app.example/cb"}}
	for k, v := range more {
		if reg[k] = v; v == nil {
			delete(reg, k)
		}
	}
	text, err := json.Marshal(reg)
	if err != nil {
		t.Fatal(err)
	}
	p := rp.Party{ID: "app", Protocol: oidc.Name, Names: map[lang.Tag]string{lang.EN: "App"}, Registration: text}
	if change != nil {
		change(&p)
	}
	shown, err := rp.New(nil, nil, oidc.Check()).Judge(&p, nil)
	return p, shown, err
}

func TestRegistrationsThatAreRefused(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(k any) jose.JSONWebKeySet {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k, KeyID: "k"}}}
	}
	native := func(uri string) members { return members{"application_type": "native", "redirect_uris": []string{uri}} }
	web := func(uri string) members { return members{"redirect_uris": []string{uri}} }
	for want, list := range map[string][]members{
		"redirect_uris": {
			{"redirect_uris": nil}, {"redirect_uris": []string{}}, web("http://app.example/cb"), web("https://app.example/*"), web("https://*.example/cb"),
			web("https://app.example/cb#x"), web("https://u@app.example/"), web("javascript:alert(1)"), web("/cb"), web("https://"), web("http://127.0.0.1/cb"),
			web("https://app.example/\u202e"), web("https://app.example/ x"), web("data:text/html,x"), native("http://localhost/cb"), native("http://10.0.0.1/cb"),
			native("app:/cb"), native("http://127.0.0.1.evil.example/"), web("https://app.example/" + strings.Repeat("x", 3000)),
		},
		"post_logout_redirect_uris":           {{"post_logout_redirect_uris": []string{"http://app.example/"}}},
		"application_type":                    {{"application_type": "desktop"}},
		"token_endpoint_auth_method":          {{"token_endpoint_auth_method": "client_secret_jwt"}, {"token_endpoint_auth_method": "tls_client_auth"}},
		"id_token_signed_response_alg":        {{"id_token_signed_response_alg": "none"}, {"id_token_signed_response_alg": "HS256"}},
		"request_object_signing_alg":          {{"request_object_signing_alg": "none"}, {"request_object_signing_alg": "HS256"}},
		"grant_types":                         {{"grant_types": []string{"implicit"}}, {"grant_types": []string{"password"}}},
		"pkce":                                {{"pkce": "never"}, {"pkce": "optional", "token_endpoint_auth_method": "none"}},
		"offline_access":                      {{"offline_access": "always"}, {"offline_access": "granted"}},
		"default_acr_values":                  {{"default_acr_values": []string{"gold"}}},
		"default_max_age":                     {{"default_max_age": -1}},
		"access_token_seconds":                {{"access_token_seconds": 1 << 30}, {"access_token_seconds": -5}},
		"introspects_all":                     {{"introspects_all": true, "token_endpoint_auth_method": "none"}},
		"client_secret":                       {{"client_secret": "short"}, {"client_secret": strings.Repeat("x", 40), "token_endpoint_auth_method": "none"}, {"client_secret": strings.Repeat("é", 40)}},
		"backchannel_logout_uri":              {{"backchannel_logout_uri": "http://app.example/out"}, {"backchannel_logout_uri": "https://app.example/out#x"}},
		"backchannel_logout_session_required": {{"backchannel_logout_session_required": true}},
		"jwks": {
			{"token_endpoint_auth_method": "private_key_jwt"}, {"require_signed_request_object": true}, {"jwks": set(weak.Public())}, {"jwks": set(wide.Public())},
			{"jwks": set([]byte(strings.Repeat("s", 32)))}, {"jwks": set(newKey(t).private)}, {"jwks": "text"},
		},
		"unknown field":    {{"response_types": []string{"token"}}, {"colour": "red"}},
		"cannot unmarshal": {{"redirect_uris": "https://app.example/cb"}},
	} {
		for _, m := range list {
			_, shown, err := judged(t, nil, m)
			var refusal *rp.Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, want) || shown != nil {
				t.Errorf("%v: %v, want %s", m, err, want)
			}
		}
	}
}

func TestRegistrationsAreCompleted(t *testing.T) {
	p, shown, err := judged(t, nil, nil)
	if err != nil || len(shown["client_secret"]) != 43 || strings.Contains(string(p.Registration), shown["client_secret"]) {
		t.Fatal(err, shown, string(p.Registration))
	}
	for _, part := range []string{`"client_secret_basic"`, `"pkce":"required"`, `"offline_access":"never"`, `"ES256"`, `"authorization_code"`} {
		if !strings.Contains(string(p.Registration), part) {
			t.Errorf("%s is missing in %s", part, p.Registration)
		}
	}
	if _, shown, err := judged(t, nil, members{"token_endpoint_auth_method": "none"}); err != nil || len(shown) != 0 {
		t.Error("a public client", err, shown)
	}
	k := newKey(t)
	if _, shown, err := judged(t, nil, members{"token_endpoint_auth_method": "private_key_jwt", "jwks": keySet(k)}); err != nil || len(shown) != 0 {
		t.Error("a client with keys", err, shown)
	}
	again, shown, err := judged(t, func(q *rp.Party) { q.Registration = p.Registration }, nil)
	if err != nil || len(shown) != 0 || string(again.Registration) != string(p.Registration) {
		t.Error("what was accepted is not accepted again unchanged", err, shown)
	}
}

func TestPairwiseClientsNeedOneSector(t *testing.T) {
	pairwise := func(p *rp.Party) { p.Pairwise = true }
	p, _, err := judged(t, pairwise, members{"redirect_uris": []string{"https://APP.example/cb", "https://app.example:8443/other"}})
	if err != nil || p.Sector != "app.example" {
		t.Error(p.Sector, err)
	}
	two := members{"redirect_uris": []string{"https://a.example/", "https://b.example/"}}
	if _, _, err := judged(t, pairwise, two); err == nil {
		t.Error("two hosts and no named sector")
	}
	named, _, err := judged(t, func(p *rp.Party) { p.Pairwise, p.Sector = true, "campus.example" }, two)
	if err != nil || named.Sector != "campus.example" {
		t.Error(err)
	}
	old := p
	moved := p
	moved.Sector, moved.Registration = "", json.RawMessage(`{"redirect_uris":["https://new.example/"]}`)
	if _, err := rp.New(nil, nil, oidc.Check()).Judge(&moved, &old); err != nil || moved.Sector != "app.example" {
		t.Error("the sector moved with the addresses, and with it every subject", moved.Sector, err)
	}
}
