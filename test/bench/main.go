package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"seimon/test/campus"
)

// bench is one run of the program.
type bench struct {
	dir      string
	binary   string
	postgres string
	quick    bool
	span     time.Duration // of one measurement
	crowd    int           // accounts of the large campus
	services int           // in a federation
	sessions int
	profile  string
	parallel int
	when     time.Time
	progress io.Writer
	rows     []row
	faults   []error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	b := &bench{when: time.Now(), progress: os.Stderr}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&b.quick, "quick", false, "one minute: whether everything is answered rightly, not how fast")
	flags.StringVar(&b.postgres, "postgres", "", "URL of a PostgreSQL server; SQLite otherwise")
	flags.StringVar(&b.binary, "binary", "", "the program; built from the source otherwise")
	flags.DurationVar(&b.span, "span", 15*time.Second, "length of one measurement")
	flags.IntVar(&b.crowd, "crowd", 1_000_000, "accounts of the large campus")
	flags.IntVar(&b.services, "services", 10_000, "services of the federation with which the program starts")
	flags.IntVar(&b.sessions, "sessions", 100_000, "sessions whose memory is measured")
	flags.StringVar(&b.profile, "profile", "", "address where the program shows profiles, such as 127.0.0.1:6060")
	flags.IntVar(&b.parallel, "parallel", 0, "hashes that the program may compute at a time; its own default otherwise")
	only := flags.String("only", "", "comma-separated: signin,cert,busy,flow,cas,saml,memory,start; all otherwise")
	out := flags.String("out", "", "file for the table; standard output otherwise")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.quick {
		b.span, b.crowd, b.sessions, b.services = 2*time.Second, 5_000, 300, 300
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "seimon-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a folder for temporary files
	if b.binary == "" {
		if b.binary, err = campus.Build(ctx, b.dir); err != nil {
			return err
		}
	}
	if err := b.measure(ctx, strings.FieldsFunc(*only, func(r rune) bool { return r == ',' })); err != nil {
		return err
	}
	if *out == "" {
		_, err = fmt.Print(b.table())
	} else {
		err = os.WriteFile(*out, []byte(b.table()), 0o644)
	}
	return errors.Join(append(b.faults, err)...)
}

// measure runs the chosen measurements on campuses of their own.
func (b *bench) measure(ctx context.Context, only []string) error {
	for _, m := range []struct {
		name string
		run  func(context.Context) error
	}{{"signin", b.signIns}, {"cert", b.certificates}, {"flow", b.flows}, {"cas", b.tickets}, {"saml", b.responses}, {"busy", b.busy}, {"memory", b.memory}, {"start", b.starts}} {
		if len(only) > 0 && !slices.Contains(only, m.name) {
			continue
		}
		if err := m.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// campus prepares a campus in a folder of its own.
func (b *bench) campus(ctx context.Context, people int) (*campus.Campus, error) {
	return b.prepared(ctx, campus.Plan{People: people})
}

func (b *bench) prepared(ctx context.Context, plan campus.Plan) (*campus.Campus, error) {
	dir, err := os.MkdirTemp(b.dir, "campus-")
	if err != nil {
		return nil, err
	}
	plan.Postgres, plan.Parallel, plan.Metrics, plan.Profile = b.postgres, b.parallel, b.profile, b.profile != ""
	return campus.Prepare(ctx, dir, plan)
}

// started prepares a campus and starts the program on it.
func (b *bench) started(ctx context.Context, people int) (*campus.Campus, *campus.Process, error) {
	c, err := b.campus(ctx, people)
	if err != nil {
		return nil, nil, err
	}
	p, err := c.Start(ctx, b.binary)
	return c, p, err
}

// browsers makes n browsers.
func browsers(c *campus.Campus, n int) []*browser {
	out := make([]*browser, n)
	for i := range out {
		out[i] = newBrowser(c, i)
	}
	return out
}

// check keeps what must never happen under load: an answer that is an error.
func (b *bench) check(what string, r *result) *result {
	if r.errors > 0 {
		b.faults = append(b.faults, fmt.Errorf("%s: %d errors, the first: %w", what, r.errors, r.first))
	}
	if len(r.took) == 0 {
		b.faults = append(b.faults, fmt.Errorf("%s: nothing was answered", what))
	}
	return r
}

func (b *bench) database() string {
	if b.postgres != "" {
		return "PostgreSQL, fsync on, on the same machine"
	}
	return "SQLite on disk (" + filepath.Dir(b.dir) + "), WAL, synchronous=FULL"
}
