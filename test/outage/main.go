package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"seimon/test/campus"
	"seimon/test/walk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	file := flag.String("lock", "", "only lock this SQLite file until the input ends")
	postgres := flag.String("postgres", "", "URL of the private PostgreSQL server of scripts/pgtest; SQLite otherwise")
	flag.Parse()
	run := func() error { return trials(ctx, *postgres) }
	if *file != "" {
		run = func() error { return lockUntilEOF(ctx, *file) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "outage:", err)
		stop()
		os.Exit(1)
	}
}

// trials plays every damage that fits the database.
func trials(ctx context.Context, postgres string) error {
	dir, err := os.MkdirTemp("", "seimon-outage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder for temporary files
	binary, err := campus.Build(ctx, dir)
	if err != nil {
		return err
	}
	at := filepath.Join(dir, "campus")
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	list := []damage{lock(filepath.Join(at, "seimon.db")), fill(at)}
	if postgres != "" {
		d, err := server(postgres)
		if err != nil {
			return err
		}
		list = []damage{d}
	} else {
		off, err := small(at)
		if err != nil {
			return err
		}
		defer off() //nolint:errcheck // the folder is removed with it
	}
	c, err := campus.Prepare(ctx, at, campus.Plan{People: 20, Postgres: postgres, MemoryKiB: 1024, Time: 1})
	if err != nil {
		return err
	}
	p, err := c.Start(ctx, binary)
	if err != nil {
		return err
	}
	t := &trial{campus: c, binary: binary, http: &http.Client{
		Transport: c.Gate.Transport(), Timeout: 40 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, d := range list {
		if err := t.play(ctx, d); err != nil {
			return errors.Join(fmt.Errorf("%s: %w\n%s", d.name, err, c.Log()), p.Kill())
		}
	}
	fmt.Printf("%d checks passed\n", t.checks)
	return p.Stop()
}

// trial is the program under damage.
type trial struct {
	campus *campus.Campus
	binary string
	http   *http.Client
	person int
	checks int
}

// The limits within which a damage must be noticed, answered and forgotten.
const (
	noticed  = 25 * time.Second // a lock is waited for, once
	answered = 5 * time.Second
	mended   = 25 * time.Second
)

var support = regexp.MustCompile(`id="support"[^>]*>([0-9A-Z]{4}-[0-9A-Z]{4})<`)

func (t *trial) play(ctx context.Context, d damage) error {
	if err := t.signIn(ctx); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	if err := d.hurt(ctx); err != nil {
		return err
	}
	codes, err := t.suffer(ctx)
	if err := errors.Join(err, d.mend(ctx)); err != nil {
		return err
	}
	err = t.until(ctx, mended, func() error {
		if status, body, err := t.get(ctx, "/readyz", ""); status != http.StatusOK {
			return fmt.Errorf("/readyz says %d %s %w", status, body, err)
		}
		return t.signIn(ctx)
	})
	if err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	for _, code := range codes {
		err := t.until(ctx, mended, func() error {
			out, err := exec.CommandContext(ctx, t.binary, "--config", t.campus.Config, "explain", code).CombinedOutput()
			if err == nil && !strings.Contains(string(out), "O1.database") {
				err = errors.New("another cause")
			}
			if err != nil {
				return fmt.Errorf("explain %s: %w: %s", code, err, out)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	fmt.Println("ok", d.name)
	return nil
}

// suffer asks for pages during the damage and gives the support codes that they show.
func (t *trial) suffer(ctx context.Context) (codes []string, err error) {
	page := func(tag string, words ...string) error {
		status, body, err := t.get(ctx, "/portal", tag)
		if err != nil {
			return err
		}
		if status != http.StatusServiceUnavailable {
			return fmt.Errorf("the page has status %d", status)
		}
		for _, w := range words {
			if !strings.Contains(body, w) {
				return fmt.Errorf("the page does not say %q: %s", w, body)
			}
		}
		found := support.FindStringSubmatch(body)
		if found == nil {
			return errors.New("the page shows no support code")
		}
		codes = append(codes, found[1])
		t.checks++
		return nil
	}
	english := []string{"has been out of order since", "Nobody can sign in anew", "Open it again"}
	if err := t.until(ctx, noticed, func() error { return page("en", english...) }); err != nil {
		return nil, err
	}
	for range 3 {
		begun := time.Now()
		err := errors.Join(page("en", english...), page("ja", "故障しています", "数分待って"))
		if took := time.Since(begun); err == nil && took > 2*answered {
			err = fmt.Errorf("two pages took %v", took)
		}
		if err != nil {
			return nil, err
		}
	}
	if status, body, _ := t.get(ctx, "/readyz", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, `"database"`) {
		return nil, fmt.Errorf("/readyz says %d %s", status, body)
	}
	for _, path := range []string{"/healthz", "/help", "/help/contact"} {
		if status, body, _ := t.get(ctx, path, "en"); status != http.StatusOK {
			return nil, fmt.Errorf("%s says %d %s", path, status, body)
		}
	}
	if t.signIn(ctx) == nil {
		return nil, errors.New("somebody signed in without a database")
	}
	t.checks += 5
	return codes, nil
}

// until tries again until check has nothing to say against it.
func (t *trial) until(ctx context.Context, limit time.Duration, check func() error) error {
	for begun := time.Now(); ; {
		err := check()
		if err == nil {
			t.checks++
			return nil
		}
		if time.Since(begun) > limit || ctx.Err() != nil {
			return fmt.Errorf("not within %v: %w", limit, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (t *trial) get(ctx context.Context, path, tag string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.campus.Gate.Origin+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", tag)
	res, err := t.http.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode == http.StatusServiceUnavailable && path != "/readyz" && res.Header.Get("Retry-After") == "" {
		err = errors.New("a 503 without Retry-After")
	}
	return res.StatusCode, string(body), err
}

// signIn signs the next person in, from a fresh browser.
func (t *trial) signIn(ctx context.Context) error {
	t.person++
	w := walk.New(t.campus.Gate, t.http.Transport, walk.Person{User: campus.UserName(t.person % t.campus.People), Password: campus.Password})
	_, err := w.Authorize(ctx, t.campus.Client(campus.Open), nil)
	return err
}
