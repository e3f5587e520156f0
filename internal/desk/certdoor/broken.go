package certdoor

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/login/transaction"
	"seimon/internal/policy"
	"seimon/internal/store"
)

// Record is what the door needs to put a broken connection on record. The browser
// shows a page of its own then, and its person may never come back to ours.
type Record struct {
	Audit    *audit.Log
	Policy   *policy.Book
	Bindings *factor.Bindings
	// Broken tells the cause for this person.
	Broken func(tx *store.Tx, a factor.Attempt) (fault, err error)
}

// stranded notes a connection that was asked for a certificate and ended before it
// was made.
func (d *Door) stranded(label string, asked time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// Whoever reads of it on the page finds it in the record as well.
	err := d.DB.Write(ctx, func(tx *store.Tx) error {
		id, err := d.Attempts.Stranded(tx, label, asked)
		if err != nil || id == "" || d.Record.Audit == nil {
			return err
		}
		t, err := d.shelf.Load(tx, id)
		if errors.Is(err, transaction.ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		return d.Record.write(tx, t)
	})
	if err != nil {
		d.Log.Error("a broken connection could not be noted", "error", err)
	}
}

// strandedAt does the same for a connection to a name of a pool, which serves many: it
// belongs to a try when it can belong to no other.
func (d *Door) strandedAt(host string, client netip.Addr, asked time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	label, err := d.Attempts.Alone(ctx, host, client.String(), asked)
	switch {
	case err != nil:
		d.Log.Error("a broken connection could not be looked up", "error", err)
	case label != "":
		d.stranded(label, asked)
	}
}

func (r Record) write(tx *store.Tx, t *transaction.Transaction) error {
	doc, _, err := r.Policy.Active(tx)
	if err != nil {
		return err
	}
	a := factor.Attempt{
		Subject: t.Subject, Transaction: t.ID, Proved: len(t.Evidence) > 0, Settings: doc.Settings(way), Now: tx.Now,
	}
	all, err := r.Bindings.Of(tx, t.Subject.Account)
	if err != nil {
		return err
	}
	for _, b := range all {
		if b.Kind == way {
			a.Bindings = append(a.Bindings, b)
		}
	}
	fault, err := r.Broken(tx, a)
	if err != nil {
		return err
	}
	facts := map[string]string{"factor": way}
	if f := authn.AsFault(fault); f != nil {
		maps.Copy(facts, f.Facts)
		facts["code"] = string(f.Code)
	}
	return r.Audit.Append(tx, audit.Event{
		Type: "certificate.broken", Account: t.Subject.Account, Actor: string(t.Subject.Account),
		Transaction: t.ID, Support: t.Support, Party: t.Ask.Party, Facts: facts,
	})
}
