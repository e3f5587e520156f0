// Command phpcas is a peer of the lab: phpCAS, the client of Moodle and its kind, in
// Apache. It speaks every version of the protocol, enters a second application for
// people by proxy tickets, and is told of the end of a session.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"seimon/test/lab/apache"
	"seimon/test/lab/stand"
	"seimon/test/walk"
)

func main() {
	apache.Play("phpCAS", func(s *stand.Stand) (*apache.Server, []apache.Walk, error) {
		a, err := prepare(s)
		if err == nil {
			err = a.Start(config, a, func() error { return a.register(s) })
		}
		if err != nil {
			return nil, nil, err
		}
		j := &journey{stand: s, web: a, tr: s.Transport(), who: s.Take(false)}
		return a.Server, []apache.Walk{
			{Name: "password on campus, attributes in Japanese", Do: j.campus},
			{Name: "password and one-time code from home", Do: j.home},
			{Name: "one more step when the session from campus comes home", Do: j.step},
			{Name: "CAS 1.0, CAS 2 and SAML 1.1", Do: j.versions},
			{Name: "gateway without and with a session", Do: j.gateway},
			{Name: "renew", Do: j.renew},
			{Name: "another application is entered by a proxy ticket, and knows by whom", Do: j.proxy},
			{Name: "an application that takes no proxies is not entered", Do: j.closed},
			{Name: "sign-out at the application leads back to it", Do: j.leave},
			{Name: "sign-out at the gate reaches both applications", Do: j.told},
			{Name: "the walk in Chromium", Do: j.chromium},
		}, nil
	})
}

// journey is what people do at the application.
type journey struct {
	stand *stand.Stand
	web   *web
	tr    http.RoundTripper
	who   stand.Person // on campus, where no one-time codes meet
}

// told is what the application learnt.
type told struct {
	User       string
	Attributes map[string]any
	Proxies    []string
	Behind     *struct {
		User    string
		Proxies []string
		Refused string
	}
	asked []string
}

// see opens a page of the application and reads what it tells.
func (j *journey) see(w *walk.Walker, page string) (t told, err error) {
	p, err := w.Visit(context.Background(), j.web.Front+"/app/"+page)
	if err != nil {
		return t, err
	}
	if p.Status != http.StatusOK || !strings.HasPrefix(p.URL.String(), j.web.Front) || strings.Contains(p.URL.RawQuery, "ticket=") {
		return t, fmt.Errorf("arrived at %s with %d: %s", p.URL, p.Status, walk.Text(p.Body))
	}
	if err := json.Unmarshal(p.Body, &t); err != nil {
		return t, fmt.Errorf("%w: %s", err, p.Body)
	}
	t.asked = p.Asked
	return t, nil
}

func (j *journey) campus() error {
	who := j.who
	t, err := j.see(j.stand.Browser(j.tr, who, "campus"), "index.php?course=7&word=a%2Bb")
	name, _ := t.Attributes["displayName_ja"].(string)
	if err != nil || t.User != who.User || t.Attributes["acr"] != "aal1" || t.Attributes["mail"] == nil || !strings.ContainsFunc(name, func(r rune) bool { return r > 0x3000 }) || slices.Contains(t.asked, "totp") {
		return fmt.Errorf("%+v %w", t, err)
	}
	return nil
}

func (j *journey) home() error {
	who := j.stand.Take(true)
	t, err := j.see(j.stand.Browser(j.tr, who, "home"), "index.php")
	if err != nil || t.User != who.User || t.Attributes["acr"] != "aal2" || !slices.Contains(t.asked, "totp") {
		return fmt.Errorf("%+v %w", t, err)
	}
	return nil
}

func (j *journey) step() error {
	who := j.stand.Take(true)
	w := j.stand.Browser(j.tr, who, "campus")
	t, err := j.see(w, "index.php")
	if err != nil || t.Attributes["acr"] != "aal1" {
		return fmt.Errorf("on campus: %+v %w", t, err)
	}
	w.Header.Set("X-Demo-Network", "home")
	if t, err = j.see(w, "index.php?page=2"); err != nil || len(t.asked) > 0 || t.Attributes["acr"] != "aal1" {
		return fmt.Errorf("the application's own session: %+v %w", t, err)
	}
	// PHP keeps one session for the whole host, so the other application asks.
	p, err := w.Visit(context.Background(), j.web.Back+"/app/index.php")
	if err != nil || !slices.Equal(p.Asked, []string{"totp"}) || !strings.Contains(string(p.Body), `"acr":"aal2"`) {
		return fmt.Errorf("asked %v: %s %w", p.Asked, p.Body, err)
	}
	return nil
}

