package card

import (
	"bytes"
	"context"

	"seimon/internal/store"
)

// resealBatch bounds how many cards one transaction seals again.
const resealBatch = 200

// Reseal seals every PIN and PUK, and what makers told, again that does not begin with
// head, as all do that are sealed under the current master key, and returns how many cards
// there were. It may run at any time and on any number of nodes. While there is none it
// only reads.
func (b *Book) Reseal(ctx context.Context, db *store.DB, seal Sealer, head []byte) (int, error) {
	var stale, total int
	err := db.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM (SELECT 1 FROM card_card WHERE length(pin) > 0 AND substr(pin, 1, $1) <> $2"+
			" OR length(puk) > 0 AND substr(puk, 1, $1) <> $2 OR length(given) > 0 AND substr(given, 1, $1) <> $2 LIMIT 1) AS found", len(head), head).Scan(&stale)
	})
	if err != nil || stale == 0 {
		return 0, err
	}
	for after := ""; ; {
		var last string
		var done int
		err := db.Write(ctx, func(tx *store.Tx) error {
			last, done = "", 0
			list, err := b.list(tx, "WHERE id > $1 ORDER BY id LIMIT $2", after, resealBatch)
			for i := 0; i < len(list) && err == nil; i++ {
				var again bool
				if again, err = b.resealOne(tx, list[i], seal, head); again {
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

func (b *Book) resealOne(tx *store.Tx, c Card, seal Sealer, head []byte) (bool, error) {
	again := false
	for what, sealed := range map[string]*[]byte{"pin": &c.pin, "puk": &c.puk, "given": &c.given} {
		if len(*sealed) == 0 || bytes.HasPrefix(*sealed, head) {
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
