// Command modcas is a peer of the lab: mod_auth_cas in Apache, driven as a person's
// browser would and, for the first sign-in, in Chromium itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"seimon/test/lab/stand"
	"seimon/test/walk"
)

func main() {
	s, err := stand.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := stand.NewReport("mod_auth_cas")
	a, err := prepare(s)
	if !r.Check("Apache starts", func() error {
		if err != nil {
			return err
		}
		return a.start(s)
	}) {
		r.Exit()
	}
	j := &journey{stand: s, apache: a, tr: s.Transport()}
	good := true
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"password on campus, attributes", j.campus},
		{"password and one-time code from home", j.home},
		{"an address with a query comes back whole", j.query},
		{"sign-out at the gate reaches the application", j.told},
		{"the walk in Chromium", j.chromium},
	} {
		good = r.Check(c.name, c.do) && good
	}
	if !good {
		fmt.Println(a.Log())
	}
	a.Stop()
	r.Exit()
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
	if p, err = w.Visit(context.Background(), j.stand.SSO+"/signout"); err == nil {
		_, err = w.Press(context.Background(), p)
	}
	if err != nil {
		return err
	}
	for range 75 {
		p, err := w.Visit(context.Background(), j.apache.Origin+"/secure/")
		if err != nil {
			return err
		}
		if slices.Contains(p.Asked, "password") {
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return errors.New("the application still knows the session after 15 s")
}

// chromium walks the same in a real browser, with TLS and dotted names.
func (j *journey) chromium() error {
	who := j.stand.Take(true)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join(os.Args[1], "modcas", "chromium.mjs"))
	cmd.Env = append(os.Environ(), "APP="+j.apache.Origin+"/secure/", "SAYS=secure", "WHO="+who.User, "PASSWORD="+who.Password, "SECRET="+who.TOTPSecret)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
