package oidc

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"time"

	strict "github.com/go-jose/go-jose/v4/json"

	"seimon/internal/store"
)

// idToken is what an ID token will say, gathered in the transaction and signed
// after it.
type idToken struct {
	subject string
	nonce   string
	proof   proof
	at      time.Time
	claims  map[string]any
}

// prepareIDToken gathers an ID token about a grant's holder (OIDC Core 2).
func (f *Front) prepareIDToken(tx *store.Tx, c *client, g *grant, who *holder) (*idToken, error) {
	t := &idToken{
		subject: f.Parties.SubjectFor(c.Party, g.account), nonce: g.request.Nonce, proof: g.proof, at: tx.Now,
	}
	wanted := askedClaims(c, g.request.Claims.IDToken, nil)
	if c.ClaimsInIDToken {
		wanted = askedClaims(c, g.request.Claims.IDToken, g.request.Scope)
	}
	if len(wanted) == 0 {
		return t, nil
	}
	var err error
	t.claims, err = f.claimsOf(tx, c, who, wanted)
	return t, err
}

// signIDToken signs an ID token for the access token that goes with it.
func (f *Front) signIDToken(c *client, t *idToken, access string) (string, error) {
	claims := map[string]any{}
	maps.Copy(claims, t.claims)
	maps.Copy(claims, map[string]any{
		"iss": f.issuer, "sub": t.subject, "aud": c.ID,
		"iat": t.at.Unix(), "exp": t.at.Add(f.Lives.IDToken).Unix(), "auth_time": t.proof.AuthTime,
		"sid":     t.proof.Visit, // OIDC Back-Channel Logout 2.1
		"at_hash": halfHash(access),
	})
	if t.nonce != "" {
		claims["nonce"] = t.nonce
	}
	if t.proof.ACR != "" {
		claims["acr"] = t.proof.ACR
	}
	if len(t.proof.AMR) > 0 {
		claims["amr"] = t.proof.AMR // RFC 8176
	}
	return f.signers.sign(f.Ring, c.IDTokenAlg, typeIDToken, claims)
}

// halfHash binds an access token to an ID token (OIDC Core 3.1.3.6); all our
// algorithms use SHA-256.
func halfHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// ownToken are the claims of an ID token that comes back as a hint.
type ownToken struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Session  string   `json:"sid"`
}

// openIDToken checks that we issued an ID token, however long ago (OIDC Core
// 3.1.2.1, RP-Initiated Logout 4).
func (f *Front) openIDToken(text string) (*ownToken, error) {
	typ, payload, err := openOwn(f.Ring, text)
	if err != nil {
		return nil, err
	}
	t := &ownToken{}
	if err := strict.Unmarshal(payload, t); err != nil {
		return nil, err
	}
	if typ != typeIDToken || t.Issuer != f.issuer || t.Subject == "" || len(t.Audience) == 0 {
		return nil, errors.New("not an ID token of ours")
	}
	return t, nil
}
