package ca

import (
	"database/sql"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Ending lists, by id, up to limit certificates that can be used now, were not
// replaced and end before a moment. after is the last id of the page before, or "".
func (a *Authority) Ending(tx *store.Tx, before time.Time, after string, limit int) ([]Certificate, error) {
	return many(tx.Query("SELECT "+certificateColumns+` FROM ca_certificate
		WHERE state = 'active' AND account <> '' AND replaced_by = '' AND not_after > $1 AND not_after <= $2 AND id > $3 ORDER BY id LIMIT $4`,
		store.Millis(tx.Now), store.Millis(before), after, limit))
}

// Holders lists, in their own order, up to limit accounts that have a certificate
// which is neither revoked nor expired. after is the last of the page before, or "".
func (a *Authority) Holders(tx *store.Tx, after authn.AccountID, limit int) ([]authn.AccountID, error) {
	var out []authn.AccountID
	rows, err := tx.Query(`SELECT DISTINCT account FROM ca_certificate
		WHERE state = 'active' AND account <> '' AND not_after > $1 AND account > $2 ORDER BY account LIMIT $3`, store.Millis(tx.Now), string(after), limit)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var id authn.AccountID
		err := rows.Scan(&id)
		out = append(out, id)
		return err
	})
	return out, err
}
