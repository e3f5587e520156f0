package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver named "sqlite"
)

// batchLimit bounds how many waiting transactions share one commit.
const batchLimit = 128

type sqliteBackend struct {
	writeDB, readDB *sql.DB
	readers         chan *stmtConn
	queue           chan *ticket
	stop            chan struct{}
	stopped         sync.WaitGroup
	once            sync.Once
}

// ticket is one waiting Write. The writer hands it the turn, the caller runs its
// function and hands the turn back, and both wait for the shared commit.
type ticket struct {
	ctx    context.Context
	turn   chan *stmtConn
	back   chan error
	result chan error
}

func openSQLite(ctx context.Context, path string, readers int) (*sqliteBackend, error) {
	if err := inspectSQLite(ctx, path); err != nil {
		return nil, err
	}
	if readers <= 0 {
		readers = max(4, runtime.GOMAXPROCS(0)*2)
	}
	b := &sqliteBackend{
		readers: make(chan *stmtConn, readers),
		queue:   make(chan *ticket, 1024),
		stop:    make(chan struct{}),
	}
	var err error
	if b.writeDB, err = sql.Open("sqlite", sqliteDSN(path, false)); err != nil {
		return nil, err
	}
	writer, err := newStmtConn(ctx, b.writeDB)
	if err != nil {
		return nil, errors.Join(err, b.writeDB.Close())
	}
	if b.readDB, err = sql.Open("sqlite", sqliteDSN(path, true)); err != nil {
		return nil, errors.Join(err, b.writeDB.Close())
	}
	for range readers {
		c, err := newStmtConn(ctx, b.readDB)
		if err != nil {
			return nil, errors.Join(err, b.writeDB.Close(), b.readDB.Close())
		}
		b.readers <- c
	}
	b.stopped.Add(1)
	go b.writeLoop(writer)
	return b, nil
}

func sqliteDSN(path string, readOnly bool) string {
	q := url.Values{}
	q.Add("_pragma", "busy_timeout(10000)")
	q.Add("_pragma", "journal_mode(WAL)")
	q.Add("_pragma", "synchronous(FULL)")
	q.Add("_pragma", "foreign_keys(1)")
	q.Add("_pragma", "cache_size(-8000)")
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// inspectSQLite refuses a file that is damaged or no SQLite database, without writing to it.
func inspectSQLite(ctx context.Context, path string) error {
	state, err := sqliteFileState(path)
	if err != nil || state == fileAbsent {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro")
	if err != nil {
		return err
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(ctx, state.checkPragma()).Scan(&verdict); err != nil {
		return fmt.Errorf("%s cannot be read as a database and was left untouched: %w", path, err)
	}
	if verdict != "ok" && state.small() {
		return fmt.Errorf("%s is damaged and was left untouched: %s", path, verdict)
	}
	return nil
}

func (b *sqliteBackend) read(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	var c *stmtConn
	select {
	case c = <-b.readers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { b.readers <- c }()
	// The connection outlives this call, so a cancelled caller must not break it half way.
	free := context.WithoutCancel(ctx)
	if err := c.plain(free, "BEGIN"); err != nil {
		return err
	}
	defer c.plain(free, "ROLLBACK") //nolint:errcheck // nothing was written
	return fn(&Tx{Now: now(), ctx: free, conn: c})
}

func (b *sqliteBackend) write(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	t := &ticket{ctx: ctx, turn: make(chan *stmtConn), back: make(chan error, 1), result: make(chan error, 1)}
	select {
	case b.queue <- t:
	case <-ctx.Done():
		return ctx.Err()
	case <-b.stop:
		return errors.New("store: the database is closed")
	}
	var c *stmtConn
	select {
	case c = <-t.turn:
	case <-ctx.Done():
		return ctx.Err()
	case err := <-t.result:
		return err
	}
	// An interrupted statement would roll back the neighbours in this commit.
	tx := &Tx{Now: now(), ctx: context.WithoutCancel(ctx), conn: c}
	if err := t.run(tx, fn); err != nil {
		<-t.result
		return err
	}
	if err := <-t.result; err != nil {
		return err
	}
	tx.committed()
	return nil
}

func (b *sqliteBackend) background(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.write(ctx, now, fn)
}

// errAborted is what the writer sees when fn panicked or left its goroutine.
var errAborted = errors.New("store: the transaction function did not return")

func (t *ticket) run(tx *Tx, fn func(*Tx) error) error {
	err := errAborted
	defer func() { t.back <- err }()
	err = fn(tx)
	return err
}

func (b *sqliteBackend) migrate(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.write(ctx, now, fn)
}

func (b *sqliteBackend) writeLoop(c *stmtConn) {
	defer b.stopped.Done()
	for {
		select {
		case t := <-b.queue:
			b.batch(c, t)
		case <-b.stop:
			for {
				select {
				case t := <-b.queue:
					b.batch(c, t)
				default:
					return
				}
			}
		}
	}
}

// batch runs first and whatever else waits, and commits them together.
func (b *sqliteBackend) batch(c *stmtConn, first *ticket) {
	ctx := context.Background()
	if err := c.plain(ctx, "BEGIN IMMEDIATE"); err != nil {
		first.result <- err
		return
	}
	var done []*ticket
	var broken error
	for t, n := first, 0; t != nil && broken == nil; n++ {
		ran, err := b.one(c, t)
		if ran {
			done = append(done, t)
		}
		broken = err
		t = nil
		if n < batchLimit && broken == nil {
			select {
			case t = <-b.queue:
			default:
			}
		}
	}
	if broken == nil {
		broken = c.plain(ctx, "COMMIT")
	}
	if broken != nil {
		c.plain(ctx, "ROLLBACK") //nolint:errcheck // already failing
	}
	for _, t := range done {
		t.result <- broken
	}
}

// one gives the turn to t inside a savepoint. ran tells whether t waits for the
// outcome; err is set when the whole batch can no longer be committed.
func (b *sqliteBackend) one(c *stmtConn, t *ticket) (ran bool, err error) {
	ctx := context.Background()
	if err := c.plain(ctx, "SAVEPOINT s"); err != nil {
		t.result <- err
		return false, err
	}
	select {
	case t.turn <- c:
	case <-t.ctx.Done():
		return false, c.plain(ctx, "RELEASE s")
	}
	if failed := <-t.back; failed != nil {
		if err := c.plain(ctx, "ROLLBACK TO s"); err != nil {
			return true, err
		}
	}
	return true, c.plain(ctx, "RELEASE s")
}

func (b *sqliteBackend) close() error {
	b.once.Do(func() { close(b.stop) })
	b.stopped.Wait()
	return errors.Join(b.readDB.Close(), b.writeDB.Close())
}
