package card

import (
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/store"
)

// UnblockCommand is "seimon card unblock".
type UnblockCommand struct {
	Card     string `arg:"" help:"The card: printed number, own number or id."`
	Why      string `required:"" help:"Reason, kept in the record."`
	Document string `required:"" help:"Document that was looked at (${enum})." enum:"passport,driving-licence,residence-card,my-number-card,student-card,staff-card"`
	PIN      string `name:"pin" help:"PIN that the person chose: file, or - to type it unseen or for standard input. Without it the house chooses one and a letter waits." placeholder:"FILE"`
	Reader   string `help:"Part of the reader's name." placeholder:"NAME"`
	JSON     bool   `help:"Print JSON."`
}

// Run unblocks the card in the reader.
func (c *UnblockCommand) Run(env Env) error {
	d, k, err := named(env, c.Card)
	if err != nil {
		return err
	}
	m := Mending{Card: k, Reader: c.Reader, Document: c.Document, Why: c.Why}
	if c.PIN != "" {
		if m.PIN, err = secret(env, c.PIN, true); err != nil {
			return err
		}
		if m.PIN == "" {
			return errors.New("the PIN is empty")
		}
	}
	if k, err = d.Unblock(env.Context(), m); err != nil {
		return err
	}
	says := fmt.Sprintf("Card %s is unblocked and has %s tries again.", k.Called(), triesText(k.Tries))
	if k.Letter() {
		says += " Its new PIN waits for a letter (seimon card letter)."
	}
	return d.tell(env, k, c.JSON, says)
}

func triesText(n int) string {
	if n == unknownTries {
		return "all"
	}
	return strconv.Itoa(n)
}

// SuspendCommand is "seimon card suspend".
type SuspendCommand struct {
	Card string `arg:"" help:"The card: printed number, own number or id."`
	Why  string `required:"" help:"Reason, kept in the record."`
	JSON bool   `help:"Print JSON."`
}

// Run puts the card on hold.
func (c *SuspendCommand) Run(env Env) error {
	return about(env, c.Card, c.JSON, func(d Desk, k Card) (Card, error) { return d.Suspend(env.Context(), k.ID, c.Why) })
}

// ResumeCommand is "seimon card resume".
type ResumeCommand struct {
	Card string `arg:"" help:"The card: printed number, own number or id."`
	Why  string `help:"Reason, kept in the record."`
	JSON bool   `help:"Print JSON."`
}

// Run ends the suspension.
func (c *ResumeCommand) Run(env Env) error {
	return about(env, c.Card, c.JSON, func(d Desk, k Card) (Card, error) { return d.Resume(env.Context(), k.ID, c.Why) })
}

// LostCommand is "seimon card lost".
type LostCommand struct {
	Card string `arg:"" help:"The card: printed number, own number or id."`
	Why  string `required:"" help:"Reason, kept in the record."`
	JSON bool   `help:"Print JSON."`
}

// Run ends the card.
func (c *LostCommand) Run(env Env) error {
	return about(env, c.Card, c.JSON, func(d Desk, k Card) (Card, error) { return d.Lose(env.Context(), k.ID, c.Why) })
}

// ReturnCommand is "seimon card return".
type ReturnCommand struct {
	Card   string `arg:"" help:"The card: printed number, own number or id."`
	Why    string `help:"Reason, kept in the record."`
	Wipe   bool   `help:"The card is in the reader: destroy its key."`
	Reader string `help:"Part of the reader's name." placeholder:"NAME"`
	JSON   bool   `help:"Print JSON."`
}

// Run takes the card back.
func (c *ReturnCommand) Run(env Env) error {
	return about(env, c.Card, c.JSON, func(d Desk, k Card) (Card, error) {
		var reader *string
		if c.Wipe {
			reader = &c.Reader
		}
		return d.Return(env.Context(), k, c.Why, reader)
	})
}

