package web

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"seimon/internal/lang"
)

// testSite makes a site with the brand of an invented university.
func testSite(t testing.TB, change func(*Config)) *Site {
	t.Helper()
	words, err := lang.New(time.FixedZone("JST", 9*3600), Words())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Origin: "https://sso.example.ac.jp", Words: words, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Brand: Brand{
			Name: map[lang.Tag]string{lang.JA: "例大学", lang.EN: "Example University"},
			Help: map[lang.Tag]string{lang.JA: "情報基盤センター(内線1234)", lang.EN: "IT Centre, extension 1234"},
		},
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends one request of a browser.
func ask(s *Site, method, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://sso.example.ac.jp"+target, nil)
	r.Header.Set("Accept", "text/html")
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestPageIsFramed(t *testing.T) {
	s := testSite(t, nil)
	err := s.Templates(fstest.MapFS{"a.html": {Data: []byte(`{{define "a.page"}}<p>{{t "web.print"}} {{.}}</p>
{{template "web.field" dict "Name" "user" "Label" "L" "Hint" "H" "Error" "E" "Value" "v" "Wide" true}}
{{template "web.password" dict "Name" "pw" "Label" "L"}}{{template "web.code" dict "Name" "code" "Label" "L" "Length" 8}}
{{template "web.notice" dict "Kind" "error" "Text" "N"}}{{template "web.button" dict "Label" "Go"}}{{part "a.part" 3}}{{end}}{{define "a.part"}}<i>{{.}}</i>{{end}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	s.Page("GET /a", func(w http.ResponseWriter, r *http.Request) error {
		return s.Render(w, r, View{Template: "a.page", Title: "web.notice", Data: "<b>", Who: "s1", Support: "7KQ2-MHXD", Party: &Party{Name: "Library", LogoURL: "https://lib.example/logo"}, FormAction: []string{"https://lib.example/cb?x=1", "app.x:/cb"}})
	})
	s.Page("GET /b", func(w http.ResponseWriter, r *http.Request) error { return errors.New("no") })
	w := ask(s, "GET", "/a?x=1&lang=en", nil)
	t.Log(w.Body.String(), w.Header())
	if w.Code != 200 || !strings.Contains(w.Body.String(), "<p>Print &lt;b&gt;</p>") {
		t.Error(w.Code, w.Body.String())
	}
	if w := ask(s, "GET", "/b", nil); w.Code != 500 {
		t.Error(w.Code)
	} else {
		t.Log(w.Body.String())
	}
	if w := ask(s, "POST", "/a", nil); w.Code != 405 {
		t.Error(w.Code)
	}
	if w := ask(s, "POST", "/zz", nil); w.Code != 404 {
		t.Error(w.Code)
	}
}
