package oidc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"seimon/internal/authn"
	"seimon/internal/rp"
)

// Limits of a registration.
const (
	maxURIs      = 100
	maxURI       = 2000 // bytes
	maxKeys      = 10
	minSecret    = 32 // characters: a secret that is hashed fast must not be guessable
	maxAccessTTL = 24 * 60 * 60
)

// Check is the front's part in registering a party of the protocol "oidc".
func Check() rp.Check { return rp.Check{Protocol: Name, Verify: verify} }

// verify judges and completes a registration. It returns a new client secret in
// clear when it made one.
func verify(p, old *rp.Party) (shown map[string]string, err error) {
	var reg Registration
	d := json.NewDecoder(bytes.NewReader(p.Registration))
	d.DisallowUnknownFields()
	if err := d.Decode(&reg); err != nil {
		return nil, err
	}
	reg.fill()
	for _, judge := range []func() error{reg.judgeRedirects, reg.judgeLogout, reg.judgeWords, reg.judgeKeys} {
		if err := judge(); err != nil {
			return nil, err
		}
	}
	if shown, err = reg.takeSecret(); err != nil {
		return nil, err
	}
	if err := settleSector(p, old, reg); err != nil {
		return nil, err
	}
	p.Registration, err = json.Marshal(reg)
	return shown, err
}

// fill puts the defaults where nothing was said.
func (r *Registration) fill() {
	set := func(to *string, def string) {
		if *to == "" {
			*to = def
		}
	}
	set(&r.ApplicationType, "web")
	set(&r.AuthMethod, authBasic) // OIDC Registration 2
	set(&r.IDTokenAlg, string(jose.ES256))
	set(&r.PKCE, "required")
	set(&r.Offline, offlineNever)
	if len(r.GrantTypes) == 0 {
		r.GrantTypes = []string{grantCode}
	}
}

func (r *Registration) judgeWords() error {
	for _, c := range []struct {
		member, value string
		allowed       []string
	}{
		{"application_type", r.ApplicationType, []string{"web", "native"}},
		{"token_endpoint_auth_method", r.AuthMethod, []string{authBasic, authPost, authJWT, authNone}},
		{"id_token_signed_response_alg", r.IDTokenAlg, idTokenAlgs()},
		{"request_object_signing_alg", r.RequestObjectAlg, append([]string{""}, algNames(peerAlgs())...)},
		{"pkce", r.PKCE, []string{"required", "optional"}},
		{"offline_access", r.Offline, []string{offlineNever, offlineConsent, offlineGranted}},
	} {
		if !slices.Contains(c.allowed, c.value) {
			return fmt.Errorf("%s: %q is not among %s", c.member, c.value, strings.Join(c.allowed, ", "))
		}
	}
	for _, g := range r.GrantTypes {
		if g != grantCode && g != grantRefresh {
			return fmt.Errorf("grant_types: %q is not among %s, %s", g, grantCode, grantRefresh)
		}
	}
	for _, v := range r.DefaultACR {
		if _, known := classOf(v); !known {
			return fmt.Errorf("default_acr_values: %q is not known", v)
		}
	}
	switch {
	case r.PKCE == "optional" && r.AuthMethod == authNone: // RFC 9700 2.1.1
		return errors.New("pkce: a client without a secret always needs it")
	case r.Offline != offlineNever && !slices.Contains(r.GrantTypes, grantRefresh):
		return errors.New("offline_access: needs the grant type refresh_token")
	case r.IntrospectsAll && r.AuthMethod == authNone:
		return errors.New("introspects_all: needs a client that proves itself")
	case r.DefaultMaxAge != nil && *r.DefaultMaxAge < 0:
		return errors.New("default_max_age: must be a number of seconds")
	case r.AccessTokenSeconds < 0 || r.AccessTokenSeconds > maxAccessTTL:
		return fmt.Errorf("access_token_seconds: must be 0 to %d", maxAccessTTL)
	}
	return nil
}

func (r *Registration) judgeRedirects() error {
	if len(r.RedirectURIs) == 0 {
		return errors.New("redirect_uris: at least one is needed")
	}
	if len(r.RedirectURIs) > maxURIs || len(r.PostLogoutRedirectURIs) > maxURIs {
		return fmt.Errorf("redirect_uris: at most %d", maxURIs)
	}
	for _, text := range r.RedirectURIs {
		if err := r.judgeRedirect(text); err != nil {
			return fmt.Errorf("redirect_uris: %q %w", text, err)
		}
	}
	for _, text := range r.PostLogoutRedirectURIs {
		if err := r.judgeRedirect(text); err != nil {
			return fmt.Errorf("post_logout_redirect_uris: %q %w", text, err)
		}
	}
	return nil
}

