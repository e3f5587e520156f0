package certificates

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"seimon/internal/audit"
	"seimon/internal/ca"
	"seimon/internal/store"
)

// watch remembers a revoked certificate until its publication is on record.
func (d *Desk) watch(tx *store.Tx, c ca.Certificate) error {
	if d.Listed == nil && d.Answered == nil {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO certificates_watch (certificate, revoked_at, answered_at, published_at) VALUES ($1, $2, 0, 0)
		ON CONFLICT (certificate) DO UPDATE SET revoked_at = excluded.revoked_at, answered_at = 0, published_at = 0`, c.ID, store.Millis(tx.Now))
	return err
}

// watched is a revoked certificate of which something is not on record yet.
type watched struct {
	id                  string
	revoked             int64
	answered, published bool
}

// Watch puts on record from when the responder answers "revoked" about each revoked
// certificate, and in which list it was published first. A job calls it about once a
// second.
func (d *Desk) Watch(ctx context.Context) error {
	if d.Listed == nil && d.Answered == nil {
		return nil
	}
	var waiting []watched
	err := d.DB.Read(ctx, func(tx *store.Tx) error {
		waiting = nil
		rows, err := tx.Query("SELECT certificate, revoked_at, answered_at, published_at FROM certificates_watch ORDER BY revoked_at, certificate LIMIT $1", batch)
		return store.Each(rows, err, func(rows *sql.Rows) error {
			var w watched
			var answered, published int64
			err := rows.Scan(&w.id, &w.revoked, &answered, &published)
			w.answered, w.published = answered > 0 || d.Answered == nil, published > 0 || d.Listed == nil
			waiting = append(waiting, w)
			return err
		})
	})
	if err != nil {
		return err
	}
	var faults []error
	for _, w := range waiting {
		// A responder without a key must not hide in which list the certificate is.
		faults = append(faults, d.follow(ctx, w))
	}
	return errors.Join(faults...)
}

// follow notes what has become true about one certificate, and forgets it when
// everything is on record or nothing more can come.
func (d *Desk) follow(ctx context.Context, w watched) error {
	var c ca.Certificate
	over := false
	err := d.DB.Read(ctx, func(tx *store.Tx) (err error) {
		c, err = d.CA.Get(tx, w.id)
		over = errors.Is(err, ca.ErrNone) || err == nil && (c.State != ca.Revoked || !tx.Now.Before(c.NotAfter))
		if over {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if over {
		return d.DB.Write(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec("DELETE FROM certificates_watch WHERE certificate = $1 AND revoked_at = $2", w.id, w.revoked)
			return err
		})
	}
	var faults []error
	if !w.answered {
		older, revoked, err := d.Answered(ctx, c)
		if faults = append(faults, err); err == nil && revoked {
			facts := map[string]string{"until": c.Revoked.Add(older).UTC().Format(time.RFC3339)}
			faults = append(faults, d.DB.Write(ctx, func(tx *store.Tx) error { return d.noteOnce(tx, w, c, "answered", facts) }))
		}
	}
	if !w.published {
		faults = append(faults, d.DB.Write(ctx, func(tx *store.Tx) error {
			number, err := d.Listed(tx, c)
			if err != nil || number == 0 {
				return err
			}
			return d.noteOnce(tx, w, c, "published", map[string]string{"number": strconv.FormatInt(number, 10)})
		}))
	}
	return errors.Join(faults...)
}

// noteOnce records one of the two things that are watched for, on whichever node comes
// first.
func (d *Desk) noteOnce(tx *store.Tx, w watched, c ca.Certificate, what string, facts map[string]string) error {
	n, err := tx.Exec("UPDATE certificates_watch SET "+what+"_at = $1 WHERE certificate = $2 AND revoked_at = $3 AND "+what+"_at = 0",
		store.Millis(tx.Now), w.id, w.revoked)
	if err != nil || n == 0 {
		return err
	}
	done := "answered_at > 0 AND published_at > 0"
	switch {
	case d.Answered == nil:
		done = "published_at > 0"
	case d.Listed == nil:
		done = "answered_at > 0"
	}
	if _, err := tx.Exec("DELETE FROM certificates_watch WHERE certificate = $1 AND "+done, w.id); err != nil {
		return err
	}
	facts["certificate"] = c.ID
	return d.Audit.Append(tx, audit.Event{Type: "certificate." + what, Account: c.Account, Actor: "system", Facts: facts})
}
