package ca

import (
	"database/sql"
	"errors"

	"seimon/internal/authn"
	"seimon/internal/store"
)

const certificateColumns = `id, issuer, serial, profile, account, person, name, label, device, mail, upn, shard,
	not_before, not_after, state, revoked_at, reason, replaces, replaced_by, card, key_hash, der, created_at, issued_at`

type scanner interface{ Scan(dest ...any) error }

func scanCertificate(row scanner) (Certificate, error) {
	var c Certificate
	var before, after, revoked, created, issued int64
	err := row.Scan(&c.ID, &c.Issuer, &c.Serial, &c.Profile, &c.Account, &c.Person, &c.Name, &c.Label, &c.Device, &c.Mail, &c.UPN,
		&c.Shard, &before, &after, &c.State, &revoked, &c.Reason, &c.Replaces, &c.ReplacedBy, &c.Card, &c.KeyHash, &c.DER, &created, &issued)
	c.NotBefore, c.NotAfter, c.Revoked = store.Time(before), store.Time(after), store.Time(revoked)
	c.Created, c.Issued = store.Time(created), store.Time(issued)
	return c, err
}

func one(row scanner) (Certificate, error) {
	c, err := scanCertificate(row)
	if errors.Is(err, store.ErrNoRows) {
		return Certificate{}, ErrNone
	}
	return c, err
}

func many(rows *sql.Rows, err error) ([]Certificate, error) {
	var out []Certificate
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		c, err := scanCertificate(rows)
		out = append(out, c)
		return err
	})
	return out, err
}

// Get reads one certificate; ErrNone when there is none.
func (a *Authority) Get(tx *store.Tx, id string) (Certificate, error) {
	return one(tx.QueryRow("SELECT "+certificateColumns+" FROM ca_certificate WHERE id = $1", id))
}

// BySerial reads the certificate of an issuer with a serial in upper-case
// hexadecimal (SerialText); ErrNone when it was never used.
func (a *Authority) BySerial(tx *store.Tx, issuer, serial string) (Certificate, error) {
	return one(tx.QueryRow("SELECT "+certificateColumns+" FROM ca_certificate WHERE issuer = $1 AND serial = $2", issuer, serial))
}

// Of lists the issued certificates of an account, the newest first.
func (a *Authority) Of(tx *store.Tx, account authn.AccountID) ([]Certificate, error) {
	return many(tx.Query("SELECT "+certificateColumns+` FROM ca_certificate
		WHERE account = $1 AND state <> 'prepared' AND issued_at > 0 ORDER BY created_at DESC, id DESC`, string(account)))
}

// ByKey lists the certificates over a public key (KeyHash), the newest first.
func (a *Authority) ByKey(tx *store.Tx, hash []byte) ([]Certificate, error) {
	return many(tx.Query("SELECT "+certificateColumns+" FROM ca_certificate WHERE key_hash = $1 ORDER BY created_at DESC, id DESC", hash))
}
