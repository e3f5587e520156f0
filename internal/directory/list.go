package directory

import (
	"database/sql"
	"fmt"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// pageLimit bounds one page of a list.
const pageLimit = 1000

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
	query, args := f.query()
	rows, err := tx.Query(query, args...)
	var out []Entry
	err = store.Each(rows, err, func(r *sql.Rows) error {
		a, p, err := scanEntry(r)
		out = append(out, Entry{a, p})
		return err
	})
	return out, err
}

func (f Filter) query() (string, []any) {
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
	if f.Group != "" {
		where = append(where, "a.id IN (SELECT account FROM directory_member WHERE name = "+arg(f.Group)+")")
	}
	if f.Person != "" {
		where = append(where, "a.person = "+arg(string(f.Person)))
	}
	if key := searchKey(f.Text); len(key) > 0 {
		where = append(where, textQuery(arg(key), arg(prefixEnd(key))))
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
func textQuery(low, high string) string {
	var parts []string
	for _, column := range []string{"name_key", "kana_key", "latin_key", "mail_key"} {
		parts = append(parts, fmt.Sprintf(
			"SELECT b.id FROM directory_person q JOIN directory_account b ON b.person = q.id WHERE q.%[1]s >= %[2]s AND q.%[1]s < %[3]s",
			column, low, high))
	}
	parts = append(parts, fmt.Sprintf("SELECT id FROM directory_account WHERE user_key >= %s AND user_key < %s", low, high))
	return "a.id IN (" + strings.Join(parts, " UNION ") + ")"
}
