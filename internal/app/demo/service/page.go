package service

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// pages is what every service has: its one page, and people's sessions.
type pages struct {
	cfg  Config
	page *template.Template
	mux  *http.ServeMux
	more string // the level that the visitor may still prove; empty when none is asked for

	mu       sync.Mutex
	sessions map[string]*visit // by cookie
}

func (s *pages) open(cfg Config, more string) (err error) {
	s.cfg, s.more, s.mux, s.sessions = cfg, more, http.NewServeMux(), map[string]*visit{}
	s.mux.HandleFunc("GET /{$}", s.home)
	s.mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, _ *http.Request) { writeStyle(w, cfg.Colour) })
	s.page, err = template.ParseFS(files, "page.html")
	return err
}

// ServeHTTP answers people and the gate.
func (s *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self' "+s.cfg.Issuer+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r)
}

func (s *pages) home(w http.ResponseWriter, r *http.Request) {
	if choseLanguage(w, r) {
		return
	}
	s.show(w, r, http.StatusOK, s.visit(r), "")
}

// begin opens a session in this browser.
func (s *pages) begin(w http.ResponseWriter, v *visit) {
	key := rand.Text() + rand.Text()
	s.mu.Lock()
	s.sessions[key] = v
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: key, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// visit finds the session of a browser.
func (s *pages) visit(r *http.Request) *visit {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[c.Value]
}

// forget ends the session of a browser.
func (s *pages) forget(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		s.mu.Lock()
		delete(s.sessions, c.Value)
		s.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", Secure: true, HttpOnly: true, MaxAge: -1})
}

// end ends, at the gate's word, the sessions that it means.
func (s *pages) end(meant func(*visit) bool) (ended int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.sessions {
		if meant(v) {
			v.ended = "backchannel"
			ended++
		}
	}
	return ended
}

func (s *pages) show(w http.ResponseWriter, r *http.Request, status int, v *visit, problem string) {
	d := view{Config: s.cfg, JA: japanese(r), Problem: problem, Left: r.URL.Query().Get("left")}
	if s.cfg.Place != nil {
		d.Place, d.PlaceTo = s.cfg.Place(r, d.JA)
	}
	if v != nil {
		s.mu.Lock()
		d.Ended = v.ended != ""
		d.Refresh = v.token != nil && v.token.RefreshToken != ""
		s.mu.Unlock()
		if !d.Ended {
			d.Visit = v
			d.More = s.more != "" && v.acr != s.more
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = s.page.ExecuteTemplate(w, "page.html", d)
}

// view is the data of the one page that a service has.
type view struct {
	Config
	JA      bool
	Visit   *visit
	Ended   bool
	Left    string // after a sign-out here: how far it reached
	Problem string
	Refresh bool
	More    bool   // the visitor could prove more
	Place   string // the network the visitor stands in
	PlaceTo string // where to change it
}

// T picks the words of the page's language.
func (v view) T(ja, en string) string {
	if v.JA {
		return ja
	}
	return en
}

// Title is the service's name in the page's language.
func (v view) Title() string { return v.T(v.NameJA, v.Name) }

// About is the service's sentence in the page's language.
func (v view) About() string { return v.T(v.LeadJA, v.Lead) }

// Lang is the page's language.
func (v view) Lang() string { return v.T("ja", "en") }

// choseLanguage follows the links to other languages; true when it has answered.
func choseLanguage(w http.ResponseWriter, r *http.Request) bool {
	tag := r.URL.Query().Get("lang")
	if tag != "ja" && tag != "en" {
		return false
	}
	http.SetCookie(w, &http.Cookie{Name: "__Host-lang", Value: tag, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return true
}

func writeStyle(w http.ResponseWriter, colour string) {
	text, err := files.ReadFile("style.css")
	if err != nil {
		http.Error(w, "missing", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = fmt.Fprintf(w, ":root { --accent: %s; }\n%s", colour, text)
}

func japanese(r *http.Request) bool {
	if c, err := r.Cookie("__Host-lang"); err == nil {
		return c.Value == "ja"
	}
	accept := strings.ToLower(r.Header.Get("Accept-Language"))
	ja, en := strings.Index(accept, "ja"), strings.Index(accept, "en")
	return en < 0 || ja >= 0 && ja < en
}

// told lists claims for the page: what concerns the person, in a stable order.
func told(all map[string]any) []claim {
	var out []claim
	for name, value := range all {
		switch name {
		case "iss", "aud", "nonce", "at_hash", "exp", "iat", "jti", "azp":
			continue
		case "auth_time":
			if n, ok := value.(float64); ok {
				value = time.Unix(int64(n), 0).Format("2006-01-02 15:04:05")
			}
		}
		text, ok := value.(string)
		if !ok {
			raw, err := json.Marshal(value)
			if err != nil {
				continue
			}
			text = string(raw)
		}
		out = append(out, claim{name, text})
	}
	slices.SortFunc(out, func(a, b claim) int { return strings.Compare(a.Name, b.Name) })
	return out
}
