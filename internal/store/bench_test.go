package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// Each figure comes with its floor of the same run, what the bare driver does with
// the same statement, durability and number of goroutines, and with the ratio.

const (
	insertNote = "INSERT INTO note (body, at) VALUES ($1, $2)"
	selectNote = "SELECT at FROM note WHERE id = $1"
	floorTime  = time.Second
)

func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		var floor float64
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if floor == 0 {
				raw, lite := bare(b)
				if lite {
					raw.SetMaxOpenConns(1) // one writer at a time
				}
				stmt := prepare(b, raw, insertNote)
				floor = rate(b, n, func(i int64) error {
					_, err := stmt.Exec(fmt.Sprint(i), i)
					return err
				})
			}
			db, _ := storetest.Open(b, notes)
			ctx := context.Background()
			measure(b, n, floor, func(i int64) error {
				return db.Write(ctx, func(tx *store.Tx) error {
					_, err := tx.Exec(insertNote, fmt.Sprint(i), i)
					return err
				})
			})
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{1, 8} {
		var floor float64
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if floor == 0 {
				raw, _ := bare(b)
				fill(b, func(q string, args ...any) error { _, err := raw.Exec(q, args...); return err })
				stmt := prepare(b, raw, selectNote)
				floor = rate(b, n, func(i int64) error {
					var at int64
					return stmt.QueryRow(i%100 + 1).Scan(&at)
				})
			}
			db, _ := storetest.Open(b, notes)
			ctx := context.Background()
			fill(b, func(q string, args ...any) error {
				return db.Write(ctx, func(tx *store.Tx) error { _, err := tx.Exec(q, args...); return err })
			})
			measure(b, n, floor, func(i int64) error {
				return db.Read(ctx, func(tx *store.Tx) error {
					var at int64
					return tx.QueryRow(selectNote, i%100+1).Scan(&at)
				})
			})
		})
	}
}

// bare opens a migrated database with the driver alone.
func bare(b *testing.B) (raw *sql.DB, lite bool) {
	url := storetest.URL(b)
	own := open(b, url)
	if err := own.Migrate(b.Context(), notes); err != nil {
		b.Fatal(err)
	}
	if err := own.Close(); err != nil {
		b.Fatal(err)
	}
	name, dsn := "pgx", url
	path, lite := strings.CutPrefix(url, "sqlite:")
	if lite {
		name, dsn = "sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	}
	raw, err := sql.Open(name, dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { raw.Close() })
	raw.SetMaxOpenConns(32)
	raw.SetMaxIdleConns(32)
	return raw, lite
}

func prepare(b *testing.B, raw *sql.DB, query string) *sql.Stmt {
	stmt, err := raw.Prepare(query)
	if err != nil {
		b.Fatal(err)
	}
	return stmt
}

func fill(b *testing.B, exec func(string, ...any) error) {
	for i := range 100 {
		if err := exec(insertNote, fmt.Sprint(-i), i); err != nil {
			b.Fatal(err)
		}
	}
}

// rate runs steps on n goroutines for a while and returns how many per second.
func rate(b *testing.B, n int, step func(i int64) error) float64 {
	began := time.Now()
	steps := on(b, n, step, func(int64) bool { return time.Since(began) < floorTime })
	return float64(steps) / time.Since(began).Seconds()
}

func measure(b *testing.B, n int, floor float64, step func(i int64) error) {
	b.ResetTimer()
	on(b, n, step, func(i int64) bool { return i <= int64(b.N) })
	b.StopTimer()
	reached := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(reached, "tx/s")
	b.ReportMetric(floor, "floor/s")
	b.ReportMetric(reached/floor, "ratio")
}

func on(b *testing.B, n int, step func(i int64) error, more func(i int64) bool) int64 {
	var next atomic.Int64
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for i := next.Add(1); more(i); i = next.Add(1) {
				if err := step(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return next.Load() - int64(n)
}
