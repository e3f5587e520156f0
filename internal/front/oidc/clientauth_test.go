package oidc_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestExactlyTheRegisteredMethodProvesAClient(t *testing.T) {
	g := open(t)
	k := newKey(t)
	g.client("basic", nil)
	g.client("post", members{"token_endpoint_auth_method": "client_secret_post"})
	g.client("none", members{"token_endpoint_auth_method": "none", "client_secret": nil})
	g.client("jwt", members{"token_endpoint_auth_method": "private_key_jwt", "client_secret": nil, "jwks": keySet(k)})
	b := g.browser()
	ways := map[string]func(id string, v url.Values) []string{
		"basic": func(id string, _ url.Values) []string { return basic(id) },
		"post": func(id string, v url.Values) []string {
			v.Set("client_id", id)
			v.Set("client_secret", secret)
			return nil
		},
		"none": func(id string, v url.Values) []string {
			v.Set("client_id", id)
			return nil
		},
		"jwt": func(id string, v url.Values) []string {
			v.Set("client_assertion_type", assertionType)
			v.Set("client_assertion", k.sign(t, "", g.assertion(id)))
			return nil
		},
	}
	for id := range ways {
		code := g.code(b, asking(id))
		for way, apply := range ways {
			if way == id {
				continue
			}
			form := redeeming(id, code)
			header := apply(id, form)
			r := g.call("/oidc/token", form, header...)
			g.refused(r, http.StatusUnauthorized, "invalid_client")
			if (way == "basic") != strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("%s by %s: WWW-Authenticate %q", id, way, r.header.Get("WWW-Authenticate"))
			}
		}
		form := redeeming(id, code)
		header := ways[id](id, form)
		g.must(g.call("/oidc/token", form, header...), http.StatusOK)
	}
}

func TestProofsAreNotMixed(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("other", nil)
	both := redeeming("library", "x", "client_secret", secret, "client_id", "library")
	g.refused(g.call("/oidc/token", both, basic("library")...), http.StatusBadRequest, "invalid_request")
	g.refused(g.call("/oidc/token", redeeming("library", "x", "client_id", "other"), basic("library")...), http.StatusBadRequest, "invalid_request")
	g.refused(g.call("/oidc/token", redeeming("library", "x", "client_id", "library"), basic("library")...), http.StatusBadRequest, "invalid_grant")
	for what, header := range map[string]string{
		"wrong secret": "Basic " + base64.StdEncoding.EncodeToString([]byte("library:wrong")),
		"no secret":    "Basic " + base64.StdEncoding.EncodeToString([]byte("library:")),
		"hash":         "Basic " + base64.StdEncoding.EncodeToString([]byte("library:"+base64.RawURLEncoding.EncodeToString([]byte(secret)))),
		"unknown":      "Basic " + base64.StdEncoding.EncodeToString([]byte("nobody:"+secret)),
		"no colon":     "Basic " + base64.StdEncoding.EncodeToString([]byte("library")),
		"not base64":   "Basic !!!",
		"bearer":       "Bearer " + secret,
		"NUL":          "Basic " + base64.StdEncoding.EncodeToString([]byte("library%00:x")),
		"bad escape":   "Basic " + base64.StdEncoding.EncodeToString([]byte("library:%zz")),
	} {
		r := g.call("/oidc/token", redeeming("library", "x"), "Authorization", header)
		if r.status != http.StatusUnauthorized || r.text("error") != "invalid_client" {
			t.Errorf("%s: %d %s", what, r.status, r.raw)
		}
	}
}

// RFC 6749 2.3.1: name and secret are form-encoded before they are joined.
func TestBasicIsFormEncoded(t *testing.T) {
	g := open(t)
	odd := "50% off: +plus & colon:everywhere/über?"
	odd = strings.ReplaceAll(odd, "ü", "u")
	odd = strings.ReplaceAll(odd, " ", "_")
	id := "urn:app:one+two"
	g.client(id, members{"client_secret": odd, "redirect_uris": []string{"https://x.example/cb"}})
	code := ""
	b := g.browser()
	v := asking(id, "redirect_uri", "https://x.example/cb")
	signIn(b.Get(address(v)), "hanako")
	code = b.URL.Query().Get("code")
	header := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(odd)))
	g.must(g.call("/oidc/token", redeeming(id, code, "redirect_uri", "https://x.example/cb"), "Authorization", header), http.StatusOK)
}

