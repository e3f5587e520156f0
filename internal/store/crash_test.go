package store_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"

	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// The test program starts itself again as a child that is killed or starved.
const (
	childURL   = "SEIMON_STORE_CHILD_URL"
	childRound = "SEIMON_STORE_CHILD_ROUND"
	childRoom  = "SEIMON_STORE_CHILD_ROOM" // bytes that a file may have
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		child(url)
		return
	}
	os.Exit(m.Run())
}

// child writes pairs of rows on many goroutines and prints the name of each pair
// once it is acknowledged.
func child(url string) {
	var room uint64
	if _, err := fmt.Sscan(os.Getenv(childRoom), &room); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: room, Max: room}); err != nil {
			panic(err)
		}
	}
	db, err := store.Open(context.Background(), store.Config{URL: url})
	if err != nil {
		panic(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	for w := range 12 {
		all.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%s.%d.%d", os.Getenv(childRound), w, i)
				err := db.Write(context.Background(), func(tx *store.Tx) error {
					if _, err := tx.Exec("INSERT INTO note (body, at, raw) VALUES ($1, 0, $2)", name+"/a", make([]byte, 500)); err != nil {
						return err
					}
					_, err := tx.Exec("INSERT INTO note (body, at) VALUES ($1, 0)", name+"/b")
					return err
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				mu.Lock()
				fmt.Println(name)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if err := db.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// runChild starts a child and returns the pairs it acknowledged until it was
// killed after kill lines (0: until it ends by itself), and what it complained of.
func runChild(t *testing.T, url string, round, kill int, env ...string) (names []string, complaints string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+url, fmt.Sprintf("%s=%d", childRound, round))
	cmd.Env = append(cmd.Env, env...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimSpace(line))
		if len(names) == kill {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait() //nolint:errcheck // it was killed
	return names, errs.String()
}

// verify checks that every acknowledged pair is there and no pair is half there.
func verify(t *testing.T, db *store.DB, names []string) {
	t.Helper()
	got := bodies(t, db)
	for _, name := range names {
		if !got[name+"/a"] || !got[name+"/b"] {
			t.Errorf("%s was acknowledged and is missing", name)
		}
	}
	for body := range got {
		if name, ok := strings.CutSuffix(body, "/a"); ok && !got[name+"/b"] {
			t.Errorf("%s is half there", name)
		}
	}
}

// What was acknowledged survives kill -9, twenty times over.
func TestKilledProgramLosesNothing(t *testing.T) {
	url := storetest.URL(t)
	if err := migrate(t, url, notes); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var all []string
	for round := range 20 {
		names, complaints := runChild(t, url, round, 1+r.IntN(600))
		if complaints != "" || len(names) == 0 {
			t.Fatalf("round %d: %d pairs, %s", round, len(names), complaints)
		}
		all = append(all, names...)
		db := open(t, url) // as the next start of the program does
		verify(t, db, all)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d pairs acknowledged", len(all))
}

// When the disk is full, writes fail and say so; what was acknowledged stays, and
// with room again the database goes on.
func TestFullDisk(t *testing.T) {
	path := made(t, 3)
	for round, room := range []int{40_000, 300_000, 1_000_000} {
		names, complaints := runChild(t, "sqlite:"+path, round, 0, fmt.Sprintf("%s=%d", childRoom, room))
		if complaints == "" || strings.Contains(complaints, "panic") || strings.Contains(complaints, "savepoint") {
			t.Errorf("room %d: the child complained of %q", room, complaints)
		}
		db := open(t, "sqlite:"+path)
		verify(t, db, names)
		if err := insert(t.Context(), db, fmt.Sprint("again", room)); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A transaction that breaks the shared commit (here by filling the file) fails
// alone: its neighbours are run again and come through.
func TestBrokenCommitIsNotTheNeighboursFault(t *testing.T) {
	db := open(t, "sqlite:"+made(t, 3))
	defer db.Close()
	limit := func(pages int) {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			var n int
			return tx.QueryRow(fmt.Sprint("PRAGMA max_page_count = ", pages)).Scan(&n)
		})
		if err != nil {
			t.Error(err)
		}
	}
	limit(60)
	var all sync.WaitGroup
	together(t, db, func() {
		for i := range 30 {
			all.Go(func() {
				if i%5 == 0 {
					err := db.Write(t.Context(), func(tx *store.Tx) error {
						_, err := tx.Exec("INSERT INTO note (body, at, raw) VALUES ($1, 0, zeroblob(1000000))", fmt.Sprint("big", i))
						return err
					})
					if err == nil || !strings.Contains(err.Error(), "full") {
						t.Errorf("the one that filled the disk was told %v", err)
					}
					return
				}
				if err := insert(t.Context(), db, fmt.Sprint("small", i)); err != nil {
					t.Error("a neighbour was told", err)
				}
			})
		}
	})
	all.Wait()
	limit(1000000)
	if got := bodies(t, db); len(got) != 3+24 {
		t.Errorf("%d rows", len(got))
	}
}
