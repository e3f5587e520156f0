package web

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"seimon/internal/lang"
)

const testOrigin = "https://sso.example.ac.jp"

// testSite makes a site of an invented university and gives its log.
func testSite(t testing.TB, change func(*Config)) (*Site, *bytes.Buffer) {
	t.Helper()
	words, err := lang.New(time.FixedZone("JST", 9*3600), Words())
	if err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	cfg := Config{
		Origin: testOrigin, Words: words, Log: slog.New(slog.NewTextHandler(log, nil)),
		Brand: Brand{
			Name:    map[lang.Tag]string{lang.JA: "例大学", lang.EN: "Example University"},
			Short:   map[lang.Tag]string{lang.EN: "Example"},
			Help:    map[lang.Tag]string{lang.JA: "情報基盤センター(内線1234)", lang.EN: "IT Centre, extension 1234"},
			HelpURL: "https://help.example.ac.jp/",
			LogoSVG: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`),
		},
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, log
}

// add puts one template file into a site.
func add(t testing.TB, s *Site, text string) {
	t.Helper()
	if err := s.Templates(fstest.MapFS{"test.html": {Data: []byte(text)}}); err != nil {
		t.Fatal(err)
	}
}

// ask sends one request of a browser.
func ask(s *Site, method, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, testOrigin+target, nil)
	r.Header.Set("Accept", "text/html")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// header sets a request header.
func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// says checks that a page holds texts.
func says(t *testing.T, w *httptest.ResponseRecorder, status int, texts ...string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("status %d, want %d", w.Code, status)
	}
	for _, text := range texts {
		if !strings.Contains(w.Body.String(), text) {
			t.Errorf("the page does not say %q:\n%s", text, w.Body)
		}
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	words, err := lang.New(nil, Words())
	if err != nil {
		t.Fatal(err)
	}
	bare, err := lang.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"origin with path":   {Origin: testOrigin + "/sso", Words: words},
		"origin without all": {Origin: "sso.example", Words: words},
		"no words":           {Origin: testOrigin},
		"not our words":      {Origin: testOrigin, Words: bare},
		"colour":             {Origin: testOrigin, Words: words, Brand: Brand{Colour: "blue"}},
		"proxy header alone": {Origin: testOrigin, Words: words, ProxyHeader: "Forwarded"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	s, err := New(Config{Origin: testOrigin + "/", Words: words})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.URL("a/b"); got != testOrigin+"/a/b" {
		t.Errorf("got %q", got)
	}
}

func TestPageTellsWhereWhoAndWhatElse(t *testing.T) {
	s, log := testSite(t, func(c *Config) {
		c.Notice = func(*http.Request) []string { return []string{"Maintenance <tonight>"} }
	})
	add(t, s, `{{define "a.page"}}<p>{{t "web.print"}} {{.}} {{url "/x"}} {{lang}}</p>{{part "a.part" 3}}{{end}}{{define "a.part"}}<i>{{.}}</i>{{end}}`)
	s.Page("GET /a", func(w http.ResponseWriter, r *http.Request) error {
		return s.Render(w, r, View{
			Template: "a.page", Title: "web.notice", Data: "<b>", Who: "s1234567", Support: "7KQ2-MHXD", Status: http.StatusAccepted,
			Party:     &Party{Name: "Library & more", LogoURL: "https://lib.example/logo.png"},
			WhoAction: &Action{Label: "Not you?", URL: "/other"}, Nav: []Link{{Label: "Factors", URL: "/f", Here: true}},
		})
	})
	w := ask(s, "GET", "/a?x=1&y=a+b", header("Accept-Language", "en"))
	says(t, w, http.StatusAccepted, `<html lang="en"`, "<title>Notice - Example</title>", "<h1>Notice</h1>", "Example University",
		"Library &amp; more", "https://lib.example/logo.png", "s1234567", "Not you?", "7KQ2-MHXD", "IT Centre, extension 1234",
		`<p>Print &lt;b&gt; https://sso.example.ac.jp/x en</p>`, "<i>3</i>", "Maintenance &lt;tonight&gt;", `aria-current="page">Factors`,
		`href="/a?lang=ja&amp;x=1&amp;y=a&#43;b"`, s.Asset("logo.svg"), s.Asset("style.css"), s.Asset("app.js"))
	if !strings.Contains(log.String(), "support=7KQ2-MHXD") {
		t.Errorf("the access log lacks the support code: %s", log)
	}
	if w := ask(s, "GET", "/a?lang=fr"); w.Header().Get("Content-Language") != "ja" {
		t.Error("an unknown language was taken")
	}
}

func TestTroubleHasOneNextStepAndAtMostThreeOthers(t *testing.T) {
	s, _ := testSite(t, nil)
	s.Page("GET /t", func(w http.ResponseWriter, r *http.Request) error {
		return s.Trouble(w, r, Trouble{
			Cause: "Your clock is <slow>.", Next: "Set it.", Support: "7KQ2-MHXD", Party: &Party{Name: "Library"}, Who: "s1",
			Actions: []Action{{"One", "/1"}, {"Two", "/2"}, {"Three", "/3"}, {"Four", "javascript:alert(1)"}, {"Five", "/5"}},
		})
	})
	w := ask(s, "GET", "/t", header("Accept-Language", "en"))
	says(t, w, http.StatusBadRequest, "We could not go on", "Your clock is &lt;slow&gt;.", "Set it.", `class="button primary" href="/1"`,
		`href="/2"`, `href="/3"`, "#ZgotmplZ", "7KQ2-MHXD", "Library", "IT Centre")
	if strings.Contains(w.Body.String(), "Five") || strings.Contains(w.Body.String(), "javascript:") {
		t.Error("too many ways, or a dangerous one")
	}
	if n := strings.Count(w.Body.String(), "primary"); n != 1 {
		t.Errorf("%d primary buttons", n)
	}
}

func TestErrorsBecomeCalmPages(t *testing.T) {
	s, log := testSite(t, nil)
	mine := errors.New("mine")
	s.Page("GET /plain", func(http.ResponseWriter, *http.Request) error { return errors.New("secret detail") })
	s.Page("GET /mine", func(http.ResponseWriter, *http.Request) error { return mine })
	s.Page("GET /panic", func(http.ResponseWriter, *http.Request) error { panic("secret detail") })
	s.Page("GET /template", func(w http.ResponseWriter, r *http.Request) error {
		return s.Render(w, r, View{Template: "no.such", Title: "web.notice"})
	})
	s.Page("POST /big", func(w http.ResponseWriter, r *http.Request) error { return r.ParseForm() })
	s.Machine("GET /machine", func(http.ResponseWriter, *http.Request) error { return errors.New("secret detail") })
	s.Machine("GET /machine/panic", func(http.ResponseWriter, *http.Request) error { panic("secret detail") })
	s.Failed(func(w http.ResponseWriter, r *http.Request, err error) bool {
		if errors.Is(err, mine) {
			w.WriteHeader(http.StatusTeapot)
			return true
		}
		return false
	})
	for _, path := range []string{"/plain", "/panic", "/template"} {
		w := ask(s, "GET", path, header("Accept-Language", "en"))
		says(t, w, http.StatusInternalServerError, "Something went wrong on our side", w.Header().Get("X-Request-Id"), "Reference number", `href="`+path+`"`)
		if strings.Contains(w.Body.String(), "secret") || !strings.Contains(log.String(), w.Header().Get("X-Request-Id")) {
			t.Errorf("%s tells a secret or is not in the log", path)
		}
	}
	says(t, ask(s, "GET", "/mine"), http.StatusTeapot)
	w := ask(s, "POST", "/big", func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(strings.Repeat("a=b&", pageBody)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	})
	says(t, w, http.StatusRequestEntityTooLarge, "長すぎる")
	for _, path := range []string{"/machine", "/machine/panic"} {
		w := ask(s, "GET", path)
		says(t, w, http.StatusInternalServerError, `"error":"server_error"`)
		if w.Header().Get("Content-Type") != "application/json" || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %v %s", path, w.Header(), w.Body)
		}
	}
	if !strings.Contains(log.String(), "secret detail") || !strings.Contains(log.String(), "stack=") {
		t.Error("the log lacks the causes")
	}
}

