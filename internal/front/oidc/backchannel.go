package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
)

const (
	// logoutEvent is what a logout token is about (OIDC Back-Channel Logout 2.4).
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	logoutLife  = 2 * time.Minute
)

// SignOut implements login.SignOuter: what was issued in the session ends here,
// and a client that registered an address for it is told (OIDC Back-Channel Logout
// 1.0). An error asks to be called again later; every result is put on record.
func (f *Front) SignOut(ctx context.Context, v session.Visit) error {
	var c *client
	err := f.DB.Write(ctx, func(tx *store.Tx) (err error) {
		if c, err = f.client(tx, v.Party); errors.Is(err, rp.ErrNone) {
			c = nil
		} else if err != nil {
			return err
		}
		return f.EndSession(tx, v.Session, "signout")
	})
	if err != nil || c == nil || c.LogoutURI == "" {
		return err
	}
	token, err := f.logoutToken(c, v)
	if err != nil {
		return err
	}
	status, again, err := f.deliver(ctx, c.LogoutURI, token)
	facts := map[string]string{"status": strconv.Itoa(status)}
	event := "oidc.logout.told"
	if err != nil {
		event, facts["error"] = "oidc.logout.failed", shorten(err.Error())
	}
	recorded := f.DB.Write(ctx, func(tx *store.Tx) error {
		return f.Audit.Append(tx, audit.Event{
			Type: event, Account: v.Account, Actor: "service:" + v.Party, Session: v.Session, Party: v.Party, Facts: facts,
		})
	})
	if !again {
		err = nil
	}
	return errors.Join(err, recorded)
}

// logoutToken signs what tells a client that one visit is over. It never has a nonce.
func (f *Front) logoutToken(c *client, v session.Visit) (string, error) {
	now := f.DB.Now()
	return f.signers.sign(f.Ring, c.IDTokenAlg, typeLogout, map[string]any{
		"iss": f.issuer, "sub": f.Parties.SubjectFor(c.Party, v.Account), "aud": c.ID,
		"iat": now.Unix(), "exp": now.Add(logoutLife).Unix(), "jti": authn.NewID("out"),
		"sid": v.ID, "events": map[string]any{logoutEvent: map[string]any{}},
	})
}

// deliver posts a logout token (OIDC Back-Channel Logout 2.5). again tells whether
// trying later may help: not when the client understood and refused.
func (f *Front) deliver(ctx context.Context, address, token string) (status int, again bool, err error) {
	body := url.Values{"logout_token": {token}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return 0, false, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	carrier := *f.Client
	carrier.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := carrier.Do(r)
	if err != nil {
		return 0, true, err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	switch s := answer.StatusCode; {
	case s == http.StatusOK || s == http.StatusNoContent:
		return s, false, nil
	case s >= 500 || s == http.StatusTooManyRequests || s == http.StatusRequestTimeout:
		return s, true, fmt.Errorf("the service answered %d", s)
	default:
		return s, false, fmt.Errorf("the service answered %d", s)
	}
}

// shorten keeps foreign text in the audit log small.
func shorten(text string) string { return text[:min(len(text), 300)] }

// CanTell tells whether the service of a visit can be told of the end of a session.
func (f *Front) CanTell(tx *store.Tx, v session.Visit) (bool, error) {
	c, err := f.client(tx, v.Party)
	if errors.Is(err, rp.ErrNone) {
		return false, nil
	}
	return err == nil && c.LogoutURI != "", err
}
