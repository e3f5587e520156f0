package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"seimon/internal/store"
)

// period is work that comes round again. Only its own goroutine uses the fields
// above mu.
type period struct {
	name   string
	every  time.Duration
	run    func(context.Context) error
	shared bool // one node at a time
	next   time.Time
	ran    time.Time
	fails  int

	mu     sync.Mutex
	lease  time.Time          // until when this node holds it; zero if it does not
	cancel context.CancelFunc // of the run in progress
}

// Every runs run about every d, on one node at a time. A period as long as a lease
// or longer is remembered across restarts. A failed run is tried again sooner. run
// must heed ctx, which ends when the program or the lease does.
func (b *Board) Every(name string, d time.Duration, run func(ctx context.Context) error) {
	b.periods = append(b.periods, &period{name: name, every: d, run: run, shared: true})
}

// EachNode runs run about every d on every node, for what a node keeps in memory.
func (b *Board) EachNode(name string, d time.Duration, run func(ctx context.Context) error) {
	b.periods = append(b.periods, &period{name: name, every: d, run: run})
}

// brief periods keep their lease from one run to the next, so that frequent work
// does not write to the database each time.
func (p *period) brief() bool { return p.every < lease }

// turn runs p if it is due and this node's turn, and returns how long to wait.
func (b *Board) turn(ctx context.Context, p *period) (ran bool, wait time.Duration) {
	now := b.db.Now()
	mine, err := b.mine(ctx, p, now)
	if err != nil {
		b.fault(ctx, p.name, err)
		return false, poll
	}
	if !mine {
		return false, poll
	}
	if now.Before(p.next) {
		return false, min(max(p.next.Sub(now), time.Millisecond), poll)
	}
	err = p.once(ctx)
	if err != nil {
		b.fault(ctx, p.name, err)
	}
	if err := b.endPeriod(ctx, p, now, err); err != nil {
		b.fault(ctx, p.name, err)
	}
	return true, min(max(p.next.Sub(b.db.Now()), time.Millisecond), poll)
}

// fault reports an error that does not come from the end of the program.
func (b *Board) fault(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		b.report(what, err)
	}
}

func (p *period) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.hold(func() { p.cancel = cancel })
	defer p.hold(func() { p.cancel = nil })
	return guarded(func() error { return p.run(ctx) })
}

