package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// Env is what the building gives to the commands.
type Env interface {
	Context() context.Context
	Out() io.Writer
	// Open opens a named file, or standard input for "-". It may be called twice.
	Open(name string) (io.ReadCloser, error)
	// Create makes a file that only its owner can read; it refuses to overwrite.
	Create(name string) (io.WriteCloser, error)
	// Office opens the directory and what belongs to changing it.
	Office() (Office, error)
}

// Office is the directory together with what its changes must set off elsewhere.
type Office struct {
	DB     *store.DB
	People *Directory
	Actor  string         // who gives the commands, for the record
	Zone   *time.Location // in which days begin
	// Note writes an audit event about an account in the caller's transaction.
	Note func(tx *store.Tx, event string, account authn.AccountID, facts map[string]string) error
	// SignOut ends the sessions of an account in the caller's transaction.
	SignOut func(tx *store.Tx, account authn.AccountID, why string) error
	// Columns are further columns that imports understand.
	Columns []Column
}

// Column is a column of an import that belongs to another room, such as the hash
// of a password.
type Column struct {
	Name string
	// Check tells why a value cannot be taken; it is called before anything is written.
	Check func(value string) error
	// Store keeps the value for an account that was just written.
	Store func(tx *store.Tx, account authn.AccountID, value string) error
}

// Command is "seimon user" with its verbs.
type Command struct {
	Add          AddCommand     `cmd:"" help:"Add an account, and its person unless --same-person-as names one."`
	Show         ShowCommand    `cmd:"" help:"Show an account, its person and its earlier states."`
	List         ListCommand    `cmd:"" help:"List accounts in the order of their user names."`
	Set          SetCommand     `cmd:"" help:"Change an account or its person."`
	Suspend      SuspendCommand `cmd:"" help:"Suspend an account and sign it out everywhere."`
	Resume       ResumeCommand  `cmd:"" help:"Make a suspended account active again."`
	ActivateCode LetterCommand  `cmd:"" name:"activate-code" help:"Make the code of an activation letter; earlier codes stop working."`
	Proof        ProofCommand   `cmd:"" help:"How a person was found to be who they say, and what follows from it for services."`
	Import       ImportCommand  `cmd:"" help:"Add or change many accounts from a CSV file, all or none."`
}

// AddCommand is "seimon user add".
type AddCommand struct {
	UserName     string `arg:"" help:"User name to sign in with."`
	SamePersonAs string `help:"User name of an account of the same person." placeholder:"USER"`
	Fields       `embed:""`
	Active       bool `help:"Make the account active at once; otherwise it waits for its activation letter."`
	JSON         bool `help:"Print JSON."`
}

// Run adds the account and prints the code of its letter.
func (c *AddCommand) Run(env Env) error {
	o, err := env.Office()
	if err != nil {
		return err
	}
	var e Entry
	var code string
	err = o.DB.Write(env.Context(), func(tx *store.Tx) (err error) {
		if e, err = c.add(tx, o); err != nil {
			return err
		}
		a := e.Account
		if code = ""; a.State == Pending {
			if code, err = o.People.NewActivation(tx, a.ID); err != nil {
				return err
			}
		}
		return o.Note(tx, "account.added", a.ID, map[string]string{"user": a.UserName, "kind": a.Kind, "state": string(a.State)})
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), addedJSON{accountJSON(e.Account, e.Person, nil), code})
	}
	fmt.Fprintf(env.Out(), "%s is added (%s).\n", e.Account.UserName, e.Account.ID)
	if code != "" {
		fmt.Fprintf(env.Out(), "Activation code, shown only now: %s\n", code)
	}
	return nil
}

func (c *AddCommand) add(tx *store.Tx, o Office) (e Entry, err error) {
	a, p := Account{UserName: c.UserName, Kind: "student", State: Pending, StateBy: o.Actor}, Person{}
	if c.Active {
		a.State = Active
	}
	if c.SamePersonAs != "" {
		if _, p, err = o.named(tx, c.SamePersonAs); err != nil {
			return e, err
		}
	}
	was := p
	if err := c.apply(&a, &p, o.Zone); err != nil {
		return e, err
	}
	if c.MailsVerified && p.ID == "" {
		p.MailVerified, p.NotifyVerified, p.RecoveryVerified = tx.Now, tx.Now, tx.Now
	}
	if a, p, err = o.People.Add(tx, p, a); err != nil {
		return e, taken(err, c.UserName)
	}
	if c.SamePersonAs != "" {
		if err := o.save(tx, Entry{a, was}, Entry{a, p}, c.MailsVerified); err != nil {
			return e, err
		}
	}
	a, p, err = o.People.ByID(tx, a.ID)
	return Entry{a, p}, err
}

type addedJSON struct {
	shownJSON
	ActivationCode string `json:"activation_code,omitempty"`
}

// ShowCommand is "seimon user show".
type ShowCommand struct {
	UserName string `arg:"" help:"User name."`
	JSON     bool   `help:"Print JSON."`
}

