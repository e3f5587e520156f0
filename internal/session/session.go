package session

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Session is one person signed in with one account in one browser.
type Session struct {
	ID           string // stable; the sid of protocols
	Subject      authn.Subject
	Evidence     []authn.Evidence // at most one of each kind, oldest first
	Created      time.Time
	Used         time.Time // exact to a minute
	Expires      time.Time // when it ends if it is not used again
	Browser      string    // id of the browser, may be empty
	FirstAddress string    // where it was opened from
	Address      string    // where it was last used from
	// Agent is a short description such as "Chrome on Windows". Open accepts the
	// whole User-Agent header here and keeps only the description.
	Agent string
}

const columns = "id, person, account, user_name, evidence, browser, agent, first_address, address, created_at, used_at, expires_at"

// scan reads a session. Limits that were tightened since it was opened hold for it too.
func (k *Keeper) scan(scan func(...any) error) (Session, error) {
	var s Session
	var evidence string
	var created, used, expires int64
	err := scan(&s.ID, &s.Subject.Person, &s.Subject.Account, &s.Subject.UserName, &evidence, &s.Browser, &s.Agent,
		&s.FirstAddress, &s.Address, &created, &used, &expires)
	if err != nil {
		return Session{}, none(err)
	}
	if err := json.Unmarshal([]byte(evidence), &s.Evidence); err != nil {
		return Session{}, fmt.Errorf("session %s: evidence: %w", s.ID, err)
	}
	s.Created, s.Used = store.Time(created), store.Time(used)
	s.Expires = store.Time(min(expires, k.expires(created, used)))
	return s, nil
}

// expires gives the end of a session (Unix milliseconds) by both limits.
func (k *Keeper) expires(created, used int64) int64 {
	return min(created+k.cfg.Absolute.Milliseconds(), used+k.cfg.Idle.Milliseconds())
}

// live lets only sessions pass that have not ended.
func live(tx *store.Tx, s Session, err error) (Session, error) {
	if err == nil && !tx.Now.Before(s.Expires) {
		return Session{}, ErrNone
	}
	return s, err
}

// Find gives the live session that a token belongs to, or ErrNone.
func (k *Keeper) Find(tx *store.Tx, token string) (Session, error) {
	if token == "" {
		return Session{}, ErrNone
	}
	s, err := k.scan(tx.QueryRow("SELECT "+columns+" FROM session_session WHERE token = $1", authn.HashToken(token)).Scan)
	return live(tx, s, err)
}

// Get gives the live session with an id, or ErrNone.
func (k *Keeper) Get(tx *store.Tx, sid string) (Session, error) {
	s, err := k.scan(tx.QueryRow("SELECT "+columns+" FROM session_session WHERE id = $1", sid).Scan)
	return live(tx, s, err)
}

// Of lists the live sessions of an account, the most recently used first.
func (k *Keeper) Of(tx *store.Tx, account authn.AccountID) ([]Session, error) {
	var out []Session
	rows, err := tx.Query("SELECT "+columns+" FROM session_session WHERE account = $1 AND expires_at > $2 ORDER BY used_at DESC, id",
		string(account), store.Millis(tx.Now))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		s, err := k.scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		if tx.Now.Before(s.Expires) {
			out = append(out, s)
		}
	}
	return out, rows.Err()
}

// Open begins a session for s.Subject with s.Evidence, s.Browser, s.Address and
// s.Agent, and gives the token that the browser keeps.
func (k *Keeper) Open(tx *store.Tx, s Session) (Session, string, error) {
	if s.Subject.Account == "" {
		return Session{}, "", fmt.Errorf("session: a session needs an account")
	}
	if err := k.makeRoom(tx, s.Subject.Account); err != nil {
		return Session{}, "", err
	}
	token, hash := authn.NewToken()
	s.ID = authn.NewID("sid")
	s.Agent = Classify(s.Agent).String()
	s.Evidence = merge(nil, s.Evidence)
	s.FirstAddress = s.Address
	now := store.Millis(tx.Now)
	s.Created, s.Used, s.Expires = store.Time(now), store.Time(now), store.Time(k.expires(now, now))
	evidence, err := json.Marshal(s.Evidence)
	if err != nil {
		return Session{}, "", err
	}
	_, err = tx.Exec("INSERT INTO session_session (token, "+columns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
		hash, s.ID, string(s.Subject.Person), string(s.Subject.Account), s.Subject.UserName, string(evidence), s.Browser, s.Agent,
		s.FirstAddress, s.Address, now, now, store.Millis(s.Expires))
	if err != nil {
		return Session{}, "", err
	}
	return s, token, nil
}

// makeRoom ends the sessions that an account was using least if it has too many.
func (k *Keeper) makeRoom(tx *store.Tx, account authn.AccountID) error {
	var crowded []string
	rows, err := tx.Query("SELECT id FROM session_session WHERE account = $1 ORDER BY used_at DESC, id LIMIT 1000 OFFSET $2",
		string(account), int64(k.cfg.PerAccount-1))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		crowded = append(crowded, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close() //nolint:errcheck // read to the end
	for _, id := range crowded {
		if err := k.End(tx, id, "crowded"); err != nil {
			return err
		}
	}
	return nil
}

// Rise adds evidence to a live session, in place of older evidence of the same
// kind, and changes its token: the old one is worth nothing from then on.
func (k *Keeper) Rise(tx *store.Tx, sid string, evidence []authn.Evidence) (Session, string, error) {
	s, err := k.Get(tx, sid)
	if err != nil {
		return Session{}, "", err
	}
	token, hash := authn.NewToken()
	s.Evidence = merge(s.Evidence, evidence)
	text, err := json.Marshal(s.Evidence)
	if err != nil {
		return Session{}, "", err
	}
	now := store.Millis(tx.Now)
	s.Used, s.Expires = store.Time(now), store.Time(k.expires(store.Millis(s.Created), now))
	err = touched(tx.Exec("UPDATE session_session SET token = $1, evidence = $2, used_at = $3, expires_at = $4 WHERE id = $5",
		hash, string(text), now, store.Millis(s.Expires), sid))
	if err != nil {
		return Session{}, "", err
	}
	return s, token, nil
}

// merge lays newer evidence over older: the last of each kind stays, in order of time.
func merge(old, fresh []authn.Evidence) []authn.Evidence {
	out := []authn.Evidence{}
	for _, e := range slices.Concat(old, fresh) {
		out = slices.DeleteFunc(out, func(o authn.Evidence) bool { return o.Kind == e.Kind })
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b authn.Evidence) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return out
}

// touchEvery is how exactly the last use of a session is known.
const touchEvery = time.Minute

// Touch notes that a session is used, from the given address (empty: unknown). It
// writes at most once a minute unless the address is a new one, and never revives
// a session that is over.
func (k *Keeper) Touch(tx *store.Tx, sid, address string) error {
	s, err := k.Get(tx, sid)
	if err != nil {
		return err
	}
	return k.Renew(tx, s, address)
}

// Renew is Touch for a live session that was read in the same transaction.
func (k *Keeper) Renew(tx *store.Tx, s Session, address string) error {
	address = cmp.Or(address, s.Address)
	if tx.Now.Sub(s.Used) < touchEvery && address == s.Address {
		return nil
	}
	now := store.Millis(tx.Now)
	_, err := tx.Exec("UPDATE session_session SET used_at = $1, expires_at = $2, address = $3 WHERE id = $4",
		now, k.expires(store.Millis(s.Created), now), address, s.ID)
	return err
}
