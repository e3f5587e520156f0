package throttle

import "time"

// Limit is one ladder of soft locks.
type Limit struct {
	// Tries is how many wrong tries end in the first lock; at least 1.
	Tries int
	// First is the length of the first lock. Each further try doubles it, up to Cap.
	First, Cap time.Duration
	// Forget is how long it takes to forget one try.
	Forget time.Duration
}

// Count is what is remembered of wrong tries. The zero value remembers nothing.
type Count struct {
	Tries int
	Since time.Time // from when on the next try to be forgotten ages
	Until time.Time // the end of the lock; zero if there was none
}

// Step counts one try at now. ok is false during a lock; then nothing changes,
// so trying during a lock does not make it longer.
func Step(l Limit, c Count, now time.Time) (next Count, ok bool) {
	c = l.aged(c, now)
	if l.locked(c, now) {
		return c, false
	}
	if c.Tries == 0 {
		c.Since = now
	}
	c.Tries++
	c.Until = time.Time{}
	if c.Tries >= l.Tries {
		c.Until = now.Add(l.lock(c.Tries - l.Tries))
	}
	return c, true
}

// Back takes one try back that turned out right.
func Back(l Limit, c Count, now time.Time) Count {
	c = l.aged(c, now)
	c.Tries = max(0, c.Tries-1)
	if c.Tries < l.Tries {
		c.Until = time.Time{}
	}
	return c
}

// Left is how many tries are left before a lock: 0 during one.
func Left(l Limit, c Count, now time.Time) int {
	c = l.aged(c, now)
	if l.locked(c, now) {
		return 0
	}
	return max(1, l.Tries-c.Tries)
}

// locked tells whether now lies in a lock. A lock that ends later than any lock
// could was written by a clock that went wrong and does not hold.
func (l Limit) locked(c Count, now time.Time) bool {
	return now.Before(c.Until) && !c.Until.After(now.Add(l.Cap))
}

// lock is the length of the lock after n tries too many.
func (l Limit) lock(n int) time.Duration {
	d := l.First
	for range n {
		if d >= l.Cap {
			break
		}
		d *= 2
	}
	return min(d, l.Cap)
}

// aged forgets the tries that are old enough.
func (l Limit) aged(c Count, now time.Time) Count {
	if c.Tries == 0 || c.Since.After(now) {
		c.Since = now
		return c
	}
	n := int64(now.Sub(c.Since) / l.Forget)
	if n >= int64(c.Tries) {
		return Count{Since: now, Until: c.Until}
	}
	c.Tries -= int(n)
	c.Since = c.Since.Add(time.Duration(n) * l.Forget)
	return c
}

// forgotten is when nothing will be left to remember.
func (l Limit) forgotten(c Count) time.Time {
	t := c.Since.Add(time.Duration(c.Tries) * l.Forget)
	if t.Before(c.Until) {
		return c.Until
	}
	return t
}
