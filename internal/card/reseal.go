package card

import (
	"context"

	"seimon/internal/store"
)

// resealBatch bounds how many cards one transaction seals again.
const resealBatch = 200

// Reseal seals every PIN and PUK again that stale recognises as sealed by a master key
// that is on its way out, and returns how many cards there were. It may run at any time
// and on any number of nodes.
func (b *Book) Reseal(ctx context.Context, db *store.DB, seal Sealer, stale func(sealed []byte) bool) (int, error) {
	total := 0
	for after := ""; ; {
		var last string
		var done int
		err := db.Write(ctx, func(tx *store.Tx) error {
			last, done = "", 0
			list, err := b.list(tx, "WHERE id > $1 ORDER BY id LIMIT $2", after, resealBatch)
			for i := 0; i < len(list) && err == nil; i++ {
				var again bool
				if again, err = b.resealOne(tx, list[i], seal, stale); again {
					done++
				}
				last = list[i].ID
			}
			return err
		})
		if err != nil || last == "" {
			return total, err
		}
		total, after = total+done, last
	}
}

func (b *Book) resealOne(tx *store.Tx, c Card, seal Sealer, stale func([]byte) bool) (bool, error) {
	again := false
	for what, sealed := range map[string]*[]byte{"pin": &c.pin, "puk": &c.puk} {
		if len(*sealed) == 0 || !stale(*sealed) {
			continue
		}
		plain, err := seal.Unseal(c.context(what), *sealed)
		if err != nil {
			return false, err
		}
		*sealed, again = seal.Seal(c.context(what), plain), true
	}
	if !again {
		return false, nil
	}
	return true, b.save(tx, c)
}
