package oidc

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// The kinds of token under a grant.
const (
	kindAccess  = "access"
	kindRefresh = "refresh"
)

// token is an opaque access or refresh token, as stored.
type token struct {
	hash    []byte
	code    []byte // the grant it hangs under
	kind    string
	scope   []string
	used    time.Time // a refresh token that was exchanged
	until   time.Time
	created time.Time
}

// fresh is a token on its way out, and the hash under which it is stored.
type fresh struct {
	text string
	hash []byte
}

func newToken() fresh {
	text, hash := authn.NewToken()
	return fresh{text, hash}
}

// insertTokens writes what is issued together, in one statement.
func insertTokens(tx *store.Tx, g *grant, list []token) error {
	args := []any{g.code, store.Millis(tx.Now)}
	var rows []string
	for _, t := range list {
		n := len(args)
		rows = append(rows, fmt.Sprintf("($%d, $1, $%d, $%d, 0, $%d, $2)", n+1, n+2, n+3, n+4))
		args = append(args, t.hash, t.kind, strings.Join(t.scope, " "), store.Millis(t.until))
	}
	_, err := tx.Exec("INSERT INTO oidc_token (hash, code, kind, scope, used_at, until, created_at) VALUES "+strings.Join(rows, ", "), args...)
	return err
}

// tokenOf reads a token and its grant; errNoGrant when there is none.
func tokenOf(tx *store.Tx, text string) (*token, *grant, error) {
	t := &token{hash: authn.HashToken(text)}
	var scope string
	var used, until, created int64
	g, err := scanGrant(tx.QueryRow(`SELECT g.code, g.client, g.account, g.session, g.request, g.proof, g.offline, g.code_until,
		g.redeemed_at, g.ended_at, g.until, t.kind, t.scope, t.used_at, t.until, t.created_at
		FROM oidc_token t JOIN oidc_grant g ON g.code = t.code WHERE t.hash = $1`, t.hash),
		&t.kind, &scope, &used, &until, &created)
	if err != nil {
		return nil, nil, err
	}
	t.code, t.scope = g.code, strings.Fields(scope)
	t.used, t.until, t.created = store.Time(used), store.Time(until), store.Time(created)
	return t, g, nil
}

// inForce tells whether a token may be used at now, as far as the token goes.
func (t *token) inForce(now time.Time) bool { return t.used.IsZero() && now.Before(t.until) }

// accessLife is how long a client's access tokens live.
func (f *Front) accessLife(c *client) time.Duration {
	if c.AccessTokenSeconds > 0 {
		return time.Duration(c.AccessTokenSeconds) * time.Second
	}
	return f.Lives.Access
}

// Sweep removes what is over: a few thousand rows of each kind at a time, so that
// nobody waits for it. A job calls it again and again.
func (f *Front) Sweep(tx *store.Tx) error {
	const most = 5000
	for _, s := range []struct{ table, key string }{
		{"oidc_token", "hash"}, {"oidc_grant", "code"}, {"oidc_pushed", "hash"},
	} {
		_, err := tx.Exec("DELETE FROM "+s.table+" WHERE "+s.key+" IN (SELECT "+s.key+" FROM "+s.table+" WHERE until < $1 ORDER BY until LIMIT $2)",
			store.Millis(tx.Now), int64(most))
		if err != nil {
			return err
		}
	}
	_, err := tx.Exec("DELETE FROM oidc_assertion WHERE until < $1", store.Millis(tx.Now))
	return err
}

// Offline is one service's lasting access to an account.
type Offline struct {
	Client string
	Since  time.Time
}

// Offlines lists the lasting access that services have to an account.
func (f *Front) Offlines(tx *store.Tx, account authn.AccountID) ([]Offline, error) {
	var out []Offline
	rows, err := tx.Query(`SELECT client, min(created_at) FROM oidc_grant
		WHERE account = $1 AND offline = 1 AND ended_at = 0 AND redeemed_at > 0 AND until > $2 GROUP BY client ORDER BY client`,
		string(account), store.Millis(tx.Now))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var o Offline
		var since int64
		if err := rows.Scan(&o.Client, &since); err != nil {
			return err
		}
		o.Since = store.Time(since)
		out = append(out, o)
		return nil
	})
	return out, err
}

// noToken tells whether err says only that there is no such token or code.
func noToken(err error) bool { return errors.Is(err, errNoGrant) }
