package trust

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"seimon/internal/ca/trust/chain"
	"seimon/internal/store"
)

const (
	listLimit = 32 << 20 // bytes of a fetched list
	listWait  = time.Minute
	// A list is fetched again after a third of its life, within these bounds.
	soonest = 10 * time.Minute
	latest  = 6 * time.Hour
)

// fetcher is a client that goes exactly where it was sent.
func fetcher() *http.Client {
	return &http.Client{
		Timeout:       listWait,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// List is what is known of a fetched list.
type List struct {
	Anchor, URL            string
	Number                 string
	Entries                int64
	ThisUpdate, NextUpdate time.Time
	Tried, Fetched         time.Time
	Fault                  string // of the last try; "" if it went well
	digest                 string
}

// Lists tells about the lists of all anchors, for doctor and console.
func (t *Trust) Lists(tx *store.Tx) ([]List, error) {
	var out []List
	rows, err := tx.Query("SELECT anchor, url, number, entries, this_update, next_update, tried_at, fetched_at, fault, digest FROM trust_list ORDER BY anchor, url")
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var l List
		var this, next, tried, fetched int64
		err := rows.Scan(&l.Anchor, &l.URL, &l.Number, &l.Entries, &this, &next, &tried, &fetched, &l.Fault, &l.digest)
		l.ThisUpdate, l.NextUpdate, l.Tried, l.Fetched = store.Time(this), store.Time(next), store.Time(tried), store.Time(fetched)
		out = append(out, l)
		return err
	})
	return out, err
}

// listsOf gives the parsed lists of an anchor. They were checked when they were
// fetched, and are again by whoever uses them.
func (t *Trust) listsOf(tx *store.Tx, anchor string) ([]*chain.List, error) {
	var digests []string
	rows, err := tx.Query("SELECT digest FROM trust_list WHERE anchor = $1 AND digest <> ''", anchor)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var d string
		err := rows.Scan(&d)
		digests = append(digests, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []*chain.List
	for _, d := range digests {
		t.mu.Lock()
		l := t.lists[d]
		t.mu.Unlock()
		if l == nil {
			var der []byte
			if err := tx.QueryRow("SELECT der FROM trust_list WHERE anchor = $1 AND digest = $2", anchor, d).Scan(&der); err != nil {
				return nil, err
			}
			if l, err = chain.ParseList(der); err != nil {
				return nil, fmt.Errorf("trust: a stored list is damaged: %w", err)
			}
			t.keep(d, l)
		}
		out = append(out, l)
	}
	return out, nil
}

// keep remembers a parsed list; lists that were replaced fall out in time.
func (t *Trust) keep(digest string, l *chain.List) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lists) >= 32 {
		clear(t.lists)
	}
	t.lists[digest] = l
}

// Fetch gets the lists that are due, from the configured addresses only, and ends what
// rests on a certificate that one of them names. A list that cannot be had or is not
// good leaves the one before in place; the fault is noted.
func (t *Trust) Fetch(ctx context.Context) error {
	var anchors []*parsed
	known := map[string]List{}
	var now time.Time
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		now = tx.Now
		if anchors, err = t.parsed(tx); err != nil {
			return err
		}
		clear(known)
		list, err := t.Lists(tx)
		for _, l := range list {
			known[l.Anchor+" "+l.URL] = l
		}
		return err
	})
	if err != nil {
		return err
	}
	var faults []error
	for _, a := range anchors {
		for _, address := range a.Rules.Lists {
			before := known[a.ID+" "+address]
			if now.Before(before.due()) {
				continue
			}
			if err := t.fetch(ctx, a, address, before); err != nil {
				faults = append(faults, err)
			}
		}
		if err := t.enforce(ctx, a); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// due is when a list is fetched again: after a third of its life, sooner after a failure.
func (l List) due() time.Time {
	if l.Tried.IsZero() || l.Fault != "" {
		return l.Tried.Add(soonest / 2)
	}
	third := l.NextUpdate.Sub(l.ThisUpdate) / 3
	return l.Fetched.Add(min(max(third, soonest), latest))
}

// fetch gets one list and stores what came of it.
func (t *Trust) fetch(ctx context.Context, a *parsed, address string, before List) error {
	der, l, fault := t.download(ctx, a, address, before)
	if fault != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	err := t.db.Background(ctx, func(tx *store.Tx) error {
		if fault != nil {
			_, err := tx.Exec(`INSERT INTO trust_list (anchor, url, der, digest, number, entries, this_update, next_update, tried_at, fetched_at, fault)
				VALUES ($1, $2, $3, '', '', 0, 0, 0, $4, 0, $5)
				ON CONFLICT (anchor, url) DO UPDATE SET tried_at = excluded.tried_at, fault = excluded.fault`,
				a.ID, address, []byte{}, store.Millis(tx.Now), fault.Error())
			return err
		}
		number := ""
		if l.Number != nil {
			number = l.Number.String()
		}
		sum := sha256.Sum256(der)
		_, err := tx.Exec(`INSERT INTO trust_list (anchor, url, der, digest, number, entries, this_update, next_update, tried_at, fetched_at, fault)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, '')
			ON CONFLICT (anchor, url) DO UPDATE SET der = excluded.der, digest = excluded.digest, number = excluded.number, entries = excluded.entries,
				this_update = excluded.this_update, next_update = excluded.next_update, tried_at = excluded.tried_at, fetched_at = excluded.fetched_at, fault = ''`,
			a.ID, address, der, hex.EncodeToString(sum[:]), number, int64(l.Entries()), store.Millis(l.ThisUpdate), store.Millis(l.NextUpdate), store.Millis(tx.Now))
		return err
	})
	if fault != nil {
		fault = fmt.Errorf("trust: list %s of %s: %w", address, a.Name, fault)
	}
	return errors.Join(err, fault)
}

// download gets a list and checks who signed it, its age and its number.
func (t *Trust) download(ctx context.Context, a *parsed, address string, before List) ([]byte, *chain.List, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	answer, err := t.cfg.Client.Do(q)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("the server answers %s", answer.Status)
	}
	der, err := io.ReadAll(io.LimitReader(answer.Body, listLimit+1))
	if err != nil {
		return nil, nil, err
	}
	if len(der) > listLimit {
		return nil, nil, errors.New("the list is too large")
	}
	l, err := chain.ParseList(der)
	if err != nil {
		return nil, nil, err
	}
	number, _ := new(big.Int).SetString(before.Number, 10)
	o := chain.Options{Now: t.db.Now(), Anchors: []chain.Anchor{a.anchor()}, Between: a.between}
	return der, l, chain.CheckList(l, o, number)
}