func (j *journey) versions() error {
	for _, page := range []string{"one.php", "two.php", "saml.php"} {
		who := j.who
		t, err := j.see(j.stand.Browser(j.tr, who, "campus"), page)
		if err != nil || t.User != who.User {
			return fmt.Errorf("%s: %+v %w", page, t, err)
		}
		if mail, _ := t.Attributes["mail"].(string); page == "saml.php" && !strings.Contains(mail, "@") {
			return fmt.Errorf("no attributes in SAML 1.1: %+v", t)
		}
	}
	return nil
}

func (j *journey) gateway() error {
	who := j.who
	w := j.stand.Browser(j.tr, who, "campus")
	t, err := j.see(w, "index.php?gateway=1")
	if err != nil || t.User != "" || len(t.asked) > 0 {
		return fmt.Errorf("nobody is signed in: %+v %w", t, err)
	}
	if _, err := w.Visit(context.Background(), j.stand.SSO+"/portal"); err != nil {
		return err
	}
	p, err := w.Visit(context.Background(), j.web.Back+"/app/index.php?gateway=1")
	if err != nil || len(p.Asked) > 0 || !strings.Contains(string(p.Body), `"user":"`+who.User+`"`) {
		return fmt.Errorf("asked %v: %s %w", p.Asked, p.Body, err)
	}
	return nil
}

func (j *journey) renew() error {
	who := j.who
	w := j.stand.Browser(j.tr, who, "campus")
	if _, err := w.Visit(context.Background(), j.stand.SSO+"/portal"); err != nil {
		return err
	}
	t, err := j.see(w, "index.php?renew=1")
	if err != nil || t.User != who.User || !slices.Contains(t.asked, "password") || t.Attributes["isFromNewLogin"] != "true" {
		return fmt.Errorf("%+v %w", t, err)
	}
	return nil
}

func (j *journey) proxy() error {
	who := j.who
	t, err := j.see(j.stand.Browser(j.tr, who, "campus"), "front.php")
	if err != nil || t.User != who.User || t.Behind == nil || t.Behind.User != who.User || !slices.Equal(t.Behind.Proxies, []string{j.web.Front + "/app/front.php"}) {
		return fmt.Errorf("%+v behind: %+v %w", t, t.Behind, err)
	}
	return nil
}

func (j *journey) closed() error {
	t, err := j.see(j.stand.Browser(j.tr, j.who, "campus"), "front.php?to="+j.web.Front+"/app/two.php")
	if err != nil || t.User == "" || t.Behind == nil || t.Behind.User != "" || t.Behind.Refused == "" {
		return fmt.Errorf("%+v behind: %+v %w", t, t.Behind, err)
	}
	return nil
}

func (j *journey) leave() error {
	w := j.stand.Browser(j.tr, j.who, "campus")
	if _, err := j.see(w, "index.php"); err != nil {
		return err
	}
	p, err := w.Visit(context.Background(), j.web.Front+"/app/index.php?logout=1")
	if err == nil {
		p, err = w.Press(context.Background(), p)
	}
	if err != nil || p.URL.String() != j.web.Front+"/app/bye.html" {
		return fmt.Errorf("arrived at %s: %s %w", p.URL, walk.Text(p.Body), err)
	}
	t, err := j.see(w, "index.php")
	if err != nil || !slices.Contains(t.asked, "password") {
		return fmt.Errorf("the session at the gate lives on: %+v %w", t, err)
	}
	return nil
}

func (j *journey) told() error {
	w := j.stand.Browser(j.tr, j.who, "campus")
	pages := []string{j.web.Front + "/app/index.php", j.web.Back + "/app/index.php"}
	for range 2 {
		for i, page := range pages {
			p, err := w.Visit(context.Background(), page)
			if err != nil || p.URL.String() != page {
				return fmt.Errorf("arrived at %s: %w", p.URL, err)
			}
			if i > 0 && len(p.Asked) > 0 {
				return fmt.Errorf("asked %v", p.Asked)
			}
		}
	}
	if err := j.stand.SignOut(w); err != nil {
		return err
	}
	// A look that signs nobody in: each application knows nobody any more.
	return stand.Until("no application knows the session", func() (bool, error) {
		known := 0
		for _, page := range pages {
			p, err := w.Visit(context.Background(), page+"?gateway=1")
			if err != nil {
				return false, err
			}
			if !strings.Contains(string(p.Body), `"user":""`) {
				known++
			}
		}
		return known == 0, nil
	})
}

func (j *journey) chromium() error {
	who := j.stand.Take(true)
	return apache.Chromium(j.web.Front+"/app/index.php", `"user":"`+who.User+`"`, who)
}
