package webtest

import (
	"crypto/tls"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// mostRedirects is where a browser gives up.
const mostRedirects = 20

// Browser is one tab. Its methods stop the test when the page does not allow what
// is asked; the answer to the last request is in its fields.
type Browser struct {
	Address string      // address and port of the client, as the server sees it
	Accept  string      // Accept-Language; "ja" at first
	Extra   http.Header // further headers of every request
	Stay    bool        // do not follow redirects

	Status int
	Header http.Header
	Body   string
	URL    *url.URL // address of the page shown, or of the redirect not followed

	t     testing.TB
	jar   http.CookieJar
	open  map[string]bool         // cookies with SameSite=None, which go along from other sites too
	hosts map[string]http.Handler // by origin
	home  string
	doc   *Node
	moved bool // URL is a redirect that was not followed
}

// New opens a browser that knows one site; relative addresses belong to it.
func New(t testing.TB, origin string, h http.Handler) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{
		Address: "198.51.100.20:40000", Accept: "ja", Extra: http.Header{},
		t: t, jar: jar, open: map[string]bool{}, hosts: map[string]http.Handler{origin: h}, home: origin,
	}
}

// Serve adds another site. Redirects to an origin that was not added are not
// followed: Location tells where they lead.
func (b *Browser) Serve(origin string, h http.Handler) { b.hosts[origin] = h }

// Tab opens another tab of the same browser: the cookies are shared.
func (b *Browser) Tab() *Browser {
	tab := *b
	tab.Extra, tab.URL, tab.doc, tab.Body, tab.Status = b.Extra.Clone(), nil, nil, "", 0
	return &tab
}

// Get opens an address, absolute or a path, as if it were typed.
func (b *Browser) Get(address string) *Browser {
	b.t.Helper()
	b.send(step{method: http.MethodGet, to: b.resolve(address), site: "none"})
	return b
}

// Post sends values as a form of the site itself would, without needing that form.
func (b *Browser) Post(address string, values url.Values) *Browser {
	b.t.Helper()
	to := b.resolve(address)
	b.send(step{method: http.MethodPost, to: to, body: values, origin: originOf(to), site: "same-origin"})
	return b
}

// ForeignPost sends a form from a page of another site. As SameSite=Lax demands, only
// cookies with SameSite=None go along.
func (b *Browser) ForeignPost(from, address string, values url.Values) *Browser {
	b.t.Helper()
	b.send(step{method: http.MethodPost, to: b.resolve(address), body: values, origin: from, site: "cross-site", bare: true})
	return b
}

// Click follows the link with this text.
func (b *Browser) Click(text string) *Browser {
	b.t.Helper()
	for _, a := range b.Page().All("a") {
		if a.Text() == text {
			to := b.resolve(a.Attr["href"])
			b.send(step{method: http.MethodGet, to: to, site: siteOf(b.URL, to)})
			return b
		}
	}
	b.t.Fatalf("no link %q on %s:\n%s", text, b.URL, b.Text())
	return b
}

// Submit presses the button with this text (or, failing that, this name or value)
// after filling in fields: alternating names and values. A field that the form does
// not have stops the test. "" presses the first button of the page.
func (b *Browser) Submit(button string, fields ...string) *Browser {
	b.t.Helper()
	form, pressed := b.form(button)
	values := form.values(pressed)
	for i := 0; i+1 < len(fields); i += 2 {
		if !form.has(fields[i]) {
			b.t.Fatalf("the form of %q has no field %q; it has %v", button, fields[i], slices.Sorted(maps.Keys(form.names())))
		}
		values.Set(fields[i], fields[i+1])
	}
	to := b.resolve(form.Attr["action"])
	from := originOf(b.URL)
	s := step{method: strings.ToUpper(form.Attr["method"]), to: to, body: values, origin: from, site: siteOf(b.URL, to), targets: b.targets()}
	if s.method != http.MethodPost {
		s.method, s.body = http.MethodGet, nil
		query := *to
		query.RawQuery = values.Encode()
		s.to = &query
	}
	if s.site == "cross-site" && s.method == http.MethodPost {
		s.bare = true
	}
	b.send(s)
	return b
}

// Location is the address of the page shown, or where a redirect leads that was not
// followed.
func (b *Browser) Location() string { return b.URL.String() }

// Left tells whether the last redirect leads out of the known sites.
func (b *Browser) Left() bool { return b.moved }

// Want stops the test when a text is not on the page.
func (b *Browser) Want(texts ...string) *Browser {
	b.t.Helper()
	for _, text := range texts {
		if !strings.Contains(b.Text(), text) {
			b.t.Fatalf("%d %s does not say %q:\n%s", b.Status, b.URL, text, b.Text())
		}
	}
	return b
}

// Refuse stops the test when a text is on the page, hidden places included.
func (b *Browser) Refuse(texts ...string) *Browser {
	b.t.Helper()
	for _, text := range texts {
		if strings.Contains(b.Text(), text) || strings.Contains(b.Body, text) {
			b.t.Fatalf("%d %s says %q:\n%s", b.Status, b.URL, text, b.Text())
		}
	}
	return b
}

