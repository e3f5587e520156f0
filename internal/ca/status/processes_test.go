package status_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"crypto/x509"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/status"
	"seimon/internal/keyring"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// child is the variable that makes the test program a node that publishes, and room how
// many bytes a file of it may have.
const (
	child = "SEIMON_STATUS_CHILD"
	room  = "SEIMON_STATUS_ROOM"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(child); url != "" {
		if err := publishForEver(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// node opens a database as a process of its own does, with the real clock.
func node(ctx context.Context, url string, every time.Duration) (*store.DB, *ca.Authority, *status.Status, error) {
	db, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		return nil, nil, nil, err
	}
	ring, err := keyring.Open(ctx, db, keyring.Config{Master: bytes.Repeat([]byte("k"), 32)})
	if err != nil {
		return nil, nil, nil, err
	}
	var s *status.Status
	hook := func(tx *store.Tx, c ca.Certificate) error { return s.Changed(tx, c) }
	a, err := ca.Open(ctx, db, ca.Config{Seal: ring, MAC: ring.MAC, Base: base, Realm: "example.ac.jp", Shards: 2, OnIssue: hook, OnRevoke: hook})
	if err != nil {
		return nil, nil, nil, err
	}
	s = status.New(db, a, status.Config{Seal: ring, ListEvery: every})
	return db, a, s, nil
}

// publishForEver publishes every list again and again, without any lease, until the
// parent closes the pipe. Two nodes whose leases both seem to hold do no worse.
func publishForEver(url string) error {
	ctx, stop := context.WithCancel(context.Background())
	go func() { io.Copy(io.Discard, os.Stdin); stop() }() //nolint:errcheck // the parent is done
	var most uint64
	if _, err := fmt.Sscan(os.Getenv(room), &most); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return err
		}
	}
	db, _, s, err := node(ctx, url, time.Nanosecond)
	if err != nil {
		return err
	}
	defer db.Close()
	for ctx.Err() == nil {
		if err := s.Publish(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		fmt.Println("published")
	}
	return nil
}

// publisher is a running node.
type publisher struct {
	cmd  *exec.Cmd
	in   io.Closer
	err  bytes.Buffer
	said chan struct{} // once for each round
}

func launch(t *testing.T, url string, env ...string) *publisher {
	t.Helper()
	p := &publisher{cmd: exec.Command(os.Args[0], "-test.run=^$"), said: make(chan struct{}, 1)}
	p.cmd.Env = append(append(os.Environ(), child+"="+url), env...)
	p.cmd.Stderr = &p.err
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			select {
			case p.said <- struct{}{}:
			default:
			}
		}
	}()
	return p
}

// rounds waits until the node has published so many times since.
func (p *publisher) rounds(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case _, ok := <-p.said:
			if !ok {
				t.Fatal("the node ended: ", p.err.String())
			}
		case <-time.After(3 * time.Minute):
			t.Fatal("the node does not publish: ", p.err.String())
		}
	}
}

// watcher reads the stored lists as fast as it can and remembers every number.
type watcher struct {
	mu   sync.Mutex
	last map[string]int64
	seen map[string]string // digest by list and number
	bad  []string
}

func (w *watcher) look(db *store.DB, ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return db.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query("SELECT issuer, shard, number, digest FROM status_list")
		return store.Each(rows, err, func(rows *sql.Rows) error {
			var issuer, digest string
			var shard, number int64
			if err := rows.Scan(&issuer, &shard, &number, &digest); err != nil {
				return err
			}
			list := fmt.Sprint(issuer, "/", shard)
			if number < w.last[list] {
				w.bad = append(w.bad, fmt.Sprintf("%s: number %d after %d", list, number, w.last[list]))
			}
			w.last[list] = number
			key := fmt.Sprint(list, "#", number)
			if before, ok := w.seen[key]; ok && before != digest {
				w.bad = append(w.bad, key+" is the number of two lists")
			}
			w.seen[key] = digest
			return nil
		})
	})
}

// lists is how many different ones it has seen.
func (w *watcher) lists() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

