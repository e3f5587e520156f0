package throttle_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"seimon/internal/throttle"
)

var start = time.Date(2026, 4, 6, 0, 30, 0, 0, time.UTC)

func TestLadder(t *testing.T) {
	l := throttle.Limit{Tries: 3, First: time.Minute, Cap: 5 * time.Minute, Forget: 24 * time.Hour}
	now := start
	var c throttle.Count
	for i, want := range []time.Duration{0, 0, 1, 2, 4, 5, 5} {
		var ok bool
		if c, ok = throttle.Step(l, c, now); !ok {
			t.Fatalf("try %d was refused", i+1)
		}
		lock := time.Duration(0)
		if !c.Until.IsZero() {
			lock = c.Until.Sub(now)
		}
		if lock != want*time.Minute {
			t.Errorf("lock after try %d: %v, want %v", i+1, lock, want*time.Minute)
		}
		if left := throttle.Left(l, c, now); (left == 0) != (lock > 0) || lock == 0 && left != 2-i {
			t.Errorf("after try %d: %d left", i+1, left)
		}
		if lock > 0 {
			during, ok := throttle.Step(l, c, c.Until.Add(-time.Millisecond))
			if ok || during != c {
				t.Errorf("a try during the lock counted: %+v, then %+v", c, during)
			}
			now = c.Until
			if throttle.Left(l, c, now) != 1 {
				t.Error("no try left after the lock")
			}
		}
	}
}

func TestTriesAreForgottenOneByOne(t *testing.T) {
	l := throttle.Limit{Tries: 5, First: time.Minute, Cap: time.Hour, Forget: time.Hour}
	c := throttle.Count{}
	for range 4 {
		c, _ = throttle.Step(l, c, start)
	}
	for hours, left := range []int{1, 2, 3, 4, 5, 5, 5} {
		if got := throttle.Left(l, c, start.Add(time.Duration(hours)*time.Hour)); got != left {
			t.Errorf("after %d hours %d left, want %d", hours, got, left)
		}
	}
}

func TestTryTakenBack(t *testing.T) {
	l := throttle.Limit{Tries: 2, First: time.Minute, Cap: time.Hour, Forget: time.Hour}
	one, _ := throttle.Step(l, throttle.Count{}, start)
	two, _ := throttle.Step(l, one, start)
	if throttle.Left(l, two, start) != 0 || throttle.Left(l, throttle.Back(l, two, start), start) != 1 {
		t.Error("taking a try back does not undo its lock")
	}
	three, _ := throttle.Step(l, two, two.Until)
	if throttle.Left(l, throttle.Back(l, three, two.Until), two.Until) != 0 {
		t.Error("taking one of three wrong tries back opened the lock")
	}
	if got := throttle.Back(l, throttle.Count{}, start); got.Tries != 0 {
		t.Errorf("%+v", got)
	}
}

// A clock that was wrong for a moment must not lock anybody for years.
func TestWrongClock(t *testing.T) {
	l := throttle.Limit{Tries: 1, First: time.Minute, Cap: time.Hour, Forget: time.Hour}
	c, _ := throttle.Step(l, throttle.Count{}, start.Add(100*365*24*time.Hour))
	c, ok := throttle.Step(l, c, start)
	if !ok || c.Until.Sub(start) > time.Hour || throttle.Left(l, c, start) != 0 {
		t.Errorf("%v %+v", ok, c)
	}
}

// For any ladder and any behaviour of a guesser: tries during a lock are refused,
// locks end by themselves within Cap, and in any stretch of time no more guesses
// pass than the free tries, one for each lock that ended, and those forgotten.
func TestGuesserIsBounded(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := throttle.Limit{Tries: 1 + r.IntN(8), First: time.Duration(1+r.IntN(120)) * time.Second, Forget: time.Duration(1+r.IntN(600)) * time.Minute}
		l.Cap = l.First * time.Duration(1+r.IntN(200))
		var c throttle.Count
		now, passed, ended := start, 0, 0
		for range 500 {
			if r.IntN(3) > 0 {
				now = now.Add(time.Duration(r.Int64N(int64(2 * l.Cap))))
			}
			before := c
			var ok bool
			c, ok = throttle.Step(l, before, now)
			if locked := now.Before(before.Until); locked == ok {
				t.Fatalf("seed %d: locked %v, passed %v", seed, locked, ok)
			}
			if !ok {
				continue
			}
			passed++
			if !before.Until.IsZero() {
				ended++
			}
			if c.Until.After(now.Add(l.Cap)) {
				t.Fatalf("seed %d: a lock of %v", seed, c.Until.Sub(now))
			}
			forgotten := int(now.Sub(start)/l.Forget) + 1
			if most := l.Tries + ended + forgotten; passed > most {
				t.Fatalf("seed %d: %d guesses passed, at most %d may", seed, passed, most)
			}
			if _, ok := throttle.Step(l, c, now.Add(l.Cap)); !ok {
				t.Fatalf("seed %d: still locked after the longest lock", seed)
			}
			if all := now.Add(l.Cap + l.Forget*time.Duration(c.Tries+1)); throttle.Left(l, c, all) != l.Tries {
				t.Fatalf("seed %d: not forgotten in the end", seed)
			}
		}
	}
}

// Sustained guessing at the worst: with the default ladder no more than a few
// thousand guesses a year pass for one pair.
func TestYearOfGuessing(t *testing.T) {
	l := throttle.DefaultLimits().Pair
	var c throttle.Count
	now, passed := start, 0
	for now.Before(start.Add(365 * 24 * time.Hour)) {
		var ok bool
		if c, ok = throttle.Step(l, c, now); ok {
			passed++
		}
		if now.Before(c.Until) {
			now = c.Until
		}
	}
	if passed > 9000 {
		t.Errorf("%d guesses a year", passed)
	}
}
