package certificates

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"seimon/internal/audit"
	"seimon/internal/ca"
	"seimon/internal/lang"
	"seimon/internal/session"
	"seimon/internal/store"
)

// step is one thing that happened to a certificate, as it is on record.
type step struct {
	At    time.Time
	Tone  string
	Words string // message id
	Facts map[string]string
	After time.Duration // since the revocation
	Event string        // as the record calls it; empty for what stands in the row
	Party string        // id of the service that it is about
}

// Seconds is After in seconds, with one digit behind the point.
func (s step) Seconds() string { return strconv.FormatFloat(s.After.Seconds(), 'f', 1, 64) }

// trail tells what happened to a certificate, the oldest first. Only what is on
// record stands in it.
func (d *Desk) trail(tx *store.Tx, p lang.Printer, c ca.Certificate) ([]step, error) {
	out := []step{{At: c.Issued, Tone: "good", Words: "certificates.trail.issued"}}
	if c.State == ca.Revoked {
		out = append(out, step{At: c.Revoked, Tone: "error", Words: "certificates.trail.revoked", Facts: map[string]string{"reason": why(p, c.Reason)}})
	}
	if c.ReplacedBy != "" {
		newer, err := d.CA.Get(tx, c.ReplacedBy)
		if err != nil {
			return nil, err
		}
		out = append(out, step{At: newer.Issued, Tone: "warn", Words: "certificates.trail.replaced", Facts: map[string]string{"name": newer.Name, "tail": newer.Tail()}})
	}
	events, err := d.recorded(tx, c)
	if err != nil {
		return nil, err
	}
	out = append(out, d.told(tx, p, c, events)...)
	for i := range out {
		if c.State == ca.Revoked && out[i].At.After(c.Revoked) {
			out[i].After = out[i].At.Sub(c.Revoked).Round(100 * time.Millisecond)
		}
	}
	slices.SortStableFunc(out, func(a, b step) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.rank(), b.rank())) })
	return out, nil
}

// rank orders what happened in one moment: the revocation, what it took, who is told.
func (s step) rank() int {
	switch s.Event {
	case "":
		return 0
	case "certificate.cut":
		return 1
	case "session.ended":
		return 2
	case "certificate.access.ended":
		return 3
	}
	return 4
}

// Trail is the time line of a certificate for programs and the command line.
func (d *Desk) Trail(tx *store.Tx, p lang.Printer, c ca.Certificate) ([]ca.Moment, error) {
	list, err := d.trail(tx, p, c)
	var out []ca.Moment
	for _, s := range list {
		out = append(out, ca.Moment{At: s.At, After: s.After.Seconds(), Event: s.Event, Service: s.Party, Text: p.Text(s.Words, s.Facts)})
	}
	return out, err
}

// openFor is how long after a revocation its time line is expected to grow: services
// are told and lists published within seconds, and again after a failure for a while.
const openFor = 10 * time.Minute

// open tells whether more is expected in the time line of a certificate that was just
// revoked: a service that has not answered, or a publication that is not on record.
func (d *Desk) open(tx *store.Tx, c ca.Certificate, trail []step) (bool, error) {
	if c.State != ca.Revoked || tx.Now.Sub(c.Revoked) >= openFor {
		return false, nil
	}
	if slices.ContainsFunc(trail, func(s step) bool { return s.Event == "certificate.service.telling" }) {
		return true, nil
	}
	var n int
	err := tx.QueryRow("SELECT COUNT(*) FROM certificates_watch WHERE certificate = $1", c.ID).Scan(&n)
	return n > 0, err
}

// why are the words for a reason.
func why(p lang.Printer, r ca.Reason) string {
	if id := "certificates.reason." + string(r); p.Has(id) {
		return p.T(id)
	}
	return string(r)
}

// recorded reads what the record has about a certificate: everything that names it,
// and, once it is revoked, what else happened to its owner since then.
func (d *Desk) recorded(tx *store.Tx, c ca.Certificate) ([]audit.Event, error) {
	events, err := d.Audit.Find(tx, audit.Query{Account: c.Account, TypePrefix: "certificate.", Since: c.Issued, Limit: 1000})
	if err != nil || c.State != ca.Revoked {
		return events, err
	}
	since, err := d.Audit.Find(tx, audit.Query{Account: c.Account, Since: c.Revoked, Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, e := range since {
		if !slices.ContainsFunc(events, func(o audit.Event) bool { return o.ID == e.ID }) {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b audit.Event) int { return a.At.Compare(b.At) })
	return events, nil
}

// told makes steps of what was cut off with a certificate. What services were told is
// recorded with the session that ended.
func (d *Desk) told(tx *store.Tx, p lang.Printer, c ca.Certificate, events []audit.Event) []step {
	type call struct{ session, party string }
	sessions, heard := map[string]bool{}, map[call]bool{}
	for _, e := range events {
		if e.Facts["certificate"] == c.ID && e.Type == "session.ended" {
			sessions[e.Session] = true
		}
		heard[call{e.Session, e.Party}] = heard[call{e.Session, e.Party}] || outcome(e.Type)
	}
	var out []step
	for _, e := range events {
		id := "certificates.trail." + e.Type
		switch mine := e.Facts["certificate"] == c.ID; {
		case !mine && !(sessions[e.Session] && outcome(e.Type)), !p.Has(id):
			continue
		case e.Type == "certificate.revoked" && e.At.Equal(c.Revoked): // stands in the row
			continue
		case e.Type == "certificate.service.telling" && heard[call{e.Session, e.Party}]:
			continue
		}
		facts := map[string]string{}
		maps.Copy(facts, e.Facts)
		facts["service"] = d.service(tx, p, e.Party)
		facts["device"] = session.Classify(e.Facts["agent"]).In(p)
		facts["reason"] = why(p, ca.Reason(e.Facts["reason"]))
		if at, err := time.Parse(time.RFC3339, e.Facts["until"]); err == nil {
			facts["until"] = p.Clock(at)
		}
		out = append(out, step{At: e.At, Tone: tone(e.Type), Words: id, Facts: facts, Event: e.Type, Party: e.Party})
	}
	return out
}

// outcomes are how the fronts record that a service was told of the end of a session.
func outcomes() []string {
	return []string{
		"oidc.logout.told", "oidc.logout.failed", "saml.logout.told", "saml.logout.failed", "cas.logout.sent", "cas.logout.failed",
	}
}

func outcome(kind string) bool { return slices.Contains(outcomes(), kind) }

func tone(kind string) string {
	switch kind {
	case "certificate.published", "certificate.answered", "certificate.revoked":
		return "error"
	case "certificate.restored":
		return "good"
	}
	return "warn"
}

// service is the name of a service; its id when it is gone.
func (d *Desk) service(tx *store.Tx, p lang.Printer, id string) string {
	if party, err := d.Parties.Get(tx, id); err == nil {
		return party.Name(p.Tag())
	}
	return id
}
