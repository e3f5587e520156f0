package portal

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/diagnosis"
	"seimon/internal/policy"
	"seimon/internal/session"
	"seimon/internal/store"
)

// Sizes of one page of history.
const (
	historyPage  = 30  // entries shown
	historyBatch = 200 // events read at a time
	historyReads = 10  // batches at most
)

// historyPageView is the time line of an account.
type historyPageView struct {
	view
	Days []dayView
	All  bool   // entries without a question are shown too
	Next string // address of the page with older entries
	Old  bool   // this is not the newest page
}

type dayView struct {
	Day     time.Time
	Entries []entry
}

// entry is one thing that happened, in plain words.
type entry struct {
	At      time.Time
	Tone    string // "good", "warn", "error" or empty
	Text    string
	Cause   string
	Device  string
	Address string
	Proofs  string
	Support string
	ByDesk  bool
	Times   int
	kind    string
}

func (g *guest) history() error {
	g.here = "/portal/history"
	q := g.r.URL.Query()
	page := &historyPageView{view: g.top(), All: q.Get("all") == "1"}
	before, err := strconv.ParseInt(q.Get("before"), 10, 64)
	if err != nil || before < 0 {
		before = 0
	}
	page.Old = before != 0
	var entries []entry
	var next int64
	err = g.DB.Read(g.r.Context(), func(tx *store.Tx) (err error) {
		entries, next, err = g.entries(tx, before, page.All)
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range entries {
		if n := len(page.Days); n == 0 || g.p().Day(page.Days[n-1].Day) != g.p().Day(e.At) {
			page.Days = append(page.Days, dayView{Day: e.At})
		}
		last := &page.Days[len(page.Days)-1]
		last.Entries = append(last.Entries, e)
	}
	if next != 0 {
		page.Next = "/portal/history?before=" + strconv.FormatInt(next, 10)
		if page.All {
			page.Next += "&all=1"
		}
	}
	return g.show("portal.history", page)
}

// entries reads one page of what people understand, newest first, and where the
// next page begins (0: nowhere).
func (g *guest) entries(tx *store.Tx, before int64, all bool) (out []entry, next int64, err error) {
	names := map[string]string{}
	for range historyReads {
		events, err := g.Audit.Find(tx, audit.Query{Account: g.Account.ID, Newest: true, Before: before, Limit: historyBatch})
		if err != nil {
			return nil, 0, err
		}
		for _, e := range events {
			x, ok, err := g.entry(tx, e, names, all)
			if err != nil {
				return nil, 0, err
			}
			switch n := len(out); {
			case !ok:
			case n > 0 && out[n-1].same(x):
				out[n-1].Times++
			case n == historyPage:
				return out, before, nil
			default:
				out = append(out, x)
			}
			before = e.ID
		}
		if len(events) < historyBatch {
			return out, 0, nil
		}
	}
	return out, before, nil
}

// same tells whether an older entry only repeats a newer one.
func (e entry) same(older entry) bool {
	return e.kind == "signin.failed" && older.kind == e.kind && older.Support == e.Support && older.Text == e.Text && older.Cause == e.Cause
}

// entry puts an event into words; false when it is nothing for people.
func (g *guest) entry(tx *store.Tx, e audit.Event, names map[string]string, all bool) (entry, bool, error) {
	kind := e.Type
	if kind == "signin.done" && e.Facts["sso"] == "1" {
		if kind = "signin.sso"; !all {
			return entry{}, false, nil
		}
	}
	id := "portal.event." + kind
	if !g.p().Has(id) {
		return entry{}, false, nil
	}
	if _, known := names[e.Party]; !known && e.Party != "" {
		var err error
		if names[e.Party], err = g.serviceName(tx, e.Party); err != nil {
			return entry{}, false, err
		}
	}
	facts := map[string]string{
		"service": names[e.Party], "label": e.Facts["label"], "kind": desk.KindName(g.p(), authn.Kind(e.Facts["factor"])),
		"before": e.Facts["before"], "after": e.Facts["after"], "old": e.Facts["old"], "name": e.Facts["name"],
	}
	out := entry{
		At: e.At, kind: e.Type, Text: strings.Join(strings.Fields(g.p().Text(id, facts)), " "), Address: e.Address, Support: e.Support, Times: 1,
		Tone: tone(kind), ByDesk: e.Actor != "" && e.Actor != string(e.Account),
	}
	if agent, ok := e.Facts["agent"]; ok {
		out.Device = session.Classify(agent).In(g.p())
	}
	if code := e.Facts["code"]; code != "" {
		out.Cause = diagnosis.Advise(g.p(), &authn.Fault{Code: authn.Code(code), Facts: e.Facts}, diagnosis.Context{
			Proved: true, Now: e.At, Facts: map[string]string{"service": names[e.Party], "address": e.Address, "user": g.Account.UserName},
		}).Cause
	}
	if kind == "signin.done" {
		out.Proofs = g.proofs(e)
	}
	return out, true, nil
}

// proofs names what a sign-in rested on.
func (g *guest) proofs(e audit.Event) string {
	var c policy.Case
	if err := json.Unmarshal([]byte(e.Facts["case"]), &c); err != nil {
		return ""
	}
	var kinds []authn.Kind
	for _, p := range c.Evidence {
		kinds = append(kinds, p.Kind)
	}
	return desk.Kinds(g.p(), kinds)
}

func tone(kind string) string {
	switch kind {
	case "signin.done", "signin.sso", "account.activated":
		return "good"
	case "signin.failed":
		return "warn"
	case "signin.denied":
		return "error"
	}
	if strings.HasPrefix(kind, "factor.") || strings.HasPrefix(kind, "certificate.") || strings.HasPrefix(kind, "password.") || strings.HasPrefix(kind, "address.") {
		return "warn"
	}
	return ""
}