// WantStatus stops the test when the answer has another status.
func (b *Browser) WantStatus(status int) *Browser {
	b.t.Helper()
	if b.Status != status {
		b.t.Fatalf("%s: status %d, want %d:\n%s", b.URL, b.Status, status, b.Text())
	}
	return b
}

// Cookie gives the value of a cookie of the home site by its full name; "" when absent.
func (b *Browser) Cookie(name string) string {
	home, err := url.Parse(b.home)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.jar.Cookies(home) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// SetCookie plants or replaces a cookie of the home site.
func (b *Browser) SetCookie(name, value string) {
	home, err := url.Parse(b.home)
	if err != nil {
		b.t.Fatal(err)
	}
	b.jar.SetCookies(home, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
}

// ForgetCookies empties the jar of this tab.
func (b *Browser) ForgetCookies() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.jar = jar
}

// step is one request to send.
type step struct {
	method  string
	to      *url.URL
	body    url.Values
	origin  string   // Origin header of a POST
	site    string   // Sec-Fetch-Site
	bare    bool     // without cookies
	targets []string // CSP form-action of the page a form stands on; nil is no limit
}

// send does a request and what follows from it.
func (b *Browser) send(s step) {
	b.t.Helper()
	for range mostRedirects {
		if s.targets != nil && !allowed(s.targets, s.to) {
			b.t.Fatalf("a browser refuses to take this form to %s: form-action is %v", s.to, s.targets)
		}
		handler := b.hosts[originOf(s.to)]
		if handler == nil {
			b.URL, b.moved, b.doc = s.to, true, nil
			return
		}
		b.one(handler, s)
		next := b.Header.Get("Location")
		if b.Status < 300 || b.Status > 399 || next == "" {
			return
		}
		to, err := s.to.Parse(next)
		if err != nil {
			b.t.Fatalf("%s redirects to %q: %v", s.to, next, err)
		}
		if b.Stay {
			b.URL, b.moved = to, true
			return
		}
		if siteOf(s.to, to) == "cross-site" && s.site != "none" {
			s.site = "cross-site"
		}
		if b.Status != http.StatusTemporaryRedirect && b.Status != http.StatusPermanentRedirect {
			s.method, s.body, s.origin, s.bare = http.MethodGet, nil, "", false
		}
		s.to = to
	}
	b.t.Fatalf("more than %d redirects, the last to %s", mostRedirects, s.to)
}

// one does one request.
func (b *Browser) one(h http.Handler, s step) {
	var body io.Reader
	if s.method == http.MethodPost {
		body = strings.NewReader(s.body.Encode())
	}
	r := httptest.NewRequest(s.method, s.to.String(), body)
	r.RemoteAddr = b.Address
	if s.to.Scheme == "https" && r.TLS == nil {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13}
	}
	maps.Copy(r.Header, b.Extra)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Accept-Language", b.Accept)
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) webtest")
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", s.site)
	if s.method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", s.origin)
	}
	for _, c := range b.jar.Cookies(s.to) {
		if !s.bare || b.open[originOf(s.to)+" "+c.Name] {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	answer := w.Result()
	for _, c := range answer.Cookies() {
		if strings.HasPrefix(c.Name, "__Host-") && (!c.Secure || c.Path != "/" || c.Domain != "" || s.to.Scheme != "https") {
			b.t.Fatalf("a browser refuses the cookie %s", c.Name)
		}
		b.open[originOf(s.to)+" "+c.Name] = c.SameSite == http.SameSiteNoneMode && c.Secure
	}
	b.jar.SetCookies(s.to, answer.Cookies())
	b.Status, b.Header, b.Body, b.URL, b.moved, b.doc = answer.StatusCode, answer.Header, w.Body.String(), s.to, false, nil
}

// resolve makes an address absolute: against the page shown, or the home site.
func (b *Browser) resolve(address string) *url.URL {
	b.t.Helper()
	base, err := url.Parse(b.home + "/")
	if b.URL != nil && !b.moved {
		base = b.URL
	}
	if err == nil {
		var to *url.URL
		if to, err = base.Parse(address); err == nil {
			if address == "" {
				to = base // an empty action is the page's own address
			}
			to.Fragment = ""
			return to
		}
	}
	b.t.Fatalf("address %q: %v", address, err)
	return nil
}

// targets are the form-action sources of the page shown.
func (b *Browser) targets() []string {
	for _, directive := range strings.Split(b.Header.Get("Content-Security-Policy"), ";") {
		words := strings.Fields(directive)
		if len(words) > 0 && words[0] == "form-action" {
			if i := slices.Index(words, "'self'"); i > 0 { // of this page, also after a redirect
				words[i] = originOf(b.URL)
			}
			return words
		}
	}
	return nil
}

// allowed tells whether CSP form-action lets a form, or a redirect after it, go
// somewhere (CSP 3, 6.4.1; redirects as Chromium checks them).
func allowed(sources []string, to *url.URL) bool {
	for _, source := range sources[1:] {
		switch {
		case source == to.Scheme+":", source == originOf(to):
			return true
		}
	}
	return false
}

// originOf gives scheme, host and port.
func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host }

// siteOf says what Sec-Fetch-Site would: different hosts count as different sites.
func siteOf(from, to *url.URL) string {
	if from != nil && originOf(from) == originOf(to) {
		return "same-origin"
	}
	return "cross-site"
}
