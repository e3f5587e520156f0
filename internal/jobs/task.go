package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"seimon/internal/store"
)

// running is a task that this node holds.
type running struct {
	board  *Board
	task   Task
	ctx    context.Context
	cancel context.CancelFunc

	mu          sync.Mutex
	done, total int64
	written     time.Time
}

// notBusy holds for a task if no other of its key runs. $1 is now.
const notBusy = `NOT EXISTS (SELECT 1 FROM jobs_task o WHERE o.kind = jobs_task.kind AND o.key = jobs_task.key
	AND o.key <> '' AND o.state = 'running' AND o.id <> jobs_task.id AND o.due > $1)`

// claim takes up to n tasks that are due. It writes only if there is something to take.
func (b *Board) claim(ctx context.Context, n int) ([]*running, error) {
	var ids []string
	err := b.db.Read(ctx, func(tx *store.Tx) (err error) {
		ids, err = b.due(tx, n)
		return err
	})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	var taken []*running
	whole, cancel := firm(ctx)
	defer cancel()
	err = b.db.Background(whole, func(tx *store.Tx) error {
		taken = nil
		for _, id := range ids {
			r, err := b.take(tx, id)
			if err != nil {
				return err
			}
			if r != nil {
				taken = append(taken, r)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: claim: %w", err)
	}
	return taken, nil
}

func (b *Board) due(tx *store.Tx, n int) ([]string, error) {
	if len(b.kinds) == 0 {
		return nil, nil
	}
	args := []any{store.Millis(tx.Now), n}
	var marks []string
	for _, kind := range b.kinds {
		args = append(args, kind)
		marks = append(marks, fmt.Sprintf("$%d", len(args)))
	}
	var ids []string
	rows, err := tx.Query("SELECT id FROM jobs_task WHERE ended = 0 AND due <= $1 AND kind IN ("+strings.Join(marks, ", ")+
		") AND "+notBusy+" ORDER BY due LIMIT $2", args...)
	err = store.Each(rows, err, func(s *sql.Rows) error {
		var id string
		err := s.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: look for work: %w", err)
	}
	return ids, nil
}

// take leases one task, unless another node was first.
func (b *Board) take(tx *store.Tx, id string) (*running, error) {
	r := &running{board: b, task: Task{ID: id}}
	var lost int
	now := store.Millis(tx.Now)
	err := tx.QueryRow(`UPDATE jobs_task SET lost = lost + CASE WHEN state = 'running' THEN 1 ELSE 0 END,
		state = 'running', node = $2, due = $3, tries = tries + 1
		WHERE id = $4 AND ended = 0 AND due <= $1 AND `+notBusy+`
		RETURNING kind, key, payload, tries, lost, done, total`,
		now, b.owner, store.Millis(tx.Now.Add(lease)), id).
		Scan(&r.task.Kind, &r.task.Key, &r.task.Payload, &r.task.Tries, &lost, &r.done, &r.total)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if lost > lostLimit {
		_, err := tx.Exec("UPDATE jobs_task SET state = 'dead', ended = $1, fault = $2 WHERE id = $3",
			now, fmt.Sprintf("its node was lost %d times while it ran", lost), id)
		return nil, err
	}
	r.task.run = r
	return r, nil
}

// start runs a claimed task and stores how it ended.
func (b *Board) start(ctx context.Context, r *running) {
	r.ctx, r.cancel = context.WithCancel(ctx)
	defer r.cancel()
	b.mu.Lock()
	b.running[r.task.ID] = r
	b.mu.Unlock()
	err := guarded(func() error { return b.handlers[r.task.Kind](r.ctx, r.task) })
	b.mu.Lock()
	delete(b.running, r.task.ID)
	b.mu.Unlock()
	last, cancel := firm(ctx)
	defer cancel()
	if err != nil && ctx.Err() == nil {
		b.report(r.task.Kind, err)
	}
	stopped := err != nil && ctx.Err() != nil
	for try := 0; ; try++ {
		ending := b.db.Background(last, func(tx *store.Tx) error { return r.end(tx, err, stopped) })
		if store.IsUnique(ending) && try < 3 {
			continue // one of the same key was submitted at this moment
		}
		if ending != nil {
			b.report(r.task.Kind, fmt.Errorf("jobs: store the end of %s: %w", r.task.ID, ending))
		}
		return
	}
}

// guarded runs fn and turns a panic into an error.
func guarded(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn()
}

// end stores the outcome. stopped means that the program ends, which is no
// failure of the task.
func (r *running) end(tx *store.Tx, failed error, stopped bool) error {
	now := tx.Now
	state, due, ended, fault, tries := Waiting, now, time.Time{}, "", r.task.Tries
	var final permanent
	switch {
	case failed == nil:
		state, ended = Done, now
	case stopped:
		tries--
	case errors.As(failed, &final) || tries >= tryLimit:
		state, ended, fault = Dead, now, failed.Error()
	default:
		due, fault = now.Add(backoff(tries)), failed.Error()
	}
	if state == Waiting && r.task.Key != "" {
		var same int
		err := tx.QueryRow("SELECT count(*) FROM jobs_task WHERE kind = $1 AND key = $2 AND state = 'waiting'", r.task.Kind, r.task.Key).Scan(&same)
		if err != nil {
			return err
		}
		if same > 0 { // a newer one of the same key will do the work
			state, ended = Done, now
		}
	}
	r.mu.Lock()
	done, total := r.done, r.total
	r.mu.Unlock()
	_, err := tx.Exec(`UPDATE jobs_task SET state = $1, due = $2, ended = $3, fault = $4, tries = $5, node = '', done = $6, total = $7,
		payload = CASE WHEN $1 = 'done' THEN $8 ELSE payload END
		WHERE id = $9 AND node = $10 AND tries = $11 AND state = 'running'`,
		string(state), store.Millis(due), store.Millis(ended), fault, tries, done, total, []byte{}, r.task.ID, r.board.owner, r.task.Tries)
	return err
}

// backoff is the wait after n failures: from 2 seconds doubling to an hour, spread
// by a quarter so that what failed together does not come back together.
func backoff(n int) time.Duration {
	d := min(2*time.Second<<min(n-1, 20), time.Hour)
	return d + rand.N(d/4)
}

// progress remembers how far the task is and stores it about once a second.
func (r *running) progress(done, total int64) {
	r.mu.Lock()
	r.done, r.total = done, total
	quiet := time.Since(r.written) < time.Second && done != total
	if !quiet {
		r.written = time.Now()
	}
	r.mu.Unlock()
	if quiet {
		return
	}
	err := r.board.db.Background(r.ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE jobs_task SET done = $1, total = $2 WHERE id = $3 AND node = $4 AND tries = $5",
			done, total, r.task.ID, r.board.owner, r.task.Tries)
		return err
	})
	if err != nil && r.ctx.Err() == nil {
		r.board.report(r.task.Kind, err)
	}
}

// renew prolongs the leases of all running tasks and stops those that were lost.
func (b *Board) renew(ctx context.Context) error {
	b.mu.Lock()
	held := make([]*running, 0, len(b.running))
	for _, r := range b.running {
		held = append(held, r)
	}
	b.mu.Unlock()
	if len(held) == 0 {
		return nil
	}
	var gone []*running
	err := b.db.Background(ctx, func(tx *store.Tx) error {
		gone = nil
		for _, r := range held {
			n, err := tx.Exec("UPDATE jobs_task SET due = $1 WHERE id = $2 AND node = $3 AND tries = $4 AND state = 'running'",
				store.Millis(tx.Now.Add(lease)), r.task.ID, b.owner, r.task.Tries)
			if err != nil {
				return err
			}
			if n == 0 {
				gone = append(gone, r)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("jobs: renew leases: %w", err)
	}
	for _, r := range gone {
		r.cancel()
	}
	return nil
}
