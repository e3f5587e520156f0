package store

import (
	"context"
	"database/sql"
	"errors"
)

// stmtLimit bounds the prepared statements of one connection.
const stmtLimit = 512

// stmtConn is one connection with its prepared statements. Only one goroutine
// uses it at a time.
type stmtConn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func newStmtConn(ctx context.Context, db *sql.DB) (*stmtConn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &stmtConn{conn: conn, stmts: map[string]*sql.Stmt{}}, nil
}

func (c *stmtConn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

// rest cuts the cache to its limit between two transactions.
func (c *stmtConn) rest() {
	for query, s := range c.stmts {
		if len(c.stmts) <= stmtLimit {
			return
		}
		s.Close()
		delete(c.stmts, query)
	}
}

func (c *stmtConn) close() error {
	var faults []error
	for _, s := range c.stmts {
		faults = append(faults, s.Close())
	}
	return errors.Join(append(faults, c.conn.Close())...)
}

func (c *stmtConn) plain(ctx context.Context, query string) error {
	_, err := c.exec(ctx, query, nil)
	return err
}

func (c *stmtConn) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

func (c *stmtConn) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

func (c *stmtConn) queryRow(ctx context.Context, query string, args []any) *sql.Row {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return c.conn.QueryRowContext(ctx, query, args...) // a Row that holds the error
	}
	return s.QueryRowContext(ctx, args...)
}
