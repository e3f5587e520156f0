package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"seimon/test/walk"
)

// basicModules are those of oidcc-basic-certification-test-plan in its order; the
// form post plan has the same with response_mode=form_post.
func basicModules() []module {
	return []module{
		{"oidcc-server", func(t *test) { t.flow(t.basic) }},
		{"oidcc-response-type-missing", responseTypeMissing},
		{"oidcc-idtoken-signature", func(t *test) { t.flow(t.basic) }}, // kid and algorithm are checked in every flow
		{"oidcc-idtoken-unsigned", idTokenUnsigned},
		{"oidcc-userinfo-get", userInfo(http.MethodGet, "header")},
		{"oidcc-userinfo-post-header", userInfo(http.MethodPost, "header")},
		{"oidcc-userinfo-post-body", userInfo(http.MethodPost, "body")},
		{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", withoutNonce},
		{"oidcc-scope-profile", scope("profile")},
		{"oidcc-scope-email", scope("email")},
		{"oidcc-scope-address", scope("address")},
		{"oidcc-scope-phone", scope("phone")},
		{"oidcc-scope-all", scope("address email phone profile")},
		{"oidcc-ensure-other-scope-order-succeeds", func(t *test) { t.flow(t.basic, "scope", "email openid") }},
		{"oidcc-display-page", func(t *test) { t.flow(t.basic, "display", "page") }},
		{"oidcc-display-popup", func(t *test) { t.flow(t.basic, "display", "popup") }},
		{"oidcc-prompt-login", promptLogin},
		{"oidcc-prompt-none-not-logged-in", promptNoneNotLoggedIn},
		{"oidcc-prompt-none-logged-in", func(t *test) { t.twice("prompt", "none") }},
		{"oidcc-max-age-1", maxAge1},
		{"oidcc-max-age-10000", maxAge10000},
		{"oidcc-ensure-request-with-unknown-parameter-succeeds", func(t *test) { t.flow(t.basic, "extra", "foobar") }},
		{"oidcc-id-token-hint", idTokenHint},
		{"oidcc-login-hint", loginHint},
		{"oidcc-ui-locales", func(t *test) { t.flow(t.basic, "ui_locales", "se") }},
		{"oidcc-claims-locales", func(t *test) { t.flow(t.basic, "claims_locales", "se") }},
		{"oidcc-ensure-request-with-acr-values-succeeds", acrValues},
		{"oidcc-codereuse", func(t *test) { t.reuse(0) }},
		{"oidcc-codereuse-30seconds", func(t *test) { t.reuse(30 * time.Second) }},
		{"oidcc-ensure-registered-redirect-uri", registeredRedirect},
		{"oidcc-ensure-post-request-succeeds", postRequest},
		{"oidcc-server-client-secret-post", func(t *test) { t.flow(t.post) }},
		{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", requestURIUnsigned},
		{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", requestUnsigned},
		{"oidcc-claims-essential", claimsEssential},
		{"oidcc-ensure-request-object-with-redirect-uri", func(t *test) { t.skipWithoutNone() }},
		{"oidcc-refresh-token", refreshToken},
		{"oidcc-ensure-request-with-valid-pkce-succeeds", validPKCE},
	}
}

func responseTypeMissing(t *test) {
	q := t.request(t.basic)
	q.Del("response_type")
	p := t.send(q)
	if !strings.HasPrefix(p.URL.String(), t.basic.redirect) {
		t.shown(p.Status, "response_type is missing")
		return
	}
	t.refused(t.arrived(p, t.basic.redirect), q, "invalid_request", "unsupported_response_type")
}

func idTokenUnsigned(t *test) {
	if !slices.Contains(t.list("id_token_signing_alg_values_supported"), "none") {
		t.skip("ID tokens without signature are not offered")
	}
	t.fail("the provider offers ID tokens without signature")
}

func userInfo(method, where string) func(*test) {
	return func(t *test) {
		r := t.flow(t.basic)
		status, _, info := t.userInfo(method, r.access, where)
		t.check(status == http.StatusOK, "userinfo answers %d", status)
		t.check(info["sub"] == r.claims["sub"], "sub is %v", info["sub"])
	}
}

func withoutNonce(t *test) {
	q := t.request(t.basic)
	q.Del("nonce")
	t.finish(t.basic, q, t.authorize(q))
}

// standardClaims are what scopes ask for (OIDC Core 5.4).
func standardClaims() map[string][]string {
	return map[string][]string{
		"profile": strings.Fields("name given_name family_name middle_name nickname profile picture website gender birthdate zoneinfo locale updated_at preferred_username"),
		"email":   {"email", "email_verified"},
		"address": {"address"},
		"phone":   {"phone_number", "phone_number_verified"},
	}
}

func scope(names string) func(*test) {
	return func(t *test) {
		for _, s := range strings.Fields(names) {
			if !slices.Contains(t.list("scopes_supported"), s) {
				t.skip("the scope %s is not offered", s)
			}
		}
		r := t.flow(t.basic, "scope", "openid "+names)
		info := t.infoSound(r)
		var missing []string
		for _, s := range strings.Fields(names) {
			for _, c := range standardClaims()[s] {
				if info[c] == nil {
					missing = append(missing, c)
				}
			}
		}
		if len(missing) > 0 {
			t.warn("userinfo lacks %s", strings.Join(missing, ", "))
		}
	}
}

// infoSound checks userinfo as AbstractOIDCCReturnedClaimsServerTest does.
func (t *test) infoSound(r result) map[string]any {
	status, _, info := t.userInfo(http.MethodGet, r.access, "header")
	t.check(status == http.StatusOK, "userinfo answers %d", status)
	t.check(typesFit(info) == "", "wrong type: %s", typesFit(info))
	t.check(info["sub"] == r.claims["sub"], "sub is %v", info["sub"])
	return info
}

func promptLogin(t *test) {
	first := t.flow(t.basic)
	time.Sleep(1100 * time.Millisecond) // auth_time counts seconds
	second := t.flow(t.basic, "prompt", "login")
	t.check(slices.Contains(second.Asked, "password"), "the person was not asked again: %v", second.Asked)
	t.check(first.claims["auth_time"] != second.claims["auth_time"], "auth_time did not change")
	t.check(first.claims["sub"] == second.claims["sub"], "sub changed")
}

func promptNoneNotLoggedIn(t *test) {
	q := t.request(t.basic, "prompt", "none", "state", random(128))
	t.refused(t.authorize(q), q, needsInteraction...)
}

// needsInteraction are the errors of CheckErrorFromAuthorizationEndpointIsOneThatRequiredAUserInterface.
var needsInteraction = []string{"login_required", "interaction_required", "account_selection_required", "consent_required"}

// twice signs in, and again with more parameters: nobody must be asked anything.
func (t *test) twice(extra ...string) (first, second result) {
	first = t.flow(t.basic)
	second = t.flow(t.basic, extra...)
	t.check(len(second.Asked) == 0, "the person was asked for %v", second.Asked)
	t.check(first.claims["sub"] == second.claims["sub"], "sub changed")
	t.check(first.claims["auth_time"] == second.claims["auth_time"], "auth_time changed")
	return first, second
}

func maxAge1(t *test) {
	first := t.flow(t.basic)
	time.Sleep(2 * time.Second)
	second := t.flow(t.basic, "max_age", "1")
	t.check(slices.Contains(second.Asked, "password"), "the person was not asked again: %v", second.Asked)
	was, _ := first.claims["auth_time"].(float64)
	is, _ := second.claims["auth_time"].(float64)
	t.check(is > was, "auth_time went from %v to %v", first.claims["auth_time"], second.claims["auth_time"])
	t.check(time.Since(time.Unix(int64(is), 0)) < 15*time.Second, "auth_time is long ago")
}

func maxAge10000(t *test) {
	_, second := t.twice("max_age", "10000")
	t.check(second.claims["auth_time"] != nil, "auth_time is missing")
}

func idTokenHint(t *test) {
	first := t.flow(t.basic)
	second := t.flow(t.basic, "prompt", "none", "id_token_hint", first.raw)
	t.check(len(second.Asked) == 0 && first.claims["sub"] == second.claims["sub"], "asked %v", second.Asked)
	t.check(first.claims["auth_time"] == second.claims["auth_time"], "auth_time changed")
}

func loginHint(t *test) {
	issuer, err := url.Parse(t.text("issuer"))
	t.must(err)
	t.flow(t.basic, "login_hint", "buffy@"+issuer.Hostname())
}

func acrValues(t *test) {
	values := t.list("acr_values_supported")
	if len(values) == 0 {
		values = []string{"1", "2"}
	}
	r := t.flow(t.basic, "acr_values", strings.Join(values, " "))
	if acr, _ := r.claims["acr"].(string); !slices.Contains(values, acr) {
		t.warn("acr is %q", acr)
	}
}

// reuse tries a code a second time.
func (t *test) reuse(after time.Duration) {
	r := t.flow(t.basic)
	time.Sleep(after)
	status, header, body := t.token(t.basic, url.Values{
		"grant_type": {"authorization_code"}, "code": {r.code}, "redirect_uri": {t.basic.redirect},
	})
	t.tokenRefused(status, header, body, "invalid_grant")
	if after > 0 {
		if status, _, _ := t.userInfo(http.MethodGet, r.access, "header"); status < 400 {
			t.warn("the access token still works: %d", status) // RFC 6749 4.1.2: SHOULD
		}
	}
}

// tokenRefused checks an error of the token endpoint (RFC 6749 5.2).
func (t *test) tokenRefused(status int, header http.Header, body map[string]any, code string) {
	t.check(status == http.StatusBadRequest, "the token endpoint answers %d", status)
	t.check(strings.HasPrefix(header.Get("Content-Type"), "application/json"), "the error is %s", header.Get("Content-Type"))
	t.check(body["error"] == code, "error is %v", body["error"])
	text, _ := body["error_description"].(string)
	t.check(clean(text), "error_description has characters that are not allowed: %q", text)
}

func registeredRedirect(t *test) {
	p := t.send(t.request(t.basic, "redirect_uri", t.basic.redirect+"/"+random(10)))
	t.check(strings.HasPrefix(p.URL.String(), t.stand.SSO) && p.Status >= 400 && p.Status < 500, "the browser ended at %s with %d", p.URL, p.Status)
}

func postRequest(t *test) {
	q := t.request(t.basic)
	p, err := t.browser.Post(context.Background(), t.origin, t.text("authorization_endpoint"), q)
	t.must(err)
	t.finish(t.basic, q, t.arrived(p, t.basic.redirect))
}

// skipWithoutNone is skipTestIfNoneUnsupported.
func (t *test) skipWithoutNone() {
	if !slices.Contains(t.list("request_object_signing_alg_values_supported"), "none") {
		t.skip("unsigned request objects are not offered")
	}
	t.fail("the provider offers unsigned request objects")
}

func requestURIUnsigned(t *test) {
	q := t.request(t.basic, "request_uri", t.origin+"/request.jwt")
	t.refused(t.authorize(q), q, "request_uri_not_supported")
	t.skipWithoutNone()
}

func requestUnsigned(t *test) {
	q := t.request(t.basic)
	inside := map[string]any{"iss": t.basic.id, "aud": t.text("issuer")}
	for name := range q {
		inside[name] = q.Get(name)
	}
	q.Set("request", unsigned(t, inside))
	t.refused(t.authorize(q), q, "request_not_supported", "invalid_request_object")
	t.skipWithoutNone()
}

func claimsEssential(t *test) {
	r := t.flow(t.basic, "claims", `{"userinfo":{"name":{"essential":true}}}`)
	info := t.infoSound(r)
	if info["name"] == nil {
		t.warn("userinfo lacks name")
	}
	if r.claims["name"] != nil {
		t.warn("the ID token has name although userinfo was asked for it")
	}
}

func refreshToken(t *test) {
	first := t.flow(t.basic, "scope", "openid offline_access", "prompt", "consent")
	t.renewed(t.basic, first)
	t.browser = t.stand.Browser(t.tr, t.person(), "campus")
	other := t.flow(t.second, "scope", "openid offline_access", "prompt", "consent", "nonce", random(43))
	newer := t.renewed(t.second, other)
	status, header, body := t.token(t.basic, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {newer}, "scope": {"openid offline_access"}})
	t.tokenRefused(status, header, body, "invalid_grant")
}

// renewed uses a refresh token and compares the ID tokens (OIDC Core 12.2).
func (t *test) renewed(c *client, first result) string {
	token, _ := first.tokens["refresh_token"].(string)
	if token == "" {
		t.stop("no refresh token came")
	}
	time.Sleep(1100 * time.Millisecond) // iat counts seconds
	status, header, body := t.token(c, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "scope": {"openid offline_access"}})
	if status != http.StatusOK {
		t.stop("refresh: %d: %v", status, body)
	}
	t.tokensSound(header, body)
	t.check(body["access_token"] != first.access, "the access token did not change")
	if raw, _ := body["id_token"].(string); raw != "" {
		claims := t.idToken(c, raw, nil)
		for _, name := range []string{"iss", "sub", "aud", "auth_time", "azp"} {
			t.check(claims[name] == first.claims[name], "%s changed from %v to %v", name, first.claims[name], claims[name])
		}
		t.check(claims["iat"] != first.claims["iat"], "iat did not change")
	}
	access, _ := body["access_token"].(string)
	status, _, _ = t.userInfo(http.MethodGet, access, "header")
	t.check(status == http.StatusOK, "userinfo answers %d", status)
	newer, _ := body["refresh_token"].(string)
	if newer == "" {
		newer = token
	}
	return newer
}

func validPKCE(t *test) {
	verifier := random(64)
	q := t.request(t.basic, "code_challenge", challenge(verifier), "code_challenge_method", "S256")
	t.finish(t.basic, q, t.authorize(q), "code_verifier", verifier)
}

// ended tells whether the browser's session at the provider is over.
func (t *test) ended() {
	q := t.request(t.basic, "prompt", "none")
	t.refused(t.authorize(q), q, needsInteraction...)
}

// quiet is what a page says, for failures.
func quiet(p walk.Page) string { return p.URL.String() + ": " + walk.Text(p.Body) }
