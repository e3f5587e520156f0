package store

import (
	"cmp"
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

// errClosed is what a database says after Close.
var errClosed = errors.New("store: the database is closed")

// sqliteBackend has one writer, which commits waiting transactions together, and
// a pool of readers.
type sqliteBackend struct {
	writeDB, readDB *sql.DB
	writer          *stmtConn
	readers         chan *stmtConn
	made            int           // readers there are
	wait            time.Duration // for a lock of another program
	locked          bool          // the last attempt to begin writing failed; the writer's own
	queue           chan *ticket
	stop            chan struct{} // closed when Close begins
	gone            chan struct{} // closed when the writer has ended
	closing         sync.Once
	closed          error
}

func openSQLite(ctx context.Context, path string, cfg Config) (_ *sqliteBackend, err error) {
	if err := prepareFile(ctx, path); err != nil {
		return nil, err
	}
	readers := cfg.Readers
	if readers <= 0 {
		readers = max(4, runtime.GOMAXPROCS(0)*2)
	}
	b := &sqliteBackend{
		readers: make(chan *stmtConn, readers),
		queue:   make(chan *ticket, queueLimit),
		stop:    make(chan struct{}),
		gone:    make(chan struct{}),
		wait:    cmp.Or(cfg.Patience, lockWait),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.release())
		}
	}()
	if b.writeDB, err = sql.Open("sqlite", sqliteDSN(path, b.wait, false)); err != nil {
		return nil, err
	}
	if b.writer, err = newStmtConn(ctx, b.writeDB); err != nil {
		return nil, err
	}
	if b.readDB, err = sql.Open("sqlite", sqliteDSN(path, b.wait, true)); err != nil {
		return nil, err
	}
	for range readers {
		c, err := newStmtConn(ctx, b.readDB)
		if err != nil {
			return nil, err
		}
		b.readers <- c
		b.made++
	}
	go b.writeLoop(b.writer)
	return b, nil
}

// pragmas of every connection. A commit is durable when it returns (synchronous),
// and a damaged page is found when it is read (cell_size_check).
var pragmas = [...]string{
	"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	"cache_size(-8000)", "journal_size_limit(67108864)", "cell_size_check(1)", "trusted_schema(0)",
}

func sqliteDSN(path string, wait time.Duration, readOnly bool) string {
	q := url.Values{"_pragma": {timeoutPragma(wait)}}
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	}
	return fileURL(path) + "?" + q.Encode()
}

func timeoutPragma(wait time.Duration) string {
	return fmt.Sprintf("busy_timeout(%d)", wait.Milliseconds())
}

func fileURL(path string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() }

func (b *sqliteBackend) read(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.reading(ctx, func(free context.Context, c *stmtConn) error {
		if err := c.plain(free, "BEGIN"); err != nil {
			return err
		}
		defer c.plain(free, "ROLLBACK") //nolint:errcheck // nothing was written
		tx := &Tx{Now: now(), ctx: ctx, run: free, conn: c}
		return tx.call(fn)
	})
}

func (b *sqliteBackend) glance(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.reading(ctx, func(free context.Context, c *stmtConn) error {
		tx := &Tx{Now: now(), ctx: ctx, run: free, conn: c}
		return tx.call(fn)
	})
}

// reading lends one of the connections that only read. They outlive the call, so that a
// cancelled caller must not break them half way: do gets a context that is not cancelled.
func (b *sqliteBackend) reading(ctx context.Context, do func(free context.Context, c *stmtConn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *stmtConn
	select {
	case c = <-b.readers:
	case <-b.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { b.readers <- c }()
	defer c.rest()
	return do(context.WithoutCancel(ctx), c)
}

// close waits for the transactions that have begun.
func (b *sqliteBackend) close() error {
	b.closing.Do(func() {
		close(b.stop)
		<-b.gone
		b.closed = b.release()
	})
	return b.closed
}

// release closes all connections, the writer last: it puts the log back into the
// file and removes it.
func (b *sqliteBackend) release() error {
	var faults []error
	for range b.made {
		c := <-b.readers
		faults = append(faults, c.close())
	}
	if b.readDB != nil {
		faults = append(faults, b.readDB.Close())
	}
	if b.writer != nil {
		faults = append(faults, b.writer.close())
	}
	if b.writeDB != nil {
		faults = append(faults, b.writeDB.Close())
	}
	return errors.Join(faults...)
}
