package trust

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"slices"
	"time"

	"seimon/internal/ca/trust/chain"
	"seimon/internal/store"
)

// Ended is a known certificate of another house that a fetched list names, or whose
// issuer one names.
type Ended struct {
	Anchor      string // its id
	Certificate *x509.Certificate
	Name, Tail  string
	Since       time.Time
	Reason      string // RFC 5280 5.3.1
	Held        bool   // it may come back
}

// lookAgain is how old a list must be before what it ended counts as done: whoever was
// being let in by the list before is let in by then, and found at the second look.
const lookAgain = 30 * time.Second

// enforce ends what rests on certificates that the lists of an anchor name. A list is
// done with when everything final was ended; what is on hold is looked at again, so that
// nothing that stood still meanwhile outlives it. An anchor that is switched off too
// loses what its lists name.
func (t *Trust) enforce(ctx context.Context, a *parsed) error {
	if t.cfg.Ended == nil {
		return nil
	}
	var digests []string
	var named []*x509.Certificate
	fresh := false
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		digests, named = nil, nil
		if digests, fresh, err = t.undone(tx, a.ID); err != nil || len(digests) == 0 {
			return err
		}
		named, err = t.listedOf(tx, a)
		return err
	})
	if err != nil || len(digests) == 0 {
		return err
	}
	held := false
	for _, c := range named {
		still, err := t.end(ctx, a, c)
		if err != nil {
			return err
		}
		held = held || still
	}
	if held || fresh {
		return nil
	}
	return t.db.Background(ctx, func(tx *store.Tx) error {
		for _, d := range digests {
			if _, err := tx.Exec("UPDATE trust_list SET acted = digest WHERE anchor = $1 AND digest = $2", a.ID, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// undone gives the lists of an anchor that are not done with, and whether one of them
// has only just come.
func (t *Trust) undone(tx *store.Tx, anchor string) (digests []string, fresh bool, err error) {
	rows, err := tx.Query("SELECT digest, fetched_at FROM trust_list WHERE anchor = $1 AND digest <> acted", anchor)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var d string
		var at int64
		err := rows.Scan(&d, &at)
		digests = append(digests, d)
		fresh = fresh || tx.Now.Sub(store.Time(at)) < lookAgain
		return err
	})
	return digests, fresh, err
}

// listedOf gives the known certificates of an anchor that one of its lists has an entry for,
// or all when it has one for an issuer between.
func (t *Trust) listedOf(tx *store.Tx, a *parsed) ([]*x509.Certificate, error) {
	lists, err := t.listsOf(tx, a.ID)
	if err != nil {
		return nil, err
	}
	listed := func(c *x509.Certificate) bool {
		return slices.ContainsFunc(lists, func(l *chain.List) bool { return l.Lists(c) })
	}
	all := slices.ContainsFunc(a.between, listed)
	known, err := t.known(tx, a.ID)
	var out []*x509.Certificate
	for _, k := range known {
		if all || listed(k.certificate) {
			out = append(out, k.certificate)
		}
	}
	return out, err
}

// end judges a certificate by the lists as they stand in the transaction, and hands on
// what has ended.
func (t *Trust) end(ctx context.Context, a *parsed, c *x509.Certificate) (held bool, err error) {
	err = t.db.Write(ctx, func(tx *store.Tx) error {
		held = false
		lists, err := t.listsOf(tx, a.ID)
		if err != nil {
			return err
		}
		// Of a list that has ended since, what it names is still the last word.
		_, fault := chain.Validate(c, chain.Options{
			Now: tx.Now, Anchors: []chain.Anchor{a.anchor()}, Between: a.between, Lists: lists,
			Status: true, Silent: true, Stale: forever,
		})
		var why *chain.Error
		if !errors.As(fault, &why) || why.Reason != chain.Revoked {
			return nil
		}
		e := Ended{Anchor: a.ID, Certificate: c, Name: read(c).Name, Tail: read(c).Tail, Since: why.Since, Reason: reasonName(why.Code)}
		e.Held = e.Reason == hold
		held, err = t.cfg.Ended(tx, e)
		held = held && e.Held
		return err
	})
	return held, err
}

const (
	hold    = "certificateHold"
	forever = 100 * 365 * 24 * time.Hour
)
