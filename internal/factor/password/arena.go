package password

import (
	"context"
	"fmt"
	"sync/atomic"

	"seimon/internal/authn"
)

// arena bounds how many hashes are computed, and so how much memory they take, at
// the same time, and how many may wait.
type arena struct {
	slots   chan struct{}
	waiting atomic.Int64
	most    int64
}

func newArena(parallel, queue int) *arena {
	return &arena{slots: make(chan struct{}, parallel), most: int64(queue)}
}

// run calls fn when there is a turn. It returns the fault O1.busy when too many
// wait already, and ctx's error when ctx ends first; fn was not called then.
func (a *arena) run(ctx context.Context, fn func()) error {
	select {
	case a.slots <- struct{}{}:
	default:
		if err := a.wait(ctx); err != nil {
			return err
		}
	}
	defer func() { <-a.slots }()
	fn()
	return nil
}

func (a *arena) wait(ctx context.Context) error {
	defer a.waiting.Add(-1)
	if a.waiting.Add(1) > a.most {
		return authn.NewFault("O1.busy")
	}
	select {
	case a.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("password: waiting for a turn: %w", ctx.Err())
	}
}
