package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Flavour is the database behind a DB.
type Flavour string

// The two flavours.
const (
	SQLite     Flavour = "sqlite"
	PostgreSQL Flavour = "postgres"
)

// ErrNoRows is returned by Row.Scan when nothing was selected.
var ErrNoRows = sql.ErrNoRows

// Config says which database to open.
type Config struct {
	// URL is "sqlite:PATH" or a "postgres://" URL.
	URL string
	// Clock gives the time that transactions carry; nil means time.Now.
	Clock func() time.Time
	// Readers bounds concurrent reads; 0 means a default.
	Readers int
	// Patience is how long a lock that another program holds on a SQLite file is
	// waited for; 0 means 10 seconds.
	Patience time.Duration
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	clock   func() time.Time
	flavour Flavour
	backend backend
	gauge   gauge
}

// backend is what the two flavours do differently.
type backend interface {
	read(ctx context.Context, now func() time.Time, fn func(*Tx) error) error
	glance(ctx context.Context, now func() time.Time, fn func(*Tx) error) error
	write(ctx context.Context, now func() time.Time, fn func(*Tx) error) error
	background(ctx context.Context, now func() time.Time, fn func(*Tx) error) error
	migrate(ctx context.Context, now func() time.Time, fn func(*Tx) error) error
	close() error
}

// Open opens the database and checks that it can be used; it changes no table.
// A file that is not a sound SQLite database is refused untouched.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	db := &DB{clock: cfg.Clock}
	if db.clock == nil {
		db.clock = time.Now
	}
	var err error
	switch {
	case strings.HasPrefix(cfg.URL, "sqlite:"):
		db.flavour = SQLite
		db.backend, err = openSQLite(ctx, strings.TrimPrefix(cfg.URL, "sqlite:"), cfg)
	case strings.HasPrefix(cfg.URL, "postgres://"), strings.HasPrefix(cfg.URL, "postgresql://"):
		db.flavour = PostgreSQL
		db.backend, err = openPostgres(ctx, cfg.URL, cfg.Readers)
	default:
		err = errors.New(`the database URL must begin with "sqlite:" or "postgres://"`)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return db, nil
}

// Close waits for running transactions and closes the database.
func (db *DB) Close() error { return db.backend.close() }

// Flavour tells which database this is.
func (db *DB) Flavour() Flavour { return db.flavour }

// Now is the clock that transactions carry, cut to milliseconds.
func (db *DB) Now() time.Time { return Time(Millis(db.clock())) }

// Read runs fn on a consistent snapshot. fn must not write.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error {
	if err := outside(ctx); err != nil {
		return err
	}
	err := db.backend.read(ctx, db.Now, fn)
	db.gauge.note(&db.gauge.reads, db.Now(), err)
	return err
}

// Glance runs fn outside of any transaction: each of its statements sees what is
// committed by then, and none may write. It is for one statement, or for several of
// which each that finds nothing makes the answer no: on PostgreSQL it saves two of the
// ways to the server and back. What is to be acted on is read again in Write.
func (db *DB) Glance(ctx context.Context, fn func(*Tx) error) error {
	if err := outside(ctx); err != nil {
		return err
	}
	err := db.backend.glance(ctx, db.Now, fn)
	db.gauge.note(&db.gauge.reads, db.Now(), err)
	return err
}

// Write runs fn in a transaction and returns nil only after it is durable. If fn
// returns an error nothing of it remains. fn may run more than once (a failed
// serialisation is retried), so it must set outer variables, never add to them.
// Do slow work (hashing, signing, network) before Write, not inside.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	if err := outside(ctx); err != nil {
		return err
	}
	err := db.backend.write(ctx, db.Now, fn)
	db.gauge.note(&db.gauge.writes, db.Now(), err)
	return err
}

// Background is Write for work queues and housekeeping. On PostgreSQL it takes no
// part in the serialisation of Writes (READ COMMITTED), so it never makes one of
// them fail; therefore fn must put each decision into the condition of the one
// statement that acts on it, or lean on a unique key.
func (db *DB) Background(ctx context.Context, fn func(*Tx) error) error {
	if err := outside(ctx); err != nil {
		return err
	}
	err := db.backend.background(ctx, db.Now, fn)
	db.gauge.note(&db.gauge.writes, db.Now(), err)
	return err
}

// Millis turns a time into the integer that is stored: Unix milliseconds, 0 for the zero time.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time turns a stored integer back into a time in UTC; 0 becomes the zero time.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Bool turns a truth value into the integer that is stored.
func Bool(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Each calls scan for every row of a query and closes the rows.
func Each(rows *sql.Rows, err error, scan func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
