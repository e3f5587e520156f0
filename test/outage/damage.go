package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	_ "modernc.org/sqlite" // the driver named "sqlite"
)

// damage takes a database out of order and mends it.
type damage struct {
	name       string
	hurt, mend func(ctx context.Context) error
}

// lock holds the write lock of a SQLite file, as another program would.
func lock(file string) damage {
	var db *sql.DB
	return damage{"a file that another program locks", func(ctx context.Context) (err error) {
		if db, err = sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)"); err != nil {
			return err
		}
		db.SetMaxOpenConns(1)
		_, err = db.ExecContext(ctx, "BEGIN IMMEDIATE")
		return err
	}, func(context.Context) error { return db.Close() }}
}

// lockUntilEOF locks a file, says so, and waits for the end of the input.
func lockUntilEOF(ctx context.Context, file string) error {
	d := lock(file)
	if err := d.hurt(ctx); err != nil {
		return err
	}
	fmt.Println("locked")
	_, err := io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, d.mend(ctx))
}

// small mounts a little file system of its own over dir; off unmounts it.
func small(dir string) (off func() error, err error) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		return nil, fmt.Errorf("mount (needs root): %w", err)
	}
	return func() error { return syscall.Unmount(dir, syscall.MNT_DETACH) }, nil
}

// fill leaves no room beside a database file.
func fill(dir string) damage {
	filler := filepath.Join(dir, "filler")
	return damage{"a disk that is full", func(ctx context.Context) error {
		// What the write-ahead log has room for already would still be taken.
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "seimon.db")+"?_pragma=busy_timeout(5000)")
		if err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
		if err := errors.Join(err, db.Close()); err != nil {
			return err
		}
		f, err := os.Create(filler)
		if err != nil {
			return err
		}
		for piece := make([]byte, 64<<10); len(piece) > 0; {
			if _, err := f.Write(piece); errors.Is(err, syscall.ENOSPC) {
				piece = piece[:len(piece)/2]
			} else if err != nil {
				return err
			}
		}
		return f.Close()
	}, func(context.Context) error { return os.Remove(filler) }}
}

// server stops and starts the private server of scripts/pgtest.
func server(address string) (damage, error) {
	u, err := url.Parse(address)
	if err != nil {
		return damage{}, err
	}
	dir := u.Query().Get("host")
	programs, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl")
	if err != nil || len(programs) == 0 || dir == "" {
		return damage{}, fmt.Errorf("no private PostgreSQL: run scripts/pgtest test/outage/run")
	}
	control := func(args ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			line := append([]string{programs[len(programs)-1]}, append(args, "-s", "-w", "-t", "60", "-D", dir+"/data")...)
			if os.Getuid() == 0 {
				line = append([]string{"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"}, line...)
			}
			cmd := exec.CommandContext(ctx, line[0], line[1:]...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", strings.Join(line, " "), err, out)
			}
			return nil
		}
	}
	return damage{"a server that is stopped", control("stop", "-m", "fast"), control("start", "-l", dir+"/server.log")}, nil
}
