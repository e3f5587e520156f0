package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"seimon/test/walk"
)

// ledger holds what was acknowledged, and what was found wrong.
type ledger struct {
	mu       sync.Mutex
	passed   int
	faults   []string
	signIns  []signIn
	sessions []*walk.Walker // browsers that must still be signed in
	consents map[string]bool
	families []*family
	steps    map[string]map[int64]bool // by user name: the steps whose codes were typed
	spent    []spentStep
	counts   map[string]int
}

// signIn is one that a person went through to its end.
type signIn struct {
	user, transaction string
	totp              bool
}

// family is what one code gave a service.
type family struct {
	grant  walk.Grant
	client walk.Client
	tokens walk.Tokens
	at     time.Time
}

// spentStep is a code that was accepted: never again.
type spentStep struct {
	person int
	code   string
	step   int64
}

func newLedger() *ledger {
	return &ledger{consents: map[string]bool{}, steps: map[string]map[int64]bool{}, counts: map[string]int{}}
}

// typed notes that the code of a step was read from a person's app and typed.
func (l *ledger) typed(user string, step int64) {
	l.do(func() {
		if l.steps[user] == nil {
			l.steps[user] = map[int64]bool{}
		}
		l.steps[user][step] = true
	})
}

// typedNow tells whether the code that a person's app shows now was typed already.
func (l *ledger) typedNow(user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.steps[user][time.Now().Unix()/30]
}

// do changes the ledger.
func (l *ledger) do(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
}

// count notes that something happened.
func (l *ledger) count(what string) { l.do(func() { l.counts[what]++ }) }

// pass and fail are the outcomes of one check.
func (l *ledger) pass() { l.do(func() { l.passed++ }) }

func (l *ledger) fail(format string, args ...any) {
	l.do(func() { l.faults = append(l.faults, fmt.Sprintf(format, args...)) })
}

// check is pass or fail.
func (l *ledger) check(ok bool, format string, args ...any) {
	if ok {
		l.pass()
		return
	}
	l.fail(format, args...)
}

func (l *ledger) summary() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("acknowledged: %d sign-ins with a password alone, %d with a code too, %d consents, %d codes redeemed, %d refreshes, %d answers from a session; %d answers lost",
		l.counts["password"], l.counts["totp"], l.counts["consent"], l.counts["redeemed"], l.counts["refreshed"], l.counts["session"], l.counts["lost"])
}

// enough checks that the trial has seen something of everything.
func (l *ledger) enough(kills int) {
	for _, what := range []string{"password", "totp", "consent", "redeemed", "refreshed", "session", "code replayed", "step replayed", "refresh replayed"} {
		l.check(l.counts[what] >= min(5, kills), "too little to judge by: %q happened %d times", what, l.counts[what])
	}
	l.check(l.counts["lost"] > 0, "too little to judge by: no answer was lost")
}

// verdict prints the outcome and tells whether all is well.
func (l *ledger) verdict(w io.Writer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	const shown = 10
	for i, f := range l.faults {
		if i == shown {
			fmt.Fprintf(w, "... and %d more\n", len(l.faults)-shown)
			break
		}
		fmt.Fprintln(w, "FAILED:", f)
	}
	fmt.Fprintf(w, "%d passed, %d failed\n", l.passed, len(l.faults))
	return len(l.faults) == 0
}
