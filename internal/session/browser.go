package session

import (
	"database/sql"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// BrowserLife is how long a browser is remembered after its last sign-in: as long
// as browsers keep a cookie at most.
const BrowserLife = 400 * 24 * time.Hour

// strangerLife is how long a browser is remembered in which nobody has signed in
// yet: knocking leaves nothing behind.
const strangerLife = 24 * time.Hour

// Browser is one browser that has come to the gate. It is no proof of anything; it
// holds a person's steps together and tells the owner's usual places from strangers.
type Browser struct {
	ID      string
	Agent   string // such as "Firefox on Linux"
	Created time.Time
	Used    time.Time // the last sign-in; zero before the first
}

// Browser gives the browser that a token belongs to, or ErrNone.
func (k *Keeper) Browser(tx *store.Tx, token string) (Browser, error) {
	if token == "" {
		return Browser{}, ErrNone
	}
	var b Browser
	var created, used int64
	err := tx.QueryRow("SELECT id, agent, created_at, used_at FROM session_browser WHERE token = $1 AND expires_at > $2",
		authn.HashToken(token), store.Millis(tx.Now)).Scan(&b.ID, &b.Agent, &created, &used)
	if err != nil {
		return Browser{}, none(err)
	}
	b.Created, b.Used = store.Time(created), store.Time(used)
	return b, nil
}

// NewBrowser begins to remember a browser, and gives the token that it keeps.
// agent is its User-Agent header. It is forgotten within a day unless somebody
// signs in with it (NoteUse).
func (k *Keeper) NewBrowser(tx *store.Tx, agent string) (Browser, string, error) {
	token, hash := authn.NewToken()
	b := Browser{ID: authn.NewID("browser"), Agent: Classify(agent).String(), Created: tx.Now}
	_, err := tx.Exec("INSERT INTO session_browser (id, token, agent, created_at, used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
		b.ID, hash, b.Agent, store.Millis(tx.Now), int64(0), store.Millis(tx.Now.Add(strangerLife)))
	if err != nil {
		return Browser{}, "", err
	}
	return b, token, nil
}

// Known tells whether an account has signed in with a browser before.
func (k *Keeper) Known(tx *store.Tx, browserID string, account authn.AccountID) (bool, error) {
	var n int64
	err := tx.QueryRow("SELECT COUNT(*) FROM session_known WHERE browser = $1 AND account = $2", browserID, string(account)).Scan(&n)
	return n > 0, err
}

// NoteUse notes that an account has signed in with a browser, and tells whether it
// was the first time.
func (k *Keeper) NoteUse(tx *store.Tx, browserID string, account authn.AccountID) (firstTime bool, err error) {
	now := store.Millis(tx.Now)
	err = touched(tx.Exec("UPDATE session_browser SET used_at = $1, expires_at = $2 WHERE id = $3", now, store.Millis(tx.Now.Add(BrowserLife)), browserID))
	if err != nil {
		return false, err
	}
	n, err := tx.Exec("UPDATE session_known SET last_at = $1 WHERE browser = $2 AND account = $3", now, browserID, string(account))
	if err != nil || n > 0 {
		return false, err
	}
	n, err = tx.Exec("INSERT INTO session_known (browser, account, first_at, last_at) VALUES ($1, $2, $3, $4) ON CONFLICT (browser, account) DO NOTHING",
		browserID, string(account), now, now)
	return n > 0, err
}

// Forget makes every browser a stranger to an account again but one (except;
// empty: none): for a person who says that a sign-in was not theirs.
func (k *Keeper) Forget(tx *store.Tx, account authn.AccountID, except string) error {
	for _, table := range []string{"session_known", "session_trust"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE account = $1 AND browser <> $2", string(account), except); err != nil {
			return err
		}
	}
	return nil
}

// ForgetStranger forgets a browser in which nobody has ever signed in.
func (k *Keeper) ForgetStranger(tx *store.Tx, browserID string) error {
	_, err := tx.Exec("DELETE FROM session_browser WHERE id = $1 AND used_at = 0", browserID)
	return err
}

func sweepBrowsers(tx *store.Tx, limit int) error {
	var ids []string
	rows, err := tx.Query("SELECT id FROM session_browser WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2", store.Millis(tx.Now), int64(limit))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		for _, stmt := range []string{
			"DELETE FROM session_known WHERE browser = $1",
			"DELETE FROM session_trust WHERE browser = $1",
			"DELETE FROM session_browser WHERE id = $1",
		} {
			if _, err := tx.Exec(stmt, id); err != nil {
				return err
			}
		}
	}
	return nil
}
