package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"seimon/internal/store"
)

// Stage is where a task stands.
type Stage string

// The stages.
const (
	Waiting Stage = "waiting" // also between two tries
	Running Stage = "running"
	Done    Stage = "done" // kept for an hour
	Dead    Stage = "dead" // given up; kept until it is revived or dropped
)

// State is what is known of a task.
type State struct {
	ID, Kind, Key  string
	Stage          Stage
	Tries          int
	Due            time.Time // of the next try; while running, the end of the lease
	Done, Total    int64     // progress as the handler counts it
	Fault          string    // why the last try failed
	Node           string    // that runs it
	Created, Ended time.Time
}

const stateColumns = "id, kind, key, state, tries, due, done, total, fault, node, created, ended"

func scanState(scan func(...any) error) (State, error) {
	var s State
	var due, created, ended int64
	err := scan(&s.ID, &s.Kind, &s.Key, &s.Stage, &s.Tries, &due, &s.Done, &s.Total, &s.Fault, &s.Node, &created, &ended)
	s.Due, s.Created, s.Ended = store.Time(due), store.Time(created), store.Time(ended)
	return s, err
}

// State returns a task, or store.ErrNoRows.
func (b *Board) State(tx *store.Tx, id string) (State, error) {
	return scanState(tx.QueryRow("SELECT "+stateColumns+" FROM jobs_task WHERE id = $1", id).Scan)
}

// Dead returns tasks that were given up, the newest first.
func (b *Board) Dead(tx *store.Tx, limit int) ([]State, error) {
	rows, err := tx.Query("SELECT "+stateColumns+" FROM jobs_task WHERE ended > 0 AND state = 'dead' ORDER BY ended DESC LIMIT $1", limit)
	return states(rows, err)
}

// Open returns tasks that are not finished, in the order in which they are due.
func (b *Board) Open(tx *store.Tx, limit int) ([]State, error) {
	rows, err := tx.Query("SELECT "+stateColumns+" FROM jobs_task WHERE ended = 0 ORDER BY due LIMIT $1", limit)
	return states(rows, err)
}

func states(rows *sql.Rows, err error) ([]State, error) {
	var out []State
	err = store.Each(rows, err, func(r *sql.Rows) error {
		s, err := scanState(r.Scan)
		out = append(out, s)
		return err
	})
	return out, err
}

// Revive lets a dead task try again from the start. It fails (store.IsUnique) if
// another of its key is waiting.
func (b *Board) Revive(tx *store.Tx, id string) error {
	n, err := tx.Exec("UPDATE jobs_task SET state = 'waiting', due = $1, tries = 0, lost = 0, ended = 0 WHERE id = $2 AND state = 'dead'",
		store.Millis(tx.Now), id)
	if err == nil && n == 0 {
		err = store.ErrNoRows
	}
	if err != nil {
		return fmt.Errorf("jobs: revive %s: %w", id, err)
	}
	tx.After(b.wakeUp)
	return nil
}

// Drop removes a dead task.
func (b *Board) Drop(tx *store.Tx, id string) error {
	n, err := tx.Exec("DELETE FROM jobs_task WHERE id = $1 AND state = 'dead'", id)
	if err == nil && n == 0 {
		err = store.ErrNoRows
	}
	if err != nil {
		return fmt.Errorf("jobs: drop %s: %w", id, err)
	}
	return nil
}

// sweep removes finished tasks that nobody needs to look at any more.
func (b *Board) sweep(ctx context.Context) error {
	for {
		var n int64
		err := b.db.Background(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.Exec(`DELETE FROM jobs_task WHERE id IN
				(SELECT id FROM jobs_task WHERE state = 'done' AND ended > 0 AND ended < $1 LIMIT 500)`,
				store.Millis(tx.Now.Add(-keepDone)))
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}
