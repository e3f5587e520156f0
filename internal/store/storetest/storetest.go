// Package storetest opens throw-away databases for tests: SQLite in the test's
// folder, or, when SEIMON_TEST_POSTGRES holds the URL of a PostgreSQL server, a
// schema of its own there. Every database comes with a clock that the test moves.
package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/store"
)

// Start is the instant at which every test clock begins: a Monday morning in Tokyo.
var start = time.Date(2026, 4, 6, 0, 30, 0, 0, time.UTC)

// Clock is a clock that moves only when told.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at the start of the test calendar.
func NewClock() *Clock { return &Clock{now: start} }

// Now is the time the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Open returns an empty database with the given rooms' tables and its clock. It
// is closed and removed when the test ends.
func Open(t testing.TB, rooms ...store.Schema) (*store.DB, *Clock) {
	t.Helper()
	address := URL(t)
	if file, ok := strings.CutPrefix(address, "sqlite:"); ok {
		lay(t, file, rooms)
	}
	clock := NewClock()
	db := migrated(t, address, clock, rooms)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, clock
}

func migrated(t testing.TB, address string, clock *Clock, rooms []store.Schema) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: address, Clock: clock.Now})
	if err == nil {
		err = db.Migrate(t.Context(), rooms...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return db
}

//nolint:gochecknoglobals // tables are made once for all tests of a program
var laid sync.Map // the bytes of SQLite files, by what made their tables

// lay makes the file of a database with these rooms' tables, migrated when a test of the
// program first asks for them.
func lay(t testing.TB, file string, rooms []store.Schema) {
	t.Helper()
	made := sha256.New()
	for _, r := range rooms {
		names, err := fs.Glob(r.Files, "schema/*.sql")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(r.Files, name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(made, "%s %s %d\n%s", r.Room, name, len(text), text)
		}
	}
	key := [sha256.Size]byte(made.Sum(nil))
	content, ok := laid.Load(key)
	if !ok {
		first := filepath.Join(t.TempDir(), "first.db")
		err := migrated(t, "sqlite:"+first, NewClock(), rooms).Close()
		if err == nil {
			content, err = os.ReadFile(first)
		}
		if err != nil {
			t.Fatal(err)
		}
		laid.Store(key, content)
	}
	if err := os.WriteFile(file, content.([]byte), 0o600); err != nil {
		t.Fatal(err)
	}
}

// URL names a fresh, empty database for the test.
func URL(t testing.TB) string {
	t.Helper()
	server := os.Getenv("SEIMON_TEST_POSTGRES")
	if server == "" {
		return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	}
	name := "t_" + strings.ToLower(rand.Text())
	admin(t, server, "CREATE SCHEMA "+name)
	t.Cleanup(func() { admin(t, server, "DROP SCHEMA "+name+" CASCADE") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

func admin(t testing.TB, server, stmt string) {
	t.Helper()
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), stmt); err != nil {
		t.Fatal(err)
	}
}
