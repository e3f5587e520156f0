package oidc

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	strict "github.com/go-jose/go-jose/v4/json"

	"seimon/internal/authn"
)

// RFC 7636 appendix B.
func TestVerifierVector(t *testing.T) {
	g := &grant{request: request{Redirect: "r", Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}}
	p := params{values: map[string]string{"redirect_uri": "r", "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}}
	if why := g.mismatch(p); why != "" {
		t.Error(why)
	}
	for _, bad := range []string{"", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk=", strings.Repeat("é", 43)} {
		p.values["code_verifier"] = bad
		if g.mismatch(p) == "" {
			t.Errorf("%q was taken", bad)
		}
	}
}

// OIDC Core appendix A.4 and 3.1.3.6 (RS256).
func TestAccessTokenHashVector(t *testing.T) {
	if got := halfHash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"); got != "77QmUPtjPfzWtF2AnpK9RQ" {
		t.Error(got)
	}
}

const (
	// RFC 7515 appendix A.3: ES256.
	es256Vector = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
		"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	es256Key = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	// RFC 7515 appendix A.2: RS256.
	rs256Vector = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
		"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4" +
		"BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv" +
		"hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
	rs256Key = `{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS` +
		`-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}`
)

func vectorKey(t *testing.T, text string) jose.JSONWebKey {
	t.Helper()
	var k jose.JSONWebKey
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestJWSVectors(t *testing.T) {
	keys := []jose.JSONWebKey{vectorKey(t, es256Key), vectorKey(t, rs256Key)}
	for _, text := range []string{es256Vector, rs256Vector} {
		_, payload, err := openJWS(text, peerAlgs(), keys)
		if err != nil || !strings.Contains(string(payload), `"iss":"joe"`) {
			t.Error(err)
		}
		head, rest, _ := strings.Cut(text, ".")
		_, signature, _ := strings.Cut(rest, ".")
		forged := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"eve"}`))
		if _, _, err := openJWS(head+"."+forged+"."+signature, peerAlgs(), keys); err == nil {
			t.Error("a changed payload was believed")
		}
		if _, _, err := openJWS(text, []jose.SignatureAlgorithm{jose.PS256}, keys); err == nil {
			t.Error("another algorithm than the allowed one was believed")
		}
	}
	if _, _, err := openJWS("eyJhbGciOiJub25lIn0.e30.", peerAlgs(), keys); err == nil {
		t.Error("an unsigned text was believed")
	}
	bound := vectorKey(t, rs256Key)
	bound.Algorithm = "PS256"
	if _, _, err := openJWS(rs256Vector, peerAlgs(), []jose.JSONWebKey{bound}); err == nil {
		t.Error("a key made for another algorithm was used")
	}
}

func TestACRTable(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	know := authn.Evidence{Kind: "password", At: now, Traits: authn.Traits{Class: authn.Know, First: true, AMR: "pwd"}}
	have := authn.Evidence{Kind: "totp", At: now, Traits: authn.Traits{Class: authn.Have, SingleUse: true, AMR: "otp"}}
	soft := authn.Evidence{Kind: "cert", At: now, Traits: authn.Traits{Class: authn.Have, PhishingResistant: true, AMR: "swk"}}
	card := authn.Evidence{Kind: "card", At: now, Traits: authn.Traits{Class: authn.Have | authn.Know, PhishingResistant: true, HardwareBound: true, UserVerified: true, First: true, AMR: "sc"}}
	code := authn.Evidence{Kind: "mailcode", At: now, Traits: authn.Traits{SingleUse: true}}
	rescue := authn.Evidence{Kind: "recovery", At: now, Traits: authn.Traits{Class: authn.Have, RecoveryOnly: true}}
	mfa, sfa := "https://refeds.org/profile/mfa", "https://refeds.org/profile/sfa"
	for _, c := range []struct {
		name      string
		evidence  []authn.Evidence
		satisfied []string
		plain     string
	}{
		{"nothing", nil, nil, ""},
		{"a mail code alone", []authn.Evidence{code}, nil, ""},
		{"recovery alone", []authn.Evidence{rescue}, nil, ""},
		{"password", []authn.Evidence{know}, []string{"aal1", sfa}, "aal1"},
		{"password and mail code", []authn.Evidence{know, code}, []string{"aal1", sfa}, "aal1"},
		{"password and recovery code", []authn.Evidence{know, rescue}, []string{"aal1", sfa}, "aal1"},
		{"two passwords", []authn.Evidence{know, know}, []string{"aal1", sfa}, "aal1"},
		{"password and app", []authn.Evidence{know, have}, []string{"aal1", "aal2", sfa, mfa}, "aal2"},
		{"password and certificate", []authn.Evidence{know, soft}, []string{"aal1", "aal2", sfa, mfa, "phr"}, "aal2"},
		{"card", []authn.Evidence{card}, []string{"aal1", "aal2", "aal3", sfa, mfa, "phr", "phrh"}, "aal3"},
	} {
		for _, v := range append(acrValues(), "gold", "") {
			got := acrOf([]string{v}, c.evidence, now)
			if want := slices.Contains(c.satisfied, v); (got == v && v != "") != want {
				t.Errorf("%s: asked for %q, got %q", c.name, v, got)
			}
		}
		if got := acrOf(nil, c.evidence, now); got != c.plain {
			t.Errorf("%s: %q, want %q", c.name, got, c.plain)
		}
	}
	if r := wanted([]string{"gold", "aal2", "aal1"}, false); r.Classes != 2 {
		t.Errorf("a wish takes the first known: %+v", r)
	}
	if r := wanted([]string{"aal3", "aal2"}, true); r.Classes != 2 || r.PhishingResistant {
		t.Errorf("an essential list takes the weakest: %+v", r)
	}
}

func FuzzBasic(f *testing.F) {
	for _, s := range []string{"Basic bGlicmFyeTpzZWNyZXQ=", "basic OjpA", "Basic", "Basic %%%", "Bearer x", "Basic YTolMDA="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		id, secret, ok := parseBasic([]string{header})
		if !ok {
			return
		}
		again := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
		id2, secret2, ok := parseBasic([]string{again})
		if !ok || id2 != id || secret2 != secret || id == "" {
			t.Errorf("%q became %q %q", header, id, secret)
		}
	})
}

func FuzzClaimsParameter(f *testing.F) {
	for _, s := range []string{
		`{"userinfo":{"name":null,"email":{"essential":true}},"id_token":{"acr":{"values":["a","b"]},"sub":{"value":"x"}}}`,
		`{"id_token":{"auth_time":{"essential":true,"value":1}}}`, `[]`, `null`, `{"id_token":null}`, `{"id_token":{"a":{"a":{}}}}`, "{\"id_token\":{\"\\u0000\":null}}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := readClaims(text)
		if err != nil {
			return
		}
		kept, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back claimsRequest
		if err := json.Unmarshal(kept, &back); err != nil || back.subject() != c.subject() {
			t.Errorf("%q does not survive the way through the hall: %v", text, err)
		}
		if len(c.IDToken) > maxClaims || len(c.UserInfo) > maxClaims {
			t.Error("too many claims")
		}
	})
}

func FuzzRequestObject(f *testing.F) {
	key := jose.JSONWebKey{}
	if err := json.Unmarshal([]byte(es256Key), &key); err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{es256Vector, rs256Vector, "eyJhbGciOiJub25lIn0.e30.", "..", "a.b.c", `{"payload":"","signatures":[]}`, "eyJhbGciOiJIUzI1NiJ9.e30.AA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, payload, err := openJWS(text, peerAlgs(), []jose.JSONWebKey{key})
		if err == nil && !strings.Contains(string(payload), `"iss":"joe"`) {
			t.Errorf("believed %q", text)
		}
		issuerOf(text)
	})
}

func FuzzObjectParams(f *testing.F) {
	for _, s := range []string{`{"scope":"openid","max_age":5,"claims":{"id_token":{}}}`, `{"state":"\u0000"}`, `{"state":[1]}`, `{"max_age":1e400}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var members map[string]strict.RawMessage
		if strict.Unmarshal([]byte(text), &members) != nil {
			return
		}
		p, no := objectParams(members)
		if no != nil {
			return
		}
		for name, value := range p.values {
			if len(value) > sizes()[name] || name == "request" || name == "request_uri" {
				t.Errorf("%s came through with %d bytes", name, len(value))
			}
		}
	})
}

func FuzzRedirects(f *testing.F) {
	for _, s := range []string{"http://127.0.0.1:80/cb", "http://[::1]/cb", "http://127.0.0.1@evil.example/cb", "http://127.0.0.1:1\\@evil/cb", "HTTP://127.0.0.1/cb"} {
		f.Add(s)
	}
	c := &client{Registration: Registration{ApplicationType: "native", RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]:1/cb"}}}
	f.Fuzz(func(t *testing.T, address string) {
		if !c.owns(address) {
			return
		}
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" || (u.Hostname() != "127.0.0.1" && u.Hostname() != "::1") || u.Path != "/cb" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			t.Errorf("took %q", address)
		}
	})
}