func TestHalfAnAnswerIsBrokenOff(t *testing.T) {
	s, _ := testSite(t, nil)
	s.Page("GET /half", func(w http.ResponseWriter, r *http.Request) error {
		w.WriteHeader(http.StatusOK)
		panic("late")
	})
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("the connection was not aborted")
		}
	}()
	ask(s, "GET", "/half")
}

func TestUnknownAddresses(t *testing.T) {
	s, log := testSite(t, nil)
	s.Page("POST /only", func(http.ResponseWriter, *http.Request) error { return nil })
	says(t, ask(s, "GET", "/nowhere"), http.StatusNotFound, "見つかりません", `href="/"`)
	if w := ask(s, "GET", "//evil.example/x"); w.Code == http.StatusOK || strings.HasPrefix(w.Header().Get("Location"), "//") {
		t.Errorf("%d to %q", w.Code, w.Header().Get("Location"))
	}
	w := ask(s, "GET", "/only")
	says(t, w, http.StatusMethodNotAllowed, "直接開くことができません")
	if w.Header().Get("Allow") != "POST" {
		t.Errorf("Allow is %q", w.Header().Get("Allow"))
	}
	w = ask(s, "GET", "/nowhere", header("Accept", "application/json"))
	if w.Code != http.StatusNotFound || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("a program got %d %v", w.Code, w.Header())
	}
	says(t, ask(s, "GET", "/only?"+strings.Repeat("x", longestURI)), http.StatusRequestURITooLong, "長すぎる")
	if strings.Contains(log.String(), "evil") || strings.Contains(log.String(), "xxxx") {
		t.Error("what a stranger wrote is in the log")
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	s, _ := testSite(t, nil)
	ok := func(w http.ResponseWriter, r *http.Request) error { w.WriteHeader(http.StatusNoContent); return nil }
	s.Page("POST /page", ok)
	s.Page("GET /page", ok)
	s.Door("POST /door", ok)
	s.Machine("POST /machine", ok)
	cross, null := header("Sec-Fetch-Site", "cross-site"), header("Origin", "null")
	sibling, foreign := header("Sec-Fetch-Site", "same-site"), header("Origin", "https://evil.example")
	for _, how := range []func(*http.Request){cross, sibling, foreign, null} {
		says(t, ask(s, "POST", "/page", how), http.StatusForbidden, "別のサイト")
		says(t, ask(s, "GET", "/page", how), http.StatusNoContent)
		says(t, ask(s, "POST", "/door", how), http.StatusNoContent)
		says(t, ask(s, "POST", "/machine", how), http.StatusNoContent)
	}
	says(t, ask(s, "POST", "/page", header("Sec-Fetch-Site", "same-origin")), http.StatusNoContent)
	says(t, ask(s, "POST", "/page", header("Origin", testOrigin), func(r *http.Request) { r.Host = "inner:8080" }), http.StatusNoContent)
}

