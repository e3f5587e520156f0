package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// The floor is what the bare driver does with the same statement and durability;
// each benchmark of the store is read next to it.

const insertNote = "INSERT INTO note (body, at) VALUES ($1, $2)"

func BenchmarkFloorCommit(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db, url := bare(b)
			if strings.HasPrefix(url, "sqlite:") {
				db.SetMaxOpenConns(1)
			} else {
				db.SetMaxOpenConns(n)
				db.SetMaxIdleConns(n)
			}
			stmt, err := db.Prepare(insertNote)
			if err != nil {
				b.Fatal(err)
			}
			parallel(b, n, func(i int64) error {
				_, err := stmt.Exec(fmt.Sprint(i), i)
				return err
			})
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db, _ := storetest.Open(b, notes)
			ctx := context.Background()
			parallel(b, n, func(i int64) error {
				return db.Write(ctx, func(tx *store.Tx) error {
					_, err := tx.Exec(insertNote, fmt.Sprint(i), i)
					return err
				})
			})
		})
	}
}

func BenchmarkFloorRead(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db, _ := bare(b)
			db.SetMaxOpenConns(8)
			db.SetMaxIdleConns(8)
			fill(b, func(q string, args ...any) error { _, err := db.Exec(q, args...); return err })
			stmt, err := db.Prepare("SELECT at FROM note WHERE id = $1")
			if err != nil {
				b.Fatal(err)
			}
			parallel(b, n, func(i int64) error {
				var at int64
				return stmt.QueryRow(i%100 + 1).Scan(&at)
			})
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db, _ := storetest.Open(b, notes)
			ctx := context.Background()
			fill(b, func(q string, args ...any) error {
				return db.Write(ctx, func(tx *store.Tx) error { _, err := tx.Exec(q, args...); return err })
			})
			parallel(b, n, func(i int64) error {
				return db.Read(ctx, func(tx *store.Tx) error {
					var at int64
					return tx.QueryRow("SELECT at FROM note WHERE id = $1", i%100+1).Scan(&at)
				})
			})
		})
	}
}

// bare opens a migrated database with the driver alone.
func bare(b *testing.B) (*sql.DB, string) {
	url := storetest.URL(b)
	own, err := store.Open(b.Context(), store.Config{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	if err := own.Migrate(b.Context(), notes); err != nil {
		b.Fatal(err)
	}
	if err := own.Close(); err != nil {
		b.Fatal(err)
	}
	name, dsn := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		name, dsn = "sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	}
	db, err := sql.Open(name, dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return db, url
}

func fill(b *testing.B, exec func(string, ...any) error) {
	for i := range 100 {
		if err := exec(insertNote, fmt.Sprint(i), i); err != nil {
			b.Fatal(err)
		}
	}
}

// parallel runs b.N steps on n goroutines.
func parallel(b *testing.B, n int, step func(i int64) error) {
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range n {
		all.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				if err := step(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
}
