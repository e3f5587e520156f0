package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	batchLimit = 128  // transactions that share one commit
	queueLimit = 1024 // transactions that wait before Write itself waits
	lostLimit  = 3    // how often a transaction is begun whose neighbours broke the commit; then it has none

	lockWait   = 10 * time.Second // for a lock of another program, if nothing else is said
	lockedWait = time.Second      // the same when the last wait was in vain
)

// ticket is one waiting Write. The writer hands it the turn, the caller runs its
// function and hands the turn back, and both wait for the shared commit.
type ticket struct {
	ctx    context.Context
	alone  bool           // it shares its commit with nobody
	turn   chan *stmtConn // unbuffered: whoever has left is not given the turn
	back   chan error     // one value for each turn
	result chan error     // one value, unless ctx ended before the turn
}

// lostError tells an innocent transaction that another one broke the commit that
// they shared.
type lostError struct{ cause error }

func (e *lostError) Error() string {
	return fmt.Sprintf("store: the shared commit was lost: %v", e.cause)
}

func (e *lostError) Unwrap() error { return e.cause }

func (b *sqliteBackend) write(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	for try := 1; ; try++ {
		err := b.writeOnce(ctx, now, fn, try == lostLimit)
		var lost *lostError
		if !errors.As(err, &lost) || try == lostLimit {
			return err
		}
	}
}

func (b *sqliteBackend) background(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.write(ctx, now, fn)
}

func (b *sqliteBackend) migrate(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.write(ctx, now, fn)
}

func (b *sqliteBackend) writeOnce(ctx context.Context, now func() time.Time, fn func(*Tx) error, alone bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := &ticket{ctx: ctx, alone: alone, turn: make(chan *stmtConn), back: make(chan error, 1), result: make(chan error, 1)}
	select {
	case b.queue <- t:
	case <-b.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	var c *stmtConn
	select {
	case c = <-t.turn:
	case err := <-t.result:
		return busyText(err)
	case <-b.gone: // t was queued too late
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	// An interrupted statement would roll back the neighbours in this commit.
	tx := &Tx{Now: now(), ctx: ctx, run: context.WithoutCancel(ctx), conn: c}
	if err := t.run(tx, fn); err != nil {
		<-t.result
		return err
	}
	if err := <-t.result; err != nil {
		return busyText(err)
	}
	tx.committed()
	return nil
}

// errAborted is what the writer sees when fn panicked or left its goroutine.
var errAborted = errors.New("store: the transaction function did not return")

// run gives the turn back whatever fn does.
func (t *ticket) run(tx *Tx, fn func(*Tx) error) error {
	err := errAborted
	defer func() { t.back <- err }()
	err = tx.call(fn)
	return err
}

func (b *sqliteBackend) writeLoop(c *stmtConn) {
	defer close(b.gone)
	for {
		select {
		case t := <-b.queue:
			b.batches(c, t)
		case <-b.stop:
			for {
				select {
				case t := <-b.queue:
					b.batches(c, t)
				default:
					return
				}
			}
		}
	}
}

func (b *sqliteBackend) batches(c *stmtConn, first *ticket) {
	for first != nil {
		first = b.batch(c, first)
	}
}

// batch runs first and whatever else waits, and commits them together. It returns who
// was taken from the queue and has to begin the next batch.
func (b *sqliteBackend) batch(c *stmtConn, first *ticket) (held *ticket) {
	ctx := context.Background()
	if err := b.begin(ctx, c); err != nil {
		// Whoever waits has waited as long: one after another they would wait for ever.
		// Whoever comes from now on has not, and may find the lock free.
		waiting := len(b.queue)
		first.result <- err
		for range waiting {
			t := <-b.queue
			t.result <- err
		}
		return nil
	}
	var done []*ticket
	for t := first; t != nil; t = b.next(len(done)) {
		if t.alone && len(done) > 0 {
			held = t
			break
		}
		ran, broken := b.one(c, t, len(done) == 0)
		if broken != nil {
			c.plain(ctx, "ROLLBACK") //nolint:errcheck // already failing
			if ran {
				t.result <- broken
			}
			answer(done, &lostError{broken})
			return nil
		}
		if ran {
			done = append(done, t)
		}
		if t.alone {
			break
		}
	}
	err := c.plain(ctx, "COMMIT")
	if err != nil {
		c.plain(ctx, "ROLLBACK") //nolint:errcheck // already failing
	}
	answer(done, err)
	return held
}

// begin takes the lock of the file. While another program keeps it, nobody is made
// to wait as long as the first one was.
func (b *sqliteBackend) begin(ctx context.Context, c *stmtConn) error {
	err := c.plain(ctx, "BEGIN IMMEDIATE")
	if locked := err != nil; locked != b.locked {
		b.locked = locked
		wait := b.wait
		if locked {
			wait = min(wait, lockedWait)
		}
		c.plain(ctx, "PRAGMA "+timeoutPragma(wait)) //nolint:errcheck // only a matter of patience
	}
	return err
}

func answer(tickets []*ticket, err error) {
	for _, t := range tickets {
		t.result <- err
	}
}

// next returns a ticket that waits, or nil if there is none or n are enough.
func (b *sqliteBackend) next(n int) *ticket {
	if n >= batchLimit {
		return nil
	}
	select {
	case t := <-b.queue:
		return t
	default:
		return nil
	}
}

// one gives the turn to t, inside a savepoint unless it is the first of its batch: there
// is nothing then that must outlive its failure. ran tells whether t waits for the
// outcome; broken is set when the whole batch can no longer be committed.
func (b *sqliteBackend) one(c *stmtConn, t *ticket, first bool) (ran bool, broken error) {
	savepoint := func(do string) error {
		if first {
			return nil
		}
		return c.plain(context.Background(), do)
	}
	if err := savepoint("SAVEPOINT s"); err != nil {
		return true, err
	}
	select {
	case t.turn <- c:
	case <-t.ctx.Done():
		return false, savepoint("RELEASE s")
	}
	failed := <-t.back
	c.rest()
	if failed != nil {
		// Out of space or memory, SQLite may have rolled back everything already.
		if first || savepoint("ROLLBACK TO s") != nil {
			return true, failed
		}
	}
	return true, savepoint("RELEASE s")
}

// busyText says in words what a lock held too long by another program means.
func busyText(err error) error {
	var lite *sqlite.Error
	if errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_BUSY {
		return fmt.Errorf("store: another program keeps the database locked: %w", err)
	}
	return err
}