// Run prints the account.
func (c *ShowCommand) Run(env Env) error {
	o, err := env.Office()
	if err != nil {
		return err
	}
	var a Account
	var p Person
	var past []Past
	err = o.DB.Read(env.Context(), func(tx *store.Tx) (err error) {
		if a, p, err = o.named(tx, c.UserName); err != nil {
			return err
		}
		past, err = o.People.PastStates(tx, a.ID)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), accountJSON(a, p, past))
	}
	return printAccount(env.Out(), a, p, past, o.DB.Now())
}

// ListCommand is "seimon user list".
type ListCommand struct {
	Search string `arg:"" optional:"" help:"Beginning of a user name, of a name in any script, or of a mail address."`
	Kind   string `help:"Only this kind."`
	State  string `help:"Only this state (${enum})." enum:"pending,active,suspended," default:""`
	Group  string `help:"Only members of this group."`
	After  string `help:"Go on after this user name."`
	Limit  int    `help:"How many lines at most." default:"100"`
	JSON   bool   `help:"Print JSON."`
}

// Run prints one page of accounts.
func (c *ListCommand) Run(env Env) error {
	o, err := env.Office()
	if err != nil {
		return err
	}
	var list []Entry
	err = o.DB.Read(env.Context(), func(tx *store.Tx) (err error) {
		list, err = o.People.List(tx, Filter{Text: c.Search, Kind: c.Kind, State: State(c.State), Group: c.Group, After: c.After, Limit: c.Limit})
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		out := []shownJSON{}
		for _, e := range list {
			out = append(out, accountJSON(e.Account, e.Person, nil))
		}
		return printJSON(env.Out(), out)
	}
	table := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "USER\tKIND\tSTATE\tNAME\tMAIL")
	for _, e := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.Account.UserName, e.Account.Kind, standing(e.Account, o.DB.Now()), e.Person.Name.Full(lang.JA), e.Person.Mail)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if n := len(list); n > 0 && n == min(c.Limit, pageLimit) {
		fmt.Fprintf(env.Out(), "There may be more: --after %s\n", list[n-1].Account.UserName)
	}
	return nil
}

// SuspendCommand is "seimon user suspend".
type SuspendCommand struct {
	UserName string `arg:"" help:"User name."`
	Why      string `required:"" help:"Reason, shown to the owner after signing in and kept in the record."`
}

// Run suspends the account.
func (c *SuspendCommand) Run(env Env) error {
	return setState(env, c.UserName, Suspended, c.Why, func(a Account) error { return nil })
}

// ResumeCommand is "seimon user resume".
type ResumeCommand struct {
	UserName string `arg:"" help:"User name."`
	Why      string `help:"Reason, kept in the record."`
}

// Run makes the account active.
func (c *ResumeCommand) Run(env Env) error {
	return setState(env, c.UserName, Active, c.Why, func(a Account) error {
		if a.State != Suspended {
			return fmt.Errorf("%s is not suspended", a.UserName)
		}
		return nil
	})
}

func setState(env Env, name string, state State, why string, allowed func(Account) error) error {
	o, err := env.Office()
	if err != nil {
		return err
	}
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		a, _, err := o.named(tx, name)
		if err != nil {
			return err
		}
		if err := allowed(a); err != nil {
			return err
		}
		if err := o.People.SetState(tx, a.ID, state, why, o.Actor); err != nil {
			return err
		}
		if state == Suspended {
			if err := o.SignOut(tx, a.ID, "account suspended"); err != nil {
				return err
			}
		}
		return o.Note(tx, "account."+string(state), a.ID, map[string]string{"why": why, "was": string(a.State)})
	})
	if err == nil {
		fmt.Fprintf(env.Out(), "%s is %s.\n", name, state)
	}
	return err
}

// LetterCommand is "seimon user activate-code".
type LetterCommand struct {
	UserName string `arg:"" help:"User name."`
	Days     int    `help:"How many days the code is good for." default:"60"`
	JSON     bool   `help:"Print JSON."`
}

// Run makes a new code and prints it.
func (c *LetterCommand) Run(env Env) error {
	if c.Days < 1 || c.Days > 366 {
		return errors.New("--days must be between 1 and 366")
	}
	o, err := env.Office()
	if err != nil {
		return err
	}
	var code string
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		a, _, err := o.named(tx, c.UserName)
		if err != nil {
			return err
		}
		if code, err = o.People.NewActivationFor(tx, a.ID, time.Duration(c.Days)*24*time.Hour); err != nil {
			return fmt.Errorf("%s: %w", c.UserName, err)
		}
		return o.Note(tx, "account.letter", a.ID, nil)
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), map[string]string{"user": c.UserName, "activation_code": code})
	}
	fmt.Fprintln(env.Out(), code)
	return nil
}

// named finds an account for a command and says so when there is none.
func (o Office) named(tx *store.Tx, name string) (Account, Person, error) {
	a, p, err := o.People.ByUserName(tx, name)
	if errors.Is(err, ErrNone) {
		err = fmt.Errorf("there is no account %q", name)
	}
	return a, p, err
}

func taken(err error, name string) error {
	if errors.Is(err, ErrTaken) {
		return fmt.Errorf("the user name %q, or the person's number, is in use already or was before", name)
	}
	return err
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
