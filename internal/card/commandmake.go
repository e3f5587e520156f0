package card

import (
	"errors"
	"fmt"

	"seimon/internal/authn"
	"seimon/internal/card/piv"
)

// StockCommand is "seimon card stock".
type StockCommand struct {
	Label  string `help:"Number that is printed on the card." placeholder:"TEXT"`
	Serial string `help:"Register by the card's number instead of reading it from the reader." placeholder:"NUMBER"`
	Given  string `help:"File with what the maker told of this card, or - for standard input: lines such as management 0A1B..., pin 123456, puk 12345678. For cards that cannot change their management key." placeholder:"FILE"`
	Reader string `help:"Part of the reader's name." placeholder:"NAME"`
	JSON   bool   `help:"Print JSON."`
}

// Run registers the card.
func (c *StockCommand) Run(env Env) error {
	d, err := env.Cards()
	if err != nil {
		return err
	}
	s := Supply{Serial: c.Serial, Label: c.Label, Reader: c.Reader}
	if c.Given != "" {
		f, err := env.Open(c.Given)
		if err != nil {
			return err
		}
		s.Given, err = ReadGiven(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", c.Given, err)
		}
	}
	k, err := d.Stock(env.Context(), s)
	if err != nil {
		return err
	}
	return d.tell(env, k, c.JSON, fmt.Sprintf("Card %s is in stock (%s).", k.Called(), k.Serial))
}

// PersonaliseCommand is "seimon card personalise".
type PersonaliseCommand struct {
	User      string `arg:"" help:"User name of the person whose card it will be."`
	Algorithm string `help:"Kind of key (${enum})." enum:"P-256,P-384,RSA-2048,RSA-3072" default:"P-256"`
	Reader    string `help:"Part of the reader's name." placeholder:"NAME"`
	JSON      bool   `help:"Print JSON."`
}

// Run personalises the card in the reader.
func (c *PersonaliseCommand) Run(env Env) error {
	d, err := env.Cards()
	if err != nil {
		return err
	}
	order, err := ordered(env, c.Algorithm, c.Reader, c.JSON)
	if err != nil {
		return err
	}
	order.User = c.User
	k, err := d.Personalise(env.Context(), order)
	if err != nil {
		return err
	}
	return d.tell(env, k, c.JSON, fmt.Sprintf("Card %s is personalised for %s. Next: print its letter, then hand both over.", k.Called(), c.User))
}

func ordered(env Env, algorithm, reader string, quiet bool) (Order, error) {
	alg, err := piv.AlgorithmNamed(algorithm)
	o := Order{Algorithm: alg, Reader: reader}
	if !quiet {
		says := map[string]string{
			"management": "Management key ...", "secrets": "PIN and PUK ...", "key": "Key, made on the card ...", "certificate": "Certificate ...", "writing": "Writing and reading back ...",
		}
		o.Progress = func(step string) { fmt.Fprintln(env.Out(), says[step]) }
	}
	return o, err
}

// AdoptCommand is "seimon card adopt".
type AdoptCommand struct {
	User     string `arg:"" help:"User name of the person whose card it is."`
	Label    string `help:"Number that is printed on the card." placeholder:"TEXT"`
	Document string `required:"" help:"Document that was looked at (${enum})." enum:"passport,driving-licence,residence-card,my-number-card,student-card,staff-card"`
	PIN      string `name:"pin" default:"-" help:"PIN that the person types: file, or - to type it unseen or for standard input." placeholder:"FILE"`
	Reader   string `help:"Part of the reader's name." placeholder:"NAME"`
	JSON     bool   `help:"Print JSON."`
}

// Run registers the card.
func (c *AdoptCommand) Run(env Env) error {
	d, err := env.Cards()
	if err != nil {
		return err
	}
	pin, err := secret(env, c.PIN, false)
	if err != nil {
		return err
	}
	k, err := d.Adopt(env.Context(), Adoption{User: c.User, Label: c.Label, Reader: c.Reader, Document: c.Document, PIN: pin})
	if err != nil {
		return err
	}
	return d.tell(env, k, c.JSON, fmt.Sprintf("Card %s of %s is in the register and active. Its office, not this one, can give it another PIN.", k.Called(), c.User))
}