func TestLanguageFollowsThePerson(t *testing.T) {
	s, _ := testSite(t, nil)
	s.Page("GET /l", func(w http.ResponseWriter, r *http.Request) error {
		if tag := r.URL.Query().Get("with"); tag != "" {
			r = Prefer(r, strings.Split(tag, " "))
		}
		_, err := io.WriteString(w, string(Lang(r).Tag()))
		return err
	})
	kept := func(tag string) func(*http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__Host-lang", Value: tag}) }
	}
	english := header("Accept-Language", "en")
	for name, c := range map[string]struct {
		target string
		how    []func(*http.Request)
		want   string
		cookie bool
	}{
		"nothing":                        {"/l", nil, "ja", false},
		"browser":                        {"/l", []func(*http.Request){english}, "en", false},
		"service over browser":           {"/l?with=ja-JP", []func(*http.Request){english}, "ja", false},
		"service asks unknown, then ja":  {"/l?with=fr+ja", []func(*http.Request){english}, "ja", false},
		"choice over service":            {"/l?with=ja", []func(*http.Request){kept("en")}, "en", false},
		"choice over browser":            {"/l", []func(*http.Request){english, kept("ja")}, "ja", false},
		"link over all":                  {"/l?lang=en&with=ja", []func(*http.Request){kept("ja")}, "en", true},
		"link already chosen":            {"/l?lang=en", []func(*http.Request){kept("en")}, "en", false},
		"cookie of an unknown language":  {"/l", []func(*http.Request){english, kept("xx")}, "en", false},
		"link with an unknown language":  {"/l?lang=../..", []func(*http.Request){english}, "en", false},
		"choice is not made by services": {"/l?with=en", nil, "en", false},
	} {
		w := ask(s, "GET", c.target, c.how...)
		if got := w.Body.String(); got != c.want || (w.Header().Get("Set-Cookie") != "") != c.cookie {
			t.Errorf("%s: got %s, cookie %q", name, got, w.Header().Get("Set-Cookie"))
		}
	}
}

func TestCookies(t *testing.T) {
	w := httptest.NewRecorder()
	SetCookie(w, "session", "v", time.Hour)
	SetCookie(w, "short", "v", 0)
	ClearCookie(w, "old")
	want := []string{
		"__Host-session=v; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax",
		"__Host-short=v; Path=/; HttpOnly; Secure; SameSite=Lax",
		"__Host-old=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
	}
	for i, got := range w.Header().Values("Set-Cookie") {
		if got != want[i] {
			t.Errorf("got %q, want %q", got, want[i])
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "session=planted; __Host-session=mine")
	if Cookie(r, "session") != "mine" || Cookie(r, "none") != "" {
		t.Error("the wrong cookie was read")
	}
}

func TestAccessLogHoldsNoSecrets(t *testing.T) {
	var seen []string
	s, log := testSite(t, func(c *Config) {
		c.Observe = func(pattern string, status int, took time.Duration) { seen = append(seen, pattern) }
	})
	s.Page("POST /do/{token}", func(w http.ResponseWriter, r *http.Request) error {
		Note(r, "support", "AAAA-BBBB")
		return r.ParseForm()
	})
	ask(s, "POST", "/do/hunter2?code=hunter2", func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(url.Values{"password": {"hunter2"}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Cookie", "__Host-session=hunter2")
		r.Header.Set("Authorization", "Basic hunter2")
		r.Header.Set("User-Agent", "hunter2")
		r.Header.Set("Referer", "https://x/hunter2")
	})
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("a secret is in the log: %s", log)
	}
	for _, want := range []string{`route="POST /do/{token}"`, "status=200", "support=AAAA-BBBB", "from=192.0.2.1", "ms="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
	if len(seen) != 1 || seen[0] != "POST /do/{token}" {
		t.Errorf("observed %q", seen)
	}
}
