package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"seimon/test/campus"
)

// machine says what the figures were measured on.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel := ""
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(text))
	}
	return fmt.Sprintf("%d cores of %s, Linux %s, %s", runtime.NumCPU(), model, kernel, runtime.Version())
}

// meter tells how the processors' time was divided while something was measured.
type meter struct {
	begun             time.Time
	process           *campus.Process
	all, server, self time.Duration
}

func newMeter(p *campus.Process) *meter {
	m := &meter{begun: time.Now(), process: p}
	m.all, m.server, m.self = m.read()
	return m
}

func (m *meter) read() (all, server, self time.Duration) {
	if m.process != nil {
		server, _ = m.process.CPU() // a figure for the reader; nothing depends on it
	}
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err == nil {
		self = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return busyTime(), server, self
}

// busyTime is the time that all processors together have worked since the start.
func busyTime() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var ticks int64
	for i, f := range strings.Fields(line)[1:] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil || i == 3 || i == 4 || i > 7 { // idle, waiting for disks, guests counted twice
			continue
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// split is the share of the machine that the program, the generator and everybody
// else had, in percent.
func (m *meter) split() (server, self, others float64) {
	whole := float64(time.Since(m.begun)) * float64(runtime.NumCPU())
	a, b, c := m.read()
	server, self = float64(b-m.server)/whole*100, float64(c-m.self)/whole*100
	return server, self, max(0, float64(a-m.all)/whole*100-server-self)
}

// cost is what a measurement took: how the processors were divided, in percent, and
// the program's processor time for one answer, in milliseconds.
type cost struct{ share, each string }

func (m *meter) cost(r *result) cost {
	server, self, others := m.split()
	_, used, _ := m.read()
	return cost{
		share: fmt.Sprintf("%.0f / %.0f / %.0f", server, self, others),
		each:  millis((used - m.server) / time.Duration(max(1, len(r.took)))),
	}
}
