package oidc

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"seimon/internal/rp"
)

// The ways in which a client proves itself at the token endpoint (OIDC Core 9).
const (
	authBasic = "client_secret_basic"
	authPost  = "client_secret_post"
	authJWT   = "private_key_jwt"
	authNone  = "none"
)

// What a client may get by the scope offline_access (OIDC Core 11).
const (
	offlineNever   = "never"
	offlineConsent = "consent" // only with prompt=consent
	offlineGranted = "granted" // the university has decided
)

// Registration is what an OpenID Connect client registers beside its party. The
// member names are those of OpenID Connect Dynamic Client Registration 1.0 where
// it has them.
type Registration struct {
	RedirectURIs           []string `json:"redirect_uris"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	ApplicationType        string   `json:"application_type,omitempty"` // "web" or "native"
	GrantTypes             []string `json:"grant_types,omitempty"`      // "authorization_code", "refresh_token"
	AuthMethod             string   `json:"token_endpoint_auth_method,omitempty"`
	// ClientSecret is taken on the way in only; "new" makes one. It is kept as
	// SecretHashes, base64url(SHA-256), newest first: two, so that a service can
	// change over.
	ClientSecret string          `json:"client_secret,omitempty"`
	SecretHashes []string        `json:"client_secret_sha256,omitempty"`
	JWKS         json.RawMessage `json:"jwks,omitempty"`
	IDTokenAlg   string          `json:"id_token_signed_response_alg,omitempty"` // "ES256" or "RS256"

	RequestObjectAlg     string `json:"request_object_signing_alg,omitempty"` // any that we accept when empty
	RequireSignedRequest bool   `json:"require_signed_request_object,omitempty"`
	RequirePushed        bool   `json:"require_pushed_authorization_requests,omitempty"`
	// PKCE is "required", or "optional" for a confidential client that cannot do it.
	PKCE string `json:"pkce,omitempty"`

	DefaultMaxAge   *int64   `json:"default_max_age,omitempty"` // seconds
	RequireAuthTime bool     `json:"require_auth_time,omitempty"`
	DefaultACR      []string `json:"default_acr_values,omitempty"`
	Offline         string   `json:"offline_access,omitempty"` // "never", "consent", "granted"

	LogoutURI             string `json:"backchannel_logout_uri,omitempty"`
	LogoutSessionRequired bool   `json:"backchannel_logout_session_required,omitempty"`

	// ClaimsInIDToken puts the claims of the scopes into the ID token as well, for
	// services that do not ask userinfo.
	ClaimsInIDToken bool `json:"claims_in_id_token,omitempty"`
	// IntrospectsAll marks a resource server: it may ask about every client's tokens.
	IntrospectsAll bool `json:"introspects_all,omitempty"`
	// AccessTokenSeconds is how long access tokens live; the front's default when 0.
	AccessTokenSeconds int64 `json:"access_token_seconds,omitempty"`
}

// client is a party together with its registration, ready for use.
type client struct {
	rp.Party
	Registration
	keys    []jose.JSONWebKey
	secrets [][]byte
}

// public tells whether the client cannot keep a secret (RFC 6749 2.1).
func (c *client) public() bool { return c.AuthMethod == authNone }

// may tells whether the client registered a grant type.
func (c *client) may(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// readClient decodes what Verify once accepted.
func readClient(p rp.Party) (*client, error) {
	c := &client{Party: p}
	d := json.NewDecoder(bytes.NewReader(p.Registration))
	d.DisallowUnknownFields()
	if err := d.Decode(&c.Registration); err != nil {
		return nil, fmt.Errorf("oidc: registration of %s: %w", p.ID, err)
	}
	for _, text := range c.SecretHashes {
		hash, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("oidc: registration of %s: a secret's hash is damaged", p.ID)
		}
		c.secrets = append(c.secrets, hash)
	}
	var err error
	if c.keys, err = readKeys(c.JWKS); err != nil {
		return nil, fmt.Errorf("oidc: registration of %s: %w", p.ID, err)
	}
	return c, nil
}

// clients remembers decoded registrations by the version of their party.
type clients struct {
	mu   sync.RWMutex
	byID map[string]*client
}

// of gives the client of a party that was just read from the book.
func (k *clients) of(p rp.Party) (*client, error) {
	k.mu.RLock()
	c := k.byID[p.ID]
	k.mu.RUnlock()
	if c != nil && c.Version == p.Version && c.Updated.Equal(p.Updated) {
		return c, nil
	}
	c, err := readClient(p)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byID == nil {
		k.byID = map[string]*client{}
	}
	k.byID[p.ID] = c
	return c, nil
}
