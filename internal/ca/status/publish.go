package status

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"seimon/internal/ca"
	"seimon/internal/store"
)

// Publish signs the lists and the responder's certificates that are due. A job calls
// it about once a second on one node at a time; if two nodes do, nothing breaks.
func (s *Status) Publish(ctx context.Context) (err error) {
	if s.resting() {
		return nil
	}
	defer func() { s.rest(err) }()
	var issuers map[string]*issuer
	var due []listKey
	var bare []string
	err = s.db.Read(ctx, func(tx *store.Tx) (err error) {
		if issuers, err = s.authorities(tx); err != nil {
			return err
		}
		if due, err = s.dueLists(tx, issuers); err != nil {
			return err
		}
		bare, err = s.dueSigners(tx, issuers)
		return err
	})
	if err != nil {
		return err
	}
	var faults []error
	for _, id := range bare {
		if err := s.renew(ctx, issuers[id]); err != nil {
			faults = append(faults, fmt.Errorf("status: responder of %s: %w", issuers[id].Name, err))
		}
	}
	for _, key := range due {
		if err := s.publish(ctx, issuers[key.issuer], key); err != nil {
			faults = append(faults, fmt.Errorf("status: list %d of %s: %w", key.shard, issuers[key.issuer].Name, err))
		}
	}
	return errors.Join(faults...)
}

// SignRoot signs the lists of a root now, whether they are due or not: before its key
// goes offline, and when it was brought back.
func (s *Status) SignRoot(ctx context.Context, id string) error {
	var issuers map[string]*issuer
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		issuers, err = s.authorities(tx)
		return err
	})
	if err != nil {
		return err
	}
	i := issuers[id]
	if i == nil || !i.root {
		return ca.ErrNone
	}
	for _, shard := range []int{1, full} {
		if err := s.publish(ctx, i, listKey{id, shard}); err != nil {
			return err
		}
	}
	return nil
}

// lives tells how long a list of an issuer is valid, and after what time it is signed
// anew without a change.
func (s *Status) lives(i *issuer) (life, every time.Duration) {
	if i.root {
		return s.cfg.RootListLife, s.cfg.RootListLife / 6
	}
	return s.cfg.ListLife, s.cfg.ListEvery
}

// pause is how long a round that failed is followed by none: a key that is away is
// not asked for every second.
const pause = 5 * time.Second

func (s *Status) resting() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	left := s.until.Sub(s.db.Now())
	return left > 0 && left <= pause
}

// rest notes how a round went.
func (s *Status) rest(failed error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until = (time.Time{}); failed != nil {
		s.until = s.db.Now().Add(pause)
	}
}

// A list of very many entries is signed anew for changes at most so often, so that a
// mass revocation does not keep a processor busy.
const (
	large      = 10_000
	largeEvery = 10 * time.Second
)

// dueLists tells which lists are missing, old or changed.
func (s *Status) dueLists(tx *store.Tx, issuers map[string]*issuer) ([]listKey, error) {
	due := map[listKey]bool{}
	away, err := s.own.RootsOffline(tx)
	if err != nil {
		return nil, err
	}
	for id, i := range issuers {
		last := s.own.Shards()
		if i.root {
			last = 1
		}
		for shard := full; shard <= last; shard++ {
			due[listKey{id, shard}] = true
		}
	}
	young := map[listKey]bool{} // large lists that were signed a moment ago
	rows, err := tx.Query("SELECT issuer, shard, number, entries, this_update, next_update FROM status_list")
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var key listKey
		var number, entries, this, next int64
		if err := rows.Scan(&key.issuer, &key.shard, &number, &entries, &this, &next); err != nil {
			return err
		}
		age := tx.Now.Sub(store.Time(this))
		young[key] = entries > large && age >= 0 && age < largeEvery
		if i := issuers[key.issuer]; i != nil {
			life, every := s.lives(i)
			left := store.Time(next).Sub(tx.Now)
			// A clock that was set back makes a list look young; its end tells. One with a
			// shorter life than now configured is old early.
			due[key] = number == 0 || age >= every || age < -time.Minute || left > life+time.Minute || left < life-every-time.Minute
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows, err = tx.Query("SELECT DISTINCT issuer, shard FROM status_change")
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var key listKey
		err := rows.Scan(&key.issuer, &key.shard)
		if issuers[key.issuer] != nil && !young[key] {
			due[key] = true
		}
		return err
	})
	// Without its key a root's list stays as it is; seimon doctor watches its end.
	maps.DeleteFunc(due, func(key listKey, yes bool) bool { return !yes || away[key.issuer] })
	// The small lists first: they are what certificates name.
	return slices.SortedFunc(maps.Keys(due), func(a, b listKey) int {
		return slices.Compare([]int{rank(a), a.shard}, []int{rank(b), b.shard})
	}), err
}

