package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Tx is one transaction and the instant it happens at. It belongs to the function
// that was given it and to one goroutine.
type Tx struct {
	// Now is the time of the transaction (UTC, milliseconds).
	Now time.Time

	ctx    context.Context // of the caller
	run    context.Context // of statements
	conn   executor
	after  []func()
	rows   *sql.Rows // handed out last
	failed error     // of the first statement that failed
	over   bool
}

// executor runs SQL inside an open transaction.
type executor interface {
	exec(ctx context.Context, query string, args []any) (sql.Result, error)
	query(ctx context.Context, query string, args []any) (*sql.Rows, error)
	queryRow(ctx context.Context, query string, args []any) *sql.Row
}

var (
	errOver   = errors.New("store: the transaction is over")
	errRows   = errors.New("store: the rows of the query before are still open")
	errInside = errors.New("store: a transaction inside a transaction")
)

// Context is the context of the caller, for tracing. Read and Write refuse it: a
// transaction inside a transaction would wait for itself.
func (tx *Tx) Context() context.Context { return context.WithValue(tx.ctx, insideKey{}, true) }

type insideKey struct{}

// outside fails for the context of a transaction.
func outside(ctx context.Context) error {
	if ctx.Value(insideKey{}) != nil {
		return errInside
	}
	return nil
}

// Exec runs a statement and returns the number of rows it touched. After a
// statement has failed, all later ones of the transaction fail, and so does the
// transaction.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	if err := tx.usable(); err != nil {
		return 0, err
	}
	res, err := tx.conn.exec(tx.run, query, storable(args))
	if err != nil {
		return 0, tx.fail(err)
	}
	n, err := res.RowsAffected()
	return n, tx.fail(err)
}

// Query runs a statement that returns rows. Read them to the end or close them
// before the next statement (Each does).
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	if err := tx.usable(); err != nil {
		return nil, err
	}
	rows, err := tx.conn.query(tx.run, query, storable(args))
	if err != nil {
		return nil, tx.fail(err)
	}
	tx.rows = rows
	return rows, nil
}

// QueryRow runs a statement that returns at most one row. Scan it at once.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row {
	if tx.usable() != nil {
		return tx.conn.queryRow(ended(), query, args)
	}
	row := tx.conn.queryRow(tx.run, query, storable(args))
	tx.fail(row.Err()) //nolint:errcheck // Scan returns it
	return row
}

// storable gives arguments as both databases take them: PostgreSQL keeps neither NUL
// nor broken UTF-8 in a text. What a stranger sends so is unlike everything that is kept.
func storable(args []any) []any {
	for i, a := range args {
		s, ok := a.(string)
		if !ok || utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
			continue
		}
		args = slices.Clone(args)
		args[i] = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	}
	return args
}

// ended returns a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// After runs fn once the transaction is durable, and not if it fails.
func (tx *Tx) After(fn func()) { tx.after = append(tx.after, fn) }

func (tx *Tx) committed() {
	for _, fn := range tx.after {
		fn()
	}
}

func (tx *Tx) usable() error {
	if tx.over {
		return errOver
	}
	if tx.rows != nil {
		if _, err := tx.rows.Columns(); err == nil { // not closed
			return errRows
		}
		tx.rows = nil
	}
	return tx.failed
}

func (tx *Tx) fail(err error) error {
	if tx.failed == nil {
		tx.failed = err
	}
	return err
}

// call runs fn and adds what fn may have passed over: a failed statement fails
// the transaction on PostgreSQL whatever fn makes of it, so it does on SQLite.
func (tx *Tx) call(fn func(*Tx) error) error {
	defer tx.end()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.failed
}

// end closes rows that were left open, since they would hold a snapshot or keep
// others from committing.
func (tx *Tx) end() {
	tx.over = true
	if tx.rows != nil {
		tx.rows.Close()
	}
}
