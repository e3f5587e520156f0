// Command goidc is a peer of the lab: a relying party on coreos/go-oidc.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"seimon/test/lab/stand"
	"seimon/test/walk"
)

const host = "goidc.localhost"

func main() {
	s, err := stand.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := stand.NewReport("coreos/go-oidc")
	a := &app{http: s.Client(), pending: map[string]attempt{}, visits: map[string]*visit{}, told: make(chan *logoutToken, 4)}
	ctx := context.Background()
	if !r.Check("discovery and registration", func() error { return a.open(ctx, s) }) {
		r.Exit()
	}
	j := &journey{stand: s, app: a, tr: s.Transport(), ctx: ctx}
	r.Check("password on campus, userinfo, at_hash, iss", j.campus)
	r.Check("refresh changes every token, and a token used twice ends all of them", j.refresh)
	r.Check("password and one-time code from home", j.home)
	r.Check("step-up by an essential acr", j.stepUp)
	r.Check("prompt=none with and without a session", j.silent)
	r.Check("sign-out at the gate, with word by back channel and a live session gone", j.leave)
	r.Exit()
}

func (a *app) open(ctx context.Context, s *stand.Stand) (err error) {
	// The handler is needed before its address is known.
	if a.origin, err = s.Listen(host, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.routes().ServeHTTP(w, r) })); err != nil {
		return err
	}
	secret, err := s.Register("lab-goidc", map[string]any{
		"redirect_uris": []string{a.origin + "/callback"}, "post_logout_redirect_uris": []string{a.origin + "/bye"},
		// The library is told nothing and tries the header first, then the body.
		"token_endpoint_auth_method": "client_secret_post",
		"grant_types":                []string{"authorization_code", "refresh_token"}, "backchannel_logout_uri": a.origin + "/backchannel",
		"backchannel_logout_session_required": true, "client_secret": "new",
	})
	if err != nil {
		return err
	}
	if a.provider, err = oidc.NewProvider(oidc.ClientContext(ctx, a.http), s.SSO); err != nil {
		return err
	}
	a.oauth = oauth2.Config{
		ClientID: "lab-goidc", ClientSecret: secret, Endpoint: a.provider.Endpoint(), RedirectURL: a.origin + "/callback",
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}
	return nil
}

// journey is what people do at the application.
type journey struct {
	stand *stand.Stand
	app   *app
	tr    http.RoundTripper
	ctx   context.Context
}

// signIn goes through the application's sign-in and gives what it learnt.
func (j *journey) signIn(w *walk.Walker, extra url.Values) (*visit, walk.Page, error) {
	p, err := w.Visit(j.ctx, j.app.origin+"/start?"+extra.Encode())
	if err != nil {
		return nil, p, err
	}
	if p.Status != http.StatusOK || p.URL.Path != "/callback" {
		return nil, p, fmt.Errorf("arrived at %s with %d: %s", p.URL, p.Status, walk.Text(p.Body))
	}
	var seen visit
	if err := json.Unmarshal(p.Body, &seen); err != nil {
		return nil, p, err
	}
	return j.app.visits[seen.State], p, nil
}

func (j *journey) campus() error {
	who := j.stand.Take(false)
	v, p, err := j.signIn(j.stand.Browser(j.tr, who, "campus"), nil)
	if err != nil {
		return err
	}
	switch {
	case !slices.Equal(p.Asked, []string{"username", "password"}) && !slices.Equal(p.Asked, []string{"username", "password", "agree"}):
		return fmt.Errorf("the gate asked for %v", p.Asked)
	case v.ACR != "aal1" || !slices.Equal(v.AMR, []string{"pwd"}):
		return fmt.Errorf("acr %q, amr %q", v.ACR, v.AMR)
	case v.Info["preferred_username"] != who.User || v.Info["email"] == nil || v.Info["name#ja-Hani-JP"] == nil:
		return fmt.Errorf("userinfo is %v", v.Info)
	}
	return nil
}

