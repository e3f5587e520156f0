package factor

import (
	"bytes"
	"context"
	"database/sql"

	"seimon/internal/store"
)

// resealBatch bounds how many payloads one transaction seals again.
const resealBatch = 200

// Reseal seals every payload again that does not begin with head, as all do that are
// sealed under the current master key, and returns how many there were. It may run at any
// time and on any number of nodes. While there is none it only reads, so that nobody who
// signs in waits for it.
func (b *Bindings) Reseal(ctx context.Context, head []byte) (int, error) {
	if any, err := b.stale(ctx, head); err != nil || !any {
		return 0, err
	}
	total := 0
	for after := ""; ; {
		var last string
		var done int
		err := b.db.Write(ctx, func(tx *store.Tx) (err error) {
			last, done, err = b.resealAfter(tx, after, head)
			return err
		})
		if err != nil || last == "" {
			return total, err
		}
		total += done
		after = last
	}
}

// stale tells whether any payload is sealed under another master key.
func (b *Bindings) stale(ctx context.Context, head []byte) (bool, error) {
	var n int
	err := b.db.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM (SELECT 1 FROM factor_binding WHERE substr(payload, 1, $1) <> $2 LIMIT 1) AS found", len(head), head).Scan(&n)
	})
	return n > 0, err
}

// resealAfter treats one batch in the order of ids and returns the last id seen, or "".
func (b *Bindings) resealAfter(tx *store.Tx, after string, head []byte) (last string, done int, err error) {
	type row struct {
		binding Binding
		sealed  []byte
	}
	var found []row
	rows, err := tx.Query("SELECT id, account, kind, payload FROM factor_binding WHERE id > $1 ORDER BY id LIMIT $2", after, resealBatch)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var r row
		if err := rows.Scan(&r.binding.ID, &r.binding.Account, &r.binding.Kind, &r.sealed); err != nil {
			return err
		}
		found = append(found, r)
		return nil
	})
	for i := 0; i < len(found) && err == nil; i++ {
		r := found[i]
		last = r.binding.ID
		if bytes.HasPrefix(r.sealed, head) {
			continue
		}
		var plain []byte
		if plain, err = b.seal.Unseal(r.binding.context(), r.sealed); err == nil {
			_, err = tx.Exec("UPDATE factor_binding SET payload = $1 WHERE id = $2", b.seal.Seal(r.binding.context(), plain), last)
			done++
		}
	}
	return last, done, err
}
