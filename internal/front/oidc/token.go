package oidc

import (
	"net/http"
	"strings"
	"time"

	"seimon/internal/store"
	"seimon/internal/web"
)

// The grant types that we serve (RFC 6749 4.1.3, 6).
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

// issue is what the token endpoint gives out, once it is durable.
type issue struct {
	access  fresh
	refresh fresh // empty text: none
	scope   []string
	idToken *idToken
	life    time.Duration
}

// token is the token endpoint (RFC 6749 3.2, OIDC Core 3.1.3).
func (f *Front) token(w http.ResponseWriter, r *http.Request) error {
	p, no := formParams(r)
	if no != nil {
		return no.write(w)
	}
	c, proof, no, err := f.authenticate(r, p)
	if err != nil {
		return err
	}
	if no != nil {
		return no.write(w)
	}
	web.Note(r, "client", c.ID)
	f.allowOrigin(w, r, c)
	give := f.redeem
	switch p.get("grant_type") {
	case grantCode:
	case grantRefresh:
		give = f.renew
	case "":
		return refuse(errInvalidRequest, "grant_type is missing").write(w)
	default:
		return refuse(errUnsupportedGrant, "grant_type must be authorization_code or refresh_token").write(w)
	}
	if !c.may(p.get("grant_type")) {
		return refuse(errUnauthorizedClient, "this client has not registered the grant type").write(w)
	}
	out := &issue{access: newToken(), refresh: newToken(), life: f.accessLife(c)}
	// A refusal is committed like a success: what it revoked and what it spent must stay.
	err = f.DB.Write(r.Context(), func(tx *store.Tx) (err error) {
		out.idToken, out.scope = nil, nil
		if no, err = proof.use(tx); no != nil || err != nil {
			return err
		}
		no, err = give(tx, c, p, out)
		return err
	})
	if err != nil {
		return err
	}
	if no != nil {
		web.Note(r, "oidc_error", no.code)
		return no.write(w)
	}
	return f.writeIssue(w, c, out)
}

// writeIssue answers with tokens (RFC 6749 5.1). The ID token is signed here,
// after the transaction.
func (f *Front) writeIssue(w http.ResponseWriter, c *client, out *issue) error {
	body := map[string]any{
		"access_token": out.access.text, "token_type": "Bearer",
		"expires_in": int64(out.life.Seconds()), "scope": strings.Join(out.scope, " "),
	}
	if out.refresh.text != "" {
		body["refresh_token"] = out.refresh.text
	}
	if out.idToken != nil {
		signed, err := f.signIDToken(c, out.idToken, out.access.text)
		if err != nil {
			return err
		}
		body["id_token"] = signed
	}
	return writeJSON(w, http.StatusOK, body)
}
