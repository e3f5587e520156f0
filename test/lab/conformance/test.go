package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"seimon/test/lab/stand"
	"seimon/test/walk"
)

// test is one module at work, with a browser of its own.
type test struct {
	*suite
	plan string
	module
	formPost bool

	browser  *walk.Walker
	failures []string
	warnings []string
	skipped  string
}

// stopped ends a module early; what happened is noted already.
type stopped struct{}

// play runs the module.
func (t *test) play() {
	t.browser = t.stand.Browser(t.tr, t.person(), "campus")
	defer func() {
		if p := recover(); p != nil {
			if _, early := p.(stopped); !early {
				t.fail("%v\n%s", p, debug.Stack())
			}
		}
	}()
	t.run(t)
}

func (t *test) fail(format string, args ...any) {
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}
func (t *test) warn(format string, args ...any) {
	t.warnings = append(t.warnings, fmt.Sprintf(format, args...))
}

// stop fails and ends the module.
func (t *test) stop(format string, args ...any) {
	t.fail(format, args...)
	panic(stopped{})
}

// skip ends the module where the suite would.
func (t *test) skip(format string, args ...any) {
	t.skipped = fmt.Sprintf(format, args...)
	panic(stopped{})
}

// check notes a failure unless ok.
func (t *test) check(ok bool, format string, args ...any) {
	if !ok {
		t.fail(format, args...)
	}
}

func (t *test) must(err error) {
	if err != nil {
		t.stop("%v", err)
	}
}

// callback is what arrived at the suite.
type callback struct {
	Method string
	Type   string
	Query  url.Values
	Form   url.Values
}

// response is what an authorization request led to.
type response struct {
	walk.Page
	url.Values // the parameters that came back
}

// request is what every module sends: CreateAuthorizationEndpointRequest.
func (t *test) request(c *client, extra ...string) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {c.redirect}, "scope": {"openid"},
		"state": {random(10)}, "nonce": {random(10)},
	}
	if t.formPost {
		q.Set("response_mode", "form_post")
	}
	for i := 0; i < len(extra); i += 2 {
		q.Set(extra[i], extra[i+1])
	}
	return q
}

// send carries a request to the authorization endpoint with the browser.
func (t *test) send(q url.Values) walk.Page {
	p, err := t.browser.Visit(context.Background(), t.text("authorization_endpoint")+"?"+q.Encode())
	t.must(err)
	return p
}

// authorize sends a request that must come back to the client.
func (t *test) authorize(q url.Values) response { return t.arrived(t.send(q), q.Get("redirect_uri")) }

// arrived reads what came to the redirect address, in the way that was asked for.
func (t *test) arrived(p walk.Page, redirect string) response {
	if base, _, _ := strings.Cut(p.URL.String(), "?"); base != redirect {
		t.stop("the browser ended at %s with %d: %s", p.URL, p.Status, walk.Text(p.Body))
	}
	var c callback
	t.must(json.Unmarshal(p.Body, &c))
	if !t.formPost {
		t.check(c.Method == http.MethodGet, "the callback came by %s", c.Method)
		return response{p, c.Query}
	}
	t.check(c.Method == http.MethodPost && p.Posted, "the callback came by %s", c.Method)
	t.check(strings.HasPrefix(c.Type, "application/x-www-form-urlencoded"), "the callback's type is %s", c.Type)
	t.check(len(c.Query) == 0, "there is a query: %v", c.Query)
	return response{p, c.Form}
}

// accepted checks a response that must bring a code, and gives it.
func (t *test) accepted(r response, q url.Values) string {
	if e := r.Get("error"); e != "" {
		t.stop("error %s: %s", e, r.Get("error_description"))
	}
	t.sound(r, q)
	if r.Get("code") == "" {
		t.stop("no code came: %v", r.Values)
	}
	return r.Get("code")
}

// sound checks state and issuer of any response (RFC 9207 2.4).
func (t *test) sound(r response, q url.Values) {
	t.check(r.Get("state") == q.Get("state"), "state came back as %q", r.Get("state"))
	t.check(r.Get("iss") == t.text("issuer"), "iss is %q", r.Get("iss"))
}

// refused checks an error response of the authorization endpoint in general, and
// that its code is among those given.
func (t *test) refused(r response, q url.Values, codes ...string) {
	t.sound(r, q)
	t.check(r.Get("code") == "", "an error came with a code")
	found := false
	for _, c := range codes {
		found = found || c == r.Get("error")
	}
	t.check(found, "error is %q (%s), not among %v", r.Get("error"), r.Get("error_description"), codes)
	for name := range r.Values {
		switch name {
		case "error", "error_description", "error_uri", "state", "iss":
		default:
			t.warn("unexpected parameter %s", name)
		}
	}
	t.check(clean(r.Get("error_description")), "error_description has characters that are not allowed: %q", r.Get("error_description"))
}

