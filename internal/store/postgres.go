package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	retryFor    = 15 * time.Second // how long a transaction is tried again after losing to others
	laneFrom    = 2                // lost tries after which it takes its turn in the lane
	laneWait    = time.Second      // how long it waits for that turn
	reachFor    = 3 * time.Second  // how long a server that went away is tried again
	reachPause  = 50 * time.Millisecond
	connectWait = 5 * time.Second // how long a server may take to accept a connection
	defaultPool = 32              // connections
	oldestMajor = 13              // the oldest PostgreSQL that is tested
)

type postgresBackend struct {
	db *sql.DB
	// lane is held by one transaction of this program that has lost before. The
	// losers go one after another, since at once they would only beat each other.
	lane chan struct{}
	// gone is since when the server cannot be reached, in Unix nanoseconds; 0 when it
	// can. During a long outage nobody is kept waiting for it.
	gone atomic.Int64
}

func openPostgres(ctx context.Context, url string, conns int) (*postgresBackend, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	defaults := map[string]string{
		"application_name": "seimon",
		// A node that hangs must not hold its locks for ever.
		"idle_in_transaction_session_timeout": "60000",
	}
	for name, value := range defaults {
		if _, given := cfg.RuntimeParams[name]; !given {
			cfg.RuntimeParams[name] = value
		}
	}
	durable, err := checkServer(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if !durable {
		cfg.RuntimeParams["synchronous_commit"] = "on"
	}
	if !strings.Contains(url, "connect_timeout") {
		cfg.ConnectTimeout = connectWait
	}
	db := stdlib.OpenDB(*cfg)
	if conns <= 0 {
		conns = defaultPool
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &postgresBackend{db: db, lane: make(chan struct{}, 1)}, nil
}

// checkServer refuses a server that cannot hold our data and tells whether a
// commit is durable there by default.
func checkServer(ctx context.Context, cfg *pgx.ConnConfig) (durable bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version, encoding, commit string
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version_num'), current_setting('server_encoding'),
		current_setting('synchronous_commit')`).Scan(&version, &encoding, &commit)
	if err != nil {
		return false, err
	}
	if n, err := strconv.Atoi(version); err != nil || n < oldestMajor*10000 {
		return false, fmt.Errorf("the PostgreSQL server has version %s; %d is the oldest that works", version, oldestMajor)
	}
	if encoding != "UTF8" {
		return false, fmt.Errorf("the database has encoding %s; it must be UTF8", encoding)
	}
	return commit != "off", nil
}

type pgTx struct{ tx *sql.Tx }

func (p pgTx) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	return p.tx.ExecContext(ctx, query, args...)
}

func (p pgTx) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	return p.tx.QueryContext(ctx, query, args...)
}

func (p pgTx) queryRow(ctx context.Context, query string, args []any) *sql.Row {
	return p.tx.QueryRowContext(ctx, query, args...)
}

// pgLoose runs each statement by itself, on whichever connection is free.
type pgLoose struct{ db *sql.DB }

var errGlance = errors.New("store: a glance only reads")

func (p pgLoose) exec(context.Context, string, []any) (sql.Result, error) { return nil, errGlance }

func (p pgLoose) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if !strings.HasPrefix(query, "SELECT ") {
		return nil, errGlance
	}
	return p.db.QueryContext(ctx, query, args...)
}

func (p pgLoose) queryRow(ctx context.Context, query string, args []any) *sql.Row {
	if !strings.HasPrefix(query, "SELECT ") {
		return p.db.QueryRowContext(refused(), query, args...) // a Row that holds the error
	}
	return p.db.QueryRowContext(ctx, query, args...)
}

// refused returns a context that ended because a glance only reads.
func refused() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errGlance)
	return ctx
}

// transaction is how one transaction is run.
type transaction struct {
	level    sql.IsolationLevel
	readOnly bool
	loose    bool // each statement by itself
	now      func() time.Time
	fn       func(*Tx) error
}

func (b *postgresBackend) read(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.run(ctx, transaction{level: sql.LevelRepeatableRead, readOnly: true, now: now, fn: fn})
}

func (b *postgresBackend) glance(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.run(ctx, transaction{loose: true, now: now, fn: fn})
}

func (b *postgresBackend) write(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.run(ctx, transaction{level: sql.LevelSerializable, now: now, fn: fn})
}

func (b *postgresBackend) background(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.run(ctx, transaction{level: sql.LevelReadCommitted, now: now, fn: fn})
}

// fate is whether a transaction that failed may be tried again.
type fate int

const (
	final     fate = iota
	contested      // it lost to another transaction
	cut            // the connection was lost before the commit was sent
)

// run tries until the transaction has neither lost to another one nor lost its
// connection before its commit was sent.
func (b *postgresBackend) run(ctx context.Context, t transaction) error {
	var began time.Time
	for lost := 0; ; {
		tx, what, err := b.turn(ctx, t, lost)
		if err == nil {
			tx.committed()
			return nil
		}
		if began.IsZero() {
			began = time.Now()
		}
		wait := rand.N(time.Millisecond << min(lost, 4))
		switch {
		case what == final || ctx.Err() != nil || time.Since(began) > retryFor:
			return err
		case what == contested:
			lost++
		case b.away() > reachFor || time.Since(began) > reachFor:
			return err
		default:
			wait = reachPause
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// away is for how long the server could not be reached.
func (b *postgresBackend) away() time.Duration {
	if gone := b.gone.Load(); gone != 0 {
		return time.Since(time.Unix(0, gone))
	}
	return 0
}

// turn runs the transaction once, in the lane if it has lost before.
func (b *postgresBackend) turn(ctx context.Context, t transaction, try int) (*Tx, fate, error) {
	if try >= laneFrom {
		wait := time.NewTimer(laneWait)
		defer wait.Stop()
		select {
		case b.lane <- struct{}{}:
			defer func() { <-b.lane }()
		case <-wait.C: // whoever is in it takes long and is perhaps not in the way
		case <-ctx.Done():
			return nil, final, ctx.Err()
		}
	}
	return b.once(ctx, t, try)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once runs the transaction and tells what may come after a failure.
func (b *postgresBackend) once(ctx context.Context, t transaction, try int) (_ *Tx, what fate, err error) {
	if t.loose {
		return b.look(ctx, t)
	}
	raw, err := b.db.BeginTx(ctx, &sql.TxOptions{Isolation: t.level, ReadOnly: t.readOnly})
	if err = cancelled(ctx, err); err != nil {
		if disconnected(err) {
			b.gone.CompareAndSwap(0, time.Now().UnixNano())
			return nil, cut, err
		}
		return nil, final, err
	}
	b.gone.Store(0)
	defer raw.Rollback() //nolint:errcheck // no effect after a commit
	tx := &Tx{Now: t.now(), ctx: ctx, run: ctx, conn: pgTx{raw}}
	if err := tx.call(t.fn); err != nil {
		// What fn made of the failure of a statement does not matter for trying again.
		err, tx.failed = cancelled(ctx, err), cancelled(ctx, tx.failed)
		cause := errors.Join(err, tx.failed)
		switch {
		case serialization(cause), try == 0 && t.level == sql.LevelSerializable && IsUnique(cause):
			return nil, contested, err
		case disconnected(tx.failed):
			return nil, cut, err
		}
		return nil, final, err
	}
	// After a lost connection nobody knows whether the commit was done.
	err = cancelled(ctx, raw.Commit())
	if serialization(err) {
		return tx, contested, err
	}
	return tx, final, err
}

// look runs the statements of a glance.
func (b *postgresBackend) look(ctx context.Context, t transaction) (*Tx, fate, error) {
	tx := &Tx{Now: t.now(), ctx: ctx, run: ctx, conn: pgLoose{b.db}}
	err := cancelled(ctx, tx.call(t.fn))
	if disconnected(cancelled(ctx, tx.failed)) {
		b.gone.CompareAndSwap(0, time.Now().UnixNano())
		return nil, cut, err
	}
	if err == nil {
		b.gone.Store(0)
	}
	return tx, final, err
}

// cancelled names the caller's own cancelling. It ends the connection, which
// database/sql reports to whichever statement comes next as a transaction that is over
// already or as a lost connection; neither says anything about the server.
func cancelled(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if errors.Is(err, sql.ErrTxDone) || errors.Is(ctx.Err(), context.Canceled) && disconnected(err) {
		return context.Cause(ctx)
	}
	return err
}

// migrationLock is the advisory lock that one migrating program holds.
const migrationLock = 0x5e1_404

func (b *postgresBackend) migrate(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.background(ctx, now, func(tx *Tx) error {
		if _, err := tx.Exec("SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		return fn(tx)
	})
}

// serialization tells whether the transaction lost to another one (SQLSTATE class
// 40). A violated key may be such a loss as well: two transactions saw no row and
// both wrote it; the second finds it when it is run again, so it is, once.
func serialization(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// disconnected tells whether the connection was lost: the server was stopped
// (SQLSTATE class 57P), could not be reached, or did not answer.
func disconnected(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return strings.HasPrefix(pg.Code, "57P") || strings.HasPrefix(pg.Code, "08")
	}
	var connect *pgconn.ConnectError
	var network *net.OpError
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, pgconn.ErrConnClosed)
}

func (b *postgresBackend) close() error { return b.db.Close() }
