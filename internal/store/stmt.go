package store

import (
	"context"
	"database/sql"
)

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

func (c *stmtConn) plain(ctx context.Context, query string) error {
	_, err := c.conn.ExecContext(ctx, query)
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
		return c.conn.QueryRowContext(ctx, query, args...)
	}
	return s.QueryRowContext(ctx, args...)
}
