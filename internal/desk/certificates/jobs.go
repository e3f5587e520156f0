package certificates

import (
	"context"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/directory"
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
			if err := d.tell(tx, c, "certificates.mail.ending", map[string]string{"days": wholeDays(c.NotAfter.Sub(tx.Now))}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Leave revokes the certificates of accounts that have ended or are suspended. A job
// calls it.
func (d *Desk) Leave(ctx context.Context) error {
	var after authn.AccountID
	for {
		var accounts []authn.AccountID
		var over []directory.Account
		err := d.DB.Read(ctx, func(tx *store.Tx) (err error) {
			over = nil
			if accounts, err = d.CA.Holders(tx, after, batch); err != nil {
				return err
			}
			for _, id := range accounts {
				a, _, err := d.People.ByID(tx, id)
				if err != nil {
					if err == directory.ErrNone { //nolint:errorlint // the room's own sentinel, unwrapped
						continue
					}
					return err
				}
				if code, _ := a.Standing(tx.Now); isGone(code) {
					over = append(over, a)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, a := range over {
			if err := d.DB.Write(ctx, func(tx *store.Tx) error { return d.leave(tx, a.ID) }); err != nil {
				return err
			}
		}
		if len(accounts) < batch {
			return nil
		}
		after = accounts[len(accounts)-1]
	}
}

func isGone(code authn.Code) bool { _, yes := gone(code); return yes }

// leave revokes what an account still has, if it is still over.
func (d *Desk) leave(tx *store.Tx, id authn.AccountID) error {
	a, _, err := d.People.ByID(tx, id)
	if err != nil {
		return err
	}
	code, _ := a.Standing(tx.Now)
	reason, yes := gone(code)
	if !yes {
		return nil
	}
	all, err := d.CA.Of(tx, id)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.State != ca.Active || !tx.Now.Before(c.NotAfter) {
			continue
		}
		if _, err := d.CA.Revoke(tx, c.ID, reason, "system"); err != nil {
			return err
		}
	}
	return nil
}
