package saml

import (
	"context"
	"slices"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/login"
	"seimon/internal/session"
	"seimon/internal/store"
)

const (
	// patience is how long an answer about a sign-out waits for services that are told
	// without the browser.
	patience = 5 * time.Second
	// glance is how often it looks.
	glance = 50 * time.Millisecond
)

// teller is a front that knows whether a service can be told without the browser.
type teller interface {
	CanTell(tx *store.Tx, v session.Visit) (bool, error)
}

// audience is who is to hear of the end of sessions, by the way in which they can.
type audience struct {
	Browser []stop              // by the browser alone
	Jobs    map[string][]string // by a job: parties of each session
	Nobody  []said              // not at all
}

// hear adds a visit of a service of another protocol, about which its own front knows.
func (a *audience) hear(tx *store.Tx, other login.Front, v session.Visit) error {
	t, ok := other.(teller)
	if !ok {
		return nil // it keeps nothing of its own, such as the portal
	}
	can, err := t.CanTell(tx, v)
	if can {
		a.byJob(v)
	} else {
		a.Nobody = append(a.Nobody, said{Party: v.Party})
	}
	return err
}

func (a *audience) byJob(v session.Visit) {
	if a.Jobs == nil {
		a.Jobs = map[string][]string{}
	}
	if !slices.Contains(a.Jobs[v.Session], v.Party) {
		a.Jobs[v.Session] = append(a.Jobs[v.Session], v.Party)
	}
}

// add joins what is to be heard of another session.
func (a *audience) add(b audience) {
	a.Browser, a.Nobody = append(a.Browser, b.Browser...), append(a.Nobody, b.Nobody...)
	for id, parties := range b.Jobs {
		for _, p := range parties {
			a.byJob(session.Visit{Session: id, Party: p})
		}
	}
}

// settle waits a little for the services that are told by jobs, and gives how it went at
// each. Who has not confirmed by then counts as not told (SAML Core 2.0, 3.7.3.2), though
// the job goes on.
func (f *Front) settle(ctx context.Context, jobs map[string][]string) ([]said, error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	over := time.NewTimer(f.Settings.Patience)
	defer over.Stop()
	look := time.NewTicker(glance)
	defer look.Stop()
	for last := false; ; {
		out, open, err := f.outcomes(ctx, jobs)
		if err != nil || !open || last {
			return out, err
		}
		select {
		case <-look.C:
		case <-over.C:
			last = true
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
}

// outcomes reads from the record what came of telling services; open tells whether
// there are some about which nothing is known.
func (f *Front) outcomes(ctx context.Context, jobs map[string][]string) (out []said, open bool, err error) {
	err = f.DB.Read(ctx, func(tx *store.Tx) error {
		out, open = nil, false
		for _, id := range sorted(jobs) {
			events, err := f.Audit.Find(tx, audit.Query{Session: id, Limit: 1000, Newest: true})
			if err != nil {
				return err
			}
			for _, party := range jobs[id] {
				ok, known := outcome(events, party)
				open = open || !known
				out = append(out, said{Party: party, OK: ok})
			}
		}
		return nil
	})
	return out, open, err
}

// outcome finds the last word on a party. What failed may be tried again later, but the
// answer does not wait for that.
func outcome(newest []audit.Event, party string) (ok, known bool) {
	for _, e := range newest {
		_, what, fits := strings.Cut(e.Type, ".logout.")
		if e.Party == party && fits && (what == "told" || what == "sent" || what == "failed") {
			return what != "failed", true
		}
	}
	return false, false
}

func sorted(m map[string][]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
