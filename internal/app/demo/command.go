package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"seimon/internal/app"
)

// Command is "seimon demo".
type Command struct {
	Data   string `placeholder:"DIR" help:"Keep the data in this folder; without it everything is removed at the end."`
	Listen string `default:"127.0.0.1:8443" help:"Address to listen on; port 0 takes a free one."`
	JSON   bool   `help:"Print one JSON object when ready instead of text."`
	Card   bool   `help:"Give two people virtual IC cards; needs pcscd with the virtual reader of vsmartcard."`
}

// Extra is the command as the program takes it.
func Extra() app.Extra {
	return app.Extra{Name: "demo", Help: "Show a whole small university: nothing to install, nothing to configure.", Command: &Command{}}
}

// Run shows the demo until the program is told to stop.
func (c *Command) Run(d *app.Desk) (err error) {
	if c.Card {
		if err := needReader(d.Context()); err != nil {
			return err
		}
	}
	dir := c.Data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "seimon-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("%w (another address: --listen 127.0.0.1:0)", err)
	}
	defer l.Close()
	log := slog.New(slog.NewJSONHandler(d.Err(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	t, err := Open(d.Context(), dir, l, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	if c.Card {
		defer t.takeCards()
		if err := t.issueCards(d.Context()); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(d.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- t.Serve(ctx); stop() }()
	if err := t.wait(ctx, time.Minute); err != nil {
		stop()
		return errors.Join(err, <-done)
	}
	if err := c.announce(d.Out(), t); err != nil {
		stop()
		return errors.Join(err, <-done)
	}
	return <-done
}

func (c *Command) announce(w io.Writer, t *Town) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(t.Announcement())
	}
	return t.print(w, c.Data != "")
}
