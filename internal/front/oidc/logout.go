package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"seimon/internal/keyring"
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
	hint, err := f.logoutHint(r, p)
	if err != nil {
		return err
	}
	if hint != nil {
		ask.Party = hint.Audience[0]
	}
	if ask.Return, err = f.wayBack(r, ask.Party, p); err != nil {
		return err
	}
	if hint != nil {
		if ask.Session, err = f.hinted(r, hint); err != nil {
			return err
		}
	}
	return f.Exit.SignOut(w, r, ask)
}

// logoutHint opens the ID token that a service sent along. One that we signed with
// a key withdrawn since proves nothing any more and counts as none, so the person
// is asked; any other that does not check out is refused.
func (f *Front) logoutHint(r *http.Request, p params) (*ownToken, error) {
	text, client := p.get("id_token_hint"), p.get("client_id")
	if text == "" {
		return nil, nil
	}
	hint, err := f.openIDToken(text)
	if err == nil && len(hint.Audience) == 1 && (client == "" || hint.Audience[0] == client) {
		return hint, nil
	}
	old, readErr := f.withdrawn(r, keyNamed(text))
	if readErr != nil || err != nil && old {
		return nil, readErr
	}
	return nil, fault(badLogout, client, "id_token_hint", "").Because(err)
}

// withdrawn tells whether a key was ours and is no longer published.
func (f *Front) withdrawn(r *http.Request, id string) (old bool, err error) {
	err = f.DB.Read(r.Context(), func(tx *store.Tx) error {
		keys, err := f.Ring.Keys(tx)
		old = slices.ContainsFunc(keys, func(k keyring.Key) bool { return k.ID == id })
		return err
	})
	for _, k := range f.Ring.Public() {
		old = old && k.ID != id
	}
	return old, err
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
