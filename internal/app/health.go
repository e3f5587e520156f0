package app

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/web"
)

// mountHealth adds what machines ask to learn whether the gate lives and can serve.
// The public answer names what is degraded; facts are for operators (measure.go).
func (h *House) mountHealth() {
	h.Site.Machine("GET /healthz", func(w http.ResponseWriter, _ *http.Request) error {
		return alive(w)
	})
	h.Site.Machine("GET /readyz", func(w http.ResponseWriter, r *http.Request) error {
		state := h.readiness(r.Context())
		for i := range state.Degraded {
			state.Degraded[i].Facts = nil
		}
		return state.send(w)
	})
}

func alive(w http.ResponseWriter) error {
	_, err := w.Write([]byte("alive\n"))
	return err
}

// readiness is whether the gate can serve, and what is degraded when it can.
type readiness struct {
	Ready    bool       `json:"ready"`
	Degraded []degraded `json:"degraded,omitempty"`
}

// degraded is one thing that does not work as it should. Its code is that of the
// doctor's finding.
type degraded struct {
	Code  string            `json:"code"`
	Facts map[string]string `json:"facts,omitempty"`
}

func (s readiness) send(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	if !s.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	return json.NewEncoder(w).Encode(s)
}

func (h *House) readiness(ctx context.Context) readiness {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var backlog mail.Backlog
	var doc *policy.Document
	err := h.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if backlog, err = h.Mail.Backlog(tx); err != nil {
			return err
		}
		doc, _, err = h.Policy.Active(tx)
		return err
	})
	if err != nil {
		h.Log.Error("not ready", "error", err)
		return readiness{Degraded: []degraded{{"database", map[string]string{"reason": err.Error()}}}}
	}
	out := readiness{Ready: true}
	if backlog.Waiting > 0 {
		out.Degraded = append(out.Degraded, degraded{"mail", map[string]string{
			"count": strconv.FormatInt(backlog.Waiting, 10), "since": backlog.Since.Format(time.RFC3339), "reply": backlog.Reply,
		}})
	}
	if doc.UsesZones() {
		for _, p := range h.seen.suspects() {
			out.Degraded = append(out.Degraded, degraded{"proxy", map[string]string{
				"peer": p.peer.String(), "header": p.header, "count": strconv.Itoa(p.count),
			}})
		}
	}
	return out
}

// notices are the announcements for a page. Each page asks for them, so this is also
// where forwarding headers of undeclared peers are seen.
func (h *House) notices(r *http.Request) []string {
	h.seen.note(web.ClientOf(r))
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
