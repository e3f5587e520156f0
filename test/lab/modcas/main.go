// Command modcas is a peer of the lab: mod_auth_cas in Apache, driven as a person's
// browser would and, for the first sign-in, in Chromium itself.
package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"seimon/test/lab/apache"
	"seimon/test/lab/stand"
	"seimon/test/walk"
)

func main() {
	apache.Play("mod_auth_cas", func(s *stand.Stand) (*apache.Server, []apache.Walk, error) {
		a, err := prepare(s)
		if err == nil {
			err = a.start(s)
		}
		if err != nil {
			return nil, nil, err
		}
		j := &journey{stand: s, apache: a, tr: s.Transport()}
		return a.Server, []apache.Walk{
			{Name: "password on campus, attributes", Do: j.campus},
			{Name: "password and one-time code from home", Do: j.home},
			{Name: "one more step when a session from campus comes home", Do: j.step},
			{Name: "an address with a query comes back whole", Do: j.query},
			{Name: "sign-out at the gate reaches the application", Do: j.told},
			{Name: "the walk in Chromium", Do: j.chromium},
		}, nil
	})
}

// journey is what people do at the application.
type journey struct {
	stand  *stand.Stand
	apache *web
	tr     http.RoundTripper
}

func (j *journey) signIn(w *walk.Walker, path string) (walk.Page, error) {
	at := j.apache.Origin + path
	p, err := w.Visit(context.Background(), at)
	if err == nil && (p.Status != http.StatusOK || p.URL.String() != at) {
		err = fmt.Errorf("arrived at %s with %d: %s", p.URL, p.Status, walk.Text(p.Body))
	}
	return p, err
}

func (j *journey) campus() error {
	who := j.stand.Take(false)
	p, err := j.signIn(j.stand.Browser(j.tr, who, "campus"), "/secure/")
	if err != nil {
		return err
	}
	if p.Header.Get("X-User") != who.User || p.Header.Get("Cas-Acr") != "aal1" || p.Header.Get("Cas-Mail") == "" || slices.Contains(p.Asked, "totp") {
		return fmt.Errorf("user %q, acr %q, mail %q, asked %v", p.Header.Get("X-User"), p.Header.Get("Cas-Acr"), p.Header.Get("Cas-Mail"), p.Asked)
	}
	return nil
}

func (j *journey) home() error {
	who := j.stand.Take(true)
	p, err := j.signIn(j.stand.Browser(j.tr, who, "home"), "/secure/")
	if err != nil {
		return err
	}
	if p.Header.Get("X-User") != who.User || p.Header.Get("Cas-Acr") != "aal2" || !slices.Contains(p.Asked, "totp") {
		return fmt.Errorf("user %q, acr %q, asked %v", p.Header.Get("X-User"), p.Header.Get("Cas-Acr"), p.Asked)
	}
	return nil
}

func (j *journey) step() error {
	who := j.stand.Take(true)
	w := j.stand.Browser(j.tr, who, "campus")
	p, err := w.Visit(context.Background(), j.stand.SSO+"/portal")
	if err != nil || !slices.Contains(p.Asked, "password") {
		return fmt.Errorf("on campus: asked %v %w", p.Asked, err)
	}
	w.Header.Set("X-Demo-Network", "home")
	p, err = j.signIn(w, "/secure/")
	if err != nil {
		return err
	}
	if p.Header.Get("X-User") != who.User || p.Header.Get("Cas-Acr") != "aal2" || !slices.Equal(p.Asked, []string{"totp"}) {
		return fmt.Errorf("user %q, acr %q, asked %v", p.Header.Get("X-User"), p.Header.Get("Cas-Acr"), p.Asked)
	}
	return nil
}

func (j *journey) query() error {
	_, err := j.signIn(j.stand.Browser(j.tr, j.stand.Take(false), "campus"), "/secure/index.html?page=7&word=a%2Bb")
	return err
}

func (j *journey) told() error {
	w := j.stand.Browser(j.tr, j.stand.Take(false), "campus")
	if _, err := j.signIn(w, "/secure/"); err != nil {
		return err
	}
	p, err := j.signIn(w, "/secure/")
	if err != nil || len(p.Asked) > 0 {
		return fmt.Errorf("the application keeps no session: asked %v, %w", p.Asked, err)
	}
	if err := j.stand.SignOut(w); err != nil {
		return err
	}
	return stand.Until("the application knows nobody", func() (bool, error) {
		p, err := w.Visit(context.Background(), j.apache.Origin+"/secure/")
		return slices.Contains(p.Asked, "password"), err
	})
}

func (j *journey) chromium() error {
	return apache.Chromium(j.apache.Origin+"/secure/", "secure", j.stand.Take(true))
}