func TestSecretsAreKeptAsHashesAndChangeOver(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	kept := func(secret string) bool {
		r := g.call("/oidc/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, "Authorization",
			"Basic "+base64.StdEncoding.EncodeToString([]byte("library:"+secret)))
		return r.text("error") == "invalid_grant"
	}
	stored := g.registration("library")
	if strings.Contains(string(stored), secret) || !kept(secret) {
		t.Fatalf("stored %s", stored)
	}
	shown := g.change("library", members{"client_secret": "new"})
	if !kept(secret) || !kept(shown["client_secret"]) || len(shown["client_secret"]) != 43 {
		t.Errorf("during the change-over: %v", shown)
	}
	shown = g.change("library", members{"client_secret": "new"})
	if kept(secret) || !kept(shown["client_secret"]) {
		t.Error("the oldest secret still serves")
	}
	if again := g.change("library", members{}); len(again) != 0 || !kept(shown["client_secret"]) {
		t.Error("an unrelated change touched the secret")
	}
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertion are the claims of a sound client assertion: pairs replace claims, nil removes.
func (g *gate) assertion(id string, pairs ...any) map[string]any {
	jti := make([]byte, 8)
	copy(jti, g.T.Name())
	c := map[string]any{
		"iss": id, "sub": id, "aud": issuer, "jti": base64.RawURLEncoding.EncodeToString(jti) + time.Now().String(),
		"iat": g.Clock.Now().Unix(), "exp": g.Clock.Now().Add(time.Minute).Unix(),
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		name := pairs[i].(string)
		if c[name] = pairs[i+1]; pairs[i+1] == nil {
			delete(c, name)
		}
	}
	return c
}

func (g *gate) asserting(assertion string) reply {
	return g.call("/oidc/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion},
	})
}

