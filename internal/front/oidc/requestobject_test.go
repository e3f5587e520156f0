package oidc_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// object are the claims of a sound request object.
func object(id string, pairs ...any) map[string]any {
	c := map[string]any{"iss": id, "aud": issuer, "client_id": id}
	for name, v := range asking(id) {
		c[name] = v[0]
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		name := pairs[i].(string)
		if c[name] = pairs[i+1]; pairs[i+1] == nil {
			delete(c, name)
		}
	}
	return c
}

// carrying is a request whose object says everything.
func carrying(id, object string) url.Values {
	return url.Values{"client_id": {id}, "redirect_uri": {callback(id)}, "state": {"outer"}, "response_type": {"code"}, "scope": {"openid"}, "request": {object}}
}

func TestSignedRequests(t *testing.T) {
	g := open(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256} {
		k := newKey(t)
		if alg != jose.ES256 {
			k = key{private, jose.JSONWebKey{Key: private.Public(), KeyID: "k1", Use: "sig"}, alg}
		}
		id := "lib-" + strings.ToLower(string(alg))
		g.client(id, members{"jwks": keySet(k), "require_signed_request_object": true})
		b := g.browser()
		b.Get(address(carrying(id, k.sign(t, "oauth-authz-req+jwt", object(id, "max_age", 3600, "nonce", "inner", "claims", map[string]any{"id_token": map[string]any{"name": nil}})))))
		signIn(b, "hanako")
		q := g.answer(b, id)
		if q.Get("state") != "st-1" { // the object's, not the query's (RFC 9101 6.3)
			t.Errorf("%s: %v", alg, q)
		}
		c := g.claims(g.must(g.redeem(id, q.Get("code")), http.StatusOK).text("id_token"))
		if c["nonce"] != "inner" || c["name"] != "Taro Yamada" {
			t.Errorf("%s: %v", alg, c)
		}
	}
}

func TestRequestObjectsThatAreRefused(t *testing.T) {
	g := open(t)
	k, thief := newKey(t), newKey(t)
	g.client("library", members{"jwks": keySet(k)})
	g.client("rsa", members{"jwks": keySet(k), "request_object_signing_alg": "RS256"})
	now := g.Clock.Now()
	for what, text := range map[string]string{
		"alg none":        none(object("library")),
		"keyed hash":      hmacJWT(k.public, object("library")),
		"foreign key":     thief.sign(t, "", object("library")),
		"another client":  k.sign(t, "", object("library", "iss", "rsa")),
		"client_id":       k.sign(t, "", object("library", "client_id", "rsa")),
		"no issuer":       k.sign(t, "", object("library", "iss", nil)),
		"no audience":     k.sign(t, "", object("library", "aud", nil)),
		"other audience":  k.sign(t, "", object("library", "aud", "https://evil.example")),
		"expired":         k.sign(t, "", object("library", "exp", now.Add(-2*time.Minute).Unix())),
		"not yet":         k.sign(t, "", object("library", "nbf", now.Add(5*time.Minute).Unix())),
		"an assertion":    k.sign(t, "", object("library", "sub", "library")),
		"logout token":    k.sign(t, "logout+jwt", object("library")),
		"a list":          k.sign(t, "", []string{"x"}),
		"wrong type":      k.sign(t, "", object("library", "scope", []string{"openid"})),
		"long state":      k.sign(t, "", object("library", "state", strings.Repeat("s", 5000))),
		"nested request":  k.sign(t, "", map[string]any{"iss": "library", "aud": issuer, "request": "x", "request_uri": "urn:x"}),
		"no JWT at all":   "nonsense",
		"two signatures":  `{"payload":"e30","signatures":[{},{}]}`,
		"numbers too big": k.sign(t, "", object("library", "exp", 1e300)),
	} {
		b := g.browser().Get(address(carrying("library", text)))
		if what == "nested request" {
			g.shown(b, what)
			continue
		}
		if q := g.answer(b, "library"); q.Get("error") != "invalid_request_object" || q.Get("state") != "outer" || q.Has("code") {
			t.Errorf("%s: %v", what, q)
		}
	}
	if q := g.answer(g.browser().Get(address(carrying("rsa", k.sign(t, "", object("rsa"))))), "rsa"); q.Get("error") != "invalid_request_object" {
		t.Errorf("an algorithm that was not registered: %v", q)
	}
	// The address inside counts; an unregistered one is a page.
	g.shown(g.browser().Get(address(carrying("library", k.sign(t, "", object("library", "redirect_uri", "https://evil.example/"))))), "redirect inside")
	v := carrying("library", k.sign(t, "", object("library", "response_type", nil)))
	if q := g.answer(g.browser().Get(address(v)), "library"); q.Get("error") != "invalid_request" {
		t.Errorf("a parameter outside filled in for one inside: %v", q)
	}
}