// ReplaceCommand is "seimon card replace".
type ReplaceCommand struct {
	Card      string `arg:"" help:"The card to be replaced: printed number, own number or id."`
	Algorithm string `help:"Kind of key (${enum})." enum:"P-256,P-384,RSA-2048,RSA-3072" default:"P-256"`
	Reader    string `help:"Part of the reader's name." placeholder:"NAME"`
	JSON      bool   `help:"Print JSON."`
}

// Run personalises the new card for the holder of the old one.
func (c *ReplaceCommand) Run(env Env) error {
	d, old, err := named(env, c.Card)
	if err != nil {
		return err
	}
	order, err := ordered(env, c.Algorithm, c.Reader, c.JSON)
	if err != nil {
		return err
	}
	k, err := d.Replace(env.Context(), old, order)
	if err != nil {
		return err
	}
	return d.tell(env, k, c.JSON, fmt.Sprintf("Card %s is personalised. Card %s stops working when it is handed over.", k.Called(), old.Called()))
}

// LetterCommand is "seimon card letter".
type LetterCommand struct {
	Card   string `arg:"" help:"The card: printed number, own number or id."`
	Out    string `required:"" help:"File to write; it must not exist yet." placeholder:"FILE"`
	Format string `help:"Form of the letter (${enum})." enum:"html,text" default:"html"`
}

// Run writes the letter. The file is made before the PIN leaves the register, so that
// a full disk or a wrong path spoils no letter.
func (c *LetterCommand) Run(env Env) (err error) {
	d, k, err := named(env, c.Card)
	if err != nil {
		return err
	}
	if !k.Letter() {
		_, err := d.Print(env.Context(), k.ID) // says why
		return err
	}
	out, err := env.Create(c.Out)
	if err != nil {
		return err
	}
	defer func() {
		if bad := out.Close(); err == nil && bad != nil {
			err = bad
		}
	}()
	l, err := d.Print(env.Context(), k.ID)
	if err != nil {
		return err
	}
	write := l.HTML
	if c.Format == "text" {
		write = l.Text
	}
	if err := write(out, d.Words, d.University); err != nil {
		return fmt.Errorf("the letter is spoilt, give the card another PIN (seimon card unblock): %w", err)
	}
	_, err = fmt.Fprintf(env.Out(), "The letter of card %s is in %s. Print it, then destroy the file.\n", k.Called(), c.Out)
	return err
}

// HandoverCommand is "seimon card handover".
type HandoverCommand struct {
	Card     string `arg:"" help:"The card: printed number, own number or id."`
	Document string `required:"" help:"Document that was looked at (${enum})." enum:"passport,driving-licence,residence-card,my-number-card,student-card,staff-card"`
	PIN      string `name:"pin" help:"Let the person try the PIN in the reader here: file with the PIN, or - to type it unseen or for standard input." placeholder:"FILE"`
	Reader   string `help:"Part of the reader's name." placeholder:"NAME"`
	JSON     bool   `help:"Print JSON."`
}

// Run notes the hand-over.
func (c *HandoverCommand) Run(env Env) error {
	d, k, err := named(env, c.Card)
	if err != nil {
		return err
	}
	var pin authn.Secret
	if c.PIN != "" {
		if pin, err = secret(env, c.PIN, false); err != nil {
			return err
		}
	}
	if pin == "" || k.State != Handed { // a PIN that was not seen to work may be tried again
		if k, err = d.HandOver(env.Context(), k.ID, c.Document); err != nil {
			return err
		}
	}
	if pin != "" {
		if k, err = d.Activate(env.Context(), k, c.Reader, pin); err != nil {
			return fmt.Errorf("the card is handed over, but its PIN was not seen to work: %w", err)
		}
	}
	return d.tell(env, k, c.JSON, fmt.Sprintf("Card %s is %s.", k.Called(), k.State))
}
