package card

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/card/pcsc"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// Env is what the building gives to the commands.
type Env interface {
	Context() context.Context
	Out() io.Writer
	// Open opens a named file, or standard input for "-".
	Open(name string) (io.ReadCloser, error)
	// Create makes a file that only its owner can read; it refuses to overwrite.
	Create(name string) (io.WriteCloser, error)
	// Readers lists the card readers of this machine.
	Readers() ([]pcsc.Reader, error)
	// Cards opens the register and what belongs to changing it.
	Cards() (Desk, error)
}

// Desk is the office with what letters need.
type Desk struct {
	Office
	Words      *lang.Words
	University string // the name on letters
}

// Command is "seimon card" with its verbs.
type Command struct {
	Stock       StockCommand       `cmd:"" help:"Register the card in the reader."`
	Personalise PersonaliseCommand `cmd:"" help:"Make the card in the reader somebody's; goes on where it was interrupted."`
	Adopt       AdoptCommand       `cmd:"" help:"Register a card that was personalised elsewhere, with the certificate on it."`
	Letter      LetterCommand      `cmd:"" help:"Print the letter with the PIN of a card, once."`
	Handover    HandoverCommand    `cmd:"" help:"Note that the person was given card and letter, after a look at a document."`
	Status      StatusCommand      `cmd:"" help:"Show a card, or the one in the reader, with the PIN tries it has left."`
	Unblock     UnblockCommand     `cmd:"" help:"Give the card in the reader a new PIN and all its tries."`
	Suspend     SuspendCommand     `cmd:"" help:"Put a card on hold for a while."`
	Resume      ResumeCommand      `cmd:"" help:"End a suspension."`
	Lost        LostCommand        `cmd:"" help:"End a lost card for good."`
	Replace     ReplaceCommand     `cmd:"" help:"Personalise the card in the reader in place of another one."`
	Return      ReturnCommand      `cmd:"" help:"Take a card back, or write it off."`
	List        ListCommand        `cmd:"" help:"List cards."`
	Check       CheckCommand       `cmd:"" help:"Say whether a PIN is the one that the letter of a card carried."`
	Readers     ReadersCommand     `cmd:"" help:"List the card readers of this machine."`
}

// named is the desk, and the card that a word names.
func named(env Env, word string) (d Desk, c Card, err error) {
	if d, err = env.Cards(); err == nil {
		c, err = d.find(env.Context(), word)
	}
	return d, c, err
}

// find is how commands name a card.
func (d Desk) find(ctx context.Context, word string) (c Card, err error) {
	err = d.DB.Read(ctx, func(tx *store.Tx) error {
		c, err = d.Book.Find(tx, word)
		return err
	})
	if errors.Is(err, ErrNone) {
		err = fmt.Errorf("there is no card %q", word)
	}
	return c, err
}

// hider is an opened input into which somebody types: what is typed need not be shown.
type hider interface {
	Hidden(prompt string) (string, error)
}

// secret reads a PIN: the first line of a file or of standard input, or what somebody
// types, which is not shown. A new PIN that nobody sees is typed twice.
func secret(env Env, name string, fresh bool) (authn.Secret, error) {
	f, err := env.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	if t, ok := f.(hider); ok {
		return typed(t, fresh)
	}
	text, err := io.ReadAll(io.LimitReader(f, 64))
	line, _, _ := strings.Cut(string(text), "\n")
	return authn.Secret(strings.TrimSpace(line)), err
}

func typed(t hider, fresh bool) (authn.Secret, error) {
	text, err := t.Hidden("PIN: ")
	if err != nil || !fresh {
		return authn.Secret(strings.TrimSpace(text)), err
	}
	again, err := t.Hidden("The same PIN again: ")
	if err == nil && text != again {
		err = errors.New("the two PINs differ; nothing was changed")
	}
	return authn.Secret(strings.TrimSpace(text)), err
}

// shown is a card as JSON.
type shown struct {
	ID          string     `json:"id"`
	Serial      string     `json:"serial"`
	Label       string     `json:"label,omitempty"`
	State       State      `json:"state"`
	Since       time.Time  `json:"since"`
	Why         string     `json:"why,omitempty"`
	By          string     `json:"by"`
	User        string     `json:"user,omitempty"`
	Certificate string     `json:"certificate,omitempty"`
	Algorithm   string     `json:"algorithm,omitempty"`
	LetterWaits bool       `json:"letter_waits"`
	Printed     *time.Time `json:"printed,omitempty"`
	Tries       *int       `json:"tries,omitempty"`
	Seen        *time.Time `json:"seen,omitempty"`
	Used        *time.Time `json:"used,omitempty"`
	Elsewhere   bool       `json:"personalised_elsewhere,omitempty"`
	Replaces    string     `json:"replaces,omitempty"`
	ReplacedBy  string     `json:"replaced_by,omitempty"`
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (d Desk) shown(tx *store.Tx, c Card) (shown, error) {
	s := shown{
		ID: c.ID, Serial: c.Serial, Label: c.Label, State: c.State, Since: c.Since, Why: c.Why, By: c.By, Certificate: c.Certificate,
		Algorithm: c.Algorithm, LetterWaits: c.Letter(), Printed: when(c.Printed), Seen: when(c.Seen), Used: when(c.Used),
		Replaces: c.Replaces, ReplacedBy: c.ReplacedBy, Elsewhere: c.Elsewhere(),
	}
	if len(c.Brought) > 0 {
		cert, err := x509.ParseCertificate(c.Brought)
		if err != nil {
			return s, err
		}
		s.Certificate = cert.Subject.String() + ", of " + cert.Issuer.String()
	}
	if c.Tries != unknownTries {
		s.Tries = &c.Tries
	}
	if c.Account == "" {
		return s, nil
	}
	a, _, err := d.People.ByID(tx, c.Account)
	s.User = a.UserName
	return s, err
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// tell prints what became of a card.
func (d Desk) tell(env Env, c Card, asJSON bool, sentence string) error {
	if !asJSON {
		_, err := fmt.Fprintln(env.Out(), sentence)
		return err
	}
	var s shown
	err := d.DB.Read(env.Context(), func(tx *store.Tx) (err error) {
		s, err = d.shown(tx, c)
		return err
	})
	if err != nil {
		return err
	}
	return printJSON(env.Out(), s)
}
