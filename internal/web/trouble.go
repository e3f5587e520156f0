package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// mostQuiet is how many links stand beside the primary button.
const mostQuiet = 3

// Trouble is a failure in words that help: what happened, the one next step, at
// most three other ways, the code that the help desk can open, and whom to ask.
type Trouble struct {
	Status  int    // 0 is 400
	Title   string // a short heading as text; "" is the general one
	Cause   string // sentences
	Next    string // sentences
	Actions []Action
	Support string
	Party   *Party
	Who     string
}

// troublePage is what the template of the page sees.
type troublePage struct {
	Trouble
	Primary *Action
	Quiet   []Action
	Number  bool // Support is the number of a request and no support code
}

// Trouble shows the failure page. The first action is the primary button.
func (s *Site) Trouble(w http.ResponseWriter, r *http.Request, t Trouble) error {
	words := s.cfg.Words.In(s.tagOf(r))
	if t.Title == "" {
		t.Title = words.T("web.trouble.title")
	}
	if t.Status == 0 {
		t.Status = http.StatusBadRequest
	}
	data := troublePage{Trouble: t, Number: t.Support == RequestID(r)}
	if len(t.Actions) > 0 {
		data.Primary = &t.Actions[0]
		data.Quiet = t.Actions[1:min(len(t.Actions), mostQuiet+1)]
	}
	return s.render(w, r, page{
		View:    View{Template: "web.trouble", Data: data, Party: t.Party, Who: t.Who, Support: t.Support, Status: t.Status, Focus: true},
		Heading: t.Title, Bare: true,
	})
}

// plain shows a trouble of the frame itself: message ids id.cause and id.next.
func (s *Site) plain(w http.ResponseWriter, r *http.Request, status int, id string) {
	words := s.cfg.Words.In(s.tagOf(r))
	if visitOf(r).machine || !wantsPage(r) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintln(w, words.T(id+".cause")) //nolint:errcheck // the peer is gone, nothing to do
		return
	}
	t := Trouble{
		Status: status, Cause: words.T(id + ".cause"), Next: words.T(id + ".next"),
		Actions: []Action{{Label: words.T("web.home"), URL: "/"}},
	}
	if err := s.Trouble(w, r, t); err != nil {
		s.lastWord(w, r, err)
	}
}

// broken says that the fault is ours and gives the request id to quote.
func (s *Site) broken(w http.ResponseWriter, r *http.Request) {
	if visitOf(r).machine {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"error":"server_error","request_id":%q}`+"\n", RequestID(r)) //nolint:errcheck // the peer is gone
		return
	}
	words := s.cfg.Words.In(s.tagOf(r))
	t := Trouble{
		Status: http.StatusInternalServerError, Title: words.T("web.broken.title"),
		Cause: words.T("web.broken.cause"), Next: words.T("web.broken.next"), Support: RequestID(r),
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		t.Actions = []Action{{Label: words.T("web.again"), URL: s.sameAgain(r)}}
	} else {
		t.Actions = []Action{{Label: words.T("web.home"), URL: "/"}}
	}
	if err := s.Trouble(w, r, t); err != nil {
		s.lastWord(w, r, err)
	}
}

// retryAfter is when those whom an outage turned away should come again, in seconds.
const retryAfter = 20

// out says that a part of the house is out of order (RFC 9110 15.6.4).
func (s *Site) out(w http.ResponseWriter, r *http.Request, t Trouble) {
	t.Status = http.StatusServiceUnavailable
	w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	w.Header().Set("Cache-Control", "no-store")
	if visitOf(r).machine {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(t.Status)
		fmt.Fprintf(w, `{"error":"temporarily_unavailable","request_id":%q}`+"\n", RequestID(r)) //nolint:errcheck // the peer is gone
		return
	}
	t.Actions = append([]Action{{Label: s.cfg.Words.In(s.tagOf(r)).T("web.again"), URL: s.sameAgain(r)}}, t.Actions...)
	if err := s.Trouble(w, r, t); err != nil {
		s.lastWord(w, r, err)
	}
}

// sameAgain is the address that shows again what a request was about.
func (s *Site) sameAgain(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return "/" + strings.TrimLeft(r.URL.RequestURI(), "/")
	}
	get := &http.Request{Method: http.MethodGet, Host: r.Host, URL: &url.URL{Path: r.URL.Path}}
	if _, pattern := s.mux.Handler(get); pattern != "" {
		return "/" + strings.TrimLeft(r.URL.EscapedPath(), "/")
	}
	return "/"
}

// lastWord answers when even the failure page fails.
func (s *Site) lastWord(w http.ResponseWriter, r *http.Request, err error) {
	s.cfg.Log.Error("failure page failed", "request", RequestID(r), "error", err)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	words := s.cfg.Words.In(s.tagOf(r))
	fmt.Fprintln(w, words.T("web.broken.cause"), RequestID(r)) //nolint:errcheck // the peer is gone
}

// foreignForm answers a form that another site sent.
func (s *Site) foreignForm(w http.ResponseWriter, r *http.Request) {
	s.plain(w, r, http.StatusForbidden, "web.foreign")
}

// wantsPage tells whether a browser asks, and not a program.
func wantsPage(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "text/html") || r.Header.Get("Sec-Fetch-Mode") == "navigate"
}
