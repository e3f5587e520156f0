package transaction

import (
	"errors"

	"seimon/internal/store"
)

// Newest is the sign-in of a browser that was begun last and is still open, or nil.
func (k *Shelf) Newest(tx *store.Tx, browser string) (*Transaction, error) {
	var id string
	err := tx.QueryRow(`SELECT id FROM login_transaction WHERE browser = $1 AND done_at = 0 AND expires_at > $2
		ORDER BY created_at DESC, id LIMIT 1`, browser, store.Millis(tx.Now)).Scan(&id)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return k.Load(tx, id)
}