func TestProcessesThatPublishAtOnceNeverRepeatOrStepBackANumber(t *testing.T) {
	url := storetest.URL(t)
	ctx := t.Context()
	db, a, s := founded(t, url)
	defer db.Close()
	one, two := launch(t, url), launch(t, url)
	w := &watcher{last: map[string]int64{}, seen: map[string]string{}}
	watching, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		for watching.Err() == nil {
			if err := w.look(db, watching); err != nil && watching.Err() == nil {
				w.bad = append(w.bad, err.Error())
				return
			}
		}
	})
	one.rounds(t, 1)
	two.rounds(t, 1)
	serials := map[string]bool{}
	for i := range 24 {
		serials[issueAndRevoke(t, db, a)] = true
		if i == 8 { // in the middle of whatever it does
			if err := one.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			one.cmd.Wait() //nolint:errcheck // it was killed
			one = launch(t, url)
			one.rounds(t, 1)
		}
	}
	one.rounds(t, 3)
	two.rounds(t, 3)
	for range 500 { // until there was something to see
		if w.lists() >= 50 {
			break
		}
		one.rounds(t, 1)
	}
	for _, p := range []*publisher{one, two} {
		p.in.Close()
		if err := p.cmd.Wait(); err != nil {
			t.Error(err, p.err.String())
		}
	}
	if err := s.Publish(ctx); err != nil { // what the last ones left
		t.Fatal(err)
	}
	stop()
	all.Wait()
	if err := w.look(db, ctx); err != nil {
		t.Fatal(err)
	}
	for _, b := range w.bad {
		t.Error(b)
	}
	if n := w.lists(); n < 50 {
		t.Errorf("only %d lists were seen", n)
	}
	complete(t, db, serials)
}

// TestAFullDiskTurnsNoNumberBack starves a node that publishes, again and again: it says
// so, the lists that are there stay good, and with room again the numbers go on.
func TestAFullDiskTurnsNoNumberBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "test.db")
	url := "sqlite:" + file
	ctx := t.Context()
	db, a, s := founded(t, url)
	defer db.Close()
	w := &watcher{last: map[string]int64{}, seen: map[string]string{}}
	serials := map[string]bool{}
	for _, more := range []int64{5_000, 60_000, 120_000, 300_000} {
		most := more
		for _, f := range []string{file, file + "-wal"} {
			if info, err := os.Stat(f); err == nil {
				most = max(most, info.Size()+more)
			}
		}
		serials[issueAndRevoke(t, db, a)] = true
		p := launch(t, url, fmt.Sprint(room, "=", most))
		if err := p.cmd.Wait(); err == nil || p.err.Len() == 0 || strings.Contains(p.err.String(), "panic") {
			t.Errorf("with room for %d bytes the node ended with %v, %q", most, err, p.err.String())
		}
		if err := w.look(db, ctx); err != nil {
			t.Fatal(err)
		}
	}
	before := maps.Clone(w.last)
	published := 0
	for _, number := range before {
		if number > 0 {
			published++
		}
	}
	if published == 0 {
		t.Error("no node published anything before its disk was full")
	}
	if err := s.Publish(ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.look(db, ctx); err != nil {
		t.Fatal(err)
	}
	for _, b := range w.bad {
		t.Error(b)
	}
	for list, number := range w.last {
		if number < before[list] || number == 0 {
			t.Errorf("%s: number %d after %d", list, number, before[list])
		}
	}
	complete(t, db, serials)
}

// founded makes the tables and the authority.
func founded(t *testing.T, url string) (*store.DB, *ca.Authority, *status.Status) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), ca.Schema(), keyring.Schema(), status.Schema()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, a, s, err := node(t.Context(), url, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Found(t.Context(), ca.Plan{Organization: "Example University"}); err != nil {
		t.Fatal(err)
	}
	return db, a, s
}

func issueAndRevoke(t *testing.T, db *store.DB, a *ca.Authority) string {
	t.Helper()
	key := testKey(t)
	p, err := a.Prepare(t.Context(), ca.Order{Profile: ca.PersonDevice, Key: key.Public(), Label: "x", Holder: ca.Holder{
		Account: authn.AccountID(authn.NewID("acc")), Person: "per_1", Name: "Kokuritsu Taro", Mail: "taro@example.ac.jp",
	}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Issue(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := a.Revoke(tx, c.ID, ca.KeyCompromise, "test")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.Serial
}

// complete wants every revocation on the full list and nothing waiting.
func complete(t *testing.T, db *store.DB, serials map[string]bool) {
	t.Helper()
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		var waiting int64
		if err := tx.QueryRow("SELECT COUNT(*) FROM status_change").Scan(&waiting); err != nil || waiting != 0 {
			t.Errorf("%d changes wait, %v", waiting, err)
		}
		found := map[string]int{}
		rows, err := tx.Query("SELECT der FROM status_list WHERE entries > 0")
		err = store.Each(rows, err, func(rows *sql.Rows) error {
			var der []byte
			if err := rows.Scan(&der); err != nil {
				return err
			}
			l, err := x509.ParseRevocationList(der)
			if err != nil {
				return err
			}
			for _, e := range l.RevokedCertificateEntries {
				found[ca.SerialText(e.SerialNumber)]++
			}
			return nil
		})
		for serial := range serials {
			if found[serial] != 2 { // its shard and the full list
				t.Errorf("%s is on %d lists", strings.ToLower(serial), found[serial])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
