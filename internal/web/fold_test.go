package web

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"seimon/internal/lang"
)

// TestFoldedPagesSayTheSame shows every kind of place in which a sentence stands, once
// as the template has it and once with a call that cannot be folded.
func TestFoldedPagesSayTheSame(t *testing.T) {
	const hard = "\"A\" & <b> 'c' + ` = \\u003c/script>"
	words := func(c *Config) {
		for _, tag := range []lang.Tag{lang.JA, lang.EN} {
			if err := c.Words.Override(tag, []byte("\"web.skip\" = '''"+hard+"'''\n")); err != nil {
				t.Fatal(err)
			}
		}
	}
	const body = `<p title="T" data-x='T' lang="L">T {{if .}}T{{else}}-{{end}}{{range .}}{{.}}T{{end}}{{with .}}T{{end}}</p><textarea>T</textarea><a href="A">{{t "web.help" | len}}</a>`
	replaced := func(call, asset string) string {
		r := strings.NewReplacer("T", call, "L", "{{lang}}", "A", asset)
		return r.Replace(body)
	}
	s, _ := testSite(t, words)
	add(t, s, `{{define "a.fixed"}}`+replaced(`{{t "web.skip"}}`, `{{asset "app.js"}}`)+`{{end}}`+
		`{{define "a.called"}}`+replaced(`{{t (print "web.skip")}}`, `{{asset (print "app.js")}}`)+`{{end}}`)
	for _, name := range []string{"a.fixed", "a.called"} {
		s.Page("GET /"+name, func(w http.ResponseWriter, r *http.Request) error {
			return s.Render(w, r, View{Template: name, Title: "web.notice", Data: []string{"x"}})
		})
	}
	main := regexp.MustCompile(`(?s)<h1>.*</main>`)
	for _, tag := range []string{"ja", "en"} {
		page := func(name string) string {
			return main.FindString(ask(s, "GET", "/"+name, header("Accept-Language", tag)).Body.String())
		}
		fixed, called := page("a.fixed"), page("a.called")
		if html.UnescapeString(fixed) != html.UnescapeString(called) || strings.Count(html.UnescapeString(fixed), hard) != 7 {
			t.Errorf("%s:\n%s\n%s", tag, fixed, called)
		}
		if strings.Contains(fixed, "<b>") || strings.Contains(fixed, hard) {
			t.Errorf("%s: not escaped: %s", tag, fixed)
		}
	}
}
