package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

func insert(ctx context.Context, db *store.DB, body string) error {
	return db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("INSERT INTO note (body, at) VALUES ($1, 0)", body)
		return err
	})
}

// bodies returns what is stored.
func bodies(t testing.TB, db *store.DB) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := db.Read(context.Background(), func(tx *store.Tx) error {
		rows, err := tx.Query("SELECT body FROM note")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var body string
			if err := rows.Scan(&body); err != nil {
				return err
			}
			out[body] = true
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// together keeps the writer busy while start is called, so that what start begins
// waits and shares one commit; then it lets all go.
func together(t *testing.T, db *store.DB, start func()) {
	t.Helper()
	entered, release := make(chan struct{}), make(chan struct{})
	var first sync.WaitGroup
	var once sync.Once
	first.Go(func() {
		err := db.Write(t.Context(), func(*store.Tx) error {
			once.Do(func() { close(entered) })
			<-release
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-entered
	start()
	close(release)
	first.Wait()
}

func TestPanicLeavesNothingAndNeighboursSurvive(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			db, _ := storetest.Open(t, notes)
			var all sync.WaitGroup
			together(t, db, func() {
				for i := range 20 {
					all.Go(func() {
						if i%2 == 0 {
							if err := insert(t.Context(), db, fmt.Sprint("good", i)); err != nil {
								t.Error(err)
							}
							return
						}
						defer func() {
							if p := recover(); name == "panic" && p != "boom" {
								t.Errorf("the panic did not reach its caller: %v", p)
							}
						}()
						err := db.Write(t.Context(), func(tx *store.Tx) error {
							if _, err := tx.Exec("INSERT INTO note (body, at) VALUES ($1, 0)", fmt.Sprint("bad", i)); err != nil {
								return err
							}
							leave()
							return nil
						})
						t.Error("Write returned", err)
					})
				}
			})
			all.Wait()
			got := bodies(t, db)
			if len(got) != 10 || !got["good0"] {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestPanicInReadGivesTheConnectionBack(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	for range 100 { // more than there are readers
		func() {
			defer func() { recover() }() //nolint:errcheck // that is the point
			db.Read(t.Context(), func(tx *store.Tx) error {
				if _, err := tx.Query("SELECT body FROM note"); err != nil {
					return err
				}
				panic("boom")
			})
		}()
	}
	if err := insert(t.Context(), db, "a"); err != nil || !bodies(t, db)["a"] {
		t.Error(err)
	}
}

// Whoever was told nil finds the row; whoever was told of a cancelled context may
// or may not; and nobody waits for ever.
func TestCancelledCallers(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 7))
			for i := range 60 {
				ctx, cancel := context.WithCancel(t.Context())
				if yields := r.IntN(600); yields < 300 {
					go func() {
						for range yields {
							runtime.Gosched()
						}
						cancel()
					}()
				}
				body := fmt.Sprint(w, ".", i)
				err := insert(ctx, db, body)
				cancel()
				switch {
				case err == nil:
					mu.Lock()
					acknowledged[body] = true
					mu.Unlock()
				case !strings.Contains(err.Error(), "cancel"):
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if o, out := db.Outage(); out {
		t.Errorf("callers that went away are taken for an outage: %v", o.Cause)
	}
	got := bodies(t, db)
	for body := range acknowledged {
		if !got[body] {
			t.Errorf("%s was acknowledged and is missing", body)
		}
	}
	if err := insert(t.Context(), db, "last"); err != nil {
		t.Error(err)
	}
}

func TestCancelledBeforeItsTurn(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := insert(ctx, db, "never"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	err := db.Read(ctx, func(*store.Tx) error { t.Error("was run"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(bodies(t, db)) != 0 {
		t.Error("something was written")
	}
}

func TestAfterRunsOnceAndOnlyWhenDurable(t *testing.T) {
	db, _ := storetest.Open(t, notes)
	ran := 0
	refused := errors.New("refused")
	for _, outcome := range []error{nil, refused} {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			tx.After(func() {
				ran++
				if !bodies(t, db)["a"] {
					t.Error("the row is not visible yet")
				}
			})
			_, err := tx.Exec("INSERT INTO note (body, at) VALUES ('a', 0) ON CONFLICT (body) DO NOTHING")
			return errors.Join(err, outcome)
		})
		if !errors.Is(err, outcome) {
			t.Error(err)
		}
	}
	if ran != 1 {
		t.Errorf("ran %d times", ran)
	}
}

func TestCloseWaitsAndAnswers(t *testing.T) {
	url := storetest.URL(t)
	db := open(t, url)
	if err := db.Migrate(t.Context(), notes); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	var all sync.WaitGroup
	ready := make(chan struct{}, 1000)
	for w := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				body := fmt.Sprint(w, ".", i)
				if insert(context.Background(), db, body) != nil {
					return
				}
				mu.Lock()
				acknowledged[body] = true
				mu.Unlock()
				select {
				case ready <- struct{}{}:
				default:
				}
			}
		})
		all.Go(func() {
			for db.Read(context.Background(), func(tx *store.Tx) error {
				var n int
				return tx.QueryRow("SELECT count(*) FROM note").Scan(&n)
			}) == nil {
			}
		})
	}
	for range 50 {
		<-ready
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
	if err := db.Close(); err != nil {
		t.Error("second Close:", err)
	}
	if insert(t.Context(), db, "late") == nil {
		t.Error("a closed database took a row")
	}
	if db.Read(t.Context(), func(*store.Tx) error { return nil }) == nil {
		t.Error("a closed database was read")
	}
	again := open(t, url)
	defer again.Close()
	got := bodies(t, again)
	for body := range acknowledged {
		if !got[body] {
			t.Errorf("%s was acknowledged and is missing", body)
		}
	}
}

func open(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), store.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// Two programs share one database, as the server and a command do.
func TestTwoPrograms(t *testing.T) {
	url := storetest.URL(t)
	a, b := open(t, url), open(t, url)
	defer a.Close()
	defer b.Close()
	if err := a.Migrate(t.Context(), notes); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i, db := range []*store.DB{a, b} {
		for j := range 50 {
			all.Go(func() {
				if err := insert(t.Context(), db, fmt.Sprint(i, ".", j)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if n, m := len(bodies(t, a)), len(bodies(t, b)); n != 100 || m != 100 {
		t.Errorf("%d and %d rows", n, m)
	}
}

func TestUnknownURLIsRefused(t *testing.T) {
	for _, url := range []string{"", "mysql://x", "sqlite:", "sqlite::memory:", "seimon.db", "postgres://%zz"} {
		if db, err := store.Open(t.Context(), store.Config{URL: url}); err == nil {
			db.Close()
			t.Errorf("%q was opened", url)
		}
	}
}
