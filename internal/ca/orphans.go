package ca

import (
	"context"
	"time"

	"seimon/internal/store"
)

// OrphanAge is how old an intent without a certificate must be to count as an
// orphan. It is far longer than any signature takes.
const OrphanAge = time.Hour

// orphanBatch bounds what one round mends.
const orphanBatch = 500

// Orphans lists intents older than age that never became a certificate: something
// ended between the intent and the certificate. Whether a signature was made in
// between nobody can tell any more.
func (a *Authority) Orphans(tx *store.Tx, age time.Duration) ([]Certificate, error) {
	return many(tx.Query("SELECT "+certificateColumns+` FROM ca_certificate WHERE state = 'prepared' AND created_at <= $1
		ORDER BY created_at LIMIT $2`, store.Millis(tx.Now.Add(-age)), orphanBatch))
}

// MendOrphans revokes the serials of orphans, so that a signature that somebody may
// hold is worth nothing, and gives the rows. An Issue that comes later is refused.
func (a *Authority) MendOrphans(ctx context.Context, age time.Duration, actor string) ([]Certificate, error) {
	var out []Certificate
	for {
		var round []Certificate
		err := a.db.Write(ctx, func(tx *store.Tx) error {
			round = nil
			list, err := a.Orphans(tx, age)
			if err != nil {
				return err
			}
			for _, c := range list {
				n, err := tx.Exec(`UPDATE ca_certificate SET state = 'revoked', revoked_at = $1, reason = $2 WHERE id = $3 AND state = 'prepared'`,
					store.Millis(tx.Now), string(CessationOfOperation), c.ID)
				if err != nil {
					return err
				}
				if n == 0 {
					continue
				}
				c.State, c.Revoked, c.Reason = Revoked, tx.Now, CessationOfOperation
				if err := hooked(a.cfg.OnOrphan, tx, c); err != nil {
					return err
				}
				if err := a.note(tx, "certificate.orphaned", actor, c, facts(c)); err != nil {
					return err
				}
				round = append(round, c)
			}
			return nil
		})
		out = append(out, round...)
		if err != nil || len(round) < orphanBatch {
			return out, err
		}
	}
}
