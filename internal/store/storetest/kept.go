package storetest

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"seimon/internal/store"
)

// rows is what a table holds.
type rows struct {
	columns []string
	values  [][]any
}

//nolint:gochecknoglobals // what is dear to make is made once for all tests of a program
var kept sync.Map // rows, by name

// Keep fills a table whose rows are dear to make, such as keys: the first test of a
// program that asks under this name by fill, the later ones with the rows that fill made
// there. Fill runs in both cases and finds the rows.
func Keep(t testing.TB, db *store.DB, name, table string, fill func() error) {
	t.Helper()
	have, ok := kept.Load(name)
	if ok {
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return have.(rows).insert(tx, table) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := fill(); err != nil {
		t.Fatal(err)
	}
	if ok {
		return
	}
	var made rows
	if err := db.Read(t.Context(), func(tx *store.Tx) (err error) {
		made, err = rowsOf(tx, table)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	kept.Store(name, made)
}

func rowsOf(tx *store.Tx, table string) (out rows, err error) {
	list, err := tx.Query("SELECT * FROM " + table)
	if err != nil {
		return out, err
	}
	if out.columns, err = list.Columns(); err != nil {
		list.Close()
		return out, err
	}
	err = store.Each(list, nil, func(s *sql.Rows) error {
		values := make([]any, len(out.columns))
		into := make([]any, len(out.columns))
		for i := range values {
			into[i] = &values[i]
		}
		out.values = append(out.values, values)
		return s.Scan(into...)
	})
	return out, err
}

func (r rows) insert(tx *store.Tx, table string) error {
	places := make([]string, len(r.columns))
	for i := range places {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	stmt := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(r.columns, ", "), strings.Join(places, ", "))
	for _, values := range r.values {
		if _, err := tx.Exec(stmt, slices.Clone(values)...); err != nil {
			return err
		}
	}
	return nil
}
