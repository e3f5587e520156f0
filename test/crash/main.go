package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"seimon/test/campus"
)

// trial is one run.
type trial struct {
	campus  *campus.Campus
	binary  string
	process *campus.Process
	ledger  *ledger
	last    counters
	seconds int
	kills   int
	walkers int
}

const people = 600

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (bool, error) {
	t := &trial{ledger: newLedger()}
	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	flags.IntVar(&t.seconds, "seconds", 60, "length of the trial")
	flags.IntVar(&t.kills, "kills", 20, "how often the program is killed")
	flags.IntVar(&t.walkers, "walkers", 12, "browsers at the same time")
	postgres := flags.String("postgres", "", "URL of a PostgreSQL server; SQLite otherwise")
	flags.StringVar(&t.binary, "binary", "", "the program; built from the source otherwise")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "seimon-crash-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder for temporary files
	if t.binary == "" {
		if t.binary, err = campus.Build(ctx, dir); err != nil {
			return false, err
		}
	}
	// Cheap hashes: the more is acknowledged in a minute, the more can be lost.
	t.campus, err = campus.Prepare(ctx, dir, campus.Plan{People: people, Phones: people, Postgres: *postgres, MemoryKiB: 1024, Time: 1})
	if err != nil {
		return false, err
	}
	if err := t.play(ctx); err != nil {
		return false, fmt.Errorf("%w\n%s", err, t.campus.Log())
	}
	if err := t.audit(ctx); err != nil {
		return false, err
	}
	return t.ledger.verdict(os.Stdout), nil
}

// play runs the walkers and kills the program while they walk.
func (t *trial) play(ctx context.Context) error {
	var err error
	if t.process, err = t.campus.Start(ctx, t.binary); err != nil {
		return err
	}
	defer func() { t.process.Kill() }() //nolint:errcheck // it may have ended already
	if err := t.snapshot(ctx); err != nil {
		return err
	}
	crowd := t.crowd(ctx)
	begun := time.Now()
	length := time.Duration(t.seconds) * time.Second
	for n := range t.kills {
		// Each kill falls somewhere into its own share of the time.
		share := length / time.Duration(t.kills)
		until(ctx, begun.Add(time.Duration(n)*share+time.Duration(rand.Int64N(int64(share)))))
		if err := t.crash(ctx); err != nil {
			crowd.stop()
			return err
		}
	}
	until(ctx, begun.Add(length))
	crowd.stop()
	fmt.Printf("%d kills in %v; %s\n", t.kills, time.Since(begun).Round(time.Second), t.ledger.summary())
	return t.recall(ctx)
}

// until waits for a moment, or for the end of the trial.
func until(ctx context.Context, at time.Time) {
	select {
	case <-time.After(time.Until(at)):
	case <-ctx.Done():
	}
}

// crash kills the program, starts it again, and tries at once what must not work twice.
func (t *trial) crash(ctx context.Context) error {
	if err := t.process.Kill(); err != nil {
		return err
	}
	p, err := t.campus.Start(ctx, t.binary)
	if err != nil {
		return err
	}
	t.process = p
	if err := t.snapshot(ctx); err != nil {
		return err
	}
	t.replay()
	return nil
}
