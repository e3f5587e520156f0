package oidc

import (
	"net/http"
	"slices"
	"strings"

	"seimon/internal/store"
)

// userInfo gives claims to whoever holds an access token (OIDC Core 5.3).
func (f *Front) userInfo(w http.ResponseWriter, r *http.Request) error {
	text, no := bearer(r)
	if no != nil {
		return no.writeBearer(w)
	}
	var claims map[string]any
	var c *client
	err := f.DB.Read(r.Context(), func(tx *store.Tx) error {
		no = refuse(errInvalidToken, "the access token is unknown, expired or revoked")
		t, g, err := tokenOf(tx, text)
		if noToken(err) || err == nil && (t.kind != kindAccess || !t.inForce(tx.Now)) {
			return nil
		}
		if err != nil {
			return err
		}
		if c, err = f.client(tx, g.client); err != nil {
			return ignoreNone(err)
		}
		who, err := f.live(tx, g)
		if err != nil || who == nil {
			return err
		}
		if !slices.Contains(t.scope, "openid") {
			no = refuse(errInsufficientScope, "the access token lacks the scope openid")
			return nil
		}
		no = nil
		claims, err = f.claimsOf(tx, c, who, askedClaims(c, g.request.Claims.UserInfo, t.scope))
		if err == nil {
			claims["sub"] = f.Parties.SubjectFor(c.Party, g.account) // OIDC Core 5.3.2
		}
		return err
	})
	if err != nil {
		return err
	}
	if c != nil {
		f.allowOrigin(w, r, c)
	}
	if no != nil {
		return no.writeBearer(w)
	}
	return writeJSON(w, http.StatusOK, claims)
}

// bearer finds the access token in the Authorization header or in a form
// (RFC 6750 2.1, 2.2). A token in the query is not taken: addresses end up in logs
// (RFC 9700 4.3.2).
func bearer(r *http.Request) (string, *refusal) {
	var found []string
	for _, header := range r.Header.Values("Authorization") {
		scheme, text, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", refuse(errInvalidRequest, "the Authorization header must use the scheme Bearer")
		}
		found = append(found, strings.TrimSpace(text))
	}
	if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		p, no := formParams(r)
		if no != nil {
			return "", no
		}
		if text := p.get("access_token"); text != "" {
			found = append(found, text)
		}
	}
	switch {
	case len(found) > 1: // RFC 6750 2
		return "", refuse(errInvalidRequest, "the access token is sent more than once")
	case len(found) == 0 || found[0] == "":
		return "", &refusal{}
	}
	return found[0], nil
}

// writeBearer answers a request for a protected resource that cannot be served
// (RFC 6750 3). Without any token the answer names the scheme alone.
func (r *refusal) writeBearer(w http.ResponseWriter) error {
	status := http.StatusUnauthorized
	challenge := `Bearer realm="seimon"`
	switch r.code {
	case errInvalidRequest:
		status = http.StatusBadRequest
	case errInsufficientScope:
		status = http.StatusForbidden
	}
	if r.code == "" {
		w.Header().Set("WWW-Authenticate", challenge)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		return nil
	}
	w.Header().Set("WWW-Authenticate", challenge+`, error="`+r.code+`", error_description="`+r.text+`"`)
	return writeJSON(w, status, map[string]string{"error": r.code, "error_description": r.text})
}
