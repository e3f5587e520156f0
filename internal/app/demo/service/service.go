// Package service is what the demo's people sign in to: small web applications that
// are real relying parties of the gate, built on an OpenID Connect library that is
// not ours.
//
// Each keeps its own sessions in memory, shows what it was told about the person,
// asks for refresh and sign-out, and listens to back-channel logout. It knows the
// gate only by its issuer address.
package service

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

//go:embed page.html style.css
var files embed.FS

// Config says which service this is and how it is registered at the gate.
type Config struct {
	Name, NameJA string // as people know it
	Lead, LeadJA string // one sentence on what it is
	Colour       string // "#rrggbb"
	Origin       string // where it runs
	Issuer       string
	ClientID     string
	ClientSecret string
	Scopes       []string
	// ACR, when set, is asked for on every sign-in.
	ACR string
	// Home is the demo's own first page.
	Home string
	// Client reaches the gate.
	Client *http.Client
	// Place tells in which network the visitor stands, and the address to change it.
	Place func(r *http.Request, ja bool) (name, address string)
}

// Service is one relying party.
type Service struct {
	pages

	provider *oidc.Provider
	pending  map[string]attempt // by state
}

// attempt is a sign-in that was begun.
type attempt struct {
	nonce, verifier string
	at              time.Time
}

// visit is somebody's session at the service.
type visit struct {
	Subject string
	sid     string
	acr     string
	Claims  []claim
	token   *oauth2.Token
	raw     string // ID token, for sign-out
	Began   time.Time
	ended   string // why, once it is over
}

// claim is one thing that the service was told.
type claim struct{ Name, Value string }

const (
	stronger    = "aal2" // asked for when the visitor wants to prove more
	cookieName  = "__Host-visit"
	attemptLife = 30 * time.Minute
)

// New makes a service. It reaches the gate only when somebody comes.
func New(cfg Config) (*Service, error) {
	s := &Service{pending: map[string]attempt{}}
	if err := s.open(cfg, stronger); err != nil {
		return nil, err
	}
	s.mux.HandleFunc("GET /signin", s.signIn)
	s.mux.HandleFunc("GET /callback", s.callback)
	s.mux.HandleFunc("POST /refresh", s.refresh)
	s.mux.HandleFunc("POST /signout", s.signOut)
	s.mux.HandleFunc("POST /backchannel", s.backchannel)
	return s, nil
}

// RedirectURI is where the gate sends people back.
func (c Config) RedirectURI() string { return c.Origin + "/callback" }

// LogoutURI is where the gate tells of the end of a session.
func (c Config) LogoutURI() string { return c.Origin + "/backchannel" }

func (s *Service) ctx(r *http.Request) context.Context {
	return oidc.ClientContext(r.Context(), s.cfg.Client)
}

// gate discovers the issuer once.
func (s *Service) gate(r *http.Request) (*oidc.Provider, *oauth2.Config, error) {
	s.mu.Lock()
	p := s.provider
	s.mu.Unlock()
	if p == nil {
		// The provider keeps the context for fetching keys later.
		var err error
		if p, err = oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(r.Context()), s.cfg.Client), s.cfg.Issuer); err != nil {
			return nil, nil, err
		}
		s.mu.Lock()
		s.provider = p
		s.mu.Unlock()
	}
	return p, &oauth2.Config{
		ClientID: s.cfg.ClientID, ClientSecret: s.cfg.ClientSecret, Endpoint: p.Endpoint(),
		RedirectURL: s.cfg.RedirectURI(), Scopes: append([]string{oidc.ScopeOpenID}, s.cfg.Scopes...),
	}, nil
}

func (s *Service) signIn(w http.ResponseWriter, r *http.Request) {
	_, conf, err := s.gate(r)
	if err != nil {
		s.show(w, r, http.StatusBadGateway, nil, err.Error())
		return
	}
	a := attempt{nonce: rand.Text(), verifier: oauth2.GenerateVerifier(), at: time.Now()}
	state := rand.Text()
	s.mu.Lock()
	for k, old := range s.pending {
		if time.Since(old.at) > attemptLife {
			delete(s.pending, k)
		}
	}
	s.pending[state] = a
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "__Host-state-" + state, Value: "1", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(attemptLife / time.Second)})
	opts := []oauth2.AuthCodeOption{oidc.Nonce(a.nonce), oauth2.S256ChallengeOption(a.verifier)}
	acr := s.cfg.ACR
	if r.URL.Query().Has("more") {
		acr = stronger
	}
	if acr != "" {
		opts = append(opts, oauth2.SetAuthURLParam("acr_values", acr))
	}
	if tag := r.URL.Query().Get("lang"); tag != "" {
		opts = append(opts, oauth2.SetAuthURLParam("ui_locales", tag))
	}
	http.Redirect(w, r, conf.AuthCodeURL(state, opts...), http.StatusSeeOther)
}

