package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"seimon/internal/login"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// logout is the end session endpoint (OIDC RP-Initiated Logout 1.0, 2). A hint
// that does not check out, or an address that is not registered, ends on a page:
// the person is never sent to where nobody vouched for.
func (f *Front) logout(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r.URL.Query())
	langs := strings.Fields(p.get("ui_locales"))
	r = web.Prefer(r, langs)
	if no := p.refusal(); no != nil {
		return fault(badLogout, p.get("client_id"), "parameters", no.text).Because(no)
	}
	ask := login.SignOutAsk{Party: p.get("client_id"), Lang: langs}
	var hint *ownToken
	if text := p.get("id_token_hint"); text != "" {
		var err error
		if hint, err = f.openIDToken(text); err != nil || len(hint.Audience) != 1 || ask.Party != "" && hint.Audience[0] != ask.Party {
			return fault(badLogout, ask.Party, "id_token_hint", "").Because(err)
		}
		ask.Party = hint.Audience[0]
	}
	back, err := f.wayBack(r, ask.Party, p)
	if err != nil {
		return err
	}
	ask.Return = back
	if hint != nil {
		if ask.Session, err = f.hinted(r, hint); err != nil {
			return err
		}
	}
	return f.Exit.SignOut(w, r, ask)
}

// wayBack checks post_logout_redirect_uri against what the client registered, and
// adds state (RP-Initiated Logout 3). Without a client there is no way back.
func (f *Front) wayBack(r *http.Request, id string, p params) (string, error) {
	address := p.get("post_logout_redirect_uri")
	if id == "" {
		return "", nil
	}
	var c *client
	err := f.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
		c, err = f.client(tx, id)
		return err
	})
	if errors.Is(err, rp.ErrNone) {
		return "", fault(noClient, id, "client_id", id)
	}
	if err != nil || address == "" {
		return "", err
	}
	if !slices.Contains(c.PostLogoutRedirectURIs, address) {
		return "", fault(badLogout, id, "post_logout_redirect_uri", address)
	}
	if state := p.get("state"); state != "" {
		address = withQuery(address, url.Values{"state": {state}})
	}
	return address, nil
}

// hinted gives the browser's session when the ID token was issued in it.
func (f *Front) hinted(r *http.Request, hint *ownToken) (string, error) {
	current, err := f.Hall.Current(r)
	if errors.Is(err, session.ErrNone) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var visits []session.Visit
	err = f.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
		visits, err = f.Sessions.Visits(tx, current.ID)
		return err
	})
	for _, v := range visits {
		if v.ID == hint.Session && v.Party == hint.Audience[0] {
			return current.ID, err
		}
	}
	return "", err
}
