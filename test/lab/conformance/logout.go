package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"seimon/test/walk"
)

// logoutModules are those of oidcc-rp-initiated-logout-certification-test-plan.
func logoutModules() []module {
	return []module{
		{"oidcc-rp-initiated-logout-discovery-endpoint-verification", logoutDiscovery},
		{"oidcc-rp-initiated-logout", func(t *test) { t.returns(func(url.Values) {}) }},
		{"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", func(t *test) {
			t.stays(func(q url.Values) { q.Set("post_logout_redirect_uri", t.basic.after+"/"+random(10)) })
		}},
		{"oidcc-rp-initiated-logout-modified-id-token-hint", func(t *test) {
			t.stays(func(q url.Values) { q.Set("id_token_hint", withoutSignature(t, q.Get("id_token_hint"))) })
		}},
		{"oidcc-rp-initiated-logout-no-id-token-hint", func(t *test) {
			t.stays(func(q url.Values) { q.Del("id_token_hint") })
		}},
		{"oidcc-rp-initiated-logout-no-params", func(t *test) { t.ends(func(q url.Values) { clear(q) }) }},
		{"oidcc-rp-initiated-logout-no-post-logout-redirect-uri", func(t *test) {
			t.ends(func(q url.Values) { q.Del("post_logout_redirect_uri") })
		}},
		{"oidcc-rp-initiated-logout-no-state", func(t *test) { t.returns(func(q url.Values) { q.Del("state") }) }},
		{"oidcc-rp-initiated-logout-only-state", func(t *test) {
			t.ends(func(q url.Values) { q.Del("id_token_hint"); q.Del("post_logout_redirect_uri") })
		}},
		{"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", func(t *test) {
			t.stays(func(q url.Values) { q.Set("post_logout_redirect_uri", t.basic.after+"?foo=bar") })
		}},
		{"oidcc-rp-initiated-logout-bad-id-token-hint", func(t *test) {
			t.stays(func(q url.Values) { q.Set("id_token_hint", fake(t, q.Get("id_token_hint"))) })
		}},
	}
}

func logoutDiscovery(t *test) {
	t.endpointsHTTPS()
	t.check(isHTTPS(t.text("end_session_endpoint")), "end_session_endpoint is %q", t.text("end_session_endpoint"))
}

// logout signs in and goes to the end session endpoint with a changed request.
func (t *test) logout(change func(url.Values)) (result, url.Values, walk.Page) {
	r := t.flow(t.basic, "state", random(128))
	q := url.Values{"id_token_hint": {r.raw}, "post_logout_redirect_uri": {t.basic.after}, "state": {random(128)}}
	change(q)
	p, err := t.browser.Visit(context.Background(), t.text("end_session_endpoint")+"?"+q.Encode())
	t.must(err)
	return r, q, p
}

// returns demands that the browser comes back with its state and that the session is over.
func (t *test) returns(change func(url.Values)) result {
	r, q, p := t.logout(change)
	t.cameBack(p, q)
	t.ended()
	return r
}

// cameBack is CheckPostLogoutState and CheckForUnexpectedParametersInPostLogoutRedirect.
func (t *test) cameBack(p walk.Page, q url.Values) {
	if !strings.HasPrefix(p.URL.String(), t.basic.after) {
		t.stop("the browser ended at %s", quiet(p))
	}
	got := p.URL.Query()
	t.check(got.Get("state") == q.Get("state") && got.Has("state") == q.Has("state"), "state came back as %q", got.Get("state"))
	got.Del("state")
	if len(got) > 0 {
		t.warn("unexpected parameters %v", got)
	}
}

// stays demands a page of the provider, an error or a question, and that no way
// leads back to the client, whatever the person answers.
func (t *test) stays(change func(url.Values)) {
	_, _, p := t.logout(change)
	t.atHome(p)
	if p.Status != http.StatusOK {
		return
	}
	p, err := t.browser.Press(context.Background(), p)
	t.must(err)
	t.atHome(p)
}

