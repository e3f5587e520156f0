package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"seimon/test/campus"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	faults, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
	}
	if faults > 0 || err != nil {
		os.Exit(1)
	}
}

// attack is one attacker at one campus.
type attack struct {
	campus *campus.Campus
	passed int
	faults int
	asked  int
}

func run(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("attack", flag.ContinueOnError)
	binary := flags.String("binary", "", "the program; built from the source otherwise")
	only := flags.String("only", "", "only trials whose name contains this")
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "seimon-attack-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder for temporary files
	if *binary == "" {
		if *binary, err = campus.Build(ctx, dir); err != nil {
			return 0, err
		}
	}
	total, faults := 0, 0
	for _, trial := range []struct {
		name string
		plan campus.Plan
		run  func(*attack) error
	}{
		{"connections, headers and foreign bytes", campus.Plan{MemoryKiB: 8, Time: 1, Certificates: true}, (*attack).wire},
		{"words and status", cheap, (*attack).words},
		{"time with default costs", campus.Plan{}, (*attack).coarse},
		{"time around the hash", cheap, (*attack).fine},
		{"time of locked names", cheap, (*attack).locked},
	} {
		if !strings.Contains(trial.name, *only) {
			continue
		}
		a, err := begin(ctx, dir, *binary, trial.plan, trial.run)
		if err != nil {
			return faults, fmt.Errorf("%s: %w", trial.name, err)
		}
		fmt.Printf("%s: %d passed, %d failed\n", trial.name, a.passed, a.faults)
		total, faults = total+a.passed, faults+a.faults
	}
	fmt.Printf("%d passed, %d failed\n", total, faults)
	return faults, nil
}

// cheap makes the hash cost next to nothing, so that it hides nothing.
var cheap = campus.Plan{MemoryKiB: 8, Time: 1}

func begin(ctx context.Context, dir, binary string, plan campus.Plan, run func(*attack) error) (*attack, error) {
	dir, err := os.MkdirTemp(dir, "campus-")
	if err != nil {
		return nil, err
	}
	plan.People = len(kinds()) * perKind
	a := &attack{}
	if a.campus, err = campus.Prepare(ctx, dir, plan); err != nil {
		return nil, err
	}
	if err := a.arrange(ctx); err != nil {
		return nil, err
	}
	p, err := a.campus.Start(ctx, binary)
	if err != nil {
		return nil, err
	}
	defer p.Kill() //nolint:errcheck // the campus goes away
	return a, run(a)
}

// check is one comparison.
func (a *attack) check(ok bool, format string, args ...any) {
	if ok {
		a.passed++
		return
	}
	a.faults++
	fmt.Printf("FAILED: "+format+"\n", args...)
}

// hashTime is what a hash with default costs takes at the least; differences are
// judged by it.
const hashTime = 20 * time.Millisecond
