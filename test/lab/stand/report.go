package stand

import (
	"fmt"
	"os"
	"runtime/debug"
	"sync"
)

// Report prints one line for each check; the orchestrator counts them.
type Report struct {
	peer   string
	mu     sync.Mutex
	failed bool
}

// NewReport begins the report of a peer.
func NewReport(peer string) *Report { return &Report{peer: peer} }

// Check runs one check. A panic fails it.
func (r *Report) Check(name string, do func() error) bool {
	return r.Result(name, guard(do))
}

func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

// Result prints the outcome of one check.
func (r *Report) Result(name string, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed = true
		fmt.Printf("FAIL %s: %s: %v\n", r.peer, name, err)
		return false
	}
	fmt.Printf("ok   %s: %s\n", r.peer, name)
	return true
}

// Exit ends the program.
func (r *Report) Exit() {
	if r.failed {
		os.Exit(1)
	}
	os.Exit(0)
}
