package oidc_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/front/oidc"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

const (
	issuer = logintest.Origin
	// The pair of RFC 7636 appendix B.
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	secret    = "an-imported-secret-of-at-least-32-characters"
)

const policyText = `
[[rule]]
name = "everything"
classes = 1

[enrolment]
classes = 2
`

// gate is a whole house with the OpenID Connect front, and a person in it.
type gate struct {
	*logintest.House
	front *oidc.Front
	book  *rp.Book
	hanak directory.Account
	wire  *wire
}

// wire carries requests of services to the house, and answers of the house to services.
type wire struct{ hosts map[string]http.Handler }

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	h := w.hosts[r.URL.Scheme+"://"+r.URL.Host]
	if h == nil {
		h = http.NotFoundHandler()
	}
	rec := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "192.0.2.200:5000"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	h.ServeHTTP(rec, in)
	return rec.Result(), nil
}

func open(t testing.TB) *gate {
	t.Helper()
	g := openEmpty(t)
	g.hanak = g.House.Person("hanako")
	return g
}

// openEmpty is open without a person.
func openEmpty(t testing.TB) *gate {
	t.Helper()
	g := &gate{House: logintest.New(t, []store.Schema{oidc.Schema()}, []lang.Source{oidc.Words()})}
	g.book = rp.New(g.DB, g.Ring.MAC, oidc.Check())
	g.wire = &wire{hosts: map[string]http.Handler{}}
	g.front = oidc.New(oidc.Rooms{
		DB: g.DB, Hall: g.Hall, Exit: g.Exit, Parties: g.book, People: g.People, Sessions: g.Sessions, Ring: g.Ring,
		Audit: g.Audit, Words: g.Words, Client: &http.Client{Transport: g.wire},
	})
	if err := errors.Join(g.Hall.Open(g.front), g.Site.Templates(oidc.Templates()), g.Site.Check()); err != nil {
		t.Fatal(err)
	}
	g.wire.hosts[issuer] = g.Site.Handler()
	g.Write(func(tx *store.Tx) error {
		list, err := g.book.List(tx)
		for _, p := range list {
			if err == nil {
				err = g.book.Remove(tx, p.ID)
			}
		}
		return err
	})
	g.Apply(policyText)
	return g
}

// members are the members of a client's registration.
type members map[string]any

// client registers a client with secret, its callback and whatever more is given.
func (g *gate) client(id string, more members, change ...func(*rp.Party)) {
	g.T.Helper()
	reg := members{"redirect_uris": []string{callback(id)}, "client_secret": secret, "grant_types": []string{"authorization_code", "refresh_token"}}
	for k, v := range more {
		if reg[k] = v; v == nil {
			delete(reg, k)
		}
	}
	text, err := json.Marshal(reg)
	if err != nil {
		g.T.Fatal(err)
	}
	p := rp.Party{
		ID: id, Protocol: oidc.Name, Names: map[lang.Tag]string{lang.EN: id}, Consent: rp.ConsentNone, Registration: text,
		Release: []rp.Release{
			{Attribute: "displayName"}, {Attribute: "familyName"}, {Attribute: "givenName"}, {Attribute: "displayName;ja-Kana"},
			{Attribute: "userName"}, {Attribute: "preferredLanguage"}, {Attribute: "mail"}, {Attribute: "groups"}, {Attribute: "eduPersonAffiliation"},
		},
	}
	for _, fn := range change {
		fn(&p)
	}
	g.Write(func(tx *store.Tx) error { return g.book.Put(tx, p) })
}

func callback(id string) string { return "https://" + id + ".example.org/cb" }

func (g *gate) browser() *webtest.Browser {
	b := webtest.New(g.T, issuer, g.Site.Handler())
	b.Accept = "en"
	return b
}

// asking is an authorization request: pairs of names and values over a sound one.
// The value "-" leaves a parameter out.
func asking(id string, pairs ...string) url.Values {
	v := url.Values{
		"client_id": {id}, "redirect_uri": {callback(id)}, "response_type": {"code"}, "scope": {"openid profile email"},
		"state": {"st-1"}, "nonce": {"n-1"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "-" {
			v.Del(pairs[i])
		} else {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

func address(v url.Values) string { return "/oidc/authorize?" + v.Encode() }

// asksName tells whether the page asks who is signing in.
func asksName(b *webtest.Browser) bool { return strings.Contains(b.Body, `name="username"`) }

// signIn walks the sign-in pages until the browser leaves.
func signIn(b *webtest.Browser, user string) *webtest.Browser {
	if asksName(b) {
		b.Submit("Continue", "username", user)
	}
	return b.Submit("Continue", "password", logintest.Password)
}

// answer reads what came back at the client's callback.
func (g *gate) answer(b *webtest.Browser, id string) url.Values {
	g.T.Helper()
	if !strings.HasPrefix(b.Location(), callback(id)) {
		g.T.Fatalf("the browser is at %s (%d):\n%s", b.Location(), b.Status, b.Text())
	}
	q := b.URL.Query()
	if q.Get("iss") != issuer {
		g.T.Errorf("iss is %q", q.Get("iss"))
	}
	return q
}

// code signs hanako in for a client and gives the code.
func (g *gate) code(b *webtest.Browser, v url.Values) string {
	g.T.Helper()
	b.Get(address(v))
	if !b.Left() {
		signIn(b, "hanako")
	}
	code := g.answer(b, v.Get("client_id")).Get("code")
	if code == "" {
		g.T.Fatalf("no code: %s", b.Location())
	}
	return code
}

// reply is the answer of a machine endpoint.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (r reply) text(name string) string { s, _ := r.body[name].(string); return s }

// call sends a form to a machine endpoint, or gets it when form is nil.
func (g *gate) call(path string, form url.Values, header ...string) reply {
	g.T.Helper()
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(g.T.Context(), method, issuer+path, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	g.Site.Handler().ServeHTTP(w, r)
	out := reply{status: w.Code, header: w.Header(), raw: w.Body.String()}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &out.body); err != nil {
			g.T.Fatalf("%s: %v: %s", path, err, out.raw)
		}
	}
	return out
}

// basic is the Authorization header of a client with the test secret.
func basic(id string) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))}
}

