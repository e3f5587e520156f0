package oidc

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
)

// skew is by how much the clock of a client that signed something differs from ours,
// as its times show (scenario B3). Only what a signature vouches for is judged.
type skew struct {
	what string        // what was signed
	by   time.Duration // positive: the client's clock is ahead
}

// times are the times in something that a client signed (RFC 7519 4.1.4 to 4.1.6).
type times struct{ issued, notBefore, expires *seconds }

// skewOf tells what clock made times that do not fit. When something was issued is the
// best witness; without it the other times give the least that it can be.
func skewOf(what string, t times, now time.Time) *skew {
	off := func(s *seconds) time.Duration { return s.time().Sub(now) }
	for _, s := range []*seconds{t.issued, t.notBefore} {
		if s != nil && off(s) > leeway && off(s) < absurd {
			return &skew{what, off(s)}
		}
	}
	if t.expires == nil || off(t.expires) > -leeway || off(t.expires) < -absurd {
		return nil
	}
	if t.issued == nil {
		return &skew{what, off(t.expires)}
	}
	if off(t.issued) > -leeway || off(t.issued) < -absurd {
		return nil // over before it began, or made in another year: no clock does that
	}
	return &skew{what, off(t.issued)}
}

const (
	absurd = diagnosis.AbsurdClock
	// skewQuiet is how long one client's wrong clock is put on record only once.
	skewQuiet = time.Minute
)

// skews remembers what was put on record lately.
type skews struct {
	mu   sync.Mutex
	last map[string]noted
}

type noted struct {
	at      time.Time
	support string
}

// wrongClock puts a wrong clock on record and gives the sentence for the owner of the
// service: whose clock, by how much, and the code that the help desk opens.
func (f *Front) wrongClock(ctx context.Context, c *client, s *skew) string {
	now := f.DB.Now()
	direction := "fast"
	if s.by < 0 {
		direction = "slow"
	}
	seconds := int64(s.by.Abs().Round(time.Second) / time.Second)
	f.skews.mu.Lock()
	known, ok := f.skews.last[c.ID]
	f.skews.mu.Unlock()
	if !ok || now.Sub(known.at) >= skewQuiet {
		known = noted{now, f.refusals.PutOf(ctx, authn.NewFault(authn.Code("B3."+direction), "party", c.ID,
			"seconds", strconv.FormatInt(seconds, 10), diagnosis.FactDirection, direction, "what", s.what))}
		f.skews.mu.Lock()
		if f.skews.last == nil {
			f.skews.last = map[string]noted{}
		}
		f.skews.last[c.ID] = known
		f.skews.mu.Unlock()
	}
	return fmt.Sprintf("by its times the %s was made by a clock that is %d seconds %s; our clock says %s; support code %s",
		s.what, seconds, direction, now.UTC().Format(time.RFC3339), known.support)
}