func TestPushedRequests(t *testing.T) {
	g := open(t)
	g.client("library", members{"require_pushed_authorization_requests": true})
	g.client("other", nil)
	g.client("spa", members{"token_endpoint_auth_method": "none", "client_secret": nil})
	push := func(v url.Values, header ...string) reply { return g.call("/oidc/par", v, header...) }
	r := g.must(push(asking("library", "state", "pushed"), basic("library")...), http.StatusCreated)
	uri := r.text("request_uri")
	if !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") || r.body["expires_in"] != 90.0 {
		t.Fatal(r.raw)
	}
	by := func(id, uri string, more ...string) url.Values {
		v := url.Values{"client_id": {id}, "request_uri": {uri}}
		for i := 0; i+1 < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	g.shown(g.browser().Get(address(by("other", uri))), "another client's request_uri")
	b := g.browser()
	b.Get(address(by("library", uri, "state", "outer", "redirect_uri", "https://evil.example/", "prompt", "none")))
	b.Get(address(by("library", uri))) // a reload
	signIn(b, "hanako")
	q := g.answer(b, "library")
	if q.Get("state") != "pushed" {
		t.Errorf("%v", q)
	}
	g.must(g.redeem("library", q.Get("code")), http.StatusOK)
	g.shown(b.Get(address(by("library", uri))), "a second time")

	late := g.must(push(asking("library"), basic("library")...), http.StatusCreated).text("request_uri")
	g.Clock.Add(91 * time.Second)
	g.shown(g.browser().Get(address(by("library", late))), "expired")

	g.must(push(asking("spa"), "Origin", "https://spa.example.org"), http.StatusCreated)
	for what, c := range map[string]struct {
		r      reply
		status int
		want   string
	}{
		"no proof":          {push(asking("library")), 401, "invalid_client"},
		"another's request": {push(asking("library"), basic("other")...), 400, "invalid_request"},
		"unregistered":      {push(asking("library", "redirect_uri", "https://evil.example/"), basic("library")...), 400, "invalid_request"},
		"request_uri":       {push(asking("library", "request_uri", uri), basic("library")...), 400, "invalid_request"},
		"no PKCE":           {push(asking("library", "code_challenge", "-"), basic("library")...), 400, "invalid_request"},
		"bad scope":         {push(asking("library", "scope", "x"), basic("library")...), 400, "invalid_scope"},
		"repeated":          {push(url.Values{"client_id": {"library"}, "scope": {"a", "b"}}, basic("library")...), 400, "invalid_request"},
		"bad object":        {push(asking("library", "request", "x"), basic("library")...), 400, "request_not_supported"},
	} {
		if c.r.status != c.status || c.r.text("error") != c.want {
			t.Errorf("%s: %d %s", what, c.r.status, c.r.raw)
		}
	}
}

func TestPushedAndSigned(t *testing.T) {
	g := open(t)
	k := newKey(t)
	g.client("fapi", members{
		"token_endpoint_auth_method": "private_key_jwt", "client_secret": nil, "jwks": keySet(k),
		"require_pushed_authorization_requests": true, "require_signed_request_object": true,
	})
	prove := func(v url.Values, aud string) url.Values {
		v.Set("client_assertion_type", assertionType)
		v.Set("client_assertion", k.sign(t, "", g.assertion("fapi", "aud", aud)))
		return v
	}
	g.refused(g.call("/oidc/par", prove(asking("fapi"), issuer)), http.StatusBadRequest, "invalid_request")
	signed := url.Values{"client_id": {"fapi"}, "request": {k.sign(t, "oauth-authz-req+jwt", object("fapi"))}}
	r := g.must(g.call("/oidc/par", prove(signed, issuer+"/oidc/par")), http.StatusCreated)
	b := g.browser()
	b.Get(address(url.Values{"client_id": {"fapi"}, "request_uri": {r.text("request_uri")}}))
	signIn(b, "hanako")
	form := prove(redeeming("fapi", g.answer(b, "fapi").Get("code")), issuer)
	g.must(g.call("/oidc/token", form), http.StatusOK)
}