func redeeming(id, code string, pairs ...string) url.Values {
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback(id)}, "code_verifier": {verifier}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "-" {
			v.Del(pairs[i])
		}
	}
	return v
}

func (g *gate) redeem(id, code string, pairs ...string) reply {
	g.T.Helper()
	return g.call("/oidc/token", redeeming(id, code, pairs...), basic(id)...)
}

func (g *gate) renew(id, token string, pairs ...string) reply {
	g.T.Helper()
	v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return g.call("/oidc/token", v, basic(id)...)
}

func (g *gate) userInfo(access string) reply {
	g.T.Helper()
	return g.call("/oidc/userinfo", nil, "Authorization", "Bearer "+access)
}

// must stops the test unless the answer has the status.
func (g *gate) must(r reply, status int) reply {
	g.T.Helper()
	if r.status != status {
		g.T.Fatalf("status %d: %s", r.status, r.raw)
	}
	return r
}

// refused checks an error answer of a machine endpoint.
func (g *gate) refused(r reply, status int, code string) {
	g.T.Helper()
	if r.status != status || r.text("error") != code || r.header.Get("Cache-Control") != "no-store" {
		g.T.Errorf("want %d %s, got %d %s", status, code, r.status, r.raw)
	}
}

// claims checks an ID token against the published keys, with nothing of the front,
// and gives its claims.
func (g *gate) claims(token string) map[string]any {
	g.T.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(g.call("/oidc/jwks", nil).raw), &set); err != nil {
		g.T.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		g.T.Fatalf("%v: %s", err, token)
	}
	kid := signed.Signatures[0].Protected.KeyID
	keys := set.Key(kid)
	if len(keys) != 1 || !keys[0].IsPublic() {
		g.T.Fatalf("key %q is published %d times", kid, len(keys))
	}
	payload, err := signed.Verify(keys[0])
	if err != nil {
		g.T.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(payload, &out); err != nil {
		g.T.Fatal(err)
	}
	return out
}

// events lists the audit events of a type.
func (g *gate) events(prefix string) []audit.Event {
	g.T.Helper()
	var out []audit.Event
	err := g.DB.Read(g.T.Context(), func(tx *store.Tx) (err error) {
		out, err = g.Audit.Find(tx, audit.Query{TypePrefix: prefix, Limit: 100})
		return err
	})
	if err != nil {
		g.T.Fatal(err)
	}
	return out
}

// prove adds evidence of a second class to every session of an account, as a
// second factor would.
func (g *gate) prove(account authn.AccountID) (cookie string) {
	g.T.Helper()
	g.Write(func(tx *store.Tx) error {
		all, err := g.Sessions.Of(tx, account)
		if err != nil {
			return err
		}
		for _, s := range all {
			_, cookie, err = g.Sessions.Rise(tx, s.ID, []authn.Evidence{{
				Kind: "totp", Binding: "b", At: tx.Now, Traits: authn.Traits{Class: authn.Have, SingleUse: true, AMR: "otp"},
			}})
		}
		return err
	})
	return cookie
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// registration gives what is stored of a client's registration.
func (g *gate) registration(id string) json.RawMessage {
	g.T.Helper()
	var p rp.Party
	err := g.DB.Read(g.T.Context(), func(tx *store.Tx) (err error) {
		p, err = g.book.Get(tx, id)
		return err
	})
	if err != nil {
		g.T.Fatal(err)
	}
	return p.Registration
}

// change sets members of a client's registration and gives what is shown once.
func (g *gate) change(id string, more members) (shown map[string]string) {
	g.T.Helper()
	g.Write(func(tx *store.Tx) error {
		p, err := g.book.Get(tx, id)
		if err != nil {
			return err
		}
		reg := members{}
		if err := json.Unmarshal(p.Registration, &reg); err != nil {
			return err
		}
		maps.Copy(reg, more)
		if p.Registration, err = json.Marshal(reg); err != nil {
			return err
		}
		shown, err = g.book.Register(tx, p)
		return err
	})
	return shown
}
