package web

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"seimon/internal/lang"
)

//go:embed words/*.toml
var words embed.FS

// Words is every sentence that the frame itself says.
func Words() lang.Source { return lang.Source{Room: "web", Files: words} }

// Config is what a site is made from.
type Config struct {
	Origin      string         // scheme, host and port under which browsers know the site; no path
	Proxies     []netip.Prefix // peers whose ProxyHeader is believed
	ProxyHeader string         // "X-Forwarded-For" or "Forwarded"; needed when Proxies are declared
	Words       *lang.Words    // must hold Words()
	Brand       Brand
	Log         *slog.Logger // nil logs nothing
	// Notice gives announcements for the top of every page, as whole sentences.
	Notice func(r *http.Request) []string
	// Observe is told about each answered request; pattern is empty when no route matched.
	Observe func(pattern string, status int, took time.Duration)
}

// Brand is how the university looks and whom to ask. Texts come in each language.
type Brand struct {
	Name    map[lang.Tag]string // full name
	Short   map[lang.Tag]string // for window titles; the full name when empty
	LogoSVG []byte              // shown beside the name; may be nil
	Colour  string              // "#rrggbb"; adjusted for contrast; a calm blue when empty
	Help    map[lang.Tag]string // one sentence: who to ask and how
	HelpURL string              // page of the help desk; may be empty
}

// Site is the one web server of the house. Routes and templates are added before
// Handler is called.
type Site struct {
	cfg       Config
	origin    *url.URL
	client    clientRule
	mux       *http.ServeMux
	guard     *http.CrossOriginProtection
	assets    *assets
	templates *templates
	scratch   sync.Pool // of *bytes.Buffer
	failed    func(w http.ResponseWriter, r *http.Request, err error) bool
	closed    func(r *http.Request, err error) (Trouble, bool)
}

// New makes a site without routes. It refuses an origin with a path, proxies
// without a header or a header without proxies, a colour that is none, and words
// that lack ours.
func New(cfg Config) (*Site, error) {
	origin, err := url.Parse(cfg.Origin)
	if err != nil || origin.Host == "" || (origin.Scheme != "https" && origin.Scheme != "http") ||
		strings.TrimSuffix(cfg.Origin, "/") != origin.Scheme+"://"+origin.Host {
		return nil, fmt.Errorf("web: origin %q must be scheme, host and port only", cfg.Origin)
	}
	cfg.Origin = strings.TrimSuffix(cfg.Origin, "/")
	if cfg.Words == nil || !cfg.Words.In(lang.JA).Has("web.help") {
		return nil, errors.New("web: the words of the frame are missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	rule, err := newClientRule(cfg.Proxies, cfg.ProxyHeader)
	if err != nil {
		return nil, err
	}
	s := &Site{cfg: cfg, origin: origin, client: rule, mux: http.NewServeMux(), guard: http.NewCrossOriginProtection()}
	if err := s.guard.AddTrustedOrigin(cfg.Origin); err != nil {
		return nil, fmt.Errorf("web: origin: %w", err)
	}
	s.guard.SetDenyHandler(http.HandlerFunc(s.foreignForm))
	if s.assets, err = newAssets(cfg.Brand); err != nil {
		return nil, err
	}
	s.templates = newTemplates(s)
	if err := s.templates.add(frame); err != nil {
		return nil, err
	}
	s.mux.Handle("GET "+assetPath+"{file}", s.assets)
	return s, nil
}

// Handler answers a request of a Page, a Door or a Machine. An error becomes the
// page that Failed chose, or a calm page with the request id.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Sizes of a request body, in bytes.
const (
	pageBody    = 64 << 10
	machineBody = 256 << 10
)

// Page adds a route for people, in the pattern language of http.ServeMux. Requests
// that change something are refused when another site sent them.
func (s *Site) Page(pattern string, h Handler) {
	s.mux.Handle(pattern, s.people(pageBody, s.guard.Handler(s.adapt(h))))
}

// Door adds a route for people who may be sent here by a form on another site.
// The handler itself must treat what it gets as untrusted.
func (s *Site) Door(pattern string, h Handler) {
	s.mux.Handle(pattern, s.people(machineBody, s.adapt(h)))
}

// Machine adds a route for programs: no language, no cookie is set, and an
// unhandled error is JSON.
func (s *Site) Machine(pattern string, h Handler) {
	s.mux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visitOf(r).machine = true
		r.Body = http.MaxBytesReader(w, r.Body, machineBody)
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	}))
}

// Templates adds every *.html file below files. A template that is defined twice
// or does not parse is an error.
func (s *Site) Templates(files fs.FS) error { return s.templates.add(files) }

// Check tells what would fail only when a page is shown: templates that call
// templates which nobody defined, and sentences that nobody wrote.
func (s *Site) Check() error { return s.templates.check() }

// Failed installs what turns an error of a handler into a page. It returns false
// to leave the error to the frame.
func (s *Site) Failed(show func(w http.ResponseWriter, r *http.Request, err error) bool) {
	s.failed = show
}

// Closed installs what recognises an error that comes from a part of the house being
// out of order, and says so to people. Everybody is asked to come back later: people
// by a page, programs by status 503, both with Retry-After.
func (s *Site) Closed(show func(r *http.Request, err error) (Trouble, bool)) { s.closed = show }

// URL makes an absolute address of a path on this site, from the configured origin
// and never from what a request claims.
func (s *Site) URL(path string) string {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return s.cfg.Origin + path
}

// Asset gives the address of an embedded file; it changes with the content.
func (s *Site) Asset(name string) string { return s.assets.address(name) }

// adapt runs a handler and shows its error.
func (s *Site) adapt(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// people prepares a request of a person: limit and language.
func (s *Site) people(body int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, body)
		s.chooseLang(w, r)
		next.ServeHTTP(w, r)
	})
}
