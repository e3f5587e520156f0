package store_test

import (
	"context"
	"testing"

	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// Every statement of a glance sees what was committed before it, and Now is the clock.
func TestGlanceSeesTheNewest(t *testing.T) {
	db, clock := storetest.Open(t, notes)
	count := func(tx *store.Tx) (n int) {
		if err := tx.QueryRow("SELECT count(*) FROM note WHERE at < $1", int64(1)).Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	err := db.Glance(t.Context(), func(tx *store.Tx) error {
		if !tx.Now.Equal(clock.Now()) {
			t.Errorf("now is %v", tx.Now)
		}
		before := count(tx)
		if err := insert(t.Context(), db, "a"); err != nil {
			return err
		}
		if after := count(tx); before != 0 || after != 1 {
			t.Errorf("%d, then %d", before, after)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestGlanceWritesNothing(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	for name, write := range map[string]func(tx *store.Tx) error{
		"exec": func(tx *store.Tx) error {
			_, err := tx.Exec("INSERT INTO note (body, at) VALUES ('a', 0)")
			return err
		},
		"row": func(tx *store.Tx) error {
			var id int64
			return tx.QueryRow("INSERT INTO note (body, at) VALUES ('b', 0) RETURNING id").Scan(&id)
		},
		"rows": func(tx *store.Tx) error {
			rows, err := tx.Query("INSERT INTO note (body, at) VALUES ('c', 0) RETURNING id")
			if err == nil {
				rows.Next()
				err = rows.Close()
			}
			return err
		},
	} {
		if err := db.Glance(t.Context(), write); err == nil {
			t.Errorf("%s wrote in a glance", name)
		}
	}
	if got := bodies(t, db); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if err := insert(t.Context(), db, "d"); err != nil { // the connections are as good as before
		t.Error(err)
	}
}

func TestGlanceKeepsTheRulesOfTransactions(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	err := db.Glance(t.Context(), func(tx *store.Tx) error {
		return db.Write(tx.Context(), func(*store.Tx) error { return nil })
	})
	if err == nil {
		t.Error("a transaction inside a glance")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	err = db.Glance(gone, func(tx *store.Tx) error {
		var n int
		return tx.QueryRow("SELECT count(*) FROM note").Scan(&n)
	})
	if err == nil {
		t.Error("a cancelled glance")
	}
	err = db.Glance(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Query("SELECT body FROM note")
		if err != nil {
			return err
		}
		rows.Next()
		return nil // rows are left open
	})
	if err != nil {
		t.Error(err)
	}
}
