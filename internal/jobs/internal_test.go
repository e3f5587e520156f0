package jobs

import (
	"context"
	"testing"
	"time"

	"seimon/internal/store/storetest"
)

// A node that is not in charge looks about once a second, not all the time.
func TestStandbyNodeRests(t *testing.T) {
	db, clock := storetest.Open(t, Schema())
	for _, every := range []time.Duration{time.Second, time.Hour} {
		a, b := New(db, "a"), New(db, "b")
		run := func(context.Context) error { return nil }
		name := every.String()
		a.Every(name, every, run)
		b.Every(name, every, run)
		clock.Add(time.Minute)
		if ran, wait := a.turn(t.Context(), a.periods[1]); !ran || wait < poll {
			t.Errorf("every %v: ran %v, waits %v", every, ran, wait)
		}
		for range 3 {
			if ran, wait := b.turn(t.Context(), b.periods[1]); ran || wait < poll {
				t.Errorf("every %v, standby: ran %v, waits %v", every, ran, wait)
			}
			if ran, wait := a.turn(t.Context(), a.periods[1]); ran || wait < poll {
				t.Errorf("every %v, not due: ran %v, waits %v", every, ran, wait)
			}
		}
	}
}

// Frequent work writes to the database when its lease is renewed, not at each run.
func TestFrequentWorkIsQuiet(t *testing.T) {
	db, clock := storetest.Open(t, Schema())
	b := New(db, "n")
	runs := 0
	b.Every("p", time.Second, func(context.Context) error { runs++; return nil })
	p := b.periods[1]
	renewals, last := 0, time.Time{}
	for range 120 {
		b.turn(t.Context(), p)
		if p.lease != last {
			renewals, last = renewals+1, p.lease
		}
		clock.Add(time.Second)
	}
	if runs != 120 || renewals > 6 {
		t.Errorf("%d runs, %d renewals in two minutes", runs, renewals)
	}
}