// judgeRedirect allows https for all, and for native clients also loopback
// addresses (RFC 8252 7.3) and private schemes with a dot (RFC 8252 7.1).
func (r *Registration) judgeRedirect(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURI || !printable(text):
		return errors.New("is not an address")
	case u.Fragment != "" || strings.Contains(text, "#"): // RFC 6749 3.1.2
		return errors.New("must not have a fragment")
	case u.User != nil:
		return errors.New("must not hold a user name")
	case strings.Contains(text, "*"):
		return errors.New("must be complete: there are no wildcards")
	case u.Scheme == "https" && u.Host != "":
		return nil
	case r.ApplicationType != "native":
		return errors.New("must be an https address")
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errors.New("may use http only on 127.0.0.1 or [::1]")
	case strings.Contains(u.Scheme, ".") && u.Host == "":
		return nil
	}
	return errors.New("must be https, a loopback address or a scheme that is a reversed domain name")
}

func (r *Registration) judgeLogout() error {
	if r.LogoutURI == "" {
		if r.LogoutSessionRequired {
			return errors.New("backchannel_logout_session_required: needs backchannel_logout_uri")
		}
		return nil
	}
	u, err := url.Parse(r.LogoutURI) // OIDC Back-Channel Logout 2.2
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Contains(r.LogoutURI, "#") || len(r.LogoutURI) > maxURI {
		return fmt.Errorf("backchannel_logout_uri: %q is not an https address without fragment", r.LogoutURI)
	}
	return nil
}

func (r *Registration) judgeKeys() error {
	keys, err := readKeys(r.JWKS)
	if err != nil {
		return err
	}
	if len(keys) == 0 && (r.AuthMethod == authJWT || r.RequireSignedRequest) {
		return errors.New("jwks: public keys are needed to check what the client signs")
	}
	return nil
}

// readKeys reads a JWK set of public signature keys (RFC 7517 5).
func readKeys(text json.RawMessage) ([]jose.JSONWebKey, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("jwks: at most %d keys", maxKeys)
	}
	for _, k := range set.Keys {
		if !k.Valid() || !k.IsPublic() || k.Use == "enc" {
			return nil, fmt.Errorf("jwks: key %q is not a public signature key", k.KeyID)
		}
		switch pub := k.Key.(type) {
		case *ecdsa.PublicKey:
			if pub.Curve.Params().BitSize != 256 {
				return nil, fmt.Errorf("jwks: key %q must be on the curve P-256", k.KeyID)
			}
		case *rsa.PublicKey:
			if pub.N.BitLen() < 2048 || pub.N.BitLen() > 8192 {
				return nil, fmt.Errorf("jwks: key %q must have 2048 to 8192 bits", k.KeyID)
			}
		default:
			return nil, fmt.Errorf("jwks: key %q is neither EC nor RSA", k.KeyID)
		}
	}
	return set.Keys, nil
}

// takeSecret turns a client secret in clear into its hash and keeps one former hash.
func (r *Registration) takeSecret() (shown map[string]string, err error) {
	needs := r.AuthMethod == authBasic || r.AuthMethod == authPost
	if !needs {
		if r.ClientSecret != "" {
			return nil, fmt.Errorf("client_secret: a client with %s has none", r.AuthMethod)
		}
		r.SecretHashes = nil
		return nil, nil
	}
	if r.ClientSecret == "" && len(r.SecretHashes) > 0 {
		return nil, nil
	}
	secret := r.ClientSecret
	if secret == "" || secret == "new" {
		secret, _ = authn.NewToken()
		shown = map[string]string{"client_secret": secret}
	} else if len(secret) < minSecret || len(secret) > maxURI || !printable(secret) {
		return nil, fmt.Errorf("client_secret: must be at least %d printable characters; leave it out to have one made", minSecret)
	}
	hash := base64.RawURLEncoding.EncodeToString(authn.HashToken(secret))
	if !slices.Contains(r.SecretHashes, hash) {
		r.SecretHashes = append([]string{hash}, r.SecretHashes...)
		r.SecretHashes = r.SecretHashes[:min(2, len(r.SecretHashes))]
	}
	r.ClientSecret = ""
	return shown, nil
}

// settleSector gives a pairwise client its sector from its redirect addresses
// (OIDC Core 8.1) and keeps it from then on.
func settleSector(p, old *rp.Party, r Registration) error {
	if !p.Pairwise || p.Sector != "" {
		return nil
	}
	if old != nil && old.Pairwise {
		p.Sector = old.Sector
		return nil
	}
	for _, text := range r.RedirectURIs {
		u, err := url.Parse(text)
		if err != nil {
			return err
		}
		host := strings.ToLower(u.Hostname())
		if p.Sector != "" && p.Sector != host || host == "" || isLoopback(host) {
			return errors.New("redirect_uris: pairwise subjects need one host in all addresses, or a named sector")
		}
		p.Sector = host
	}
	return nil
}

func isLoopback(host string) bool { return host == "127.0.0.1" || host == "::1" }

// printable tells whether text is visible ASCII throughout (RFC 3986 2).
func printable(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
