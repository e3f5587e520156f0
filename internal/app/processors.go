package app

import (
	"os"
	"runtime"
	"runtime/debug"
)

// garbage is how much the heap may grow, in percent, before it is collected, and ballast
// is counted as a part of the heap, in bytes, but never touched: the system gives no memory
// for it. What lives is a few MiB. With Go's default alone a busy gate would collect a dozen
// times a second, and after nearly every hash, which takes 19 MiB and leaves them behind.
const (
	garbage = 100
	ballast = 64 << 20
)

// spread gives Go a processor more for each hash that may be computed at a time.
// A hash keeps a processor for tens of milliseconds and a commit that waits for
// the disk keeps one as well; with spare ones the operating system divides the
// cores, and a short request does not wait for its turn behind them. What the
// environment says about either (GOMAXPROCS, GOGC) is left alone. The function
// that it returns takes both back, so that a process that serves again and again
// does not collect processors.
func (h *House) spread() (back func()) {
	back = func() {}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.SetDefaultGOMAXPROCS()
		cores := runtime.GOMAXPROCS(0)
		slots := h.Config.Password.Parallel
		if slots == 0 {
			slots = cores
		}
		runtime.GOMAXPROCS(cores + slots)
		back = runtime.SetDefaultGOMAXPROCS
	}
	if os.Getenv("GOGC") != "" {
		return back
	}
	processors, before, heavy := back, debug.SetGCPercent(garbage), make([]byte, ballast)
	return func() {
		runtime.KeepAlive(heavy)
		processors()
		debug.SetGCPercent(before)
	}
}
