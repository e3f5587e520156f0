package ca

import (
	"strconv"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Filter chooses certificates. A zero field chooses all.
type Filter struct {
	Account authn.AccountID
	Issuer  string
	Profile string
	State   State
	// Ending chooses those that can be used now and end before this moment.
	Ending time.Time
	// Before is the id of the last certificate of the page before, and Limit how many
	// are given; 100 when 0.
	Before string
	Limit  int
}

// List gives certificates in the order of their ids, the highest first: stable pages,
// not an order of time.
func (a *Authority) List(tx *store.Tx, f Filter) ([]Certificate, error) {
	var where []string
	var args []any
	add := func(clause string, value any) {
		args = append(args, value)
		where = append(where, strings.ReplaceAll(clause, "?", "$"+strconv.Itoa(len(args))))
	}
	if f.Account != "" {
		add("account = ?", string(f.Account))
	}
	if f.Issuer != "" {
		add("issuer = ?", f.Issuer)
	}
	if f.Profile != "" {
		add("profile = ?", f.Profile)
	}
	if f.State != "" {
		add("state = ?", string(f.State))
	}
	if !f.Ending.IsZero() {
		add("not_after < ?", store.Millis(f.Ending))
		add("not_after > ? AND state = 'active' AND replaced_by = ''", store.Millis(tx.Now))
	}
	if f.Before != "" {
		add("id < ?", f.Before)
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	query := "SELECT " + certificateColumns + " FROM ca_certificate"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	args = append(args, f.Limit)
	return many(tx.Query(query+" ORDER BY id DESC LIMIT $"+strconv.Itoa(len(args)), args...))
}

// Find looks a certificate up by its id, or by its serial as people write it: in
// hexadecimal, with or without colons, upper or lower case. A serial of several
// issuers gives the newest.
func (a *Authority) Find(tx *store.Tx, text string) (Certificate, error) {
	c, err := a.Get(tx, text)
	if err == nil || err != ErrNone {
		return c, err
	}
	serial := strings.ToUpper(strings.NewReplacer(":", "", " ", "").Replace(text))
	return one(tx.QueryRow("SELECT "+certificateColumns+" FROM ca_certificate WHERE serial = $1 ORDER BY created_at DESC LIMIT 1", serial))
}
