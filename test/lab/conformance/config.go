package main

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func configModules() []module {
	return []module{{"oidcc-discovery-endpoint-verification", discoveryVerification}}
}

func discoveryVerification(t *test) {
	has := func(name string, values ...string) {
		list := t.list(name)
		for _, v := range values {
			t.check(slices.Contains(list, v), "%s lacks %s: %v", name, v, t.found[name])
		}
	}
	t.check(strings.HasPrefix(t.foundType, "application/json"), "the discovery document is %s", t.foundType)
	t.check(t.text("issuer") == t.stand.SSO, "issuer is %q", t.text("issuer"))
	t.check(isHTTPS(t.text("issuer")) && !strings.Contains(t.text("issuer"), "?"), "issuer is not an https address without query")
	has("response_types_supported", "code")
	t.check(len(t.list("subject_types_supported")) > 0, "subject_types_supported is empty")
	for _, v := range t.list("subject_types_supported") {
		t.check(v == "public" || v == "pairwise", "subject type %s", v)
	}
	has("id_token_signing_alg_values_supported", "RS256") // OIDC Discovery 3
	has("scopes_supported", "openid")
	has("grant_types_supported", "authorization_code")
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} {
		t.check(isHTTPS(t.text(name)), "%s is %q", name, t.text(name))
	}
	t.endpointsHTTPS()
	if !slices.Contains(t.list("request_object_signing_alg_values_supported"), "RS256") {
		t.warn("request objects cannot be signed by RS256")
	}
	if len(t.list("claims_supported")) == 0 {
		t.warn("claims_supported is missing")
	}
	_, isList := t.found["code_challenge_methods_supported"].([]any)
	t.check(isList, "code_challenge_methods_supported is not a list")
	scope := regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`) // RFC 6749 3.3
	for _, s := range t.list("scopes_supported") {
		t.check(scope.MatchString(s), "scope %q", s)
	}
	tag := regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$`) // RFC 5646 in its canonical case
	for _, name := range []string{"ui_locales_supported", "claims_locales_supported"} {
		for _, v := range t.list(name) {
			t.check(tag.MatchString(v), "%s has %q", name, v)
		}
	}
	t.keysSound()
}

// endpointsHTTPS is CheckDiscEndpointAllEndpointsAreHttps.
func (t *test) endpointsHTTPS() {
	for name := range t.found {
		if strings.HasSuffix(name, "_endpoint") || strings.HasSuffix(name, "_uri") || strings.HasSuffix(name, "_iframe") {
			t.check(isHTTPS(t.text(name)), "%s is %q", name, t.text(name))
		}
	}
}

// keysSound is ValidateServerJWKs, CheckForKeyIdInServerJWKs,
// CheckDistinctKeyIdValueInServerJWKs and EnsureServerJwksDoesNotContainPrivateOrSymmetricKeys.
func (t *test) keysSound() {
	t.check(len(t.keys.Keys) > 0 && len(t.keys.Keys) == len(t.rawKeys), "some keys cannot be read")
	seen := map[string]bool{}
	for i, k := range t.keys.Keys {
		t.check(k.KeyID != "" && !seen[k.KeyID], "kid %q is missing or not alone", k.KeyID)
		seen[k.KeyID] = true
		t.check(k.Valid() && k.IsPublic(), "key %q is not a sound public key", k.KeyID)
		for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			_, there := t.rawKeys[i][secret]
			t.check(!there, "key %q publishes its member %s", k.KeyID, secret)
		}
		for name, v := range t.rawKeys[i] {
			if s, isText := v.(string); isText && slices.Contains([]string{"n", "e", "x", "y"}, name) {
				t.check(!strings.ContainsAny(s, "=+/"), "key %q: %s is not base64url without padding", k.KeyID, name)
			}
		}
	}
}

// status of a page that must be shown to a person instead of a redirect.
func (t *test) shown(status int, what string) {
	t.check(status == http.StatusOK || status >= 400 && status < 500, "%s: the page has status %d", what, status)
}
