package certificates

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"seimon/internal/audit"
	"seimon/internal/ca"
	"seimon/internal/store"
)

// watch remembers a revoked certificate until its publication is on record.
func (d *Desk) watch(tx *store.Tx, c ca.Certificate) error {
	if d.Listed == nil {
		return nil
	}
	_, err := tx.Exec("INSERT INTO certificates_watch (certificate, revoked_at) VALUES ($1, $2) ON CONFLICT (certificate) DO NOTHING",
		c.ID, store.Millis(tx.Now))
	return err
}

// Watch puts on record in which list each revoked certificate was published first. A
// job calls it about once a second.
func (d *Desk) Watch(ctx context.Context) error {
	if d.Listed == nil {
		return nil
	}
	var waiting []string
	err := d.DB.Read(ctx, func(tx *store.Tx) error {
		waiting = nil
		rows, err := tx.Query("SELECT certificate FROM certificates_watch ORDER BY revoked_at, certificate LIMIT $1", batch)
		return store.Each(rows, err, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			waiting = append(waiting, id)
			return err
		})
	})
	if err != nil {
		return err
	}
	for _, id := range waiting {
		if err := d.DB.Write(ctx, func(tx *store.Tx) error { return d.notePublished(tx, id) }); err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) notePublished(tx *store.Tx, id string) error {
	c, err := d.CA.Get(tx, id)
	if err != nil && !errors.Is(err, ca.ErrNone) {
		return err
	}
	var number int64
	if err == nil && c.State == ca.Revoked {
		if number, err = d.Listed(tx, c); err != nil || number == 0 {
			return err
		}
	}
	// What is no longer revoked is watched no longer.
	n, err := tx.Exec("DELETE FROM certificates_watch WHERE certificate = $1", id)
	if err != nil || n == 0 || number == 0 {
		return err
	}
	return d.Audit.Append(tx, audit.Event{
		Type: "certificate.published", Account: c.Account, Actor: "system",
		Facts: map[string]string{"certificate": c.ID, "number": strconv.FormatInt(number, 10)},
	})
}
