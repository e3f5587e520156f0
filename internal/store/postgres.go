package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver named "pgx"
)

// retryLimit bounds how often one Write is tried again after a failed serialisation.
const retryLimit = 40

type postgresBackend struct{ db *sql.DB }

func openPostgres(ctx context.Context, url string, conns int) (*postgresBackend, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, err
	}
	if conns <= 0 {
		conns = 32
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &postgresBackend{db: db}, nil
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

func (b *postgresBackend) read(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	_, err := b.once(ctx, sql.LevelRepeatableRead, true, now, fn)
	return err
}

func (b *postgresBackend) write(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.retried(ctx, sql.LevelSerializable, now, fn)
}

func (b *postgresBackend) background(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.retried(ctx, sql.LevelReadCommitted, now, fn)
}

func (b *postgresBackend) retried(ctx context.Context, level sql.IsolationLevel, now func() time.Time, fn func(*Tx) error) error {
	for try := 0; ; try++ {
		tx, err := b.once(ctx, level, false, now, fn)
		if err == nil {
			tx.committed()
			return nil
		}
		if !retryable(err) || try >= retryLimit {
			return err
		}
		wait := time.Duration(rand.Int64N(int64(time.Millisecond) << min(try, 6)))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *postgresBackend) once(ctx context.Context, level sql.IsolationLevel, readOnly bool, now func() time.Time, fn func(*Tx) error) (*Tx, error) {
	raw, err := b.db.BeginTx(ctx, &sql.TxOptions{Isolation: level, ReadOnly: readOnly})
	if err != nil {
		return nil, err
	}
	defer raw.Rollback() //nolint:errcheck // no effect after a commit
	tx := &Tx{Now: now(), ctx: ctx, conn: pgTx{raw}}
	if err := fn(tx); err != nil {
		return nil, err
	}
	return tx, raw.Commit()
}

// migrationLock is the advisory lock that one migrating program holds.
const migrationLock = 0x5e1_404

func (b *postgresBackend) migrate(ctx context.Context, now func() time.Time, fn func(*Tx) error) error {
	return b.retried(ctx, sql.LevelReadCommitted, now, func(tx *Tx) error {
		if _, err := tx.Exec("SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		return fn(tx)
	})
}

// retryable tells whether the transaction lost against another one (SQLSTATE
// class 40) and may simply be run again.
func retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

func (b *postgresBackend) close() error { return b.db.Close() }
