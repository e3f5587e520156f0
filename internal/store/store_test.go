package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/fstest"

	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

func schema(text string) store.Schema {
	return store.Schema{Room: "note", Files: fstest.MapFS{"schema/001_note.sql": {Data: []byte(text)}}}
}

var notes = schema("CREATE TABLE note (\n id IDENTITY PRIMARY KEY,\n body TEXT NOT NULL UNIQUE,\n at BIGINT NOT NULL,\n raw BYTEA\n);\n")

func TestWriteReturnsRowsAndCarriesNow(t *testing.T) {
	db, clock := storetest.Open(t, notes)
	var id int64
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow("INSERT INTO note (body, at, raw) VALUES ($1, $2, $3) RETURNING id", "a", store.Millis(tx.Now), []byte{1, 0, 2}).Scan(&id)
	})
	if err != nil || id == 0 {
		t.Fatal(id, err)
	}
	err = db.Read(t.Context(), func(tx *store.Tx) error {
		var at int64
		var raw []byte
		if err := tx.QueryRow("SELECT at, raw FROM note WHERE body = $1 AND id = $2", "a", id).Scan(&at, &raw); err != nil {
			return err
		}
		if !store.Time(at).Equal(clock.Now()) || len(raw) != 3 {
			t.Errorf("at %v raw %v", store.Time(at), raw)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFailedWriteLeavesNothingAndNeighboursSurvive(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	refused := errors.New("refused")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				if _, err := tx.Exec("INSERT INTO note (body, at) VALUES ($1, 0)", string(rune('a'+i%26))+string(rune('0'+i/26))); err != nil {
					return err
				}
				if i%2 == 1 {
					return refused
				}
				return nil
			})
			if (i%2 == 1) != errors.Is(err, refused) || (i%2 == 0 && err != nil) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	var n int
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM note").Scan(&n)
	})
	if err != nil || n != 100 {
		t.Fatalf("%d rows, %v", n, err)
	}
}

func TestUniqueIsRecognised(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	insert := func() error {
		return db.Write(context.Background(), func(tx *store.Tx) error {
			_, err := tx.Exec("INSERT INTO note (body, at) VALUES ('x', 0)")
			return err
		})
	}
	if err := insert(); err != nil {
		t.Fatal(err)
	}
	if err := insert(); !store.IsUnique(err) {
		t.Fatalf("got %v", err)
	}
}
