package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"seimon/test/campus"
	"seimon/test/walk"
)

// browser is one person's browser and the service that the person goes to, on one
// connection.
type browser struct {
	campus  *campus.Campus
	wire    *wire
	cookies map[string]string
	basic   string // the service's proof, as a header line
	client  walk.Client
}

// newBrowser makes a browser. number chooses the loopback address that it comes
// from, so that a load does not look like one attacker.
func newBrowser(c *campus.Campus, number int) *browser {
	client := c.Client(campus.Open)
	proof := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(client.ID) + ":" + url.QueryEscape(client.Secret)))
	return &browser{
		campus: c, wire: newWire(c, fmt.Sprintf("127.0.%d.%d", 1+number/250, 1+number%250)),
		cookies: map[string]string{}, basic: "Authorization: Basic " + proof + "\r\n", client: client,
	}
}

// forget makes it a fresh browser; the connection stays.
func (b *browser) forget() { clear(b.cookies) }

const (
	challengeMethod = "&code_challenge_method=S256&code_challenge="
	verifier        = "a-code-verifier-of-at-least-forty-three-characters"
)

// challenge is the same for every request: making random ones is no part of what is measured.
func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (b *browser) authorizePath() string {
	return "/oidc/authorize?response_type=code&client_id=" + b.client.ID + "&redirect_uri=" + url.QueryEscape(b.client.RedirectURI) +
		"&scope=openid%20profile%20email&state=a-state&nonce=a-nonce" + challengeMethod + challenge()
}

// lines are the header lines of a person's request.
func (b *browser) lines() string {
	if len(b.cookies) == 0 {
		return ""
	}
	parts := make([]string, 0, len(b.cookies))
	for name, value := range b.cookies {
		parts = append(parts, name+"="+value)
	}
	return "Cookie: " + strings.Join(parts, "; ") + "\r\n"
}

func (b *browser) get(path string) (reply, error) {
	r, err := b.wire.do("GET", path, b.lines(), "")
	b.keep(r)
	return r, err
}

func (b *browser) post(path string, form url.Values) (reply, error) {
	r, err := b.wire.do("POST", path, b.lines()+"Origin: "+b.campus.Gate.Origin+"\r\nSec-Fetch-Site: same-origin\r\n", form.Encode())
	b.keep(r)
	return r, err
}

func (b *browser) keep(r reply) {
	for _, c := range r.cookies {
		name, value, _ := strings.Cut(c, "=")
		b.cookies[name] = value
	}
}

// signIn is the whole way of a fresh browser: authorize, user name, password, code, token.
func (b *browser) signIn(person walk.Person) (walk.Tokens, error) {
	b.forget()
	code, err := b.passwordCode(person)
	if err != nil {
		return walk.Tokens{}, err
	}
	return b.redeem(code)
}

func (b *browser) passwordCode(person walk.Person) (string, error) {
	r, err := b.get(b.authorizePath())
	if err != nil {
		return "", err
	}
	path, ok := strings.CutPrefix(r.location, "/")
	if !ok {
		return "", fmt.Errorf("authorize answered %d to %q: %s", r.status, r.location, walk.Text(r.body))
	}
	path = "/" + path
	for _, field := range []struct{ name, value string }{{"username", person.User}, {"password", person.Password}} {
		if r, err = b.get(path); err != nil {
			return "", err
		}
		form := walk.Hidden(r.body)
		if r.status != 200 || form.Get("pass") == "" {
			return "", fmt.Errorf("the page answered %d: %s", r.status, walk.Text(r.body))
		}
		form.Set(field.name, field.value)
		if r, err = b.post(path, form); err != nil {
			return "", err
		}
		if r.status != 303 {
			return "", fmt.Errorf("%s answered %d: %s", field.name, r.status, walk.Text(r.body))
		}
	}
	return codeIn(r)
}

// liveCode asks again with the session that the browser has.
func (b *browser) liveCode() (string, error) {
	r, err := b.get(b.authorizePath())
	if err != nil {
		return "", err
	}
	return codeIn(r)
}

func codeIn(r reply) (string, error) {
	_, query, _ := strings.Cut(r.location, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return "", err
	}
	if q.Get("code") == "" {
		return "", fmt.Errorf("no code: %d to %q: %s", r.status, r.location, walk.Text(r.body))
	}
	return q.Get("code"), nil
}

// liveFlow is authorize and token with a live session.
func (b *browser) liveFlow() (walk.Tokens, error) {
	code, err := b.liveCode()
	if err != nil {
		return walk.Tokens{}, err
	}
	return b.redeem(code)
}

func (b *browser) redeem(code string) (walk.Tokens, error) {
	return b.token("grant_type=authorization_code&code=" + code + "&redirect_uri=" + url.QueryEscape(b.client.RedirectURI) + "&code_verifier=" + verifier)
}

func (b *browser) refresh(token string) (walk.Tokens, error) {
	return b.token("grant_type=refresh_token&refresh_token=" + token)
}

func (b *browser) token(form string) (walk.Tokens, error) {
	r, err := b.wire.do("POST", "/oidc/token", b.basic, form)
	if err != nil {
		return walk.Tokens{}, err
	}
	var t walk.Tokens
	if err := json.Unmarshal(r.body, &t); err != nil {
		return t, err
	}
	if r.status != 200 || t.AccessToken == "" || t.IDToken == "" || t.RefreshToken == "" {
		return t, fmt.Errorf("token answered %d: %s %s", r.status, t.Error, t.Description)
	}
	return t, nil
}

func (b *browser) introspect(token string) error {
	r, err := b.wire.do("POST", "/oidc/introspect", b.basic, "token="+token)
	if err != nil {
		return err
	}
	var answer struct {
		Active bool `json:"active"`
	}
	if err := json.Unmarshal(r.body, &answer); err != nil {
		return err
	}
	if r.status != 200 || !answer.Active {
		return fmt.Errorf("introspection answered %d: %s", r.status, r.body)
	}
	return nil
}

// static fetches a file that the program holds in memory.
func (b *browser) static(path string) error {
	r, err := b.wire.do("GET", path, "", "")
	if err == nil && (r.status != 200 || len(r.body) == 0) {
		err = fmt.Errorf("%s answered %d", path, r.status)
	}
	return err
}

// asset finds a static file on a sign-in page.
func (b *browser) asset() (string, error) {
	b.forget()
	r, err := b.get(b.authorizePath())
	if err != nil {
		return "", err
	}
	if r, err = b.get(r.location); err != nil {
		return "", err
	}
	for part := range strings.SplitSeq(string(r.body), `"`) {
		if strings.HasPrefix(part, "/") && strings.HasSuffix(part, ".js") {
			return part, nil
		}
	}
	return "", errors.New("no script on the sign-in page")
}
