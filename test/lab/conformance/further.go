package main

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// furtherModules are those of neighbouring plans that concern what is offered here.
func furtherModules() []module {
	return []module{
		{"oidcc-server (private_key_jwt)", func(t *test) { t.flow(t.signer) }},
		{"oidcc-ensure-client-assertion-with-iss-aud-succeeds", func(t *test) { t.flow(t.signer) }},
		{"oidcc-ensure-request-object-with-redirect-uri (signed)", objectRedirect},
		{"a client assertion serves once", assertionOnce},
		{"pushed request", pushed},
		{"pushed request of another client", pushedForeign},
		{"a code used twice ends what it gave", reuseEnds},
		{"code_challenge_method=plain is refused", plainPKCE},
		{"a code without its verifier is refused", wrongVerifier},
		{"a code at another client is refused and stays good", foreignCode},
		{"userinfo without a token names the scheme alone", bareUserInfo},
		{"oidcc-registration of unsigned ID tokens is refused", unsignedRegistration},
	}
}

// object signs a request as a request object (RFC 9101 4).
func (t *test) object(c *client, q url.Values) string {
	now := time.Now()
	inside := map[string]any{"iss": c.id, "aud": t.text("issuer"), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": random(20)}
	for name := range q {
		inside[name] = q.Get(name)
	}
	return c.sign(t, "oauth-authz-req+jwt", inside)
}

// objectRedirect: the address in the object counts, not the one beside it.
func objectRedirect(t *test) {
	q := t.request(t.signer)
	outside := url.Values{
		"client_id": {t.signer.id}, "scope": {"openid"}, "response_type": {"code"},
		"redirect_uri": {t.signer.redirect + "/" + random(5)}, "request": {t.object(t.signer, q)},
	}
	t.finish(t.signer, q, t.arrived(t.send(outside), t.signer.redirect))
}

func assertionOnce(t *test) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "redirect_uri": {t.signer.redirect}}
	req, err := http.NewRequest(http.MethodPost, t.text("token_endpoint"), nil)
	t.must(err)
	t.signer.prove(t, req, form)
	status, header, body := t.call(req, form)
	t.tokenRefused(status, header, body, "invalid_grant")
	again, err := http.NewRequest(http.MethodPost, t.text("token_endpoint"), nil)
	t.must(err)
	status, _, body = t.call(again, form)
	t.check(status == http.StatusUnauthorized && body["error"] == "invalid_client", "the second time: %d %v", status, body)
}

// push sends a request to the endpoint for pushed requests and gives its request_uri.
func (t *test) push(c *client, q url.Values) string {
	form := url.Values{}
	for name := range q {
		form[name] = q[name]
	}
	req, err := http.NewRequest(http.MethodPost, t.text("pushed_authorization_request_endpoint"), nil)
	t.must(err)
	c.prove(t, req, form)
	status, _, body := t.call(req, form)
	uri, _ := body["request_uri"].(string)
	if status != http.StatusCreated || uri == "" {
		t.stop("the pushed request is answered by %d: %v", status, body)
	}
	return uri
}

func pushed(t *test) {
	q := t.request(t.signer)
	uri := t.push(t.signer, q)
	ask := url.Values{"client_id": {t.signer.id}, "request_uri": {uri}}
	t.finish(t.signer, q, t.arrived(t.send(ask), t.signer.redirect))
	p := t.send(ask) // RFC 9126 4: it served
	t.check(strings.HasPrefix(p.URL.String(), t.stand.SSO) && p.Status >= 400, "a used request_uri leads to %s", quiet(p))
}

func pushedForeign(t *test) {
	p := t.send(url.Values{"client_id": {t.basic.id}, "request_uri": {t.push(t.signer, t.request(t.signer))}})
	t.check(strings.HasPrefix(p.URL.String(), t.stand.SSO) && p.Status >= 400, "it leads to %s", quiet(p))
}

// reuseEnds demands what the suite only recommends (RFC 9700 2.1.1).
func reuseEnds(t *test) {
	r := t.flow(t.basic)
	status, header, body := t.token(t.basic, url.Values{"grant_type": {"authorization_code"}, "code": {r.code}, "redirect_uri": {t.basic.redirect}})
	t.tokenRefused(status, header, body, "invalid_grant")
	status, _, _ = t.userInfo(http.MethodGet, r.access, "header")
	t.check(status == http.StatusUnauthorized, "the access token still works: %d", status)
	refresh, _ := r.tokens["refresh_token"].(string)
	status, header, body = t.token(t.basic, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
	t.tokenRefused(status, header, body, "invalid_grant")
}

func plainPKCE(t *test) {
	q := t.request(t.basic, "code_challenge", random(64), "code_challenge_method", "plain")
	t.refused(t.authorize(q), q, "invalid_request")
}

func wrongVerifier(t *test) {
	q := t.request(t.basic, "code_challenge", challenge(random(64)), "code_challenge_method", "S256")
	code := t.accepted(t.authorize(q), q)
	status, header, body := t.token(t.basic, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {t.basic.redirect}})
	t.tokenRefused(status, header, body, "invalid_grant")
}

func foreignCode(t *test) {
	q := t.request(t.basic)
	r := t.authorize(q)
	form := url.Values{"grant_type": {"authorization_code"}, "code": {t.accepted(r, q)}, "redirect_uri": {t.basic.redirect}}
	status, header, body := t.token(t.second, form)
	t.tokenRefused(status, header, body, "invalid_grant")
	t.finish(t.basic, q, r)
}

func bareUserInfo(t *test) {
	req, err := http.NewRequest(http.MethodGet, t.text("userinfo_endpoint"), nil)
	t.must(err)
	res, err := t.http.Do(req)
	t.must(err)
	defer res.Body.Close()
	said := res.Header.Get("WWW-Authenticate")
	t.check(res.StatusCode == http.StatusUnauthorized && strings.HasPrefix(said, "Bearer") && !strings.Contains(said, "error"), "%d %q", res.StatusCode, said)
}

func unsignedRegistration(t *test) {
	_, err := t.stand.Register("oidf-none", map[string]any{"redirect_uris": []string{t.origin + "/x"}, "id_token_signed_response_alg": "none", "client_secret": "new"})
	t.check(err != nil && strings.Contains(err.Error(), "id_token_signed_response_alg"), "registration: %v", err)
}

// challenge is the S256 of a verifier (RFC 7636 4.2).
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