func about(env Env, word string, asJSON bool, fn func(d Desk, k Card) (Card, error)) error {
	d, k, err := named(env, word)
	if err != nil {
		return err
	}
	if k, err = fn(d, k); err != nil {
		return err
	}
	return d.tell(env, k, asJSON, fmt.Sprintf("Card %s is %s.", k.Called(), k.State))
}

// CheckCommand is "seimon card check".
type CheckCommand struct {
	Card string `arg:"" help:"The card: printed number, own number or id."`
	PIN  string `name:"pin" required:"" help:"File with the PIN, or - to type it unseen or for standard input." placeholder:"FILE"`
	JSON bool   `help:"Print JSON."`
}

// Run says whether the letter carried the PIN.
func (c *CheckCommand) Run(env Env) error {
	d, k, err := named(env, c.Card)
	if err != nil {
		return err
	}
	pin, err := secret(env, c.PIN, false)
	if err != nil {
		return err
	}
	right, err := d.Check(env.Context(), k, pin)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), map[string]bool{"right": right})
	}
	says := "No: the letter carried another PIN."
	if right {
		says = "Yes: this is the PIN that the letter carried."
	}
	_, err = fmt.Fprintln(env.Out(), says)
	return err
}

// ListCommand is "seimon card list".
type ListCommand struct {
	User  string `arg:"" optional:"" help:"Only the cards of this user name."`
	State string `help:"Only cards in this state (${enum})." enum:"stock,personalising,personalised,handed,active,suspended,lost,replaced,returned," default:""`
	After string `help:"Go on after the card with this id."`
	Limit int    `help:"How many lines at most." default:"100"`
	JSON  bool   `help:"Print JSON."`
}

// Run prints one page of cards.
func (c *ListCommand) Run(env Env) error {
	d, err := env.Cards()
	if err != nil {
		return err
	}
	out := []shown{}
	err = d.DB.Read(env.Context(), func(tx *store.Tx) error {
		list, err := c.list(tx, d)
		if err != nil {
			return err
		}
		for _, k := range list {
			s, err := d.shown(tx, k)
			if err != nil {
				return err
			}
			out = append(out, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), out)
	}
	table := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "CARD\tNUMBER\tSTATE\tSINCE\tUSER\tID")
	for _, s := range out {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Label, s.Serial, s.State, s.Since.Format(time.DateOnly), s.User, s.ID)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if n := len(out); c.User == "" && n > 0 && n == c.Limit {
		fmt.Fprintf(env.Out(), "There may be more: --after %s\n", out[n-1].ID)
	}
	return nil
}

func (c *ListCommand) list(tx *store.Tx, d Desk) ([]Card, error) {
	if c.User == "" {
		return d.Book.List(tx, Filter{State: State(c.State), After: c.After, Limit: c.Limit})
	}
	a, _, err := d.People.ByUserName(tx, c.User)
	if errors.Is(err, directory.ErrNone) {
		err = fmt.Errorf("there is no account %q", c.User)
	}
	if err != nil {
		return nil, err
	}
	all, err := d.Book.ByAccount(tx, authn.AccountID(a.ID))
	var out []Card
	for _, k := range all {
		if c.State == "" || k.State == State(c.State) {
			out = append(out, k)
		}
	}
	return out, err
}

// ReadersCommand is "seimon card readers".
type ReadersCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run lists the readers.
func (c *ReadersCommand) Run(env Env) error {
	list, err := env.Readers()
	if err != nil {
		return err
	}
	type line struct {
		Name string `json:"name"`
		Card bool   `json:"card"`
	}
	out := []line{}
	for _, r := range list {
		out = append(out, line{r.Name, r.Present})
	}
	if c.JSON {
		return printJSON(env.Out(), out)
	}
	if len(out) == 0 {
		_, err := fmt.Fprintln(env.Out(), "No card reader is connected.")
		return err
	}
	for _, l := range out {
		says := "empty"
		if l.Card {
			says = "a card is in it"
		}
		fmt.Fprintf(env.Out(), "%s: %s\n", l.Name, says)
	}
	return nil
}