func (s *Service) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	state := q.Get("state")
	s.mu.Lock()
	a, ok := s.pending[state]
	delete(s.pending, state)
	s.mu.Unlock()
	if _, err := r.Cookie("__Host-state-" + state); !ok || err != nil || time.Since(a.at) > attemptLife {
		s.show(w, r, http.StatusBadRequest, nil, "this sign-in was not begun in this browser, or too long ago")
		return
	}
	if e := q.Get("error"); e != "" {
		s.show(w, r, http.StatusForbidden, nil, e+": "+q.Get("error_description"))
		return
	}
	v, err := s.redeem(r, q.Get("code"), a)
	if err != nil {
		s.show(w, r, http.StatusBadGateway, nil, err.Error())
		return
	}
	s.begin(w, v)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// redeem exchanges the code, checks the ID token and asks for user information.
func (s *Service) redeem(r *http.Request, code string, a attempt) (*visit, error) {
	p, conf, err := s.gate(r)
	if err != nil {
		return nil, err
	}
	token, err := conf.Exchange(s.ctx(r), code, oauth2.VerifierOption(a.verifier))
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: s.cfg.ClientID}).Verify(s.ctx(r), raw)
	if err != nil {
		return nil, err
	}
	if id.Nonce != a.nonce {
		return nil, errors.New("the nonce is not ours")
	}
	info, err := p.UserInfo(s.ctx(r), oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, err
	}
	v := &visit{Subject: id.Subject, token: token, raw: raw, Began: time.Now()}
	var all map[string]any
	if err := errors.Join(id.Claims(&all), info.Claims(&all)); err != nil {
		return nil, err
	}
	v.sid, _ = all["sid"].(string)
	v.acr, _ = all["acr"].(string)
	v.Claims = told(all)
	return v, nil
}

// refresh shows that the service can stay up to date without the person.
func (s *Service) refresh(w http.ResponseWriter, r *http.Request) {
	v := s.visit(r)
	_, conf, err := s.gate(r)
	if err == nil && v != nil {
		old := &oauth2.Token{RefreshToken: v.token.RefreshToken}
		var fresh *oauth2.Token
		if fresh, err = conf.TokenSource(s.ctx(r), old).Token(); err == nil {
			s.mu.Lock()
			v.token = fresh
			s.mu.Unlock()
		}
	}
	if err != nil {
		s.show(w, r, http.StatusBadGateway, v, err.Error())
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// signOut ends the session here and asks the gate to end its own
// (OpenID Connect RP-Initiated Logout 1.0, 2).
func (s *Service) signOut(w http.ResponseWriter, r *http.Request) {
	v := s.visit(r)
	if v == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	p, _, err := s.gate(r)
	var meta struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err == nil {
		err = p.Claims(&meta)
	}
	if err != nil {
		s.show(w, r, http.StatusBadGateway, v, err.Error())
		return
	}
	s.forget(w, r)
	http.Redirect(w, r, meta.EndSession+"?"+url.Values{
		"id_token_hint": {v.raw}, "post_logout_redirect_uri": {s.cfg.Origin + "/"}, "client_id": {s.cfg.ClientID},
	}.Encode(), http.StatusSeeOther)
}

// backchannel ends sessions at the gate's word (OpenID Connect Back-Channel Logout 1.0, 2.6).
func (s *Service) backchannel(w http.ResponseWriter, r *http.Request) {
	p, _, err := s.gate(r)
	if err != nil {
		http.Error(w, "the gate cannot be reached", http.StatusBadGateway)
		return
	}
	token, err := p.Verifier(&oidc.Config{ClientID: s.cfg.ClientID}).VerifyLogout(s.ctx(r), r.PostFormValue("logout_token"))
	if err != nil {
		http.Error(w, "not a logout token", http.StatusBadRequest)
		return
	}
	s.end(func(v *visit) bool {
		return token.SessionID != "" && v.sid == token.SessionID || token.SessionID == "" && v.Subject == token.Subject
	})
}
