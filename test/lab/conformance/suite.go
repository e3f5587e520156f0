package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"seimon/test/lab/stand"
)

// suite is what all modules share: the provider as discovered, the static clients
// and the addresses at which the suite listens.
type suite struct {
	stand  *stand.Stand
	tr     http.RoundTripper
	http   *http.Client
	origin string

	found     map[string]any // the discovery document
	foundType string
	keys      jose.JSONWebKeySet
	rawKeys   []map[string]any

	basic, second, post, signer *client

	mu     sync.Mutex
	people []stand.Person
	turn   int
	told   map[string]chan url.Values // logout requests by sid
}

// client is a statically registered client.
type client struct {
	id, secret, method, alg string
	redirect, after         string
	key                     *jose.SigningKey
}

func open(s *stand.Stand) (*suite, error) {
	u := &suite{stand: s, tr: s.Transport(), http: s.Client(), told: map[string]chan url.Values{}}
	for i := range 6 {
		u.people = append(u.people, s.Take(i%3 == 2))
	}
	u.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if err := u.discover(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, path := range []string{"/callback", "/post_logout_redirect"} {
		mux.HandleFunc("/{client}"+path, echo)
	}
	mux.HandleFunc("POST /{client}/backchannel_logout", u.backchannel)
	var err error
	if u.origin, err = s.Listen("suite.localhost", mux); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		to              **client
		id, method, alg string
	}{
		{&u.basic, "oidf-client", "client_secret_basic", "RS256"},
		{&u.second, "oidf-client2", "client_secret_basic", "ES256"},
		{&u.post, "oidf-client-post", "client_secret_post", "RS256"},
		{&u.signer, "oidf-client-jwt", "private_key_jwt", "ES256"},
	} {
		if *c.to, err = u.register(c.id, c.method, c.alg); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// echo shows what came, so that a module sees it as the page where its browser ended.
func echo(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	json.NewEncoder(w).Encode(callback{r.Method, r.Header.Get("Content-Type"), query, r.PostForm}) //nolint:errcheck // the browser is a test
}

// backchannel keeps a logout request for the module that waits for its sid.
func (u *suite) backchannel(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	form := r.PostForm
	form.Set(":type", r.Header.Get("Content-Type"))
	if signed, err := jose.ParseSignedCompact(form.Get("logout_token"), algorithms()); err == nil {
		var claims struct {
			Sid string `json:"sid"`
		}
		if json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &claims) == nil {
			u.box(claims.Sid) <- form
		}
	}
	w.Header().Set("Cache-Control", "no-store")
}

func (u *suite) box(sid string) chan url.Values {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.told[sid] == nil {
		u.told[sid] = make(chan url.Values, 4)
	}
	return u.told[sid]
}

// person deals people out in turn.
func (u *suite) person() stand.Person {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.turn++
	return u.people[u.turn%len(u.people)]
}

func (u *suite) discover() error {
	req, err := http.NewRequest(http.MethodGet, u.stand.SSO+"/.well-known/openid-configuration", nil)
	if err != nil {
		return err
	}
	status, header, body, err := stand.Fetch(u.http, req)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("discovery: %d, %w", status, err)
	}
	u.foundType = header.Get("Content-Type")
	if err := json.Unmarshal(body, &u.found); err != nil {
		return err
	}
	if req, err = http.NewRequest(http.MethodGet, u.text("jwks_uri"), nil); err != nil {
		return err
	}
	if _, _, body, err = stand.Fetch(u.http, req); err != nil {
		return err
	}
	var raw struct {
		Keys []map[string]any `json:"keys"`
	}
	err = errors.Join(json.Unmarshal(body, &u.keys), json.Unmarshal(body, &raw))
	u.rawKeys = raw.Keys
	return err
}

// text is a member of the discovery document.
func (u *suite) text(name string) string {
	s, _ := u.found[name].(string)
	return s
}

// list is a list of the discovery document.
func (u *suite) list(name string) []string {
	var out []string
	values, _ := u.found[name].([]any)
	for _, v := range values {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}

func (u *suite) register(id, method, alg string) (*client, error) {
	c := &client{id: id, method: method, alg: alg, redirect: u.origin + "/" + id + "/callback", after: u.origin + "/" + id + "/post_logout_redirect"}
	r := map[string]any{
		"redirect_uris": []string{c.redirect}, "post_logout_redirect_uris": []string{c.after},
		"grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": method,
		"id_token_signed_response_alg": alg, "pkce": "optional", "offline_access": "consent",
		"backchannel_logout_uri": u.origin + "/" + id + "/backchannel_logout", "backchannel_logout_session_required": true,
	}
	if method == "private_key_jwt" {
		var public jose.JSONWebKeySet
		c.key, public = newKey()
		r["jwks"] = public
	} else {
		r["client_secret"] = "new"
	}
	var err error
	c.secret, err = u.stand.Register(id, r)
	return c, err
}

func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.ES256}
}

// isHTTPS tells whether an endpoint is an https address.
func isHTTPS(address string) bool {
	p, err := url.Parse(address)
	return err == nil && p.Scheme == "https" && p.Host != "" && !strings.Contains(address, "#")
}
