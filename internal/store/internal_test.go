package store

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A connection keeps its statements, but not without bound.
func TestStatementCacheIsBounded(t *testing.T) {
	db, err := Open(t.Context(), Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "x.db"), Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := db.backend.(*sqliteBackend)
	for i := range 3 * stmtLimit {
		for _, do := range []func(context.Context, func(*Tx) error) error{db.Read, db.Write} {
			err := do(t.Context(), func(tx *Tx) error {
				var n int
				err := tx.QueryRow(fmt.Sprintf("SELECT %d", i)).Scan(&n)
				if n != i {
					t.Errorf("got %d, want %d", n, i)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	reader := <-b.readers
	b.readers <- reader
	if n, m := len(reader.stmts), len(b.writer.stmts); n > stmtLimit+2 || m > stmtLimit+4 || n < stmtLimit/2 {
		t.Errorf("%d and %d statements kept", n, m)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// However often its neighbours break the commit, a transaction that did nothing wrong
// comes through: in the end it has no neighbours.
func TestNobodyLosesForEver(t *testing.T) {
	db, err := Open(t.Context(), Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "x.db")})
	if err != nil {
		t.Fatal(err)
	}
	b := db.backend.(*sqliteBackend)
	var breakers sync.WaitGroup
	runs := 0
	err = db.Write(t.Context(), func(*Tx) error {
		runs++
		breakers.Go(func() {
			err := db.Write(t.Context(), func(tx *Tx) error { _, err := tx.Exec("ROLLBACK"); return err })
			if err == nil {
				t.Error("whoever broke the commit was told nothing")
			}
		})
		for len(b.queue) == 0 { // it shall be the next
			runtime.Gosched()
		}
		return nil
	})
	breakers.Wait()
	if err != nil || runs != lostLimit {
		t.Errorf("after %d runs: %v", runs, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// Foreign bytes never make the header reader fail otherwise than by an error, and
// what it returns is within bounds.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("SQLite format 3\x00"))
	f.Add([]byte("SQLite format 3\x00\x10\x00" + strings.Repeat("\x00", 100)))
	f.Add([]byte("SQLite format 3\x00\x00\x01" + strings.Repeat("\xff", 100)))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readHeader(strings.NewReader(string(data)), "x.db")
		if err == nil && (h.pageSize < 512 || h.pageSize > 65536 || h.pages < 0 || h.tables < 0 || h.pages*h.pageSize < 0) {
			t.Errorf("%+v", h)
		}
	})
}
