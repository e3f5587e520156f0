package main

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"time"
)

// What differs from page to page: the support code and the server's clock.
var (
	codes = regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}\b`)
	clock = regexp.MustCompile(`\b1[0-9]{12}\b`)
)

// words compares everything that is shown, for the first and the later tries up
// to the lock and into it.
func (a *attack) words() error {
	const tries = 7 // five until the lock, two inside it
	first := map[int]seen{}
	for _, kind := range names() {
		for n := range tries {
			s, err := a.try(user(kind, 0))
			if err != nil {
				return err
			}
			s.answer = untilLock.ReplaceAllString(s.answer, "UNTIL")
			want, ok := first[n]
			if !ok {
				first[n] = s
				continue
			}
			a.check(s.page == want.page, "%s, try %d: the page that asks for the password differs", kind, n+1)
			a.check(s.answer == want.answer, "%s, try %d: the answer differs:\n%s\n--\n%s", kind, n+1, s.answer, want.answer)
			a.check(s.status == want.status, "%s, try %d: status %s instead of %s", kind, n+1, s.status, want.status)
			a.check(s.headers == want.headers, "%s, try %d: headers differ:\n%s\n--\n%s", kind, n+1, s.headers, want.headers)
		}
	}
	return nil
}

// untilLock is the end of a lock as pages name it.
var untilLock = regexp.MustCompile(`\d{1,2}:\d{2}(:\d{2})?`)

// coarse shows that everybody gets a hash: nobody is faster by a good part of one.
func (a *attack) coarse() error {
	return a.race(racing{names: names(), each: 40, rounds: 4, bound: hashTime / 3})
}

// fine shows that what is left around the hash does not tell either.
func (a *attack) fine() error {
	return a.race(racing{names: names(), each: 100, rounds: 5, bound: hashTime / 40})
}

// locked compares names during a lock: those that exist and those that do not.
func (a *attack) locked() error {
	lockable := []string{"active", "suspended", unknown}
	const most = 30
	for _, kind := range lockable {
		for n := range most {
			for range 5 {
				if _, err := a.try(user(kind, n)); err != nil {
					return err
				}
			}
		}
	}
	return a.race(racing{names: lockable, each: 100, rounds: 5, bound: hashTime / 40, among: most})
}

// racing says how kinds of names are compared.
type racing struct {
	names  []string
	each   int           // tries of each kind in one round
	rounds int           // how many more tries are made before a difference is believed
	bound  time.Duration // the greatest difference of medians
	among  int           // how many names of a kind are used; 0: each at most three times
}

// race tries all kinds in turn, in an order that changes, and compares medians.
// Load on the machine disturbs all kinds alike, and more tries even it out; a real
// difference stays.
func (a *attack) race(r racing) error {
	named, proved := map[string][]time.Duration{}, map[string][]time.Duration{}
	for round := range r.rounds {
		for n := round * r.each; n < (round+1)*r.each; n++ {
			for _, i := range rand.Perm(len(r.names)) {
				kind := r.names[i]
				s, err := a.try(user(kind, r.name(n)))
				if err != nil {
					return err
				}
				named[kind], proved[kind] = append(named[kind], s.named), append(proved[kind], s.proved)
			}
		}
		if worst(named) <= r.bound && worst(proved) <= r.bound {
			break
		}
	}
	a.tell("user name", named, r.bound)
	a.tell("password", proved, r.bound)
	return nil
}

// name chooses the name for the n-th try.
func (r racing) name(n int) int {
	if r.among > 0 {
		return n % r.among
	}
	return n % perKind // at most three tries of each: no lock
}

func median(d []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[len(sorted)/2]
}

// worst is the greatest difference between the medians of any two kinds.
func worst(took map[string][]time.Duration) time.Duration {
	var all []time.Duration
	for _, d := range took {
		all = append(all, median(d))
	}
	return slices.Max(all) - slices.Min(all)
}

func (a *attack) tell(what string, took map[string][]time.Duration, bound time.Duration) {
	line := ""
	for _, kind := range names() {
		if d := took[kind]; len(d) > 0 {
			line += fmt.Sprintf("  %s %v (%d)", kind, median(d).Round(10*time.Microsecond), len(d))
		}
	}
	w := worst(took)
	fmt.Printf("answer to the %s, medians:%s; greatest difference %v, bound %v\n", what, line, w.Round(10*time.Microsecond), bound)
	a.check(w <= bound, "the time of the answer to the %s tells names apart: %v", what, w)
}
