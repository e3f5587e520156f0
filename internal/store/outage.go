package store

import (
	"errors"
	"slices"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/jackc/pgx/v5/pgconn"
)

// Unavailable tells whether an error says that the database itself is out of order:
// it cannot be reached, is locked, full, read-only or broken. What one transaction
// did wrong is none of these.
func Unavailable(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return slices.Contains([]int{
			sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
			sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_CORRUPT,
			sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_NOMEM,
		}, lite.Code()&0xff)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:min(2, len(pg.Code))] {
		case "53", "58": // out of a resource, such as the disk; a failure of the system beneath
			return true
		}
		return disconnected(err) || pg.Code == "25006" // a server that only reads, as after a fail-over
	}
	return errors.Is(err, errClosed) || disconnected(err)
}

// Outage is since when the database has been out of order, as this program met it.
type Outage struct {
	Since time.Time
	Reads bool // not even reading works
	Cause error
}

// gauge remembers since when reads and writes have been failing.
type gauge struct {
	mu            sync.Mutex
	reads, writes Outage
}

// note takes in how a transaction ended.
func (g *gauge) note(o *Outage, now time.Time, err error) {
	if err != nil && !Unavailable(err) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		*o = Outage{}
		return
	}
	if o.Since.IsZero() {
		o.Since = now
	}
	o.Cause = err
}

// Outage tells since when the database has been out of order; false when the last
// transactions succeeded.
func (db *DB) Outage() (Outage, bool) {
	g := &db.gauge
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.reads.Since.IsZero():
		return g.writes, !g.writes.Since.IsZero()
	case g.writes.Since.IsZero() || g.reads.Since.Before(g.writes.Since):
		return Outage{g.reads.Since, true, g.reads.Cause}, true
	}
	return Outage{g.writes.Since, true, g.writes.Cause}, true
}
