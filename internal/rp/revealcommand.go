package rp

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// RevealEnv is what the building gives to the commands of requests.
type RevealEnv interface {
	Context() context.Context
	Out() io.Writer
	Reveals() (RevealOffice, error)
}

// RevealOffice is where requests are worked on.
type RevealOffice struct {
	DB    *store.DB
	Book  *Book
	Actor string // who gives the command
	// Who finds the account that a service knows by an identifier; ok is false when
	// there is none. Name is how people know it. It may take long.
	Who func(ctx context.Context, p Party, identifier string) (account authn.AccountID, name string, ok bool, err error)
	// Note puts an event on record.
	Note func(tx *store.Tx, event string, r Reveal, account authn.AccountID) error
}

// RevealCommand is "seimon reveal" with its verbs.
type RevealCommand struct {
	Request RevealRequest `cmd:"" help:"Ask who is behind an identifier that a service knows."`
	List    RevealList    `cmd:"" help:"List the requests."`
	Approve RevealApprove `cmd:"" help:"Approve a request of somebody else."`
	Deny    RevealDeny    `cmd:"" help:"Deny a request, or take one's own back."`
	Answer  RevealAnswer  `cmd:"" help:"Fetch the answer of an approved request, once."`
}

// RevealRequest is "seimon reveal request".
type RevealRequest struct {
	Service    string `arg:"" help:"Id of the service: the entityID, the client_id."`
	Identifier string `arg:"" help:"What the service knows: a persistent name, pairwise-id, subject, or idp!sp!name."`
	Reason     string `required:"" help:"What happened, and who asks."`
	JSON       bool   `help:"Print JSON."`
}

// Run writes the request down.
func (c *RevealRequest) Run(env RevealEnv) error {
	return withReveal(env, "reveal.asked", func(tx *store.Tx, o RevealOffice) (Reveal, error) {
		return o.Book.AskReveal(tx, Reveal{Party: c.Service, Identifier: c.Identifier, Reason: c.Reason, AskedBy: o.Actor})
	}, c.JSON, "%s waits for another person: seimon reveal approve %[1]s\n")
}

// withReveal changes a request, puts it on record and tells.
func withReveal(env RevealEnv, event string, fn func(tx *store.Tx, o RevealOffice) (Reveal, error), asJSON bool, words string) error {
	o, err := env.Reveals()
	if err != nil {
		return err
	}
	var r Reveal
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		var err error
		if r, err = fn(tx, o); err != nil {
			return err
		}
		return o.Note(tx, event, r, "")
	})
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(env.Out(), r)
	}
	_, err = fmt.Fprintf(env.Out(), words, r.ID)
	return err
}

// RevealApprove is "seimon reveal approve".
type RevealApprove struct {
	ID string `arg:"" help:"Id of the request."`
}

// Run approves.
func (c *RevealApprove) Run(env RevealEnv) error {
	return withReveal(env, "reveal.approved", func(tx *store.Tx, o RevealOffice) (Reveal, error) {
		return o.Book.DecideReveal(tx, c.ID, o.Actor, true)
	}, false, "%s is approved. The answer is given once, within a day: seimon reveal answer %[1]s\n")
}

// RevealDeny is "seimon reveal deny".
type RevealDeny struct {
	ID string `arg:"" help:"Id of the request."`
}

// Run denies.
func (c *RevealDeny) Run(env RevealEnv) error {
	return withReveal(env, "reveal.denied", func(tx *store.Tx, o RevealOffice) (Reveal, error) {
		return o.Book.DecideReveal(tx, c.ID, o.Actor, false)
	}, false, "%s is denied.\n")
}

// RevealAnswer is "seimon reveal answer".
type RevealAnswer struct {
	ID   string `arg:"" help:"Id of the request."`
	JSON bool   `help:"Print JSON."`
}

// Run looks the person up. The approval is used up and put on record before the
// answer is printed.
func (c *RevealAnswer) Run(env RevealEnv) error {
	o, err := env.Reveals()
	if err != nil {
		return err
	}
	var r Reveal
	var p Party
	ready := func(tx *store.Tx) (err error) {
		if r, err = o.Book.GetReveal(tx, c.ID); err != nil {
			return err
		}
		p, err = o.Book.Get(tx, r.Party)
		return err
	}
	if err := o.DB.Read(env.Context(), ready); err != nil {
		return err
	}
	if r.State != RevealApproved {
		return fmt.Errorf("the request is %s", r.State)
	}
	account, name, ok, err := o.Who(env.Context(), p, r.Identifier)
	if err != nil {
		return err
	}
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		r, err := o.Book.AnswerReveal(tx, c.ID, o.Actor)
		if err != nil {
			return err
		}
		return o.Note(tx, "reveal.answered", r, account)
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), map[string]any{"id": r.ID, "found": ok, "account": account, "name": name})
	}
	if !ok {
		return fmt.Errorf("no account of today is known to %s by this identifier; the audit log may know it", r.Party)
	}
	_, err = fmt.Fprintf(env.Out(), "%s at %s is %s (%s)\n", r.Identifier, r.Party, name, account)
	return err
}

// RevealList is "seimon reveal list".
type RevealList struct {
	JSON bool `help:"Print JSON."`
}

// Run prints the requests.
func (c *RevealList) Run(env RevealEnv) error {
	o, err := env.Reveals()
	if err != nil {
		return err
	}
	var list []Reveal
	err = o.DB.Read(env.Context(), func(tx *store.Tx) (err error) {
		list, err = o.Book.Reveals(tx)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), append([]Reveal{}, list...))
	}
	t := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSTATE\tASKED\tBY\tDECIDED BY\tSERVICE\tREASON")
	for _, r := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.State, r.Asked.Format(time.DateTime), r.AskedBy, r.DecidedBy, r.Party, r.Reason)
	}
	return t.Flush()
}
