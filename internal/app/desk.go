package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"sync"
	"time"

	"github.com/alecthomas/kong"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/factor/password"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/lang"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// Desk is what commands work at: the streams, the files and, once a command asks
// for it, the opened house.
type Desk struct {
	ctx     context.Context
	streams Streams
	program *program
	parser  *kong.Kong
	opened  *House
	stdin   []byte
	lines   *bufio.Reader
	looked  sync.Once
	out     io.Writer // the streams as they are written to
	err     io.Writer
}

// Context ends when the program is told to stop.
func (d *Desk) Context() context.Context { return d.ctx }

// Out is standard output; a terminal is not commanded by what strangers sent.
func (d *Desk) Out() io.Writer {
	d.look()
	return d.out
}

// Err is standard error, as Out.
func (d *Desk) Err() io.Writer {
	d.look()
	return d.err
}

func (d *Desk) look() {
	d.looked.Do(func() { d.out, d.err = onScreen(d.streams.Out), onScreen(d.streams.Err) })
}

// Open opens a file, or standard input for "-", which can be read again unless it is
// typed.
func (d *Desk) Open(name string) (io.ReadCloser, error) {
	if metadata.Remote(name) {
		h, err := d.House()
		if err != nil {
			return nil, err
		}
		text, err := metadata.Fetch(d.Context(), h.samlFront().Client, name)
		return io.NopCloser(bytes.NewReader(text)), err
	}
	if name != "-" {
		return os.Open(name)
	}
	if t, ok := d.asTerminal(); ok {
		return t, nil
	}
	if d.stdin == nil {
		text, err := io.ReadAll(d.streams.In)
		if err != nil {
			return nil, err
		}
		d.stdin = text
	}
	return io.NopCloser(bytes.NewReader(d.stdin)), nil
}

// Create makes a file that only its owner can read; it never overwrites.
func (d *Desk) Create(name string) (io.WriteCloser, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// House opens the house of the configuration, once.
func (d *Desk) House() (*House, error) {
	if d.opened != nil {
		return d.opened, nil
	}
	c, err := LoadConfig(d.program.Config)
	if err != nil {
		return nil, err
	}
	d.opened, err = Open(d.ctx, c, Options{Log: newLog(d.streams.Err, "warn")})
	return d.opened, err
}

func (d *Desk) close() {
	if d.opened != nil {
		if err := d.opened.Close(); err != nil {
			fmt.Fprintln(d.Err(), "seimon:", err)
		}
	}
}

// Actor names who gives a command, for the record.
func (d *Desk) Actor() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return "cli:" + name + "@" + host
}

// Parties is what the commands about services work with.
func (d *Desk) Parties() (*store.DB, *rp.Book, error) {
	h, err := d.House()
	if err != nil {
		return nil, nil, err
	}
	return h.DB, h.Parties, nil
}

// Record writes an audit event about a service.
func (d *Desk) Record(tx *store.Tx, event, party string, facts map[string]string) error {
	return d.opened.Audit.Append(tx, audit.Event{Type: event, Party: party, Actor: d.Actor(), Facts: facts})
}

// Words speaks the language of whoever gives the command.
func (d *Desk) Words() (lang.Printer, error) {
	words, err := lang.New(time.UTC, words()...)
	if err != nil {
		return lang.Printer{}, err
	}
	return words.In(lang.Tag(d.program.Language)), nil
}

// Rules is what the commands about the policy work with.
func (d *Desk) Rules() (policy.Office, error) {
	h, err := d.House()
	if err != nil {
		return policy.Office{}, err
	}
	return policy.Office{
		DB: h.DB, Book: h.Policy, Actor: d.Actor(), Known: h.services,
		Note: func(tx *store.Tx, event string, facts map[string]string) error {
			return h.Audit.Append(tx, audit.Event{Type: event, Actor: d.Actor(), Facts: facts})
		},
	}, nil
}

// Records is what "seimon explain" works with.
func (d *Desk) Records() (diagnosis.Records, error) {
	h, err := d.House()
	if err != nil {
		return diagnosis.Records{}, err
	}
	return diagnosis.Records{DB: h.DB, Log: h.Audit, Book: h.Policy, Words: h.Words, Tag: lang.Tag(d.program.Language)}, nil
}

// services gives the test for services that exist, here or in a federation.
func (h *House) services(tx *store.Tx) (func(service string) bool, error) {
	return func(service string) bool {
		_, err := h.Parties.Get(tx, service)
		return err == nil || service == policy.Portal
	}, nil
}

// Office is what the commands about people work with.
func (d *Desk) Office() (directory.Office, error) {
	h, err := d.House()
	if err != nil {
		return directory.Office{}, err
	}
	zone, err := h.Config.location()
	if err != nil {
		return directory.Office{}, err
	}
	return directory.Office{
		DB: h.DB, People: h.People, Actor: d.Actor(), Zone: zone,
		Note: func(tx *store.Tx, event string, account authn.AccountID, facts map[string]string) error {
			return h.Audit.Append(tx, audit.Event{Type: event, Account: account, Actor: d.Actor(), Facts: facts})
		},
		SignOut: func(tx *store.Tx, account authn.AccountID, why string) error {
			return h.Sessions.EndAll(tx, account, why, "")
		},
		Columns: []directory.Column{{Name: "password_hash", Check: password.CheckHash, Store: h.importPassword}, h.proofColumn(zone, d.Actor())},
	}, nil
}

// importPassword keeps the hash of another system as an account's password.
func (h *House) importPassword(tx *store.Tx, account authn.AccountID, hash string) error {
	have, err := h.Bindings.Of(tx, account)
	if err != nil {
		return err
	}
	for _, b := range have {
		if b.Kind == password.Kind {
			if err := h.Bindings.Remove(tx, b.ID); err != nil {
				return err
			}
		}
	}
	b, err := password.Import(account, hash, tx.Now)
	if err != nil {
		return err
	}
	if _, err = h.Bindings.Add(tx, b); err != nil {
		return err
	}
	return h.Audit.Append(tx, audit.Event{Type: "password.imported", Account: account, Actor: "import"})
}

// newLog writes one JSON object for each line.
func newLog(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}

// ErrStopped says that the program was told to stop before it was ready.
var ErrStopped = errors.New("stopped")
