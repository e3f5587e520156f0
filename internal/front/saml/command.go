package saml

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"seimon/internal/store"
)

// Env is what the commands need of the program.
type Env interface {
	Context() context.Context
	// SAML opens the database and the front.
	SAML() (*store.DB, *Front, error)
	Out() io.Writer
	// Record writes an audit event in the caller's transaction.
	Record(tx *store.Tx, event, party string, facts map[string]string) error
	// Surroundings is what the judgement of services and keys needs of others.
	Surroundings() (Surroundings, error)
}

// Command is "seimon saml".
type Command struct {
	Keys     KeysCommand       `cmd:"" help:"The signing keys that services know."`
	Services RegisteredCommand `cmd:"" help:"List the registered services and how their metadata stays up to date."`
	Renew    RenewCommand      `cmd:"" help:"Fetch the metadata of a service that was registered from an address."`
}

// KeysCommand is "seimon saml keys".
type KeysCommand struct {
	List     ListCommand     `cmd:"" default:"1" help:"List the keys and where they stand."`
	Add      AddCommand      `cmd:"" help:"Make another key and publish it beside the one that signs."`
	Services ServicesCommand `cmd:"" help:"Tell for each service whether it knows the new key, and how we know."`
	Note     NoteCommand     `cmd:"" help:"Put on record that a service knows the new key."`
	Try      TryCommand      `cmd:"" help:"Let the waiting key sign for one service ahead of the others."`
	Activate ActivateCommand `cmd:"" help:"Let the waiting key sign. Refused while services are not known to be ready for it."`
	Retire   RetireCommand   `cmd:"" help:"Take the former key out of our metadata, once services no longer need it."`
}

// ListCommand lists the keys.
type ListCommand struct{}

// Run lists the keys.
func (c *ListCommand) Run(env Env) error {
	db, f, err := env.SAML()
	if err != nil {
		return err
	}
	var keys []Key
	err = db.Read(env.Context(), func(tx *store.Tx) error {
		keys, err = f.Keys(tx)
		return err
	})
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tKIND\tSTATE\tSINCE\tSHA-256 OF THE CERTIFICATE")
	for _, k := range keys {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%X\n", k.ID, k.Algorithm, k.State, k.Since.UTC().Format(time.DateOnly), sha256.Sum256(k.Certificate.Raw))
	}
	return table.Flush()
}

// Kind names the kind of key that a command is about.
type Kind struct {
	Kind string `default:"rsa" enum:"rsa,ec" help:"Kind of key: rsa or ec."`
}

// AddCommand makes a key.
type AddCommand struct {
	Kind `embed:""`
}

// Run makes a key.
func (c *AddCommand) Run(env Env) error {
	return step(env, "saml.key.added", c.Kind.Kind, (*Front).AddKey)
}

// ActivateCommand lets the waiting key sign.
type ActivateCommand struct {
	Kind   `embed:""`
	Anyway bool `help:"Although services are not known to be ready."`
}

// Run lets the waiting key sign.
func (c *ActivateCommand) Run(env Env) error {
	if err := c.ready(env); err != nil {
		return err
	}
	return step(env, "saml.key.activated", c.Kind.Kind, (*Front).Activate)
}

// RetireCommand takes the former key away.
type RetireCommand struct {
	Kind `embed:""`
}

// Run takes the former key away.
func (c *RetireCommand) Run(env Env) error {
	return step(env, "saml.key.retired", c.Kind.Kind, (*Front).Retire)
}

func step(env Env, event, kind string, do func(*Front, context.Context, string) error) error {
	db, f, err := env.SAML()
	if err != nil {
		return err
	}
	if err := do(f, env.Context(), kind); err != nil {
		return err
	}
	err = db.Write(env.Context(), func(tx *store.Tx) error {
		return env.Record(tx, event, "", map[string]string{"kind": kind})
	})
	if err != nil {
		return err
	}
	return (&ListCommand{}).Run(env)
}