func (p *period) hold(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

// mine makes sure of the lease and tells whether this node has it.
func (b *Board) mine(ctx context.Context, p *period, now time.Time) (bool, error) {
	var until time.Time
	p.hold(func() { until = p.lease })
	if !p.shared || until.Sub(now) > lease/2 {
		return true, nil
	}
	free := false
	err := b.db.Read(ctx, func(tx *store.Tx) (err error) { free, err = b.free(tx, p); return err })
	if err != nil || !free {
		return false, err
	}
	taken := false
	whole, cancel := firm(ctx)
	defer cancel()
	err = b.db.Background(whole, func(tx *store.Tx) (err error) { taken, err = b.takePeriod(tx, p); return err })
	if err != nil || !taken {
		return false, err
	}
	p.hold(func() { p.lease = now.Add(lease) })
	return true, nil
}

// free tells whether p is due and nobody else holds it.
func (b *Board) free(tx *store.Tx, p *period) (bool, error) {
	var node string
	var until, due int64
	err := tx.QueryRow("SELECT node, lease, due FROM jobs_period WHERE name = $1", p.name).Scan(&node, &until, &due)
	if errors.Is(err, store.ErrNoRows) {
		return true, nil
	}
	now := store.Millis(tx.Now)
	if !p.brief() {
		p.next = store.Time(due)
	}
	return due <= now && (node == b.owner || until <= now), err
}

func (b *Board) takePeriod(tx *store.Tx, p *period) (bool, error) {
	n, err := tx.Exec(`INSERT INTO jobs_period (name, node, lease, due, ran, fails, fault) VALUES ($1, $2, $3, 0, $5, 0, '')
		ON CONFLICT (name) DO UPDATE SET node = excluded.node, lease = excluded.lease,
			ran = CASE WHEN jobs_period.ran < excluded.ran THEN excluded.ran ELSE jobs_period.ran END
		WHERE (jobs_period.node = excluded.node OR jobs_period.lease <= $4) AND jobs_period.due <= $4`,
		p.name, b.owner, store.Millis(tx.Now.Add(lease)), store.Millis(tx.Now), store.Millis(p.ran))
	if err != nil {
		return false, fmt.Errorf("jobs: lease %s: %w", p.name, err)
	}
	return n == 1, nil
}

// endPeriod notes how a run that began at began went.
func (b *Board) endPeriod(ctx context.Context, p *period, began time.Time, failed error) error {
	if failed != nil && ctx.Err() != nil {
		return nil // the program ends: the next node begins anew
	}
	failedBefore := p.fails > 0
	p.ran, p.next, p.fails = began, began.Add(p.every), 0
	fault := ""
	if failed != nil {
		p.fails++
		p.next = began.Add(min(p.every, backoff(p.fails)))
		fault = failed.Error()
	}
	if !p.shared || p.brief() && failed == nil && !failedBefore {
		return nil
	}
	last, cancel := firm(ctx)
	defer cancel()
	if p.brief() {
		return b.notePeriod(last, p, fault)
	}
	p.hold(func() { p.lease = time.Time{} })
	return b.releasePeriod(last, p, fault, p.next)
}

func (b *Board) notePeriod(ctx context.Context, p *period, fault string) error {
	return b.db.Background(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE jobs_period SET ran = $1, fails = $2, fault = $3 WHERE name = $4 AND node = $5",
			store.Millis(p.ran), p.fails, fault, p.name, b.owner)
		return err
	})
}

func (b *Board) releasePeriod(ctx context.Context, p *period, fault string, due time.Time) error {
	return b.db.Background(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE jobs_period SET lease = 0, node = '', due = $1, ran = $2, fails = $3, fault = $4 WHERE name = $5 AND node = $6",
			store.Millis(due), store.Millis(p.ran), p.fails, fault, p.name, b.owner)
		return err
	})
}

// renewPeriods prolongs the leases of runs that take long and stops those whose
// lease was lost.
func (b *Board) renewPeriods(ctx context.Context) error {
	for _, p := range b.periods {
		var cancel context.CancelFunc
		p.hold(func() { cancel = p.cancel })
		if !p.shared || cancel == nil {
			continue
		}
		var n int64
		now := b.db.Now()
		err := b.db.Background(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.Exec("UPDATE jobs_period SET lease = $1 WHERE name = $2 AND node = $3",
				store.Millis(tx.Now.Add(lease)), p.name, b.owner)
			return err
		})
		if err != nil {
			return fmt.Errorf("jobs: renew %s: %w", p.name, err)
		}
		p.hold(func() {
			if n == 1 {
				p.lease = now.Add(lease)
			} else if p.lease = (time.Time{}); p.cancel != nil {
				p.cancel()
			}
		})
	}
	return nil
}

// Period is what is known of periodic work.
type Period struct {
	Name  string
	Node  string    // that holds it; empty between two runs of rare work
	Ran   time.Time // when it last began, about
	Due   time.Time // not before; zero for frequent work
	Fails int       // in a row
	Fault string    // why the last run failed; empty if it did not
}

// Periods returns the work that Every set up and that has run.
func (b *Board) Periods(tx *store.Tx) ([]Period, error) {
	var out []Period
	rows, err := tx.Query("SELECT name, node, ran, due, fails, fault FROM jobs_period ORDER BY name")
	err = store.Each(rows, err, func(s *sql.Rows) error {
		var p Period
		var ran, due int64
		err := s.Scan(&p.Name, &p.Node, &ran, &due, &p.Fails, &p.Fault)
		p.Ran, p.Due = store.Time(ran), store.Time(due)
		out = append(out, p)
		return err
	})
	return out, err
}
