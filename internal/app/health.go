package app

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"seimon/internal/mail"
	"seimon/internal/policy"
	"seimon/internal/store"
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
	o, out := h.DB.Outage()
	if err != nil || out {
		cause := cmp.Or(err, o.Cause)
		h.Log.Error("not ready", "error", cause)
		facts := map[string]string{"reason": cause.Error()}
		if out {
			facts["since"] = o.Since.Format(time.RFC3339)
		}
		return readiness{Degraded: []degraded{{"database", facts}}}
	}
	state := readiness{Ready: true}
	if d := h.Mail.Down(); !d.Since.IsZero() {
		state.Degraded = append(state.Degraded, degraded{"mailserver", map[string]string{"since": d.Since.Format(time.RFC3339), "reason": d.Reply}})
	}
	if backlog.Waiting > 0 {
		state.Degraded = append(state.Degraded, degraded{"mail", map[string]string{
			"count": strconv.FormatInt(backlog.Waiting, 10), "since": backlog.Since.Format(time.RFC3339), "reply": backlog.Reply,
		}})
	}
	if doc.UsesZones() {
		for _, p := range h.seen.suspects() {
			state.Degraded = append(state.Degraded, degraded{"proxy", map[string]string{
				"peer": p.peer.String(), "header": p.header, "count": strconv.Itoa(p.count),
			}})
		}
	}
	return state
}
