package factor

import (
	"context"
	"database/sql"

	"seimon/internal/store"
)

// resealBatch bounds how many payloads one transaction seals again.
const resealBatch = 200

// Reseal seals every payload again that stale recognises as sealed by a master key
// that is on its way out, and returns how many there were. It may run at any time
// and on any number of nodes.
func (b *Bindings) Reseal(ctx context.Context, stale func(sealed []byte) bool) (int, error) {
	total := 0
	for after := ""; ; {
		var last string
		var done int
		err := b.db.Write(ctx, func(tx *store.Tx) (err error) {
			last, done, err = b.resealAfter(tx, after, stale)
			return err
		})
		if err != nil || last == "" {
			return total, err
		}
		total += done
		after = last
	}
}

// resealAfter treats one batch in the order of ids and returns the last id seen, or "".
func (b *Bindings) resealAfter(tx *store.Tx, after string, stale func([]byte) bool) (last string, done int, err error) {
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
		if !stale(r.sealed) {
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
