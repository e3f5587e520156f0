package oidc

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/login"
	"seimon/internal/session"
	"seimon/internal/store"
)

// grant is what one sign-in gave a client: a code, and everything issued from it.
type grant struct {
	code      []byte // hash; the key
	client    string
	account   authn.AccountID
	session   string
	request   request
	proof     proof
	offline   bool // outlives the session
	codeUntil time.Time
	redeemed  time.Time // zero: the code was not used yet
	ended     time.Time // zero: in force
	until     time.Time // afterwards the row may go
}

// proof is how the person signed in, as ID tokens tell it.
type proof struct {
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	AuthTime int64    `json:"auth_time"` // Unix seconds
	Visit    string   `json:"visit"`     // the sid: it differs between services, so they cannot compare
	// Bindings are what was used: offline access ends with the certificate it rests on.
	Bindings []string `json:"bindings,omitempty"`
}

func bindingsOf(evidence []authn.Evidence) []string {
	var out []string
	for _, e := range evidence {
		if e.Binding != "" {
			out = append(out, e.Binding)
		}
	}
	return out
}

func (f *Front) newGrant(hash []byte, q *request, o login.Outcome, now time.Time) *grant {
	kept := *q
	kept.State, kept.Pushed = "", nil
	return &grant{
		code: hash, client: q.Client, account: o.Subject.Account, session: o.Session.ID, request: kept, offline: q.Offline,
		proof: proof{
			ACR: acrOf(q.ACR, o.Evidence, now), AMR: o.Assurance.AMR, AuthTime: o.Assurance.AuthTime.Unix(), Visit: o.Visit.ID,
			Bindings: bindingsOf(o.Evidence),
		},
		codeUntil: now.Add(f.Lives.Code), until: now.Add(f.Lives.Code + time.Hour),
	}
}

const grantColumns = `code, client, account, session, request, proof, offline, code_until, redeemed_at, ended_at, until`

func (f *Front) insertGrant(tx *store.Tx, g *grant) error {
	request, err := json.Marshal(g.request)
	if err != nil {
		return err
	}
	proof, err := json.Marshal(g.proof)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO oidc_grant (`+grantColumns+`, ended_why, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, $9, '', $10)`,
		g.code, g.client, string(g.account), g.session, string(request), string(proof), store.Bool(g.offline),
		store.Millis(g.codeUntil), store.Millis(g.until), store.Millis(tx.Now))
	return err
}

// errNoGrant says that there is no such code.
var errNoGrant = errors.New("oidc: no such grant")

type scanner interface{ Scan(dest ...any) error }

func scanGrant(row scanner, more ...any) (*grant, error) {
	g := &grant{}
	var request, proof string
	var offline, codeUntil, redeemed, ended, until int64
	err := row.Scan(append([]any{&g.code, &g.client, &g.account, &g.session, &request, &proof, &offline, &codeUntil, &redeemed, &ended, &until}, more...)...)
	if errors.Is(err, store.ErrNoRows) {
		return nil, errNoGrant
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(json.Unmarshal([]byte(request), &g.request), json.Unmarshal([]byte(proof), &g.proof)); err != nil {
		return nil, fmt.Errorf("oidc: a grant of %s is damaged: %w", g.client, err)
	}
	g.offline = offline != 0
	g.codeUntil, g.redeemed, g.ended, g.until = store.Time(codeUntil), store.Time(redeemed), store.Time(ended), store.Time(until)
	return g, nil
}

func grantOf(tx *store.Tx, hash []byte) (*grant, error) {
	return scanGrant(tx.QueryRow("SELECT "+grantColumns+" FROM oidc_grant WHERE code = $1", hash))
}

// end stops everything issued from a grant.
func (f *Front) end(tx *store.Tx, g *grant, why string) error {
	n, err := tx.Exec("UPDATE oidc_grant SET ended_at = $2, ended_why = $3 WHERE code = $1 AND ended_at = 0", g.code, store.Millis(tx.Now), why)
	if err != nil || n == 0 {
		return err
	}
	return f.note(tx, g, "oidc.grant.ended", map[string]string{"why": why})
}

func (f *Front) note(tx *store.Tx, g *grant, event string, facts map[string]string) error {
	return f.Audit.Append(tx, audit.Event{
		Type: event, Account: g.account, Actor: "service:" + g.client, Session: g.session, Party: g.client, Facts: facts,
	})
}

// holder is who a grant is about, read afresh.
type holder struct {
	account directory.Account
	person  directory.Person
}

// live tells whether a grant still stands: not ended, its session alive unless it
// is for offline access, its account in good standing. Without a holder it does not.
func (f *Front) live(tx *store.Tx, g *grant) (*holder, error) {
	if !g.ended.IsZero() {
		return nil, nil
	}
	if !g.offline {
		if _, err := f.Sessions.Get(tx, g.session); errors.Is(err, session.ErrNone) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	account, person, err := f.People.ByID(tx, g.account)
	if errors.Is(err, directory.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if code, _ := account.Standing(tx.Now); code != "" {
		return nil, nil
	}
	return &holder{account, person}, nil
}

// EndSession ends what was issued under a session, except for offline access.
func (f *Front) EndSession(tx *store.Tx, sid, why string) error {
	_, err := tx.Exec("UPDATE oidc_grant SET ended_at = $2, ended_why = $3 WHERE session = $1 AND ended_at = 0 AND offline = 0",
		sid, store.Millis(tx.Now), why)
	return err
}

// EndAccount ends all offline access of an account, or that of one client if
// client is not empty. What hangs on sessions ends with them.
func (f *Front) EndAccount(tx *store.Tx, account authn.AccountID, client, why string) (ended int64, err error) {
	query := "UPDATE oidc_grant SET ended_at = $2, ended_why = $3 WHERE account = $1 AND offline = 1 AND ended_at = 0"
	args := []any{string(account), store.Millis(tx.Now), why}
	if client != "" {
		query += " AND client = $4"
		args = append(args, client)
	}
	if ended, err = tx.Exec(query, args...); err != nil || ended == 0 {
		return ended, err
	}
	return ended, f.Audit.Append(tx, audit.Event{
		Type: "oidc.grant.ended", Account: account, Actor: string(account), Party: client, Facts: map[string]string{"why": why},
	})
}

// EndResting ends the offline access of an account that rests on a binding, such as
// that of a certificate which was revoked, and names the clients that lost it.
func (f *Front) EndResting(tx *store.Tx, account authn.AccountID, binding, why string) ([]string, error) {
	var all []*grant
	rows, err := tx.Query("SELECT "+grantColumns+" FROM oidc_grant WHERE account = $1 AND offline = 1 AND ended_at = 0", string(account))
	err = store.Each(rows, err, func(r *sql.Rows) error {
		g, err := scanGrant(r)
		if err == nil && binding != "" && slices.Contains(g.proof.Bindings, binding) {
			all = append(all, g)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, g := range all {
		if err := f.end(tx, g, why); err != nil {
			return nil, err
		}
		out = append(out, g.client)
	}
	return out, nil
}
