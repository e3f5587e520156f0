package directory

import (
	"database/sql"
	"fmt"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/store"
)

const (
	pageLimit = 1000 // lines of one page of a list
	// looseLimit bounds how many accounts a filter may name beforehand. A larger
	// group is looked up account by account; of a looser text each index gives so
	// many, so that no question reads the whole directory.
	looseLimit = 5000
)

// Filter says which accounts to list, in the order of their user names.
type Filter struct {
	Text   string // the beginning of a user name, a name in any script, or a mail address
	Kind   string
	State  State
	Group  string
	Person authn.PersonID
	After  string // the user name that ended the page before
	Limit  int    // 0 means 100; at most 1000
}

// Entry is one line of a list.
type Entry struct {
	Account Account
	Person  Person
}

// List gives one page of accounts.
func (d *Directory) List(tx *store.Tx, f Filter) ([]Entry, error) {
	large, err := f.large(tx)
	if err != nil {
		return nil, err
	}
	query, args := f.query(large)
	rows, err := tx.Query(query, args...)
	var out []Entry
	err = store.Each(rows, err, func(r *sql.Rows) error {
		a, p, err := scanEntry(r)
		out = append(out, Entry{a, p})
		return err
	})
	return out, err
}

// large tells whether the group has very many members.
func (f Filter) large(tx *store.Tx) (bool, error) {
	if f.Group == "" {
		return false, nil
	}
	var n int64
	err := tx.QueryRow("SELECT COUNT(*) FROM (SELECT account FROM directory_member WHERE name = $1 LIMIT $2) m", f.Group, int64(looseLimit)).Scan(&n)
	return n == looseLimit, err
}

func (f Filter) query(large bool) (string, []any) {
	var where []string
	var args []any
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	if f.After != "" {
		where = append(where, "a.user_key > "+arg([]byte(Key(f.After))))
	}
	if f.Kind != "" {
		where = append(where, "a.kind = "+arg(f.Kind))
	}
	if f.State != "" {
		where = append(where, "a.state = "+arg(string(f.State)))
	}
	switch {
	case f.Group != "" && large:
		where = append(where, "EXISTS (SELECT 1 FROM directory_member m WHERE m.name = "+arg(f.Group)+" AND m.account = a.id)")
	case f.Group != "":
		where = append(where, "a.id IN (SELECT account FROM directory_member WHERE name = "+arg(f.Group)+")")
	}
	if f.Person != "" {
		where = append(where, "a.person = "+arg(string(f.Person)))
	}
	if key := searchKey(f.Text); len(key) > 0 {
		where = append(where, textQuery(arg(key), arg(prefixEnd(key)), arg(int64(looseLimit)), arg([]byte(Key(f.After)))))
	}
	query := "SELECT " + entry
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	return query + " ORDER BY a.user_key LIMIT " + arg(int64(min(limit, pageLimit))), args
}

// textQuery looks into each search index on its own, so that each is used.
func textQuery(low, high, most, after string) string {
	var parts []string
	for _, column := range []string{"name_key", "kana_key", "latin_key", "mail_key"} {
		parts = append(parts, fmt.Sprintf(`SELECT id FROM (SELECT b.id FROM directory_person q JOIN directory_account b ON b.person = q.id
			WHERE q.%[1]s >= %[2]s AND q.%[1]s < %[3]s ORDER BY q.%[1]s LIMIT %[4]s) %[1]s`, column, low, high, most))
	}
	parts = append(parts, fmt.Sprintf(`SELECT id FROM (SELECT id FROM directory_account
		WHERE user_key >= %s AND user_key < %s AND user_key > %s ORDER BY user_key LIMIT %s) user_key`, low, high, after, most))
	return "a.id IN (" + strings.Join(parts, " UNION ") + ")"
}
