package ca

import (
	"database/sql"
	"fmt"
	"time"

	"seimon/internal/store"
)

// Revoke takes a certificate out of use: one row, and what other rooms hang on it in
// the same transaction. Publication is somebody else's work. It is idempotent: the
// first reason and time stay, but a hold can be made final. actor is who did it.
func (a *Authority) Revoke(tx *store.Tx, id string, why Reason, actor string) (Certificate, error) {
	if !why.Known() {
		return Certificate{}, fmt.Errorf("ca: %q is not a reason", why)
	}
	n, err := tx.Exec(`UPDATE ca_certificate SET state = 'revoked', revoked_at = $1, reason = $2
		WHERE id = $3 AND (state = 'active' OR state = 'revoked' AND reason = 'certificateHold' AND $2 <> 'certificateHold')`,
		store.Millis(tx.Now), string(why), id)
	if err != nil {
		return Certificate{}, err
	}
	c, err := a.Get(tx, id)
	if err != nil || n == 0 {
		return c, err
	}
	if err := hooked(a.cfg.OnRevoke, tx, c); err != nil {
		return c, err
	}
	f := facts(c)
	f["reason"] = string(why)
	return c, a.note(tx, "certificate.revoked", actor, c, f)
}

// Restore ends a hold (RFC 5280 5.3.1, removeFromCRL). Any other state stays as it is.
// OnIssue runs again, since the certificate can be used again.
func (a *Authority) Restore(tx *store.Tx, id string, actor string) (Certificate, error) {
	n, err := tx.Exec(`UPDATE ca_certificate SET state = 'active', revoked_at = 0, reason = ''
		WHERE id = $1 AND state = 'revoked' AND reason = 'certificateHold' AND issued_at > 0`, id)
	if err != nil {
		return Certificate{}, err
	}
	c, err := a.Get(tx, id)
	if err != nil || n == 0 {
		return c, err
	}
	if err := hooked(a.cfg.OnIssue, tx, c); err != nil {
		return c, err
	}
	return c, a.note(tx, "certificate.restored", actor, c, facts(c))
}

// Entry is one revoked certificate, as lists and answers need it.
type Entry struct {
	Serial string
	At     time.Time
	Reason Reason
}

// RevokedOf lists the revoked certificates of an issuer that were not yet expired at
// since, in one shard or in all (shard 0), in the order of their serials. It carries
// no certificates, so that a hundred thousand fit into little memory.
func (a *Authority) RevokedOf(tx *store.Tx, issuer string, shard int, since time.Time) ([]Entry, error) {
	out, err := a.revokedBelow(tx, issuer, since) // empty but for a root
	if err != nil {
		return nil, err
	}
	query := "SELECT serial, revoked_at, reason FROM ca_certificate WHERE issuer = $1 AND state = 'revoked' AND not_after > $2"
	args := []any{issuer, store.Millis(since)}
	if shard > 0 {
		query += " AND shard = $3"
		args = append(args, shard)
	}
	rows, err := tx.Query(query+" ORDER BY serial", args...)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var e Entry
		var at int64
		err := rows.Scan(&e.Serial, &at, &e.Reason)
		e.At = store.Time(at)
		out = append(out, e)
		return err
	})
	return out, err
}

// Shards is how many lists are to be published: 1 to Shards. It is the greatest number
// that was ever configured, since a certificate keeps the list it was issued with.
func (a *Authority) Shards() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return max(a.noted, a.cfg.Shards)
}

// Base is the address under which lists and answers are published.
func (a *Authority) Base() string { return a.cfg.Base }