func (j *journey) refresh() error {
	v, _, err := j.signIn(j.stand.Browser(j.tr, j.stand.Take(false), "campus"), nil)
	if err != nil {
		return err
	}
	first := v.token.RefreshToken
	fresh, err := j.app.refresh(j.ctx, v)
	if err != nil {
		return err
	}
	v.token = &oauth2.Token{RefreshToken: first}
	var refused *oauth2.RetrieveError
	if _, err := j.app.refresh(j.ctx, v); !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
		return fmt.Errorf("a used refresh token: %v", err)
	}
	if _, err := j.app.provider.UserInfo(oidc.ClientContext(j.ctx, j.app.http), oauth2.StaticTokenSource(fresh)); err == nil {
		return errors.New("the family lives on")
	}
	return nil
}

func (j *journey) home() error {
	v, p, err := j.signIn(j.stand.Browser(j.tr, j.stand.Take(true), "home"), nil)
	if err != nil {
		return err
	}
	if !slices.Contains(p.Asked, "totp") || v.ACR != "aal2" || !slices.Contains(v.AMR, "otp") || !slices.Contains(v.AMR, "mfa") {
		return fmt.Errorf("asked %v, acr %q, amr %q", p.Asked, v.ACR, v.AMR)
	}
	return nil
}

func (j *journey) stepUp() error {
	w := j.stand.Browser(j.tr, j.stand.Take(true), "campus")
	v, p, err := j.signIn(w, nil)
	if err != nil || v.ACR != "aal1" || slices.Contains(p.Asked, "totp") {
		return fmt.Errorf("at first: %v %v", p.Asked, err)
	}
	claims := url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"values":["https://refeds.org/profile/mfa"]}}}`}}
	if v, p, err = j.signIn(w, claims); err != nil {
		return err
	}
	if !slices.Equal(p.Asked, []string{"totp"}) || v.ACR != "https://refeds.org/profile/mfa" {
		return fmt.Errorf("asked %v, acr %q", p.Asked, v.ACR)
	}
	return nil
}

func (j *journey) silent() error {
	w := j.stand.Browser(j.tr, j.stand.Take(false), "campus")
	none := url.Values{"prompt": {"none"}}
	if _, p, err := j.signIn(w, none); err == nil || stand.Query(p.URL, "error") != "login_required" {
		return fmt.Errorf("without a session: %v at %s", err, p.URL)
	}
	v, _, err := j.signIn(w, nil)
	if err != nil {
		return err
	}
	again, p, err := j.signIn(w, none)
	if err != nil || len(p.Asked) > 0 || again.Subject != v.Subject {
		return fmt.Errorf("with a session: asked %v, %v", p.Asked, err)
	}
	return nil
}

func (j *journey) leave() error {
	w := j.stand.Browser(j.tr, j.stand.Take(false), "campus")
	v, _, err := j.signIn(w, nil)
	if err != nil {
		return err
	}
	var meta struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := j.app.provider.Claims(&meta); err != nil {
		return err
	}
	p, err := w.Visit(j.ctx, meta.EndSession+"?"+url.Values{
		"id_token_hint": {v.Raw}, "post_logout_redirect_uri": {j.app.origin + "/bye"}, "state": {"so long"},
	}.Encode())
	if err != nil {
		return err
	}
	if string(p.Body) != "bye so long" {
		return fmt.Errorf("arrived at %s: %s", p.URL, walk.Text(p.Body))
	}
	select {
	case t := <-j.app.told:
		if t.err != nil || t.Sid != v.Sid || t.Subject != v.Subject || v.Sid == "" {
			return fmt.Errorf("logout token for %q %q instead of %q %q: %v", t.Subject, t.Sid, v.Subject, v.Sid, t.err)
		}
	case <-time.After(time.Minute):
		return errors.New("no word by back channel within a minute")
	}
	if _, err := j.app.refresh(j.ctx, v); err == nil {
		return errors.New("tokens outlive the session")
	}
	if _, p, err := j.signIn(w, url.Values{"prompt": {"none"}}); err == nil {
		return fmt.Errorf("the session outlives the sign-out: %s", p.URL)
	}
	return nil
}
