package app

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/lang"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Codes of scenario O1: what is out of order.
const (
	outDatabase authn.Code = "O1.database"
	outMail     authn.Code = "O1.mail"
)

// mailPatience is how long the mail server may be out of reach before people are told.
const mailPatience = 30 * time.Second

// closed recognises that the database is out of order, and says since when, what
// still works and what to try (O1). What a person was told is remembered, since it
// cannot be put on record now.
func (h *House) closed(r *http.Request, err error) (web.Trouble, bool) {
	// What a room has named is no outage, though its cause looks like one: a message that
	// ends in its middle reads like a connection that does.
	if f := authn.AsFault(err); f != nil && f.Code.Family() != outDatabase.Family() || !store.Unavailable(err) {
		return web.Trouble{}, false
	}
	f, support := h.outOfOrder(), diagnosis.NewCode()
	a := diagnosis.Advise(web.Lang(r), f, diagnosis.Context{HelpURL: h.Config.University.HelpURL, Now: h.DB.Now()})
	h.told.add(audit.Event{
		At: h.DB.Now(), Type: "request.refused", Support: support, Address: web.ClientOf(r).Addr.String(),
		Facts: map[string]string{"code": string(f.Code), "since": f.Facts["since"], "route": r.Pattern},
	})
	t := web.Trouble{Title: web.Lang(r).T("diagnosis.outage.title"), Cause: a.Cause, Next: a.Next, Support: support}
	for _, x := range a.Actions {
		t.Actions = append(t.Actions, web.Action{Label: x.Label, URL: x.Path})
	}
	return t, true
}

// outOfOrder is the fault of a database that does not work.
func (h *House) outOfOrder() *authn.Fault {
	if o, out := h.DB.Outage(); out {
		return authn.NewFault(outDatabase, "since", o.Since.Format(time.RFC3339))
	}
	return authn.NewFault(outDatabase) // back already, or not noticed otherwise
}

// disorder is what people are told on every page while something is out of order.
func (h *House) disorder(p lang.Printer, now time.Time) (lines []string) {
	ctx := diagnosis.Context{Now: now}
	if _, out := h.DB.Outage(); out {
		lines = append(lines, diagnosis.Advise(p, h.outOfOrder(), ctx).Cause)
	}
	if d := h.Mail.Down(); !d.Since.IsZero() && now.Sub(d.Since) >= mailPatience {
		a := diagnosis.Advise(p, authn.NewFault(outMail, "since", d.Since.Format(time.RFC3339)), ctx)
		lines = append(lines, p.T("diagnosis.outage.line", "cause", a.Cause, "next", a.Next))
	}
	return lines
}

// told is what people were told while nothing could be put on record.
type told struct {
	mu     sync.Mutex
	events []audit.Event
}

// toldMost bounds what is remembered through an outage.
const toldMost = 1000

func (t *told) add(e audit.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.events) < toldMost {
		t.events = append(t.events, e)
	}
}

// record puts what was remembered on record, so that the desk finds the support codes.
func (h *House) recordTold(ctx context.Context) error {
	h.told.mu.Lock()
	events := h.told.events
	h.told.mu.Unlock()
	if len(events) == 0 {
		return nil
	}
	err := h.DB.Write(ctx, func(tx *store.Tx) error {
		for _, e := range events {
			if err := h.Audit.Append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		h.told.mu.Lock()
		h.told.events = h.told.events[len(events):]
		h.told.mu.Unlock()
	}
	return err
}

// notices are the announcements for a page. Each page asks for them, so this is also
// where forwarding headers of undeclared peers are seen.
func (h *House) notices(r *http.Request) []string {
	h.seen.note(web.ClientOf(r))
	p, now := web.Lang(r), h.DB.Now()
	return append(h.outage.lines(p, now), h.disorder(p, now)...)
}

// outage shows the announcements of a file with one line for each language, such
// as "ja: 図書館は休みです" and "en: The library is closed", and with a line for
// announced maintenance (O2), "until: 2026-04-06T18:00:00+09:00".
type outage struct {
	file string
	mu   sync.Mutex
	read time.Time
	said announced
}

// announced is what the file says: lines in each language, and until when there is
// maintenance, if there is.
type announced struct {
	text  map[lang.Tag][]string
	until time.Time
}

// outageEvery is how often the file is looked at again.
const outageEvery = 5 * time.Second

func (o *outage) lines(p lang.Printer, now time.Time) (lines []string) {
	if o.file == "" {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.read) > outageEvery {
		o.said, o.read = readOutage(o.file), time.Now()
	}
	if o.said.until.After(now) {
		f := authn.NewFault("O2", "until", o.said.until.Format(time.RFC3339))
		lines = append(lines, diagnosis.Advise(p, f, diagnosis.Context{Now: now}).Cause)
	}
	return append(lines, o.said.text[p.Tag()]...)
}

// readOutage reads announcements; a file that is missing means that there are none.
func readOutage(file string) announced {
	text, err := os.ReadFile(file)
	if err != nil {
		return announced{}
	}
	out := announced{text: map[lang.Tag][]string{}}
	for line := range strings.Lines(string(text)) {
		name, words, ok := strings.Cut(strings.TrimSpace(line), ":")
		words = strings.TrimSpace(words)
		if name == "until" {
			out.until, _ = time.Parse(time.RFC3339, words) // anything else is no announcement
		} else if ok && words != "" {
			out.text[lang.Tag(name)] = append(out.text[lang.Tag(name)], words)
		}
	}
	return out
}
