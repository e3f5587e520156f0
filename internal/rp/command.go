package rp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"seimon/internal/lang"
	"seimon/internal/store"
)

// Env is what the building gives to the commands.
type Env interface {
	Context() context.Context
	// Parties opens the database and the book.
	Parties() (*store.DB, *Book, error)
	// Open opens a named file, standard input for "-", or what is at an address
	// (https://...).
	Open(name string) (io.ReadCloser, error)
	Out() io.Writer
	// Record writes an audit event about a party in the caller's transaction.
	Record(tx *store.Tx, event, party string, facts map[string]string) error
	// TakeOver imports what another provider keeps, and prints a report.
	TakeOver(t TakeOver) error
}

// Command is "seimon party" with its verbs.
type Command struct {
	List   ListCommand    `cmd:"" help:"List the services."`
	Show   ShowCommand    `cmd:"" help:"Show one service as JSON, in the form that add accepts."`
	Add    AddCommand     `cmd:"" help:"Register a new service."`
	Set    SetCommand     `cmd:"" help:"Change a service."`
	Remove RemoveCommand  `cmd:"" help:"Remove a service and what people agreed to for it."`
	Import ImportCommands `cmd:"" help:"Add or replace services: from a JSON document, all or none, one from its SAML metadata, or all of another provider."`
}

// ListCommand is "seimon party list".
type ListCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run prints the parties.
func (c *ListCommand) Run(env Env) error {
	db, book, err := env.Parties()
	if err != nil {
		return err
	}
	var list []Party
	err = db.Read(env.Context(), func(tx *store.Tx) error {
		list, err = book.List(tx)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), append([]Party{}, list...))
	}
	table := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tPROTOCOL\tSTATE\tCONSENT\tNAME")
	for _, p := range list {
		state := "active"
		if p.Disabled {
			state = "disabled"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", p.ID, p.Protocol, state, p.Consent, p.Name(lang.EN))
	}
	return table.Flush()
}

// ShowCommand is "seimon party show".
type ShowCommand struct {
	ID string `arg:"" help:"Id of the service."`
}

// Run prints the party.
func (c *ShowCommand) Run(env Env) error {
	db, book, err := env.Parties()
	if err != nil {
		return err
	}
	var p Party
	err = db.Read(env.Context(), func(tx *store.Tx) error {
		p, err = book.Get(tx, c.ID)
		return err
	})
	if err != nil {
		return named(err, c.ID)
	}
	return printJSON(env.Out(), p)
}

// AddCommand is "seimon party add".
type AddCommand struct {
	ID       string `arg:"" help:"Id of the service: the client_id, the entityID, ..."`
	Protocol string `help:"Protocol the service speaks." default:"oidc"`
	Fields   `embed:""`
	JSON     bool `help:"Print JSON."`
}

// Run registers the party and prints what is shown only once.
func (c *AddCommand) Run(env Env) error {
	p := Party{ID: c.ID, Protocol: c.Protocol}
	if err := c.apply(&p); err != nil {
		return err
	}
	return change(env, c.JSON, "party.added", []Party{p}, func(tx *store.Tx, book *Book, p *Party) error {
		_, err := book.Registered(tx, p.ID)
		if err == nil {
			return fmt.Errorf("party %q exists already: use set", p.ID)
		}
		if errors.Is(err, ErrNone) {
			return nil
		}
		return err
	})
}

// SetCommand is "seimon party set".
type SetCommand struct {
	ID     string `arg:"" help:"Id of the service."`
	Fields `embed:""`
	JSON   bool `help:"Print JSON."`
}

// Run changes the fields that were named.
func (c *SetCommand) Run(env Env) error {
	return change(env, c.JSON, "party.changed", []Party{{ID: c.ID}}, func(tx *store.Tx, book *Book, p *Party) error {
		old, err := book.Registered(tx, p.ID)
		if found, other := book.Get(tx, p.ID); errors.Is(err, ErrNone) && other == nil {
			return fmt.Errorf("%q comes from the feed %s and follows it: say in the release rules what it gets (seimon rules), or register a service of your own under this name (seimon party add)", c.ID, found.Source)
		}
		if err != nil {
			return named(err, c.ID)
		}
		*p = old
		return c.apply(p)
	})
}

