package web

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"seimon/internal/lang"
)

// View is one page.
type View struct {
	Template   string // {{define}} name of the body
	Title      string // message id; the page's h1 and window title
	TitleFacts []any  // fills the title: alternating names and values
	Data       any    // for the template
	Party      *Party // the service the person is on the way to
	Who        string // user name, once known
	WhoAction  *Action
	Support    string   // support code, shown at the foot and noted in the access log
	Status     int      // 0 is 200
	Focus      bool     // one narrow card without navigation, as sign-in steps are
	Nav        []Link   // places of a desk; not shown with Focus
	FormAction []string // addresses beyond this site where a form of this page may end, redirects included
	Script     []string // names of further scripts
	Asks       bool     // a script of this page asks the site for more
	Again      string   // path and query that show this page again with GET; "" is the request's own
}

// Party is the service a person is on the way to.
type Party struct {
	Name    string
	LogoURL string // https; may be empty
}

// Action is something a person can choose to do: a link.
type Action struct {
	Label string
	URL   string
}

// Link is one place in a navigation.
type Link struct {
	Label string
	URL   string
	Here  bool
}

// page is what the frame's template sees.
type page struct {
	View
	Heading string
	Lang    lang.Tag
	Langs   []language
	Brand   string
	Short   string
	Logo    string
	Icon    string
	Help    string
	HelpURL string
	Notices []string
	Body    template.HTML
	Bare    bool // the body shows the support code itself
}

// Render shows a page in the language of the request. Nothing is sent when the
// template fails: the error is returned.
func (s *Site) Render(w http.ResponseWriter, r *http.Request, v View) error {
	return s.render(w, r, page{View: v, Heading: Lang(r).T(v.Title, v.TitleFacts...)})
}

// render fills the frame.
func (s *Site) render(w http.ResponseWriter, r *http.Request, p page) error {
	tag := s.tagOf(r)
	body, out := s.buffer(), s.buffer()
	defer s.scratch.Put(body)
	defer s.scratch.Put(out)
	if err := s.templates.run(body, tag, p.Template, p.Data); err != nil {
		return fmt.Errorf("web: page %s: %w", p.Template, err)
	}
	p.Body = template.HTML(body.String()) //nolint:gosec // the template escaped it
	p.Lang, p.Langs = tag, s.switchTo(r, p.Again)
	p.Brand, p.Help, p.HelpURL = s.cfg.Brand.Name[tag], s.cfg.Brand.Help[tag], s.cfg.Brand.HelpURL
	if p.Short = s.cfg.Brand.Short[tag]; p.Short == "" {
		p.Short = p.Brand
	}
	p.Icon = s.Asset("gate.svg")
	if s.assets.has("logo.svg") {
		p.Logo = s.Asset("logo.svg")
		p.Icon = p.Logo
	}
	if s.cfg.Notice != nil {
		t, _ := p.Data.(troublePage)
		p.Notices = slices.DeleteFunc(s.cfg.Notice(r), func(n string) bool { return n == t.Cause }) // the page itself says it
	}
	var images []string
	if p.Party != nil {
		party := *p.Party
		if u, err := url.Parse(party.LogoURL); err != nil || u.Scheme != "https" {
			party.LogoURL = ""
		}
		images, p.Party = sources([]string{party.LogoURL}), &party
	}
	if err := s.templates.run(out, tag, "web.frame", p); err != nil {
		return fmt.Errorf("web: frame: %w", err)
	}
	if p.Support != "" {
		Note(r, "support", p.Support)
	}
	h := w.Header()
	securePage(h, images, sources(p.FormAction), p.Asks)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(tag))
	h.Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(max(p.Status, http.StatusOK))
	_, err := w.Write(out.Bytes())
	if err != nil {
		Note(r, "gone", "true")
	}
	return nil
}

// buffer gives an empty buffer to write a page into, perhaps a used one.
func (s *Site) buffer() *bytes.Buffer {
	const usual = 64 << 10
	b, used := s.scratch.Get().(*bytes.Buffer)
	if !used || b.Cap() > usual { // a very long page is not kept
		return bytes.NewBuffer(make([]byte, 0, 8<<10))
	}
	b.Reset()
	return b
}

// tagOf gives the language of a request, also of one that never got a choice.
func (s *Site) tagOf(r *http.Request) lang.Tag {
	if tag := Lang(r).Tag(); s.speaks(tag) {
		return tag
	}
	return lang.JA
}