func TestClientAssertions(t *testing.T) {
	g := open(t)
	k, thief := newKey(t), newKey(t)
	g.client("jwt", members{"token_endpoint_auth_method": "private_key_jwt", "client_secret": nil, "jwks": keySet(k)})
	g.client("twin", members{"token_endpoint_auth_method": "private_key_jwt", "client_secret": nil, "jwks": keySet(k)})
	now := g.Clock.Now()
	proved := func(r reply) bool { return r.text("error") == "invalid_grant" }
	for what, claims := range map[string]map[string]any{
		"issuer":           g.assertion("jwt"),
		"token endpoint":   g.assertion("jwt", "aud", issuer+"/oidc/token"),
		"list of one":      g.assertion("jwt", "aud", []string{issuer}),
		"clock 30 s ahead": g.assertion("jwt", "iat", now.Add(30*time.Second).Unix(), "nbf", now.Add(30*time.Second).Unix()),
		"fraction":         g.assertion("jwt", "exp", float64(now.Unix())+59.5),
	} {
		if r := g.asserting(k.sign(t, "", claims)); !proved(r) {
			t.Errorf("%s: %s", what, r.raw)
		}
	}
	for what, text := range map[string]string{
		"another endpoint":   k.sign(t, "", g.assertion("jwt", "aud", issuer+"/oidc/userinfo")),
		"another server":     k.sign(t, "", g.assertion("jwt", "aud", "https://evil.example")),
		"us and another":     k.sign(t, "", g.assertion("jwt", "aud", []string{issuer, "https://evil.example"})),
		"no audience":        k.sign(t, "", g.assertion("jwt", "aud", nil)),
		"expired":            k.sign(t, "", g.assertion("jwt", "exp", now.Add(-2*time.Minute).Unix())),
		"no expiry":          k.sign(t, "", g.assertion("jwt", "exp", nil)),
		"expiry as text":     k.sign(t, "", g.assertion("jwt", "exp", "tomorrow")),
		"expiry far away":    k.sign(t, "", g.assertion("jwt", "exp", now.Add(24*time.Hour).Unix())),
		"expiry absurd":      k.sign(t, "", g.assertion("jwt", "exp", 1e300)),
		"not yet":            k.sign(t, "", g.assertion("jwt", "nbf", now.Add(5*time.Minute).Unix())),
		"from the future":    k.sign(t, "", g.assertion("jwt", "iat", now.Add(5*time.Minute).Unix())),
		"no jti":             k.sign(t, "", g.assertion("jwt", "jti", nil)),
		"long jti":           k.sign(t, "", g.assertion("jwt", "jti", strings.Repeat("j", 600))),
		"other subject":      k.sign(t, "", g.assertion("jwt", "sub", "twin")),
		"other issuer":       k.sign(t, "", g.assertion("jwt", "iss", "twin")),
		"wrong case":         k.sign(t, "", g.assertion("jwt", "iss", nil, "ISS", "jwt")),
		"NUL":                k.sign(t, "", g.assertion("jwt", "iss", "jwt\x00", "sub", "jwt\x00")),
		"foreign key":        thief.sign(t, "", g.assertion("jwt")),
		"a request object":   k.sign(t, "oauth-authz-req+jwt", g.assertion("jwt")),
		"alg none":           none(g.assertion("jwt")),
		"keyed hash":         hmacJWT(k.public, g.assertion("jwt")),
		"cut signature":      strings.TrimRight(k.sign(t, "", g.assertion("jwt")), "0123456789"+"ABCDEFabcdef_-ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ"),
		"empty":              "",
		"not a JWT":          "a.b",
		"JSON serialisation": `{"payload":"e30","signatures":[]}`,
	} {
		if r := g.asserting(text); r.status != http.StatusUnauthorized || r.text("error") != "invalid_client" {
			t.Errorf("%s: %d %s", what, r.status, r.raw)
		}
	}
	once := k.sign(t, "", g.assertion("jwt", "jti", "only-once"))
	if r := g.asserting(once); !proved(r) {
		t.Fatal(r.raw)
	}
	g.refused(g.asserting(once), http.StatusUnauthorized, "invalid_client")
	g.refused(g.asserting(k.sign(t, "", g.assertion("jwt", "jti", "only-once"))), http.StatusUnauthorized, "invalid_client")
	g.refused(g.call("/oidc/introspect", url.Values{"token": {"x"}, "client_assertion_type": {assertionType}, "client_assertion": {once}}), http.StatusUnauthorized, "invalid_client")
	if r := g.asserting(k.sign(t, "", g.assertion("twin", "jti", "only-once"))); !proved(r) {
		t.Errorf("another client's jti counted: %s", r.raw)
	}
	g.Clock.Add(5 * time.Minute)
	g.Write(g.front.Sweep)
	g.refused(g.asserting(once), http.StatusUnauthorized, "invalid_client")
	r := g.call("/oidc/token", url.Values{"grant_type": {"refresh_token"}, "client_assertion_type": {"urn:x"}, "client_assertion": {once}})
	g.refused(r, http.StatusUnauthorized, "invalid_client")
	r = g.call("/oidc/token", url.Values{
		"grant_type": {"refresh_token"}, "client_id": {"twin"}, "client_assertion_type": {assertionType}, "client_assertion": {k.sign(t, "", g.assertion("jwt"))},
	})
	g.refused(r, http.StatusUnauthorized, "invalid_client")
}

// none is an unsigned JWT.
func none(claims map[string]any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"none"}`)) + "." + enc.EncodeToString(text) + "."
}

// hmacJWT is signed with HS256 under the text of a public key, as if it were a
// shared secret.
func hmacJWT(public jose.JSONWebKey, claims map[string]any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public.Key)
	if err != nil {
		panic(err)
	}
	enc := base64.RawURLEncoding
	body := enc.EncodeToString([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + enc.EncodeToString(text)
	mac := hmac.New(sha256.New, der)
	mac.Write([]byte(body))
	return body + "." + enc.EncodeToString(mac.Sum(nil))
}
