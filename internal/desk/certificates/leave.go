package certificates

import (
	"context"
	"database/sql"
	"errors"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/directory"
	"seimon/internal/store"
)

// fate is what becomes of certificates as their account stands.
type fate int

const (
	kept  fate = iota
	held       // suspended: on hold until the account is resumed (RFC 5280 5.3.1, certificateHold)
	ended      // expired or removed: revoked for good
)

// fateOf reads how an account stands now.
func (d *Desk) fateOf(tx *store.Tx, id authn.AccountID) (fate, error) {
	a, _, err := d.People.ByID(tx, id)
	if errors.Is(err, directory.ErrNone) {
		return ended, nil
	}
	if err != nil {
		return kept, err
	}
	switch code, _ := a.Standing(tx.Now); code {
	case "P7.expired":
		return ended, nil
	case "P7.suspended":
		return held, nil
	}
	return kept, nil
}

// Leave brings certificates in line with their accounts: on hold while the account is
// suspended, back when it is resumed, revoked for good when it has ended. A job calls it.
func (d *Desk) Leave(ctx context.Context) error {
	err := d.each(ctx, d.CA.Holders, func(f fate) bool { return f != kept })
	return errors.Join(err, d.each(ctx, heldAccounts, func(f fate) bool { return f != held }))
}

// each goes through accounts, a page at a time, and settles those of some fates.
func (d *Desk) each(ctx context.Context, page func(tx *store.Tx, after authn.AccountID, limit int) ([]authn.AccountID, error), concerns func(fate) bool) error {
	var after authn.AccountID
	for {
		var accounts, due []authn.AccountID
		err := d.DB.Read(ctx, func(tx *store.Tx) (err error) {
			due = nil
			if accounts, err = page(tx, after, batch); err != nil {
				return err
			}
			for _, id := range accounts {
				f, err := d.fateOf(tx, id)
				if err != nil {
					return err
				}
				if concerns(f) {
					due = append(due, id)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, id := range due {
			if err := d.DB.Write(ctx, func(tx *store.Tx) error { return d.settle(tx, id) }); err != nil {
				return err
			}
		}
		if len(accounts) < batch {
			return nil
		}
		after = accounts[len(accounts)-1]
	}
}

// heldAccounts lists the accounts that have certificates on hold with them.
func heldAccounts(tx *store.Tx, after authn.AccountID, limit int) ([]authn.AccountID, error) {
	var out []authn.AccountID
	rows, err := tx.Query("SELECT DISTINCT account FROM certificates_held WHERE account > $1 ORDER BY account LIMIT $2", string(after), limit)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var id authn.AccountID
		err := rows.Scan(&id)
		out = append(out, id)
		return err
	})
	return out, err
}

// settle does to the certificates of an account what its standing wants now.
func (d *Desk) settle(tx *store.Tx, id authn.AccountID) error {
	f, err := d.fateOf(tx, id)
	if err != nil {
		return err
	}
	all, err := d.CA.Of(tx, id)
	if err != nil {
		return err
	}
	for _, c := range all {
		if err := d.settleOne(tx, c, f); err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) settleOne(tx *store.Tx, c ca.Certificate, f fate) error {
	valid := tx.Now.Before(c.NotAfter)
	switch {
	case f == held && c.State == ca.Active && valid:
		if _, err := d.CA.Revoke(tx, c.ID, ca.Hold, "system"); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO certificates_held (certificate, account, at) VALUES ($1, $2, $3) ON CONFLICT (certificate) DO NOTHING",
			c.ID, string(c.Account), store.Millis(tx.Now))
		return err
	case f == ended && valid && (c.State == ca.Active || c.Reason == ca.Hold):
		if _, err := d.CA.Revoke(tx, c.ID, left, "system"); err != nil {
			return err
		}
	case f == held:
		return nil
	}
	// What stands here was put on hold with the account; what was revoked for good
	// meanwhile stays so, since Restore lifts nothing but a hold.
	n, err := tx.Exec("DELETE FROM certificates_held WHERE certificate = $1", c.ID)
	if err != nil || n == 0 || f != kept {
		return err
	}
	_, err = d.CA.Restore(tx, c.ID, "system")
	return err
}
