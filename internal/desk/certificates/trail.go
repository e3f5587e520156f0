package certificates

import (
	"maps"
	"seimon/internal/session"
	"slices"
	"strconv"
	"time"

	"seimon/internal/audit"
	"seimon/internal/ca"
	"seimon/internal/desk"
	"seimon/internal/store"
)

// step is one thing that happened to a certificate, as it is on record.
type step struct {
	At    time.Time
	Tone  string
	Words string // message id
	Facts map[string]string
	After time.Duration // since the revocation
}

// Seconds is After in seconds, with one digit behind the point.
func (s step) Seconds() string { return strconv.FormatFloat(s.After.Seconds(), 'f', 1, 64) }

// trail tells what happened to a certificate, the oldest first. Only what is on
// record stands in it.
func (d *Desk) trail(tx *store.Tx, v desk.Visit, c ca.Certificate) ([]step, error) {
	out := []step{{At: c.Issued, Tone: "good", Words: "certificates.trail.issued"}}
	since := c.Issued
	if c.State == ca.Revoked {
		reason := v.P().T("certificates.reason." + string(c.Reason))
		out = append(out, step{At: c.Revoked, Tone: "error", Words: "certificates.trail.revoked", Facts: map[string]string{"reason": reason}})
		since = c.Revoked
	}
	ended, err := d.ended(tx, v, c, since)
	if err != nil {
		return nil, err
	}
	out = append(out, ended...)
	for i := range out {
		if c.State == ca.Revoked && out[i].At.After(c.Revoked) {
			out[i].After = out[i].At.Sub(c.Revoked).Round(100 * time.Millisecond)
		}
	}
	slices.SortStableFunc(out, func(a, b step) int { return a.At.Compare(b.At) })
	return out, nil
}

// ended reads from the record what was cut off with a certificate: every event that
// names it.
func (d *Desk) ended(tx *store.Tx, v desk.Visit, c ca.Certificate, since time.Time) ([]step, error) {
	if c.State != ca.Revoked {
		return nil, nil
	}
	events, err := d.Audit.Find(tx, audit.Query{Account: c.Account, Since: since, Limit: 1000})
	if err != nil {
		return nil, err
	}
	var out []step
	sessions := map[string]bool{}
	for _, e := range events {
		mine := e.Facts["certificate"] == c.ID
		if mine && e.Type == "session.ended" {
			sessions[e.Session] = true
		}
		// What services were told is recorded with the session that ended.
		id := "certificates.trail." + e.Type
		if !mine && !sessions[e.Session] || !d.Words.In(v.P().Tag()).Has(id) {
			continue
		}
		facts := maps.Clone(e.Facts)
		facts["service"] = d.service(tx, v, e.Party)
		facts["device"] = session.Classify(e.Facts["agent"]).In(v.P())
		tone := "warn"
		if e.Type == "certificate.published" {
			tone = "error"
		}
		out = append(out, step{At: e.At, Tone: tone, Words: id, Facts: facts})
	}
	return out, nil
}

// service is the name of a service; its id when it is gone.
func (d *Desk) service(tx *store.Tx, v desk.Visit, id string) string {
	if p, err := d.Parties.Get(tx, id); err == nil {
		return p.Name(v.P().Tag())
	}
	return id
}