// RemoveCommand is "seimon party remove".
type RemoveCommand struct {
	ID string `arg:"" help:"Id of the service."`
}

// Run removes the party.
func (c *RemoveCommand) Run(env Env) error {
	db, book, err := env.Parties()
	if err != nil {
		return err
	}
	err = db.Write(env.Context(), func(tx *store.Tx) error {
		if err := book.Remove(tx, c.ID); err != nil {
			return err
		}
		return env.Record(tx, "party.removed", c.ID, nil)
	})
	if err != nil {
		return named(err, c.ID)
	}
	fmt.Fprintf(env.Out(), "%s is removed.\n", c.ID)
	return nil
}

// ImportCommand is "seimon party import".
type ImportCommand struct {
	File string `arg:"" help:"JSON document with one service or a list, or the SAML metadata of a service; - for standard input. Metadata at an address (https://...) is fetched, and again every six hours from then on."`
	JSON bool   `help:"Print JSON."`
}

// Run stores all parties of the document, or none.
func (c *ImportCommand) Run(env Env) error {
	file, err := env.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := readAll(file)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	db, book, err := env.Parties()
	if err != nil {
		return err
	}
	address := ""
	if strings.HasPrefix(c.File, "https://") {
		address = c.File
	}
	list, notes, foreign, err := book.foreign(text, address, db.Now())
	if !foreign && address != "" {
		return fmt.Errorf("%s: what is there is no metadata of a service", c.File)
	}
	if !foreign {
		list, err = ReadDocument(bytes.NewReader(text))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	prepare := func(*store.Tx, *Book, *Party) error { return nil }
	if foreign {
		prepare = keep
	}
	if err := change(env, c.JSON, "party.imported", list, prepare); err != nil || c.JSON {
		return err
	}
	for _, n := range notes {
		fmt.Fprintf(env.Out(), "  note: %s\n", n)
	}
	return nil
}

// keep lets what the university decided about a party outlive a new copy of what the
// service says of itself.
func keep(tx *store.Tx, book *Book, p *Party) error {
	old, err := book.Get(tx, p.ID)
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err == nil {
		p.Release, p.Consent, p.Sector, p.Disabled = old.Release, old.Consent, old.Sector, old.Disabled
	}
	return err
}

// change stores the parties after prepare, records each and prints what is shown once.
func change(env Env, asJSON bool, event string, list []Party, prepare func(*store.Tx, *Book, *Party) error) error {
	db, book, err := env.Parties()
	if err != nil {
		return err
	}
	shown := map[string]map[string]string{}
	err = db.Write(env.Context(), func(tx *store.Tx) error {
		clear(shown)
		for _, p := range list {
			if err := prepare(tx, book, &p); err != nil {
				return err
			}
			once, err := book.Register(tx, p)
			if err != nil {
				return err
			}
			if shown[p.ID] = once; once == nil {
				shown[p.ID] = map[string]string{}
			}
			if err := env.Record(tx, event, p.ID, map[string]string{"protocol": p.Protocol}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(env.Out(), shown)
	}
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		fmt.Fprintf(env.Out(), "%s is registered.\n", id)
		for _, name := range slices.Sorted(maps.Keys(shown[id])) {
			fmt.Fprintf(env.Out(), "  %s: %s (shown only now)\n", name, shown[id][name])
		}
	}
	return nil
}

func named(err error, id string) error {
	if errors.Is(err, ErrNone) {
		return fmt.Errorf("there is no party %q", id)
	}
	return err
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// splitPair cuts NAME=VALUE.
func splitPair(text string) (name, value string, err error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return "", "", fmt.Errorf("%q must have the form NAME=VALUE", text)
	}
	return name, value, nil
}
