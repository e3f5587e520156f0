package oidc

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// invalidGrant is the one answer to every code or refresh token that does not
// do; which check failed is for the audit log.
func invalidGrant() *refusal {
	return refuse(errInvalidGrant, "the code or refresh token is not valid, was used before or belongs to another client")
}

// redeem exchanges a code (RFC 6749 4.1.3). A code serves once, on whichever node:
// whoever comes second ends everything that the first one got (RFC 6749 4.1.2,
// RFC 9700 2.1.1).
func (f *Front) redeem(tx *store.Tx, c *client, p params, out *issue) (*refusal, error) {
	if p.get("code") == "" {
		return refuse(errInvalidRequest, "code is missing"), nil
	}
	g, err := grantOf(tx, authn.HashToken(p.get("code")))
	if noToken(err) {
		return invalidGrant(), nil
	}
	if err != nil {
		return nil, err
	}
	if g.client != c.ID { // the code stays good for its own client (RFC 6749 4.1.3)
		return invalidGrant(), f.note(tx, g, "oidc.code.stolen", map[string]string{"by": c.ID})
	}
	if !g.redeemed.IsZero() {
		return invalidGrant(), f.end(tx, g, "code.reused")
	}
	until := f.grantUntil(tx.Now, c, g)
	_, err = tx.Exec("UPDATE oidc_grant SET redeemed_at = $2, until = $3 WHERE code = $1", g.code, store.Millis(tx.Now), store.Millis(until))
	if err != nil {
		return nil, err
	}
	g.redeemed, g.until = tx.Now, until
	if tx.Now.After(g.codeUntil) {
		return invalidGrant(), f.end(tx, g, "code.expired")
	}
	if why := g.mismatch(p); why != "" {
		return invalidGrant(), f.end(tx, g, why)
	}
	return f.issueFor(tx, c, g, out)
}

// mismatch tells which binding of the code is broken. Such a code is spent: its
// own client would not make the mistake, so somebody else has it.
func (g *grant) mismatch(p params) string {
	if p.get("redirect_uri") != g.request.Redirect { // RFC 6749 4.1.3
		return "code.redirect_uri"
	}
	verifier := p.get("code_verifier")
	switch {
	case g.request.Challenge == "" && verifier != "": // RFC 9700 4.8.2: a downgraded request
		return "code.downgraded"
	case g.request.Challenge == "":
		return ""
	case len(verifier) < 43 || !unreserved(verifier): // RFC 7636 4.1
		return "code.verifier"
	}
	sum := sha256.Sum256([]byte(verifier)) // RFC 7636 4.6
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(g.request.Challenge)) != 1 {
		return "code.verifier"
	}
	return ""
}

// unreserved tells whether text holds only the characters of a code verifier.
func unreserved(text string) bool {
	for i := range len(text) {
		c := text[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '.' && c != '_' && c != '~' {
			return false
		}
	}
	return true
}

// grantUntil is how long a redeemed grant is kept: as long as anything issued
// from it could still be shown.
func (f *Front) grantUntil(now time.Time, c *client, g *grant) time.Time {
	until := now.Add(f.accessLife(c) + time.Hour)
	if c.may(grantRefresh) {
		until = now.Add(f.Lives.Grant)
	}
	return until
}

// issueFor writes the tokens of a grant and gathers what its ID token will say.
func (f *Front) issueFor(tx *store.Tx, c *client, g *grant, out *issue) (*refusal, error) {
	who, err := f.live(tx, g)
	if err != nil {
		return nil, err
	}
	if who == nil {
		return invalidGrant(), nil
	}
	if len(out.scope) == 0 {
		out.scope = g.request.Scope
	}
	issued := []token{{hash: out.access.hash, kind: kindAccess, scope: out.scope, until: tx.Now.Add(out.life)}}
	if !c.may(grantRefresh) {
		out.refresh = fresh{}
	} else {
		until := tx.Now.Add(f.Lives.Refresh)
		if g.until.Before(until) {
			until = g.until
		}
		// The refresh token keeps the whole scope, whatever this access token got (RFC 6749 6).
		issued = append(issued, token{hash: out.refresh.hash, kind: kindRefresh, scope: g.request.Scope, until: until})
	}
	if err := insertTokens(tx, g, issued); err != nil {
		return nil, err
	}
	out.idToken, err = f.prepareIDToken(tx, c, g, who)
	return nil, err
}

// renew exchanges a refresh token for a new one and a new access token (RFC 6749
// 6, RFC 9700 4.14). A token that was exchanged before is in two hands: the whole
// family ends. No time is allowed for a second try, because a copy made by a thief
// looks exactly like one.
func (f *Front) renew(tx *store.Tx, c *client, p params, out *issue) (*refusal, error) {
	if p.get("refresh_token") == "" {
		return refuse(errInvalidRequest, "refresh_token is missing"), nil
	}
	t, g, err := tokenOf(tx, p.get("refresh_token"))
	if noToken(err) || err == nil && t.kind != kindRefresh {
		return invalidGrant(), nil
	}
	if err != nil {
		return nil, err
	}
	if g.client != c.ID {
		return invalidGrant(), f.note(tx, g, "oidc.refresh.stolen", map[string]string{"by": c.ID})
	}
	if !t.used.IsZero() {
		return invalidGrant(), f.end(tx, g, "refresh.reused")
	}
	if !t.inForce(tx.Now) || !g.ended.IsZero() {
		return invalidGrant(), nil
	}
	if no := narrow(p, g, out); no != nil {
		return no, nil
	}
	n, err := tx.Exec("UPDATE oidc_token SET used_at = $2 WHERE hash = $1 AND used_at = 0", t.hash, store.Millis(tx.Now))
	if err != nil {
		return nil, err
	}
	if n != 1 {
		return invalidGrant(), f.end(tx, g, "refresh.reused")
	}
	agreed, err := f.agreed(tx, c, g)
	if err != nil || !agreed {
		return invalidGrant(), err
	}
	g.request.Nonce = "" // OIDC Core 12.2
	return f.issueFor(tx, c, g, out)
}

// narrow takes a smaller scope for the new access token (RFC 6749 6). Many clients
// repeat what they asked for at first, so what was silently left out then is left
// out now: values we do not know, and offline access that was not given.
func narrow(p params, g *grant, out *issue) *refusal {
	asked := p.get("scope")
	if asked == "" {
		return nil
	}
	for _, s := range fields(asked) {
		granted := slices.Contains(g.request.Scope, s)
		switch {
		case granted && !slices.Contains(out.scope, s):
			out.scope = append(out.scope, s)
		case !granted && s != "offline_access" && slices.Contains(scopes(), s):
			return refuse(errInvalidScope, "scope is wider than what was granted")
		}
	}
	if len(out.scope) == 0 {
		return refuse(errInvalidScope, "scope has nothing that was granted")
	}
	return nil
}
