package directory

import (
	"database/sql"
	"errors"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// A user name that an account has left is given to no other account, so that a principal
// name never comes to mean somebody else (RAF 2.0, ID/eppn-unique-no-reassign).

// leaveName puts on record that the account leaves its name for another one. ErrTaken says
// that the new name was another account's.
func (d *Directory) leaveName(tx *store.Tx, a Account) error {
	key := []byte(Key(a.UserName))
	_, err := tx.Exec(`INSERT INTO directory_former_name (user_key, account, until)
		SELECT user_key, id, $3 FROM directory_account WHERE id = $1 AND user_key <> $2
		ON CONFLICT (user_key) DO UPDATE SET until = excluded.until`, string(a.ID), key, store.Millis(tx.Now))
	if err != nil {
		return err
	}
	former, err := formerNames(tx, []any{key})
	if owner := former[string(key)]; err == nil && owner != "" && owner != a.ID {
		return ErrTaken
	}
	return err
}

// formerNames tells which of the names belonged to which account before.
func formerNames(tx *store.Tx, keys []any) (map[string]authn.AccountID, error) {
	var any int64
	err := tx.QueryRow("SELECT 1 FROM directory_former_name LIMIT 1").Scan(&any)
	if errors.Is(err, store.ErrNoRows) || len(keys) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]authn.AccountID{}
	rows, err := tx.Query("SELECT user_key, account FROM directory_former_name WHERE user_key IN "+places(1, len(keys)), keys...)
	err = store.Each(rows, err, func(r *sql.Rows) error {
		var key []byte
		var account authn.AccountID
		err := r.Scan(&key, &account)
		out[string(key)] = account
		return err
	})
	return out, err
}

// freeNames refuses new accounts a name that another account had before.
func freeNames(tx *store.Tx, entries []Entry) error {
	keys := make([]any, 0, len(entries))
	for _, e := range entries {
		keys = append(keys, []byte(Key(e.Account.UserName)))
	}
	former, err := formerNames(tx, keys)
	if err == nil && len(former) > 0 {
		return ErrTaken
	}
	return err
}
