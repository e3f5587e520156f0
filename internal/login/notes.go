package login

import (
	"context"

	"seimon/internal/login/transaction"
	"seimon/internal/store"
)

// keepNotes stores what a factor noted for itself while its page was made. When
// the transaction has moved on meanwhile, the notes belong to a page that is
// already old and are dropped.
func (h *Hall) keepNotes(ctx context.Context, t *transaction.Transaction) error {
	return h.db.Write(ctx, func(tx *store.Tx) error {
		now, err := h.shelf.Load(tx, t.ID)
		if err != nil {
			return err
		}
		if now.Seq != t.Seq || !now.Done.IsZero() {
			return nil
		}
		now.Memory = t.Memory
		return h.shelf.Save(tx, now)
	})
}
