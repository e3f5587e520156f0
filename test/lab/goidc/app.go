package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// app is a web application that lets people sign in at the gate.
type app struct {
	origin   string
	http     *http.Client
	provider *oidc.Provider
	oauth    oauth2.Config

	mu      sync.Mutex
	pending map[string]attempt // by state
	visits  map[string]*visit  // by state
	told    chan *logoutToken
}

type attempt struct{ nonce, verifier string }

// visit is what one sign-in gave.
type visit struct {
	State   string
	Raw     string // ID token
	Subject string
	Sid     string
	ACR     string
	AMR     []string
	Info    map[string]any
	token   *oauth2.Token
}

type logoutToken struct {
	Subject, Sid string
	err          error
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /start", a.start)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("GET /bye", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "bye ", r.URL.Query().Get("state")) })
	mux.HandleFunc("POST /backchannel", a.backchannel)
	return mux
}

func (a *app) ctx(r *http.Request) context.Context { return oidc.ClientContext(r.Context(), a.http) }

func (a *app) start(w http.ResponseWriter, r *http.Request) {
	t := attempt{nonce: rand.Text(), verifier: oauth2.GenerateVerifier()}
	state := rand.Text()
	a.mu.Lock()
	a.pending[state] = t
	a.mu.Unlock()
	opts := []oauth2.AuthCodeOption{oidc.Nonce(t.nonce), oauth2.S256ChallengeOption(t.verifier)}
	for name, v := range r.URL.Query() {
		opts = append(opts, oauth2.SetAuthURLParam(name, v[0]))
	}
	http.Redirect(w, r, a.oauth.AuthCodeURL(state, opts...), http.StatusFound)
}

func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a.mu.Lock()
	t, ok := a.pending[q.Get("state")]
	delete(a.pending, q.Get("state"))
	a.mu.Unlock()
	v, err := a.redeem(r, q, t)
	if !ok {
		err = errors.New("unknown state")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	v.State = q.Get("state")
	a.mu.Lock()
	a.visits[v.State] = v
	a.mu.Unlock()
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the browser is a test
}

func (a *app) redeem(r *http.Request, q url.Values, t attempt) (*visit, error) {
	if e := q.Get("error"); e != "" {
		return nil, errors.New(e + ": " + q.Get("error_description"))
	}
	if q.Get("iss") != a.issuer() { // RFC 9207 2.4
		return nil, errors.New("iss is " + q.Get("iss"))
	}
	token, err := a.oauth.Exchange(a.ctx(r), q.Get("code"), oauth2.VerifierOption(t.verifier))
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := a.verify(a.ctx(r), raw)
	if err != nil {
		return nil, err
	}
	if id.Nonce != t.nonce {
		return nil, errors.New("the nonce is not ours")
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		return nil, err
	}
	info, err := a.provider.UserInfo(a.ctx(r), oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, err
	}
	v := &visit{Raw: raw, Subject: id.Subject, token: token}
	if err := errors.Join(id.Claims(&v), info.Claims(&v.Info)); err != nil {
		return nil, err
	}
	if info.Subject != id.Subject {
		return nil, errors.New("userinfo is about somebody else")
	}
	return v, nil
}

func (a *app) verify(ctx context.Context, raw string) (*oidc.IDToken, error) {
	return a.provider.VerifierContext(ctx, &oidc.Config{ClientID: a.oauth.ClientID}).Verify(ctx, raw)
}

func (a *app) issuer() string {
	var meta struct {
		Issuer string `json:"issuer"`
	}
	if err := a.provider.Claims(&meta); err != nil {
		return ""
	}
	return meta.Issuer
}

// refresh exchanges the refresh token of a visit.
func (a *app) refresh(ctx context.Context, v *visit) (*oauth2.Token, error) {
	ctx = oidc.ClientContext(ctx, a.http)
	fresh, err := a.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: v.token.RefreshToken, Expiry: time.Now().Add(-time.Hour)}).Token()
	if err != nil {
		return nil, err
	}
	raw, _ := fresh.Extra("id_token").(string)
	id, err := a.verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	switch {
	case id.Subject != v.Subject:
		return nil, errors.New("the new ID token is about somebody else")
	case fresh.AccessToken == v.token.AccessToken || fresh.RefreshToken == v.token.RefreshToken || fresh.RefreshToken == "":
		return nil, errors.New("the tokens did not change")
	}
	_, err = a.provider.UserInfo(ctx, oauth2.StaticTokenSource(fresh))
	return fresh, err
}

// backchannel takes a logout token (OpenID Connect Back-Channel Logout 1.0, 2.6).
func (a *app) backchannel(w http.ResponseWriter, r *http.Request) {
	t := &logoutToken{}
	token, err := a.verify(a.ctx(r), r.PostFormValue("logout_token"))
	var claims struct {
		Sid    string                     `json:"sid"`
		ID     string                     `json:"jti"`
		Nonce  *string                    `json:"nonce"`
		Events map[string]json.RawMessage `json:"events"`
	}
	if err == nil {
		err = token.Claims(&claims)
	}
	if _, meant := claims.Events["http://schemas.openid.net/event/backchannel-logout"]; err == nil && (!meant || claims.Nonce != nil || claims.ID == "") {
		err = errors.New("not a logout token")
	}
	if t.err = err; err == nil {
		t.Subject, t.Sid = token.Subject, claims.Sid
	}
	a.told <- t
	w.Header().Set("Cache-Control", "no-store")
}
