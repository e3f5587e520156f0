// Package walk signs in to a running Seimon over HTTPS as a person's browser
// would, without a browser: for load, crash and lab tests.
package walk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// Gate is a running Seimon.
type Gate struct {
	Origin string // https://sso.example:8443
	Dial   string // address to connect to whatever the name says; empty: resolve
	Roots  *x509.CertPool
	From   string // loopback address to come from; empty: any
}

// Transport makes connections to the gate; names are not resolved when Dial is set.
func (g Gate) Transport() *http.Transport {
	d := &net.Dialer{Timeout: 10 * time.Second}
	if g.From != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(g.From)}
	}
	return &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: g.Roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 256,
		MaxIdleConns:        256,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if g.Dial != "" {
				addr = g.Dial
			}
			return d.DialContext(ctx, network, addr)
		},
	}
}

// Client is a relying party as a test plays it.
type Client struct {
	ID, Secret, RedirectURI string
	Scope                   string
}

// Person is whom a walker signs in.
type Person struct {
	User, Password string
	// Code gives the present one-time code; nil when the person has none.
	Code func() string
}

// Walker is one browser.
type Walker struct {
	gate   Gate
	person Person
	http   *http.Client
	Header http.Header // sent with every page request
	// Transaction names the sign-in that the last Authorize went through; empty
	// when the session was enough.
	Transaction string
}

