package webtest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const home = "https://gate.example"

// playground is a small site with a form, a redirect out and cookies.
func playground() http.Handler {
	mux := http.NewServeMux()
	page := func(w http.ResponseWriter, body string) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self' https://app.example")
		fmt.Fprintf(w, "<!doctype html><html><head><title>x</title></head><body>%s</body></html>", body)
	}
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "__Host-a", Value: "1", Path: "/", Secure: true})
		page(w, `<h1>Hello&nbsp;&amp; welcome</h1><p hidden>secret</p><p>from `+r.RemoteAddr+`</p><a href="/next?x=1&amp;y=2">Next</a>
<form method="post" action="/form"><input type="hidden" name="pass" value="p&quot;1"><input name="user" required><input type="radio" name="kind" value="totp" checked><input type="radio" name="kind" value="mail">
<select name="s"><option value="1">1<option value="2" selected>2</select><textarea name="why">because</textarea>
<button>Go</button><button name="way" value="out">Out</button><button type="button">No</button></form>`)
	})
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("__Host-a"); err != nil || c.Value != "1" {
			http.Error(w, "no cookie", http.StatusForbidden)
			return
		}
		if r.PostFormValue("way") == "out" {
			http.Redirect(w, r, "https://"+r.PostFormValue("user")+"/cb?code=1", http.StatusSeeOther)
			return
		}
		page(w, "<p>"+r.PostForm.Encode()+" "+r.Header.Get("Origin")+" "+r.Header.Get("Sec-Fetch-Site")+"</p>")
	})
	mux.HandleFunc("GET /next", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/?again", http.StatusFound) })
	return mux
}

func TestBrowserFillsFormsAndFollows(t *testing.T) {
	b := New(t, home, playground())
	b.Address = "203.0.113.9:1"
	b.Get("/").Want("Hello & welcome", "from 203.0.113.9:1")
	if strings.Contains(b.Text(), "secret") {
		t.Error("hidden text is read")
	}
	if b.Field("pass") != `p"1` || !b.Has("Go") || b.Cookie("__Host-a") != "1" {
		t.Error(b.Field("pass"), b.Cookie("__Host-a"))
	}
	b.Submit("Go", "user", "s1").Want("kind=totp&pass=p%221&s=2&user=s1&why=because", home, "same-origin")
	b.Get("/").Click("Next")
	if b.Location() != home+"/?again" || b.Left() {
		t.Error(b.Location())
	}
	b.Submit("Out", "user", "app.example")
	if b.Location() != "https://app.example/cb?code=1" || !b.Left() {
		t.Error(b.Location())
	}
	b.Get("/").ForeignPost("https://evil.example", "/form", nil).WantStatus(http.StatusForbidden)
	tab := b.Tab()
	tab.Post("/form", map[string][]string{"way": {"x"}}).WantStatus(http.StatusOK)
	tab.ForgetCookies()
	tab.Post("/form", nil).WantStatus(http.StatusForbidden)
}

// probe records that a test would have stopped.
type probe struct {
	testing.TB
	failed string
}

func (p *probe) Helper() {}
func (p *probe) Fatalf(format string, args ...any) {
	p.failed = fmt.Sprintf(format, args...)
	panic(p)
}

func TestBrowserRefusesWhatBrowsersRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		act  func(b *Browser)
		want string
	}{
		"form to a place CSP forbids": {func(b *Browser) { b.Get("/").Submit("Out", "user", "evil.example") }, "form-action"},
		"field that is not there":     {func(b *Browser) { b.Get("/").Submit("Go", "nobody", "x") }, `no field "nobody"`},
		"button that is not there":    {func(b *Browser) { b.Get("/").Submit("Leave") }, `no button "Leave"`},
		"link that is not there":      {func(b *Browser) { b.Get("/").Click("Leave") }, `no link "Leave"`},
		"text that is not there":      {func(b *Browser) { b.Get("/").Want("Goodbye") }, `does not say "Goodbye"`},
		"text that is there":          {func(b *Browser) { b.Get("/").Refuse("secret") }, `says "secret"`},
	} {
		t.Run(name, func(t *testing.T) {
			p := &probe{TB: t}
			b := New(t, home, playground())
			b.t = p
			defer func() {
				if recover() == nil || !strings.Contains(p.failed, c.want) {
					t.Errorf("got %q, want %q", p.failed, c.want)
				}
			}()
			c.act(b)
		})
	}
}
