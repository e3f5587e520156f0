package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// skew is what the suite allows clocks to differ.
const skew = 5 * time.Minute

// idToken checks an ID token as PerformStandardIdTokenChecks does and gives its claims.
func (t *test) idToken(c *client, raw string, q url.Values) map[string]any {
	payload, _ := t.verified(raw, c.alg)
	claims := map[string]any{}
	t.must(json.Unmarshal(payload, &claims))
	t.addressed(claims, c)
	now := time.Now()
	exp, _ := claims["exp"].(float64)
	t.check(now.Add(-skew).Before(time.Unix(int64(exp), 0)), "the ID token is over: exp %v", claims["exp"])
	if q != nil {
		nonce, there := claims["nonce"].(string)
		t.check(there == q.Has("nonce") && nonce == q.Get("nonce"), "nonce is %v", claims["nonce"])
	}
	t.check(typesFit(claims) == "", "wrong type: %s", typesFit(claims))
	return claims
}

// addressed checks the claims that ID tokens and logout tokens share.
func (t *test) addressed(claims map[string]any, c *client) {
	t.check(claims["iss"] == t.text("issuer"), "iss is %v", claims["iss"])
	switch aud := claims["aud"].(type) {
	case string:
		t.check(aud == c.id, "aud is %v", aud)
	case []any:
		t.check(slices.Contains(aud, any(c.id)), "aud is %v", aud)
	default:
		t.fail("aud is %v", claims["aud"])
	}
	iat, ok := claims["iat"].(float64)
	t.check(ok && time.Unix(int64(iat), 0).Before(time.Now().Add(skew)), "iat is %v", claims["iat"])
	sub, _ := claims["sub"].(string)
	t.check(sub != "" && len(sub) <= 255, "sub is %q", sub)
}

// verified checks a signature with the published key that the header names.
func (t *test) verified(raw, alg string) ([]byte, jose.Header) {
	signed, err := jose.ParseSignedCompact(raw, algorithms())
	t.must(err)
	h := signed.Signatures[0].Header
	t.check(h.Algorithm == alg, "signed by %s instead of %s", h.Algorithm, alg)
	found := t.keys.Key(h.KeyID)
	if h.KeyID == "" || len(found) != 1 {
		t.stop("the kid %q names %d published keys", h.KeyID, len(found))
	}
	payload, err := signed.Verify(found[0])
	t.must(err)
	return payload, h
}

// typesFit checks the types of the standard claims (OIDC Core 5.1) and names the
// first that is wrong.
func typesFit(claims map[string]any) string {
	for name, v := range claims {
		ok := true
		switch name {
		case "email_verified", "phone_number_verified":
			_, ok = v.(bool)
		case "updated_at", "exp", "iat", "auth_time":
			_, ok = v.(float64)
		case "address":
			_, ok = v.(map[string]any)
		case "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
			"email", "gender", "birthdate", "zoneinfo", "locale", "phone_number", "sub", "iss", "acr", "nonce", "sid":
			var s string
			s, ok = v.(string)
			ok = ok && s != ""
		case "amr":
			_, ok = v.([]any)
		}
		if !ok {
			return name
		}
	}
	return ""
}

// newKey makes a key to sign with and its public half.
func newKey() (*jose.SigningKey, jose.JSONWebKeySet) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	jwk := jose.JSONWebKey{Key: key, KeyID: "suite-1", Algorithm: string(jose.ES256), Use: "sig"}
	return &jose.SigningKey{Algorithm: jose.ES256, Key: jwk}, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk.Public()}}
}

// sign makes a JWT of the client's.
func (c *client) sign(t *test, typ string, claims map[string]any) string {
	return sign(t, *c.key, typ, claims)
}

func sign(t *test, key jose.SigningKey, typ string, claims map[string]any) string {
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	t.must(err)
	payload, err := json.Marshal(claims)
	t.must(err)
	signed, err := signer.Sign(payload)
	t.must(err)
	out, err := signed.CompactSerialize()
	t.must(err)
	return out
}

// unsigned makes a JWT with alg none (RFC 7519 6).
func unsigned(t *test, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	t.must(err)
	b := base64.RawURLEncoding.EncodeToString
	return b([]byte(`{"alg":"none"}`)) + "." + b(payload) + "."
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// random is a text of n letters and digits.
func random(n int) string {
	raw := make([]byte, n)
	rand.Read(raw) //nolint:errcheck // never fails
	for i := range raw {
		raw[i] = alphabet[int(raw[i])%len(alphabet)]
	}
	return string(raw)
}

func setBody(req *http.Request, text string) {
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
}
