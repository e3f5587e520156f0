package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"

	"seimon/test/campus"
	"seimon/test/walk"
)

// seen is what an attacker sees of one try.
type seen struct {
	named, proved   time.Duration // time of the answers to the user name and to the password
	page, answer    string        // what was shown, without what differs from try to try
	status, headers string
}

// attacker is one browser.
type attacker struct {
	attack *attack
	http   *http.Client
	user   string
}

// attacker comes from another address every few tries, so that only the names are throttled.
func (a *attack) attacker(user string) (*attacker, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	gate := a.campus.Gate
	gate.From = fmt.Sprintf("127.0.%d.%d", 10+a.asked/50/250, 1+a.asked/50%250)
	a.asked++
	return &attacker{attack: a, user: user, http: &http.Client{
		Transport: gate.Transport(), Jar: jar, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// try gives a wrong password for a user name in a fresh browser.
func (a *attack) try(user string) (seen, error) {
	w, err := a.attacker(user)
	if err != nil {
		return seen{}, err
	}
	defer w.http.CloseIdleConnections()
	client := a.campus.Client(campus.Open)
	q := url.Values{
		"response_type": {"code"}, "client_id": {client.ID}, "redirect_uri": {client.RedirectURI}, "scope": {"openid"}, "state": {"s"},
		"code_challenge_method": {"S256"}, "code_challenge": {"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"},
	}
	at, _, err := w.send("GET", "/oidc/authorize?"+q.Encode(), nil)
	if err != nil {
		return seen{}, err
	}
	path := at.Header.Get("Location")
	var out seen
	_, page, err := w.send("GET", path, nil)
	if err != nil {
		return out, err
	}
	form := walk.Hidden(page)
	form.Set("username", user)
	begun := time.Now()
	if _, _, err = w.send("POST", path, form); err != nil {
		return out, err
	}
	out.named = time.Since(begun)
	if _, page, err = w.send("GET", path, nil); err != nil {
		return out, err
	}
	out.page = w.plain(page, path)
	form = walk.Hidden(page)
	form.Set("password", "this-is-"+rand.Text()) // never anybody's, always as long
	begun = time.Now()
	res, page, err := w.send("POST", path, form)
	if err != nil {
		return out, err
	}
	out.proved = time.Since(begun)
	out.answer, out.status, out.headers = w.plain(page, path), res.Status, headers(res)
	return out, nil
}

func (w *attacker) send(method, path string, form url.Values) (*http.Response, []byte, error) {
	origin := w.attack.campus.Gate.Origin
	if strings.HasPrefix(path, "/") {
		path = origin + path
	}
	req, err := http.NewRequestWithContext(context.Background(), method, path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, nil, err
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", origin)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := w.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 500 {
		err = fmt.Errorf("%s answered %s", path, res.Status)
	}
	return res, body, err
}

// plain takes out of a page what differs between any two sign-ins: the name as it
// was typed, the transaction, its pass, the support code and the clock.
func (w *attacker) plain(page []byte, path string) string {
	text := string(page)
	for name, values := range walk.Hidden(page) {
		if name == "pass" {
			text = strings.ReplaceAll(text, values[0], "PASS")
		}
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, path, "PATH"), w.user, "USER")
	return codes.ReplaceAllString(clock.ReplaceAllString(text, "CLOCK"), "CODE")
}

func headers(res *http.Response) string {
	var out []string
	for name, values := range res.Header {
		switch name {
		case "X-Request-Id", "Date", "Content-Length":
			values = []string{"…"}
		}
		out = append(out, name+": "+strings.Join(values, ","))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
