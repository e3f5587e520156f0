package oidc

import (
	"time"

	"github.com/go-jose/go-jose/v4"
	strict "github.com/go-jose/go-jose/v4/json"

	"seimon/internal/authn"
)

// assertionLife is the longest life of a client assertion that we accept, so
// that the list of used ones stays short.
const assertionLife = 10 * time.Minute

// assertionClaims are the claims of a client assertion (RFC 7523 3).
type assertionClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	ID        string   `json:"jti"`
	Expires   *seconds `json:"exp"`
	NotBefore *seconds `json:"nbf"`
	IssuedAt  *seconds `json:"iat"`
}

// issuerOf reads who an assertion says it is from, before anything is checked: it
// only chooses the client whose keys must then fit.
func issuerOf(assertion string) string {
	if len(assertion) > maxJWS {
		return ""
	}
	signed, err := jose.ParseSignedCompact(assertion, peerAlgs())
	if err != nil {
		return ""
	}
	var c assertionClaims
	if strict.Unmarshal(signed.UnsafePayloadWithoutVerification(), &c) != nil {
		return ""
	}
	return c.Issuer
}

// openAssertion checks a client assertion (private_key_jwt, OIDC Core 9). path is
// the endpoint that was called. What is right but for a wrong clock gives a skew.
func (f *Front) openAssertion(c *client, assertion, path string) (*clientProof, *skew) {
	typ, payload, err := openPeer(c, "", assertion)
	if err != nil || typ == typeRequest || typ == typeLogout { // RFC 8725 3.11
		return nil, nil
	}
	var a assertionClaims
	if strict.Unmarshal(payload, &a) != nil {
		return nil, nil
	}
	if a.Issuer != c.ID || a.Subject != c.ID || a.ID == "" || len(a.ID) > 512 || a.Expires == nil || !f.addressed(a.Audience, path) {
		return nil, nil
	}
	now := f.DB.Now()
	until := a.Expires.time()
	late := !now.Before(until.Add(leeway))
	for _, since := range []*seconds{a.NotBefore, a.IssuedAt} {
		late = late || since != nil && now.Before(since.time().Add(-leeway))
	}
	if late {
		return nil, skewOf("client assertion", times{a.IssuedAt, a.NotBefore, a.Expires}, now)
	}
	if until.After(now.Add(assertionLife)) {
		return nil, nil
	}
	return &clientProof{client: c.ID, jti: authn.HashToken(a.ID), until: until.Add(2 * leeway)}, nil
}

// addressed tells whether an assertion was made for us and nobody else: its one
// audience is the issuer or the token endpoint, or the endpoint for pushed
// requests when that was called (OIDC Core 9, RFC 9126 2).
func (f *Front) addressed(aud audience, path string) bool {
	if len(aud) != 1 {
		return false
	}
	return aud[0] == f.issuer || aud[0] == f.issuer+pathToken || path == pathPushed && aud[0] == f.issuer+pathPushed
}