// clean tells whether a text may be an error_description (RFC 6749 4.1.2.1).
func clean(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// result is what a whole flow gave.
type result struct {
	response
	code   string
	tokens map[string]any
	claims map[string]any // of the ID token
	raw    string         // the ID token
	access string
}

// flow is what most modules do: sign in, redeem the code, check the ID token and
// call userinfo.
func (t *test) flow(c *client, extra ...string) result {
	q := t.request(c, extra...)
	return t.finish(c, q, t.authorize(q))
}

// finish goes on from a response that must bring a code.
func (t *test) finish(c *client, q url.Values, r response, extra ...string) result {
	out := result{response: r, code: t.accepted(r, q)}
	t.redeem(c, &out, extra...)
	out.claims = t.idToken(c, out.raw, q)
	status, _, _ := t.userInfo(http.MethodGet, out.access, "header")
	t.check(status == http.StatusOK, "userinfo answers %d", status)
	return out
}

// redeem exchanges the code at the token endpoint.
func (t *test) redeem(c *client, out *result, extra ...string) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {out.code}, "redirect_uri": {c.redirect}}
	for i := 0; i < len(extra); i += 2 {
		form.Set(extra[i], extra[i+1])
	}
	status, header, body := t.token(c, form)
	if status != http.StatusOK {
		t.stop("the token endpoint answers %d: %v", status, body)
	}
	t.tokensSound(header, body)
	out.tokens = body
	out.access, _ = body["access_token"].(string)
	out.raw, _ = body["id_token"].(string)
	if out.access == "" || out.raw == "" {
		t.stop("access token or ID token is missing: %v", body)
	}
}

// tokensSound checks the form of a token response (RFC 6749 5.1).
func (t *test) tokensSound(header http.Header, body map[string]any) {
	t.check(strings.HasPrefix(header.Get("Content-Type"), "application/json"), "the token response is %s", header.Get("Content-Type"))
	t.check(strings.Contains(header.Get("Cache-Control"), "no-store"), "the token response may be cached: %q", header.Get("Cache-Control"))
	kind, _ := body["token_type"].(string)
	t.check(strings.EqualFold(kind, "Bearer"), "token_type is %q", kind)
	life, ok := body["expires_in"].(float64)
	t.check(ok && life > 0 && life == float64(int64(life)), "expires_in is %v", body["expires_in"])
	for _, name := range []string{"access_token", "refresh_token"} {
		if text, there := body[name].(string); there {
			t.check(visible(text) && len(text) >= 22, "%s is short or has characters that are not allowed", name)
		}
	}
}

// visible tells whether a text is VSCHAR throughout (RFC 6749 A).
func visible(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return text != ""
}

// token calls the token endpoint as a client.
func (t *test) token(c *client, form url.Values) (int, http.Header, map[string]any) {
	req, err := http.NewRequest(http.MethodPost, t.text("token_endpoint"), nil)
	t.must(err)
	c.prove(t, req, form)
	return t.call(req, form)
}

// prove adds the client's authentication to a request.
func (c *client) prove(t *test, req *http.Request, form url.Values) {
	switch c.method {
	case "client_secret_basic":
		req.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret))
	case "client_secret_post":
		form.Set("client_id", c.id)
		form.Set("client_secret", c.secret)
	case "private_key_jwt":
		now := time.Now()
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", c.sign(t, "JWT", map[string]any{
			"iss": c.id, "sub": c.id, "aud": t.text("issuer"), "jti": random(20), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		}))
	}
}

// call sends a form and decodes the JSON that comes.
func (t *test) call(req *http.Request, form url.Values) (int, http.Header, map[string]any) {
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	setBody(req, form.Encode())
	status, header, body, err := stand.Fetch(t.http, req)
	t.must(err)
	out := map[string]any{}
	if len(body) > 0 {
		t.must(json.Unmarshal(body, &out))
	}
	return status, header, out
}

// userInfo calls the userinfo endpoint with the token in the header or in the body.
func (t *test) userInfo(method, access, where string) (int, http.Header, map[string]any) {
	req, err := http.NewRequest(method, t.text("userinfo_endpoint"), nil)
	t.must(err)
	if where == "body" {
		return t.call(req, url.Values{"access_token": {access}})
	}
	req.Header.Set("Authorization", "Bearer "+access)
	status, header, body, err := stand.Fetch(t.http, req)
	t.must(err)
	out := map[string]any{}
	if status == http.StatusOK {
		t.check(strings.HasPrefix(header.Get("Content-Type"), "application/json"), "userinfo is %s", header.Get("Content-Type"))
		t.must(json.Unmarshal(body, &out))
	}
	return status, header, out
}
