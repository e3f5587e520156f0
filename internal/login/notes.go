package login

import (
	"context"

	"seimon/internal/login/transaction"
	"seimon/internal/store"
)

// keepNotes stores what a factor noted for itself while its page was made, if it
// noted anything.
func (h *Hall) keepNotes(ctx context.Context, t *transaction.Transaction) error {
	if !t.Noted() {
		return nil
	}
	return h.DB.Write(ctx, func(tx *store.Tx) error { return h.shelf.SaveNotes(tx, t) })
}