// New opens a fresh browser over a shared transport.
func New(g Gate, tr http.RoundTripper, p Person) *Walker {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	return &Walker{gate: g, person: p, Header: http.Header{}, http: &http.Client{
		Transport: tr, Jar: jar, Timeout: 60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Forget ends the walker's memory: cookies are gone, connections stay.
func (w *Walker) Forget() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	w.http.Jar = jar
}

// Grant is an authorization code with what is needed to redeem it.
type Grant struct {
	Code, Verifier, State, Nonce string
}

// ErrRefused is an error that the gate sent to the relying party.
type ErrRefused struct{ Code, Description string }

func (e *ErrRefused) Error() string { return "refused: " + e.Code + ": " + e.Description }

// maxSteps bounds the pages of one sign-in.
const maxSteps = 12

// Authorize goes through a code flow until the code arrives, filling in whatever
// page is shown. extra adds to the request's parameters.
func (w *Walker) Authorize(ctx context.Context, c Client, extra url.Values) (Grant, error) {
	g := Grant{Verifier: random(), State: random(), Nonce: random()}
	w.Transaction = ""
	sum := sha256.Sum256([]byte(g.Verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.RedirectURI}, "scope": {c.Scope},
		"state": {g.State}, "nonce": {g.Nonce}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	for k, v := range extra {
		q[k] = v
	}
	req, err := http.NewRequestWithContext(ctx, "GET", w.gate.Origin+"/oidc/authorize?"+q.Encode(), nil)
	if err != nil {
		return g, err
	}
	for range maxSteps {
		body, next, err := w.send(req)
		if err != nil {
			return g, err
		}
		if next != nil && strings.HasPrefix(next.String(), c.RedirectURI) {
			return g.arrived(next)
		}
		if next != nil {
			if id, ok := strings.CutPrefix(next.Path, "/login/"); ok {
				w.Transaction = id
			}
			req, err = http.NewRequestWithContext(ctx, "GET", next.String(), nil)
		} else {
			req, err = w.answer(ctx, req.URL, body)
		}
		if err != nil {
			return g, err
		}
	}
	return g, errors.New("walk: no end in sight")
}

func (g Grant) arrived(at *url.URL) (Grant, error) {
	q := at.Query()
	if e := q.Get("error"); e != "" {
		return g, &ErrRefused{e, q.Get("error_description")}
	}
	if q.Get("state") != g.State {
		return g, errors.New("walk: the state came back changed")
	}
	g.Code = q.Get("code")
	if g.Code == "" {
		return g, errors.New("walk: no code at " + at.String())
	}
	return g, nil
}

// send sends one request; it returns the page, or where the browser is sent.
func (w *Walker) send(req *http.Request) ([]byte, *url.URL, error) {
	for k, v := range w.Header {
		req.Header[k] = v
	}
	if req.Method == "POST" {
		req.Header.Set("Origin", w.gate.Origin)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := w.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		to, err := res.Location()
		return nil, to, err
	}
	if res.StatusCode != http.StatusOK {
		return body, nil, fmt.Errorf("walk: %s answered %s: %s", req.URL.Path, res.Status, Text(body))
	}
	return body, nil, nil
}

// answer fills in the form of a sign-in page.
func (w *Walker) answer(ctx context.Context, at *url.URL, body []byte) (*http.Request, error) {
	form := Hidden(body)
	switch {
	case has(body, "username") && !has(body, "password") && form.Get("kind") == "":
		form.Set("username", w.person.User)
	case form.Get("kind") == "password":
		form.Set("password", w.person.Password)
	case form.Get("kind") == "totp" && w.person.Code != nil:
		form.Set("code", w.person.Code())
	case has(body, "agree"):
		form.Set("agree", "1")
	case form.Get("pass") == "":
		return nil, fmt.Errorf("walk: a page without a form at %s: %s", at.Path, Text(body))
	}
	req, err := http.NewRequestWithContext(ctx, "POST", w.gate.Origin+at.Path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}

// Tokens is the answer of the token endpoint.
type Tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	Error        string `json:"error"`
	Description  string `json:"error_description"`
}

// Post sends a form to an endpoint with the client's secret and decodes the JSON answer into out.
func (g Gate) Post(ctx context.Context, hc *http.Client, c Client, path string, form url.Values, out any) (int, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", g.Origin+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	res, err := hc.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return res.StatusCode, err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return res.StatusCode, fmt.Errorf("walk: %s answered %s: %.200s", path, res.Status, body)
	}
	return res.StatusCode, nil
}

// Redeem exchanges a code.
func (g Gate) Redeem(ctx context.Context, hc *http.Client, c Client, grant Grant) (Tokens, error) {
	var t Tokens
	_, err := g.Post(ctx, hc, c, "/oidc/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {grant.Code}, "redirect_uri": {c.RedirectURI}, "code_verifier": {grant.Verifier},
	}, &t)
	return t, err
}

// Refresh exchanges a refresh token.
func (g Gate) Refresh(ctx context.Context, hc *http.Client, c Client, token string) (Tokens, error) {
	var t Tokens
	_, err := g.Post(ctx, hc, c, "/oidc/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, &t)
	return t, err
}

// Hidden collects the hidden fields of a page's first form.
func Hidden(body []byte) url.Values {
	out := url.Values{}
	page := string(body)
	for {
		i := strings.Index(page, `<input type="hidden"`)
		if i < 0 {
			return out
		}
		page = page[i:]
		end := strings.IndexByte(page, '>')
		if end < 0 {
			return out
		}
		if name := attribute(page[:end], "name"); name != "" && !out.Has(name) {
			out.Set(name, attribute(page[:end], "value"))
		}
		page = page[end:]
	}
}

func attribute(tag, name string) string {
	_, rest, ok := strings.Cut(tag, " "+name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}

func has(body []byte, field string) bool { return bytes.Contains(body, []byte(`name="`+field+`"`)) }

// Text is what a page says, without its tags, shortened.
func Text(body []byte) string {
	var out strings.Builder
	depth := 0
	for _, r := range string(body) {
		switch {
		case r == '<':
			depth++
		case r == '>' && depth > 0:
			depth--
			out.WriteByte(' ')
		case depth == 0:
			out.WriteRune(r)
		}
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	return text[:min(len(text), 400)]
}

func random() string {
	raw := make([]byte, 32)
	rand.Read(raw) //nolint:errcheck // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}
