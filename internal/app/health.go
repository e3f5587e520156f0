package app

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/store"
	"seimon/internal/web"
)

// mountHealth adds what machines ask to learn whether the gate lives and can serve.
func (h *House) mountHealth() {
	h.Site.Machine("GET /healthz", func(w http.ResponseWriter, _ *http.Request) error {
		_, err := w.Write([]byte("alive\n"))
		return err
	})
	h.Site.Machine("GET /readyz", func(w http.ResponseWriter, r *http.Request) error {
		state := h.readiness(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if !state.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return json.NewEncoder(w).Encode(state)
	})
}

// readiness is whether the gate can serve, and what is degraded when it can.
type readiness struct {
	Ready    bool     `json:"ready"`
	Degraded []string `json:"degraded,omitempty"`
}

func (h *House) readiness(ctx context.Context) readiness {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var backlog mail.Backlog
	err := h.DB.Read(ctx, func(tx *store.Tx) (err error) {
		backlog, err = h.Mail.Backlog(tx)
		return err
	})
	if err != nil {
		return readiness{Degraded: []string{"database"}}
	}
	out := readiness{Ready: true}
	if backlog.Waiting > 0 {
		out.Degraded = append(out.Degraded, "mail")
	}
	if names := h.seen.list(); len(names) > 0 {
		out.Degraded = append(out.Degraded, "forwarding headers from undeclared peers: "+strings.Join(names, ", "))
	}
	return out
}

// headers remembers which forwarding headers came from peers that are no declared
// proxy: with zones in use that means either a lie or a proxy nobody declared.
type headers struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// note remembers the headers of one request that were not believed.
func (s *headers) note(ignored []string) {
	if len(ignored) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]time.Time{}
	}
	for _, name := range ignored {
		s.seen[name] = time.Now()
	}
}

func (s *headers) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for name, at := range s.seen {
		if time.Since(at) < time.Hour {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// notices are the announcements for a page. Each page asks for them, so this is also
// where forwarding headers of undeclared peers are seen.
func (h *House) notices(r *http.Request) []string {
	h.seen.note(web.ClientOf(r).Ignored)
	return h.outage.lines(web.Lang(r).Tag())
}

// outage shows the announcements of a file with one line for each language, such
// as "ja: 保守作業中です" and "en: Maintenance until 18:00".
type outage struct {
	file string
	mu   sync.Mutex
	read time.Time
	text map[lang.Tag][]string
}

// outageEvery is how often the file is looked at again.
const outageEvery = 5 * time.Second

func (o *outage) lines(tag lang.Tag) []string {
	if o.file == "" {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.read) > outageEvery {
		o.text, o.read = readOutage(o.file), time.Now()
	}
	return o.text[tag]
}
