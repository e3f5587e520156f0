package certificates

import (
	"context"
	"strconv"
	"time"

	"seimon/internal/ca"
	"seimon/internal/store"
)

// Reminders go out this many days before the end of a certificate.
func stages() []int { return []int{3, 14, 30} }

// batch is how many rows a job reads at a time.
const batch = 200

const day = 24 * time.Hour

// Remind writes to the owners of certificates that end soon. Each reminder goes out
// once, also with several nodes; whoever has a newer certificate is left in peace. A
// job calls it.
func (d *Desk) Remind(ctx context.Context) error {
	after := ""
	for {
		var found []ca.Certificate
		err := d.DB.Write(ctx, func(tx *store.Tx) (err error) {
			found, err = d.CA.Ending(tx, tx.Now.Add(30*day), after, batch)
			if err != nil {
				return err
			}
			for _, c := range found {
				if err := d.remind(tx, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(found) < batch {
			return err
		}
		after = found[len(found)-1].ID
	}
}

// remind sends the most urgent reminder that is due and marks the earlier ones as
// done, so that somebody who was long away gets one mail and not three.
func (d *Desk) remind(tx *store.Tx, c ca.Certificate) error {
	if c.Card != "" || c.Account == "" {
		return nil
	}
	told := false
	for _, days := range stages() {
		due := c.NotAfter.Sub(tx.Now) <= time.Duration(days)*day
		if !due || c.NotAfter.Sub(c.NotBefore) <= time.Duration(days)*day {
			continue
		}
		n, err := tx.Exec("INSERT INTO certificates_reminder (certificate, days, sent_at) VALUES ($1, $2, $3) ON CONFLICT (certificate, days) DO NOTHING",
			c.ID, days, store.Millis(tx.Now))
		if err != nil {
			return err
		}
		if n == 0 {
			return nil // this one went out, and so did what came before it
		}
		if !told {
			told = true
			if err := d.tell(tx, c, "certificates.mail.ending", map[string]string{"days": strconv.Itoa(wholeDays(c.NotAfter.Sub(tx.Now)))}); err != nil {
				return err
			}
		}
	}
	return nil
}
