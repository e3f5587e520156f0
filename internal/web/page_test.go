package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestSecurityHeaders(t *testing.T) {
	s, _ := testSite(t, nil)
	add(t, s, `{{define "a.page"}}x{{end}}`)
	s.Page("GET /page", func(w http.ResponseWriter, r *http.Request) error {
		return s.Render(w, r, View{
			Template: "a.page", Title: "web.notice", Party: &Party{Name: "P", LogoURL: "https://cdn.example/l.png?x;script-src *"},
			FormAction: []string{"https://app.example/cb?x=1", "https://app.example/other", "com.example.app:/cb", "https://x; script-src *", "javascript:alert(1)", "https:", "/local", "https://bücher.example/"},
		})
	})
	s.Machine("GET /machine", func(w http.ResponseWriter, r *http.Request) error { return nil })
	common := map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		"Strict-Transport-Security": "max-age=31536000", "X-Frame-Options": "DENY",
	}
	page, machine := ask(s, "GET", "/page"), ask(s, "GET", "/machine", header("Accept-Language", "en"))
	for name, want := range common {
		for _, w := range []string{page.Header().Get(name), machine.Header().Get(name), ask(s, "GET", "/none").Header().Get(name)} {
			if w != want {
				t.Errorf("%s is %q, want %q", name, w, want)
			}
		}
	}
	policy := strings.Split(page.Header().Get("Content-Security-Policy"), "; ")
	for _, want := range []string{
		"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "script-src 'self'", "style-src 'self'",
		"img-src 'self' https://cdn.example", "form-action 'self' https://app.example com.example.app: https:",
	} {
		if !slices.Contains(policy, want) {
			t.Errorf("the policy lacks %q: %q", want, policy)
		}
	}
	if got := page.Header().Get("Cross-Origin-Opener-Policy"); got != "same-origin" {
		t.Errorf("COOP is %q", got)
	}
	if got := machine.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'") || machine.Header().Get("Set-Cookie") != "" {
		t.Errorf("a machine got %v", machine.Header())
	}
	plain, _ := testSite(t, func(c *Config) { c.Origin = "http://localhost:8080" })
	if got := ask(plain, "GET", "/none").Header().Get("Strict-Transport-Security"); got != "" {
		t.Errorf("HSTS without TLS: %q", got)
	}
	if a, b := ask(s, "GET", "/page").Header().Get("X-Request-Id"), page.Header().Get("X-Request-Id"); a == b || len(a) != 16 {
		t.Errorf("request ids %q and %q", a, b)
	}
}

func TestBadTemplatesAreRefused(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"defined twice":     {"a.html": {Data: []byte(`{{define "a.x"}}{{end}}`)}, "b.html": {Data: []byte(`{{define "a.x"}}{{end}}`)}},
		"the frame's own":   {"a.html": {Data: []byte(`{{define "web.frame"}}{{end}}`)}},
		"does not parse":    {"a.html": {Data: []byte(`{{define "a.x"}}{{if}}{{end}}`)}},
		"unknown function":  {"a.html": {Data: []byte(`{{define "a.x"}}{{env "HOME"}}{{end}}`)}},
		"broken definition": {"a.html": {Data: []byte(`{{define "a.x"}}`)}},
	} {
		s, _ := testSite(t, nil)
		if err := s.Templates(files); err == nil || !strings.Contains(err.Error(), ".html") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, _ := testSite(t, nil)
	if err := s.Check(); err != nil {
		t.Errorf("the frame itself: %v", err)
	}
	add(t, s, `{{define "a.x"}}{{template "a.none"}}{{if true}}{{range .}}{{(t "a.unsaid")}}{{else}}{{with text "a.said" .}}{{end}}{{end}}{{end}}{{part "a.part" .}}{{asset "none.js"}}{{t (printf "%s.x" .)}}{{t "web.help"}}{{end}}`)
	err := s.Check()
	for _, want := range []string{`calls "a.none"`, `says "a.unsaid"`, `says "a.said"`, `calls "a.part"`, `the file "none.js"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check misses %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "printf") || strings.Contains(err.Error(), "web.help") {
		t.Errorf("Check finds too much: %v", err)
	}
}

func TestTemplatesStandStillOnceShown(t *testing.T) {
	s, _ := testSite(t, nil)
	ask(s, "GET", "/none")
	if err := s.Templates(fstest.MapFS{"late.html": {Data: []byte(`{{define "a.late"}}{{end}}`)}}); err == nil {
		t.Error("a template came in late")
	}
}

func FuzzSources(f *testing.F) {
	for _, seed := range []string{"https://app.example/cb", "com.example:/x", "https://[::1]:8443/x", "https://a b", "https://x;y", "HTTPS://X", "https://u:p@host/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		for _, source := range sources([]string{address}) {
			if strings.ContainsAny(source, " ;,'\"*\t\r\n") || !strings.Contains(source, ":") || strings.Contains(source, "@") {
				t.Errorf("%q gave %q", address, source)
			}
		}
	})
}

func TestOnlyAPageWhoseScriptAsksMayAsk(t *testing.T) {
	s, _ := testSite(t, nil)
	add(t, s, `{{define "a.page"}}<p>x</p>{{end}}`)
	for path, asks := range map[string]bool{"/asks": true, "/silent": false} {
		s.Page("GET "+path, func(w http.ResponseWriter, r *http.Request) error {
			return s.Render(w, r, View{Template: "a.page", Title: "web.notice", Asks: asks})
		})
	}
	for path, asks := range map[string]bool{"/asks": true, "/silent": false} {
		if got := strings.Contains(ask(s, "GET", path).Header().Get("Content-Security-Policy"), "connect-src 'self'"); got != asks {
			t.Errorf("%s: may ask: %v", path, got)
		}
	}
}
