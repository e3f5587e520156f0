package storetest

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/store"
)

// Switch takes a database out of order and brings it back: it locks a SQLite file
// as another program would, and cuts every connection to PostgreSQL.
type Switch struct {
	t    testing.TB
	file string // of SQLite
	lock *sql.DB

	mu    sync.Mutex // of what follows, for PostgreSQL
	off   bool
	conns []net.Conn
}

// Switched is URL with a Switch between the program and its database.
func Switched(t testing.TB) (string, *Switch) {
	t.Helper()
	s := &Switch{t: t}
	address := URL(t)
	if file, ok := strings.CutPrefix(address, "sqlite:"); ok {
		s.file = file
		return address, s
	}
	return s.between(address), s
}

// OpenSwitched is Open with a Switch between the program and its database.
func OpenSwitched(t testing.TB, rooms ...store.Schema) (*store.DB, *Clock, *Switch) {
	t.Helper()
	clock := NewClock()
	address, s := Switched(t)
	db, err := store.Open(t.Context(), store.Config{URL: address, Clock: clock.Now, Patience: 50 * time.Millisecond})
	if err == nil {
		t.Cleanup(func() { s.On(); db.Close() })
		err = db.Migrate(t.Context(), rooms...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return db, clock, s
}

// Off takes the database out of order.
func (s *Switch) Off() {
	s.t.Helper()
	if s.file != "" {
		// The gate may be writing right now; the lock waits for its turn.
		db, err := sql.Open("sqlite", "file:"+s.file+"?_pragma=busy_timeout(30000)")
		if err == nil {
			db.SetMaxOpenConns(1)
			s.lock = db
			_, err = db.ExecContext(context.Background(), "BEGIN IMMEDIATE")
		}
		if err != nil {
			s.t.Fatal(err)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = true
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

// On brings it back.
func (s *Switch) On() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = false
	if s.lock != nil {
		s.lock.Close()
		s.lock = nil
	}
}

// between puts a listener before the server and gives the address to use instead.
func (s *Switch) between(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		s.t.Fatal(err)
	}
	q := u.Query()
	network, target := "tcp", u.Host
	if dir := q.Get("host"); dir != "" {
		network, target = "unix", filepath.Join(dir, ".s.PGSQL.5432")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.Close(); s.Off() })
	go func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
				return
			}
			if err == nil {
				s.carry(c, network, target)
			}
		}
	}()
	q.Del("host")
	u.Host, u.RawQuery = l.Addr().String(), q.Encode()
	return u.String()
}

func (s *Switch) carry(c net.Conn, network, target string) {
	there, err := net.Dial(network, target)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || s.off {
		c.Close()
		if err == nil {
			there.Close()
		}
		return
	}
	s.conns = append(s.conns, c, there)
	go func() { io.Copy(there, c); there.Close() }() //nolint:errcheck // it ends when either side does
	go func() { io.Copy(c, there); c.Close() }()     //nolint:errcheck // the same
}