func rank(k listKey) int {
	if k.shard == full {
		return 1
	}
	return 0
}

// publish makes one list.
func (s *Status) publish(ctx context.Context, i *issuer, key listKey) error {
	number, err := s.reserve(ctx, key)
	if err != nil {
		return err
	}
	d := draft{issuer: i.Certificate.RawSubject, keyID: i.Certificate.SubjectKeyId, number: number, onlyCAs: i.root, onlyUser: !i.root}
	if key.shard != full {
		d.point = fmt.Sprintf("%s/crl/%s/%d.crl", s.own.Base(), key.issuer, key.shard)
	}
	life, _ := s.lives(i)
	err = s.db.Read(ctx, func(tx *store.Tx) (err error) {
		d.this, d.next = tx.Now.Truncate(time.Second), tx.Now.Truncate(time.Second).Add(life)
		// RFC 5280 3.3: an entry stays until a list has appeared after the end of the
		// certificate.
		d.entries, err = s.own.RevokedOf(tx, key.issuer, key.shard, tx.Now.Add(-2*life))
		return err
	})
	if err != nil {
		return err
	}
	signer, err := s.own.Sign(ctx, key.issuer)
	if err != nil {
		return err
	}
	der, err := d.sign(signer)
	if err != nil {
		return err
	}
	return s.keepList(ctx, key, d, der)
}

// reserve takes the next number of a list and claims the changes that wait for it.
// Numbers follow the clock where it is ahead, so that they also rise when a database
// is restored from a backup.
func (s *Status) reserve(ctx context.Context, key listKey) (number int64, err error) {
	err = s.db.Background(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`INSERT INTO status_list (issuer, shard, reserved, number, entries, this_update, next_update, digest, der)
			VALUES ($1, $2, $3, 0, 0, 0, 0, '', $4)
			ON CONFLICT (issuer, shard) DO UPDATE SET
				reserved = CASE WHEN status_list.reserved < excluded.reserved THEN excluded.reserved ELSE status_list.reserved + 1 END
			RETURNING reserved`, key.issuer, int64(key.shard), store.Millis(tx.Now), []byte{}).Scan(&number)
		if err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE status_change SET claimed = $1 WHERE issuer = $2 AND shard = $3", number, key.issuer, int64(key.shard))
		return err
	})
	return number, err
}

// keepList stores a signed list unless a later one is there already.
func (s *Status) keepList(ctx context.Context, key listKey, d draft, der []byte) error {
	sum := sha256.Sum256(der)
	return s.db.Background(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec(`UPDATE status_list SET number = $1, entries = $2, this_update = $3, next_update = $4, digest = $5, der = $6
			WHERE issuer = $7 AND shard = $8 AND number < $1`,
			d.number, int64(len(d.entries)), store.Millis(d.this), store.Millis(d.next), hex.EncodeToString(sum[:]), der, key.issuer, int64(key.shard))
		if err != nil || n == 0 {
			return err
		}
		_, err = tx.Exec("DELETE FROM status_change WHERE issuer = $1 AND shard = $2 AND claimed > 0 AND claimed <= $3", key.issuer, int64(key.shard), d.number)
		return err
	})
}

// Published is what is known of a published list, for doctor and console.
type Published struct {
	Issuer     string
	Shard      int // 0 is the full list
	Number     int64
	Entries    int64
	ThisUpdate time.Time
	NextUpdate time.Time
	Waiting    int64     // changes that are not in it yet
	Since      time.Time // of the oldest of them
}

// Lists tells how old the lists are and what waits for them.
func (s *Status) Lists(tx *store.Tx) ([]Published, error) {
	var out []Published
	rows, err := tx.Query(`SELECT l.issuer, l.shard, l.number, l.entries, l.this_update, l.next_update, COUNT(c.id), COALESCE(MIN(c.at), 0)
		FROM status_list l LEFT JOIN status_change c ON c.issuer = l.issuer AND c.shard = l.shard
		GROUP BY l.issuer, l.shard, l.number, l.entries, l.this_update, l.next_update ORDER BY l.issuer, l.shard`)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var p Published
		var this, next, since int64
		err := rows.Scan(&p.Issuer, &p.Shard, &p.Number, &p.Entries, &this, &next, &p.Waiting, &since)
		p.ThisUpdate, p.NextUpdate, p.Since = store.Time(this), store.Time(next), store.Time(since)
		out = append(out, p)
		return err
	})
	return out, err
}
