package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"seimon/internal/store"
)

// ErrSoon says that the next key has not been published long enough to sign.
var ErrSoon = errors.New("keyring: the next key is not published long enough")

// Refresh rereads keys that other nodes made, makes the next key of each
// algorithm and lets it sign when its time has come. Call it every minute.
func (r *Ring) Refresh(ctx context.Context) error {
	r.upkeep.Lock()
	defer r.upkeep.Unlock()
	var faults []error
	for _, alg := range Algorithms() {
		faults = append(faults, r.prepare(ctx, alg), r.promote(ctx, alg, r.due))
	}
	faults = append(faults, r.load(ctx))
	return errors.Join(faults...)
}

// Rotate lets the next key of alg sign now, ahead of its time, and begins to
// publish the one after it. It refuses with ErrSoon while services may not have
// seen the next key yet.
func (r *Ring) Rotate(ctx context.Context, alg string) error {
	r.upkeep.Lock()
	defer r.upkeep.Unlock()
	if err := r.prepare(ctx, alg); err != nil {
		return err
	}
	current, err := r.Signer(alg)
	if err != nil {
		return err
	}
	err = r.promote(ctx, alg, func(now time.Time, active, next row) (bool, error) {
		if active.ID != current.ID {
			return false, nil // another node was first
		}
		if ready := next.Published.Add(r.cfg.Lead); now.Before(ready) {
			return false, fmt.Errorf("%w: wait until %s", ErrSoon, ready.Format(time.RFC3339))
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return errors.Join(r.prepare(ctx, alg), r.load(ctx))
}

// Withdraw ends a key at once, published or not: for a key that may have been
// stolen. If it was the signing one, the next key signs immediately.
func (r *Ring) Withdraw(ctx context.Context, id string) error {
	r.upkeep.Lock()
	defer r.upkeep.Unlock()
	var alg string
	err := r.db.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow("SELECT algorithm FROM keyring_key WHERE id = $1", id).Scan(&alg)
	})
	if err != nil {
		return fmt.Errorf("keyring: key %s: %w", id, err)
	}
	if err := r.prepare(ctx, alg); err != nil {
		return err
	}
	err = r.promote(ctx, alg, func(_ time.Time, active, _ row) (bool, error) { return active.ID == id, nil })
	if err != nil {
		return err
	}
	err = r.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE keyring_key SET state = $1, sealed = $2, retired_at = $3 WHERE id = $4",
			string(Withdrawn), []byte{}, store.Millis(tx.Now), id)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(r.prepare(ctx, alg), r.load(ctx))
}

// due tells whether the next key takes over by the calendar.
func (r *Ring) due(now time.Time, active, next row) (bool, error) {
	return !now.Before(active.Active.Add(r.cfg.RotateEvery)) && !now.Before(next.Published.Add(r.cfg.Lead)), nil
}

// pair is the active and the next key of an algorithm, with the highest number given so far.
type pair struct {
	active, next *row
	number       int64
}

func pairOf(tx *store.Tx, alg string) (pair, error) {
	var p pair
	err := tx.QueryRow("SELECT COALESCE(MAX(number), 0) FROM keyring_key WHERE algorithm = $1", alg).Scan(&p.number)
	if err != nil {
		return p, err
	}
	rows, err := rowsOf(tx)
	for i, k := range rows {
		switch {
		case k.Algorithm != alg:
		case k.State == Active:
			p.active = &rows[i]
		case k.State == Next:
			p.next = &rows[i]
		}
	}
	return p, err
}

// create makes the first key of an algorithm, which signs at once: nobody has
// read an older list of keys.
func (r *Ring) create(ctx context.Context, alg string) error {
	return r.add(ctx, alg, func(p pair) bool { return p.active == nil && p.next == nil }, Active)
}

// prepare makes the next key of an algorithm if there is none.
func (r *Ring) prepare(ctx context.Context, alg string) error {
	var have pair
	err := r.db.Read(ctx, func(tx *store.Tx) (err error) {
		have, err = pairOf(tx, alg)
		return err
	})
	if err != nil || have.next != nil {
		return err
	}
	return r.add(ctx, alg, func(p pair) bool { return p.next == nil }, Next)
}

// add makes a key outside the transaction and keeps it if it is still wanted there.
func (r *Ring) add(ctx context.Context, alg string, wanted func(pair) bool, state State) error {
	k, err := r.generate(alg)
	if err != nil {
		return err
	}
	return r.db.Write(ctx, func(tx *store.Tx) error {
		p, err := pairOf(tx, alg)
		if err != nil || !wanted(p) {
			return err
		}
		var active int64
		if state == Active {
			active = store.Millis(tx.Now)
		}
		_, err = tx.Exec("INSERT INTO keyring_key ("+columns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
			k.ID, alg, p.number+1, string(state), k.public, k.sealed, store.Millis(tx.Now), active, int64(0))
		return err
	})
}

// promote lets the next key sign and retires the active one if when says so. The
// private half of a retired key is erased.
func (r *Ring) promote(ctx context.Context, alg string, when func(now time.Time, active, next row) (bool, error)) error {
	return r.db.Write(ctx, func(tx *store.Tx) error {
		p, err := pairOf(tx, alg)
		if err != nil || p.active == nil || p.next == nil {
			return err
		}
		if ok, err := when(tx.Now, *p.active, *p.next); err != nil || !ok {
			return err
		}
		_, err = tx.Exec("UPDATE keyring_key SET state = $1, retired_at = $2, sealed = $3 WHERE id = $4",
			string(Retired), store.Millis(tx.Now), []byte{}, p.active.ID)
		if err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE keyring_key SET state = $1, active_at = $2 WHERE id = $3",
			string(Active), store.Millis(tx.Now), p.next.ID)
		return err
	})
}
