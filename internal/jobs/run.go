package jobs

import (
	"context"
	"sync"
	"time"
)

// Run works until ctx ends. Then it takes nothing new, waits for the handlers, gives
// back what they did not finish and returns nil.
func (b *Board) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, p := range b.periods {
		all.Go(func() { b.repeat(ctx, p) })
	}
	beats, stop := context.WithCancel(context.WithoutCancel(ctx))
	var heart sync.WaitGroup
	heart.Go(func() { b.keepLeases(beats) })
	b.dispatch(ctx)
	all.Wait()
	stop()
	heart.Wait()
	b.release(ctx)
	return nil
}

// repeat gives a period its turns until ctx ends.
func (b *Board) repeat(ctx context.Context, p *period) {
	for ctx.Err() == nil {
		_, wait := b.turn(ctx, p)
		sleep(ctx, wait)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// keepLeases renews what this node holds, also while handlers end after ctx.
func (b *Board) keepLeases(ctx context.Context) {
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			b.heartbeat(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (b *Board) heartbeat(ctx context.Context) {
	if err := b.renew(ctx); err != nil {
		b.fault(ctx, "jobs.lease", err)
	}
	if err := b.renewPeriods(ctx); err != nil {
		b.fault(ctx, "jobs.lease", err)
	}
}

// dispatch starts tasks until ctx ends and returns when all have ended.
func (b *Board) dispatch(ctx context.Context) {
	var busy sync.WaitGroup
	defer busy.Wait()
	slots := make(chan struct{}, workers)
	freed := make(chan struct{}, 1)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for ctx.Err() == nil {
		if room := workers - len(slots); room > 0 {
			taken, err := b.claim(ctx, room)
			if err != nil {
				b.fault(ctx, "jobs.claim", err)
			}
			for _, r := range taken {
				slots <- struct{}{}
				busy.Go(func() {
					b.start(ctx, r)
					<-slots
					signal(freed)
				})
			}
			if len(taken) == room {
				continue
			}
		}
		select {
		case <-b.wake:
		case <-freed:
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// release gives the leases of frequent work back, so that another node need not wait.
func (b *Board) release(ctx context.Context) {
	last, cancel := firm(ctx)
	defer cancel()
	for _, p := range b.periods {
		held := false
		p.hold(func() { held = !p.lease.IsZero(); p.lease = time.Time{} })
		if !p.shared || !held {
			continue
		}
		due := time.Time{}
		if !p.brief() {
			due = p.next
		}
		if err := b.releasePeriod(last, p, "", due); err != nil {
			b.report(p.name, err)
		}
	}
}

// RunDue runs, one after another, all that is due now and returns how many runs
// that were. It is for programs and tests that do not call Run.
func (b *Board) RunDue(ctx context.Context) (int, error) {
	n := 0
	for _, p := range b.periods {
		if ran, _ := b.turn(ctx, p); ran {
			n++
		}
	}
	for {
		taken, err := b.claim(ctx, 1)
		if err != nil || len(taken) == 0 {
			return n, err
		}
		b.start(ctx, taken[0])
		n++
	}
}
