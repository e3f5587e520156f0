package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// A failed statement fails its transaction on both databases, whatever fn makes of it.
func TestFailedStatementFailsTheTransaction(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	if err := insert(t.Context(), db, "a"); err != nil {
		t.Fatal(err)
	}
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec("INSERT INTO note (body, at) VALUES ('b', 0)"); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO note (body, at) VALUES ('a', 0)")
		if !store.IsUnique(err) {
			t.Errorf("got %v", err)
		}
		if _, err := tx.Exec("INSERT INTO note (body, at) VALUES ('c', 0)"); err == nil {
			t.Error("a later Exec was run")
		}
		if _, err := tx.Query("SELECT body FROM note"); err == nil {
			t.Error("a later Query was run")
		}
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM note").Scan(&n); err == nil {
			t.Error("a later QueryRow was run")
		}
		return nil // as if nothing had happened
	})
	if !store.IsUnique(err) {
		t.Errorf("Write: %v", err)
	}
	if got := bodies(t, db); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestRowsLeftOpenHarmNobody(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	var all sync.WaitGroup
	together(t, db, func() {
		for i := range 10 {
			all.Go(func() {
				err := db.Write(t.Context(), func(tx *store.Tx) error {
					rows, err := tx.Query("INSERT INTO note (body, at) VALUES ($1, 0), ($2, 0) RETURNING id", fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))
					if err != nil {
						return err
					}
					rows.Next()
					return nil // rows are not closed
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	})
	all.Wait()
	if got := bodies(t, db); len(got) != 20 {
		t.Errorf("%d rows", len(got))
	}
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Query("SELECT body FROM note")
		if err != nil || !rows.Next() {
			return fmt.Errorf("no rows: %w", err)
		}
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM note").Scan(&n); err == nil {
			t.Error("a statement ran while the rows of another were open")
		}
		return rows.Close()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTransactionIsOverWhenItsFunctionIs(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	var kept *store.Tx
	if err := db.Write(t.Context(), func(tx *store.Tx) error { kept = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Exec("INSERT INTO note (body, at) VALUES ('a', 0)"); err == nil {
		t.Error("Exec was run")
	}
	if _, err := kept.Query("SELECT 1"); err == nil {
		t.Error("Query was run")
	}
	var n int
	if err := kept.QueryRow("SELECT 1").Scan(&n); err == nil {
		t.Error("QueryRow was run")
	}
}

func TestReadCannotWrite(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("INSERT INTO note (body, at) VALUES ('a', 0)")
		return err
	})
	if err == nil || len(bodies(t, db)) != 0 {
		t.Error("a read wrote", err)
	}
}

func TestReadSeesOneInstant(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	count := func(tx *store.Tx) (n int) {
		if err := tx.QueryRow("SELECT count(*) FROM note").Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		before := count(tx)
		if err := insert(t.Context(), db, "a"); err != nil {
			return err
		}
		if after := count(tx); before != 0 || after != 0 {
			t.Errorf("%d rows, then %d", before, after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The classic that only serialisation prevents: two transactions read the same
// and write each its own row.
func TestWritesAreSerial(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				var n int
				if err := tx.QueryRow("SELECT count(*) FROM note").Scan(&n); err != nil {
					return err
				}
				_, err := tx.Exec("INSERT INTO note (body, at) VALUES ($1, 0)", fmt.Sprint("row", n))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := bodies(t, db); len(got) != 20 || !got["row19"] {
		t.Errorf("%v", got)
	}
}

func TestTransactionInsideTransactionIsRefused(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	err := db.Write(t.Context(), func(tx *store.Tx) error { return insert(tx.Context(), db, "a") })
	if err == nil || len(bodies(t, db)) != 0 {
		t.Error("the inner one was run", err)
	}
	err = db.Read(t.Context(), func(tx *store.Tx) error {
		return db.Read(tx.Context(), func(*store.Tx) error { return nil })
	})
	if err == nil {
		t.Error("a read inside a read was run")
	}
}

// Look first, then insert: of many who do so at once each succeeds, and the row is
// there once.
func TestGetOrCreate(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				var id int64
				err := tx.QueryRow("SELECT id FROM note WHERE body = 'x'").Scan(&id)
				if errors.Is(err, store.ErrNoRows) {
					_, err = tx.Exec("INSERT INTO note (body, at) VALUES ('x', 0)")
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(bodies(t, db)) != 1 {
		t.Error(bodies(t, db))
	}
}

func TestUniqueOfAllKinds(t *testing.T) {
	db, _ := storetest.Open(t, room("k",
		"CREATE TABLE k (id BIGINT PRIMARY KEY, a TEXT, b TEXT UNIQUE, c TEXT NOT NULL);\nCREATE UNIQUE INDEX k_a ON k (a) WHERE a <> '';\n"))
	exec := func(text string) error {
		return db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(text); return err })
	}
	if err := exec("INSERT INTO k (id, a, b, c) VALUES (1, 'a', 'b', 'c')"); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"INSERT INTO k (id, a, b, c) VALUES (1, '', '', 'c')":  true,
		"INSERT INTO k (id, a, b, c) VALUES (2, 'a', '', 'c')": true,
		"INSERT INTO k (id, a, b, c) VALUES (2, '', 'b', 'c')": true,
		"INSERT INTO k (id, a, b) VALUES (2, '', '')":          false,
		"INSERT INTO nowhere (id) VALUES (1)":                  false,
	} {
		if err := exec(text); err == nil || store.IsUnique(err) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestForeignTexts: both databases take any text, and keep what PostgreSQL can.
func TestForeignTexts(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	for text, kept := range map[string]string{"a\x00b": "a\uFFFDb", "\xff": "\uFFFD", "\xed\xa0\x80": "\uFFFD", "正門": "正門", "": ""} {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			args := []any{text, int64(1)}
			if _, err := tx.Exec("DELETE FROM note"); err != nil {
				return err
			}
			if _, err := tx.Exec("INSERT INTO note (body, at) VALUES ($1, $2)", args...); err != nil {
				return err
			}
			if args[0] != text {
				t.Errorf("%q was changed in the caller's hands", text)
			}
			var got string
			if err := tx.QueryRow("SELECT body FROM note WHERE body = $1", text).Scan(&got); err != nil || got != kept {
				t.Errorf("%q is kept as %q, %v", text, got, err)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
