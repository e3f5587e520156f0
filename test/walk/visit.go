package walk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Page is where a browser came to rest.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   []byte
	// Asked names what the gate asked for on the way: "username", the kinds of
	// factors, "agree", "consent".
	Asked []string
	// Posted tells that the last step was a form_post page of the gate.
	Posted bool
}

// Visit goes to an address and follows where it leads: redirects, sign-in pages,
// which are filled in, and form_post pages, whose form is sent as their script
// would. It stops at any other page.
func (w *Walker) Visit(ctx context.Context, address string) (Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Page{}, err
	}
	return w.follow(req, false)
}

// Post sends a form from a page of another site, with which browsers send no
// SameSite cookies, and goes on like Visit.
func (w *Walker) Post(ctx context.Context, from, address string, form url.Values) (Page, error) {
	req, err := formRequest(ctx, address, from, form)
	if err != nil {
		return Page{}, err
	}
	return w.follow(req, true)
}

// Press sends the first form of a page that its own site is to receive.
func (w *Walker) Press(ctx context.Context, p Page) (Page, error) {
	_, tag, found := strings.Cut(string(p.Body), "<form ")
	if !found {
		return p, errors.New("walk: no form at " + p.URL.Path + ": " + Text(p.Body))
	}
	tag, _, _ = strings.Cut(tag, ">")
	to, err := p.URL.Parse(attribute(" "+tag, "action"))
	if err != nil {
		return p, err
	}
	req, err := formRequest(ctx, to.String(), origin(p.URL), Hidden(p.Body))
	if err != nil {
		return p, err
	}
	return w.follow(req, false)
}

func formRequest(ctx context.Context, address, from string, form url.Values) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", from)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if from == origin(req.URL) {
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return req, nil
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// follow goes on until a page is none of the gate's sign-in pages. bare leaves the
// cookies of the first request out.
func (w *Walker) follow(req *http.Request, bare bool) (Page, error) {
	ctx := req.Context()
	var p Page
	for range 3 * maxSteps {
		res, err := w.once(req, bare)
		if err != nil {
			return p, err
		}
		bare = false
		p.URL, p.Status, p.Header, p.Body = res.url, res.status, res.header, res.body
		if to := res.header.Get("Location"); res.status >= 300 && res.status < 400 && to != "" {
			next, err := req.URL.Parse(to)
			if err != nil {
				return p, err
			}
			if req, err = http.NewRequestWithContext(ctx, http.MethodGet, next.String(), nil); err != nil {
				return p, err
			}
			continue
		}
		if origin(p.URL) != w.gate.Origin || p.Status != http.StatusOK {
			return p, nil
		}
		if bytes.Contains(p.Body, []byte(`<form id="response"`)) {
			_, tag, _ := strings.Cut(string(p.Body), `<form id="response"`)
			tag, _, _ = strings.Cut(tag, ">")
			p.Posted, bare = true, true
			if req, err = formRequest(ctx, attribute(tag, "action"), w.gate.Origin, Hidden(p.Body)); err != nil {
				return p, err
			}
			continue
		}
		if !strings.HasPrefix(p.URL.Path, "/login/") {
			return p, nil
		}
		asked, form, err := w.fill(p)
		if err != nil {
			return p, err
		}
		p.Asked = append(p.Asked, asked)
		if req, err = formRequest(ctx, p.URL.String(), w.gate.Origin, form); err != nil {
			return p, err
		}
	}
	return p, fmt.Errorf("walk: no end in sight at %s: %s", p.URL, Text(p.Body))
}

type answer struct {
	url    *url.URL
	status int
	header http.Header
	body   []byte
}

func (w *Walker) once(req *http.Request, bare bool) (*answer, error) {
	for k, v := range w.Header {
		req.Header[k] = v
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	}
	client := w.http
	if bare {
		plain := *w.http
		plain.Jar = nil
		client = &plain
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if bare {
		w.http.Jar.SetCookies(req.URL, res.Cookies())
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return &answer{req.URL, res.StatusCode, res.Header, body}, err
}

// fill answers one page of a sign-in and names what it asked for.
func (w *Walker) fill(p Page) (asked string, form url.Values, err error) {
	form = Hidden(p.Body)
	kind := form.Get("kind")
	switch {
	case kind == "" && has(p.Body, "username"):
		form.Set("username", w.person.User)
		return "username", form, nil
	case kind == "password":
		form.Set("password", w.person.Password)
		return kind, form, nil
	case kind == "totp" && w.person.Code != nil:
		form.Set("code", w.person.Code())
		return kind, form, nil
	case has(p.Body, "agree"):
		form.Set("agree", "1")
		return "agree", form, nil
	case has(p.Body, "attribute"):
		form["attribute"] = values(p.Body, "attribute")
		return "consent", form, nil
	}
	return "", nil, fmt.Errorf("walk: cannot answer the page at %s: %s", p.URL.Path, Text(p.Body))
}

// values collects what the inputs of one name hold, hidden or to be chosen.
func values(body []byte, name string) []string {
	var out []string
	for page := string(body); ; {
		_, rest, found := strings.Cut(page, "<input ")
		if !found {
			return out
		}
		tag, after, _ := strings.Cut(rest, ">")
		if attribute(" "+tag, "name") == name {
			out = append(out, attribute(" "+tag, "value"))
		}
		page = after
	}
}
