package session

import (
	"database/sql"
	"strings"
	"time"
	"unicode"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Trust is a person's word that a browser is their own. Where a rule allows it,
// it stands in for the second step; it is never evidence.
type Trust struct {
	ID      string
	Browser string
	Account authn.AccountID
	Label   string // the person's name for it
	Until   time.Time
	Policy  int64 // the version of the policy under which it was given
	At      time.Time
	Agent   string    // the browser's description, in lists
	Used    time.Time // the browser's last sign-in, in lists
}

// labelMax is the greatest length of a label in characters.
const labelMax = 60

// Trust notes that t.Account trusts t.Browser under policy version t.Policy until
// t.Until, in place of an earlier trust. An empty label becomes the browser's
// description. A browser that is not remembered cannot be trusted (ErrNone).
func (k *Keeper) Trust(tx *store.Tx, t Trust) error {
	var agent string
	if err := tx.QueryRow("SELECT agent FROM session_browser WHERE id = $1", t.Browser).Scan(&agent); err != nil {
		return none(err)
	}
	if t.Label = cleanLabel(t.Label); t.Label == "" {
		t.Label = agent
	}
	_, err := tx.Exec("INSERT INTO session_trust (id, browser, account, label, policy, at, until) VALUES ($1, $2, $3, $4, $5, $6, $7)"+
		" ON CONFLICT (browser, account) DO UPDATE SET id = excluded.id, label = excluded.label, policy = excluded.policy, at = excluded.at, until = excluded.until",
		authn.NewID("trust"), t.Browser, string(t.Account), t.Label, t.Policy, store.Millis(tx.Now), store.Millis(t.Until))
	return err
}

// Trusted tells whether an account trusts a browser now, under this very version
// of the policy.
func (k *Keeper) Trusted(tx *store.Tx, browserID string, account authn.AccountID, policyVersion int64) (bool, error) {
	var n int64
	err := tx.QueryRow("SELECT COUNT(*) FROM session_trust WHERE browser = $1 AND account = $2 AND policy = $3 AND until > $4",
		browserID, string(account), policyVersion, store.Millis(tx.Now)).Scan(&n)
	return n > 0, err
}

// Trusts lists the browsers that an account trusts and whose time is not over,
// the newest first, whatever the policy they were trusted under.
func (k *Keeper) Trusts(tx *store.Tx, account authn.AccountID) ([]Trust, error) {
	var out []Trust
	rows, err := tx.Query("SELECT t.id, t.browser, t.account, t.label, t.policy, t.at, t.until, b.agent, b.used_at"+
		" FROM session_trust t JOIN session_browser b ON b.id = t.browser"+
		" WHERE t.account = $1 AND t.until > $2 ORDER BY t.at DESC, t.id", string(account), store.Millis(tx.Now))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var t Trust
		var at, until, used int64
		if err := rows.Scan(&t.ID, &t.Browser, &t.Account, &t.Label, &t.Policy, &at, &until, &t.Agent, &used); err != nil {
			return err
		}
		t.At, t.Until, t.Used = store.Time(at), store.Time(until), store.Time(used)
		out = append(out, t)
		return nil
	})
	return out, err
}

// Relabel gives a trusted browser of an account another name.
func (k *Keeper) Relabel(tx *store.Tx, id string, account authn.AccountID, label string) error {
	if label = cleanLabel(label); label == "" {
		return nil
	}
	return touched(tx.Exec("UPDATE session_trust SET label = $1 WHERE id = $2 AND account = $3", label, id, string(account)))
}

// Distrust ends one trust of an account, or gives ErrNone if it is not theirs.
func (k *Keeper) Distrust(tx *store.Tx, id string, account authn.AccountID) error {
	return touched(tx.Exec("DELETE FROM session_trust WHERE id = $1 AND account = $2", id, string(account)))
}

// DistrustAll ends every trust of an account and tells how many there were.
func (k *Keeper) DistrustAll(tx *store.Tx, account authn.AccountID) (int64, error) {
	return tx.Exec("DELETE FROM session_trust WHERE account = $1", string(account))
}

// cleanLabel keeps what can be shown on one line: no control characters, no
// invisible or direction-changing ones, a bounded length.
func cleanLabel(label string) string {
	label = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, label)
	label = strings.Join(strings.Fields(label), " ")
	if runes := []rune(label); len(runes) > labelMax {
		label = strings.TrimSpace(string(runes[:labelMax]))
	}
	return label
}
