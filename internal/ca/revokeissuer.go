package ca

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"seimon/internal/store"
)

// IssuerReasons are why an issuer can be revoked (RFC 5280 5.3.1).
func IssuerReasons() []Reason {
	return []Reason{CACompromise, Superseded, CessationOfOperation, AffiliationChanged, Unspecified}
}

// RevokeIssuer ends an issuer before its time: from this transaction on it signs no
// certificates, nobody is asked for one of it, and none of it signs in. It enters the
// list of its root, and EndRevoked revokes what it issued. The error is ErrNone or a
// *Refusal. It is idempotent: the first reason and time stay.
func (a *Authority) RevokeIssuer(tx *store.Tx, id string, why Reason, actor string) (Issuer, error) {
	known := false
	for _, r := range IssuerReasons() {
		known = known || r == why
	}
	if !known {
		return Issuer{}, fmt.Errorf("ca: %q is not a reason to revoke an issuer", why)
	}
	i, err := a.Issuer(tx, id)
	if err != nil || i.State == IssuerRevoked {
		return i, err
	}
	to, ok := moves()[Revoke][i.State]
	if !ok {
		return i, a.refusal(i, Revoke)
	}
	n, err := tx.Exec("UPDATE ca_issuer SET revoked_at = $1, reason = $2 WHERE id = $3 AND state = $4 AND revoked_at = 0",
		store.Millis(tx.Now), string(why), i.ID, string(i.State))
	if err != nil {
		return i, err
	}
	if n == 0 {
		return i, &Refusal{Revoke, i.Name, i.State, "somebody else has just moved it: look again"}
	}
	if err := a.setState(tx, &i, to, actor); err != nil {
		return i, err
	}
	i.Revoked, i.Reason = tx.Now, why
	if a.cfg.OnIssuer != nil {
		if err := a.cfg.OnIssuer(tx, i); err != nil {
			return i, err
		}
	}
	return i, a.note(tx, "ca.issuer.revoked", actor, Certificate{}, map[string]string{"issuer_id": i.ID, "issuer": i.Name, "reason": string(why)})
}

// endBatch bounds the certificates that one transaction revokes with their issuer.
const endBatch = 50

// EndRevoked revokes what revoked issuers issued, so that lists and answers say it of
// each certificate and what rests on them ends. A job calls it every second; it goes on
// where a round before was interrupted.
func (a *Authority) EndRevoked(ctx context.Context) error {
	for {
		var n int
		err := a.db.Write(ctx, func(tx *store.Tx) error {
			due, err := ofRevoked(tx)
			n = len(due)
			for _, d := range due {
				if err == nil {
					_, err = a.Revoke(tx, d.id, d.why, "system")
				}
			}
			return err
		})
		if err != nil || n < endBatch {
			return err
		}
	}
}

// doomed is a certificate that goes with its issuer, for the same reason.
type doomed struct {
	id  string
	why Reason
}

// ofRevoked lists certificates that can still be used though their issuer is revoked.
func ofRevoked(tx *store.Tx) ([]doomed, error) {
	var out []doomed
	rows, err := tx.Query(`SELECT c.id, i.reason FROM ca_issuer i JOIN ca_certificate c ON c.issuer = i.id
		WHERE i.revoked_at > 0 AND c.account <> '' AND c.not_after > $1 AND (c.state = 'active' OR c.state = 'revoked' AND c.reason = 'certificateHold')
		ORDER BY c.id LIMIT $2`, store.Millis(tx.Now), endBatch)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var d doomed
		err := rows.Scan(&d.id, &d.why)
		out = append(out, d)
		return err
	})
	return out, err
}

// revokedBelow lists the revoked issuers of a root that were not yet expired at since.
func (a *Authority) revokedBelow(tx *store.Tx, root string, since time.Time) ([]Entry, error) {
	all, err := a.all(tx)
	var out []Entry
	for _, i := range all {
		if i.RootID == root && i.ID != root && !i.Revoked.IsZero() && i.Certificate.NotAfter.After(since) {
			out = append(out, Entry{Serial: SerialText(i.Certificate.SerialNumber), At: i.Revoked, Reason: i.Reason})
		}
	}
	return out, err
}