func (t *test) atHome(p walk.Page) {
	t.check(strings.HasPrefix(p.URL.String(), t.stand.SSO), "the browser was sent to %s", p.URL)
	t.shown(p.Status, quiet(p))
}

// ends demands that the person is signed out, after a question or at once, and sees
// a page of the provider that says so.
func (t *test) ends(change func(url.Values)) {
	_, q, p := t.logout(change)
	if q.Get("id_token_hint") == "" {
		var err error
		p, err = t.browser.Press(context.Background(), p)
		t.must(err)
	}
	t.atHome(p)
	t.check(p.Status == http.StatusOK, "the page has status %d", p.Status)
	t.ended()
}

// withoutSignature is ChangeIdTokenToAlgNone.
func withoutSignature(t *test, token string) string {
	signed, err := jose.ParseSignedCompact(token, algorithms())
	t.must(err)
	var claims map[string]any
	t.must(json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &claims))
	return unsigned(t, claims)
}

// fake is GenerateFakeIdTokenClaims and SignFakeIdToken: all is right but the key.
func fake(t *test, token string) string {
	signed, err := jose.ParseSignedCompact(token, algorithms())
	t.must(err)
	var claims map[string]any
	t.must(json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &claims))
	key, _ := newKey()
	return sign(t, *key, "JWT", claims)
}

// backchannelModules are those of
// oidcc-backchannel-rp-initiated-logout-certification-test-plan.
func backchannelModules() []module {
	return []module{
		{"oidcc-backchannel-logout-discovery-endpoint-verification", backchannelDiscovery},
		{"oidcc-backchannel-rp-initiated-logout", backchannelLogout},
	}
}

func backchannelDiscovery(t *test) {
	logoutDiscovery(t)
	t.check(t.found["backchannel_logout_supported"] == true, "backchannel_logout_supported is %v", t.found["backchannel_logout_supported"])
	if t.found["backchannel_logout_session_supported"] != true {
		t.warn("backchannel_logout_session_supported is %v", t.found["backchannel_logout_session_supported"])
	}
}

func backchannelLogout(t *test) {
	r, q, p := t.logout(func(url.Values) {})
	t.cameBack(p, q)
	sid, _ := r.claims["sid"].(string)
	if sid == "" {
		t.stop("the ID token has no sid")
	}
	select {
	case form := <-t.box(sid):
		t.logoutToken(form, r)
	case <-time.After(time.Minute):
		t.stop("no logout token within a minute")
	}
	t.ended()
}

// logoutToken checks what came (OIDC Back-Channel Logout 1.0, 2.4 and 2.5).
func (t *test) logoutToken(form url.Values, r result) {
	t.check(strings.HasPrefix(form.Get(":type"), "application/x-www-form-urlencoded"), "the request is %s", form.Get(":type"))
	for name := range form {
		if name != ":type" && name != "logout_token" {
			t.warn("unexpected parameter %s", name)
		}
	}
	payload, h := t.verified(form.Get("logout_token"), t.basic.alg)
	if typ, _ := h.ExtraHeaders[jose.HeaderType].(string); typ != "logout+jwt" {
		t.warn("typ is %q", typ)
	}
	claims := map[string]any{}
	t.must(json.Unmarshal(payload, &claims))
	t.addressed(claims, t.basic)
	jti, _ := claims["jti"].(string)
	t.check(jti != "", "jti is %v", claims["jti"])
	events, _ := claims["events"].(map[string]any)
	event, isObject := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any)
	t.check(len(events) == 1 && isObject && len(event) == 0, "events is %v", claims["events"])
	t.check(claims["sub"] == nil || claims["sub"] == r.claims["sub"], "sub is %v", claims["sub"])
	t.check(claims["sid"] == nil || claims["sid"] == r.claims["sid"], "sid is %v", claims["sid"])
	t.check(claims["sub"] != nil || claims["sid"] != nil, "neither sub nor sid")
	_, there := claims["nonce"]
	t.check(!there, "a logout token has a nonce")
	exp, _ := claims["exp"].(float64)
	t.check(exp > 0, "exp is missing") // Back-Channel Logout 1.0, 2.4
}
