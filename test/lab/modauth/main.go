// Command modauth is a peer of the lab: mod_auth_openidc in Apache, as two relying
// parties. Debian's module falls over its own private_key_jwt, so both have secrets.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"seimon/test/lab/apache"
	"seimon/test/lab/stand"
	"seimon/test/walk"
)

func main() {
	apache.Play("mod_auth_openidc", func(s *stand.Stand) (*apache.Server, []apache.Walk, error) {
		a, err := prepare(s)
		if err == nil {
			err = a.Start(config, a, func() error { return a.register(s) })
		}
		if err != nil {
			return nil, nil, err
		}
		var walks []apache.Walk
		for _, v := range a.Sites {
			j := &journey{stand: s, site: v, tr: s.Transport()}
			how := v.Method + ", " + v.Algorithm + ": "
			walks = append(walks,
				apache.Walk{Name: how + "password on campus, PKCE, userinfo", Do: j.campus},
				apache.Walk{Name: how + "password and one-time code from home", Do: j.home},
				apache.Walk{Name: how + "refresh", Do: j.refresh},
				apache.Walk{Name: how + "sign-out at the application reaches the gate", Do: j.leave},
				apache.Walk{Name: how + "sign-out at the gate reaches the application by back channel", Do: j.told},
			)
		}
		return a.Server, walks, nil
	})
}

// journey is what people do at one of the applications.
type journey struct {
	stand *stand.Stand
	site  *site
	tr    http.RoundTripper
}

func (j *journey) signIn(w *walk.Walker) (walk.Page, error) {
	p, err := w.Visit(context.Background(), j.site.Origin+"/secure/")
	if err == nil && (p.Status != http.StatusOK || p.URL.String() != j.site.Origin+"/secure/") {
		err = fmt.Errorf("arrived at %s with %d: %s", p.URL, p.Status, walk.Text(p.Body))
	}
	return p, err
}

func (j *journey) campus() error {
	who := j.stand.Take(false)
	p, err := j.signIn(j.stand.Browser(j.tr, who, "campus"))
	if err != nil {
		return err
	}
	if p.Header.Get("X-User") != who.User || p.Header.Get("X-ACR") != "aal1" || slices.Contains(p.Asked, "totp") {
		return fmt.Errorf("user %q, acr %q, asked %v", p.Header.Get("X-User"), p.Header.Get("X-ACR"), p.Asked)
	}
	return nil
}

func (j *journey) home() error {
	who := j.stand.Take(true)
	p, err := j.signIn(j.stand.Browser(j.tr, who, "home"))
	if err != nil {
		return err
	}
	if p.Header.Get("X-User") != who.User || p.Header.Get("X-ACR") != "aal2" || !slices.Contains(p.Asked, "totp") {
		return fmt.Errorf("user %q, acr %q, asked %v", p.Header.Get("X-User"), p.Header.Get("X-ACR"), p.Asked)
	}
	return nil
}

// info is what the module tells about the browser's session.
type info struct {
	AccessToken  string         `json:"access_token"`
	RefreshToken string         `json:"refresh_token"`
	UserInfo     map[string]any `json:"userinfo"`
	IDToken      map[string]any `json:"id_token"`
}

func (j *journey) info(w *walk.Walker) (*info, int, error) {
	p, err := w.Visit(context.Background(), j.site.Origin+"/secure/callback?info=json")
	if err != nil || p.Status != http.StatusOK {
		return nil, p.Status, err
	}
	out := &info{}
	return out, p.Status, json.Unmarshal(p.Body, out)
}

func (j *journey) refresh() error {
	w := j.stand.Browser(j.tr, j.stand.Take(false), "campus")
	if _, err := j.signIn(w); err != nil {
		return err
	}
	was, status, err := j.info(w)
	if err != nil || was == nil || was.RefreshToken == "" {
		return fmt.Errorf("no refresh token: %d %v", status, err)
	}
	p, err := w.Visit(context.Background(), j.site.Origin+"/secure/callback?"+url.Values{
		"refresh": {j.site.Origin + "/secure/"}, "access_token": {was.AccessToken},
	}.Encode())
	if err != nil {
		return err
	}
	if p.URL.RawQuery != "" || len(p.Asked) > 0 {
		return fmt.Errorf("the module reports %s, asked %v", p.URL.RawQuery, p.Asked)
	}
	is, status, err := j.info(w)
	if err != nil || is == nil || is.AccessToken == was.AccessToken || is.RefreshToken == was.RefreshToken {
		return fmt.Errorf("the tokens are the old ones: %d %v", status, err)
	}
	return nil
}

func (j *journey) leave() error {
	w := j.stand.Browser(j.tr, j.stand.Take(false), "campus")
	if _, err := j.signIn(w); err != nil {
		return err
	}
	p, err := w.Visit(context.Background(), j.site.Origin+"/secure/callback?logout="+url.QueryEscape(j.site.Origin+"/bye.html"))
	if err != nil {
		return err
	}
	if string(p.Body) != "bye" {
		return fmt.Errorf("arrived at %s: %s", p.URL, walk.Text(p.Body))
	}
	if p, err = j.signIn(w); err != nil {
		return err
	}
	if !slices.Contains(p.Asked, "password") {
		return errors.New("the session at the gate lives on")
	}
	return nil
}

func (j *journey) told() error {
	w := j.stand.Browser(j.tr, j.stand.Take(false), "campus")
	if _, err := j.signIn(w); err != nil {
		return err
	}
	if _, status, err := j.info(w); status != http.StatusOK {
		return fmt.Errorf("no session at the application: %d %v", status, err)
	}
	if err := j.stand.SignOut(w); err != nil {
		return err
	}
	return stand.Until("the application knows nobody", func() (bool, error) {
		_, status, err := j.info(w)
		return status == http.StatusUnauthorized, err
	})
}
