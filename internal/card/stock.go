package card

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"seimon/internal/authn"
	"seimon/internal/card/piv"
	"seimon/internal/store"
)

// labelMax is the longest label, in characters; it stands in the certificate's name.
const labelMax = 20

func checkLabel(label string) error {
	if utf8.RuneCountInString(label) > labelMax || strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("the label must have at most %d printable characters", labelMax)
	}
	return nil
}

// serialForm is what identify makes of a card's number.
var serialForm = regexp.MustCompile(`^(Y[1-9][0-9]{0,9}|G[0-9a-f]{32})$`)

// Supply is a card that comes into the stock.
type Supply struct {
	Serial string // from a delivery note; "" for the card in a reader
	Label  string
	Reader string
	Given  Given // what the maker told of it
}

// Stock registers a card. One in a reader that came back is made new: it gets the PIN
// and PUK that it was delivered with, key and certificate go.
func (o Office) Stock(ctx context.Context, s Supply) (c Card, err error) {
	if err := checkLabel(s.Label); err != nil {
		return c, err
	}
	if s.Serial != "" {
		return o.stockSerial(ctx, s)
	}
	b, err := o.put(ctx, s.Reader)
	if err != nil {
		return c, err
	}
	defer b.take(&err)
	b.given = s.Given
	if b.serial == "" { // a card without any number gets a GUID, by which it is known from now on
		if err := o.name(b); err != nil {
			return c, err
		}
	}
	old, err := o.former(ctx, b.serial)
	if err != nil {
		return c, err
	}
	if s.Given.empty() && old.ID != "" {
		if s.Given, err = o.told(old); err != nil {
			return c, err
		}
		b.given = s.Given
	}
	if len(s.Given.Management) > 0 {
		if err := o.manage(b); err != nil {
			return c, fmt.Errorf("the management key is not the one of this card: %w", err)
		}
	}
	if len(old.puk) > 0 {
		if err := o.renew(b, old); err != nil {
			return c, err
		}
	}
	return o.register(ctx, Card{Serial: b.serial, Label: s.Label}, old.ID, s.Given)
}

// stockSerial registers a card by its number, as from a maker's delivery note.
func (o Office) stockSerial(ctx context.Context, s Supply) (Card, error) {
	serial, label := s.Serial, s.Label
	if !serialForm.MatchString(serial) {
		return Card{}, fmt.Errorf("%q is no card's number: Y and the maker's number, or G and the 32 digits of its GUID", serial)
	}
	old, err := o.former(ctx, serial)
	if err != nil {
		return Card{}, err
	}
	if len(old.puk) > 0 {
		return Card{}, fmt.Errorf("card %s was used before: put it into a reader to register it again", old.Called())
	}
	return o.register(ctx, Card{Serial: serial, Label: label}, "", s.Given)
}

// register writes the row, and forgets the secrets of the card's former life.
func (o Office) register(ctx context.Context, c Card, former string, g Given) (Card, error) {
	c.By = o.Actor
	err := o.DB.Write(ctx, func(tx *store.Tx) (err error) {
		fresh := c
		if fresh, err = o.Book.add(tx, fresh); err != nil {
			return err
		}
		if err := errors.Join(o.keep(&fresh, g), o.alone(tx, fresh), o.Book.save(tx, fresh)); err != nil {
			return err
		}
		if former != "" {
			if _, err := tx.Exec("UPDATE card_card SET puk = $1, pin = $1, given = $1, given_mac = $1 WHERE id = $2", []byte{}, former); err != nil {
				return err
			}
		}
		if err := o.note(tx, "card.stocked", fresh); err != nil {
			return err
		}
		c = fresh
		return nil
	})
	if errors.Is(err, ErrTaken) {
		err = fmt.Errorf("card %s is registered already", c.Serial)
	}
	return c, err
}

// former is the last life of a returned card whose PUK is still known, or no card;
// a card that is in use now is refused.
func (o Office) former(ctx context.Context, serial string) (out Card, err error) {
	err = o.DB.Read(ctx, func(tx *store.Tx) error {
		list, err := o.Book.list(tx, "WHERE serial = $1 ORDER BY created, id", serial)
		for _, c := range list {
			if c.State != Returned {
				return fmt.Errorf("card %s is registered already; it is %s", c.Called(), c.State)
			}
			if len(c.puk) > 0 {
				out = c
			}
		}
		return err
	})
	return out, err
}

// name gives a card a GUID.
func (o Office) name(b *bench) error {
	if err := o.factory(b); errors.Is(err, ErrForeign) {
		if err := o.manage(b); err != nil { // with the key that the maker told
			return err
		}
	} else if err != nil {
		return err
	}
	b.guid = newGUID()
	if err := b.card.SetCHUID(piv.CHUID{GUID: b.guid, Expires: o.DB.Now().UTC().AddDate(20, 0, 0).Truncate(day)}); err != nil {
		return err
	}
	return b.identify()
}

// renew brings a card of a former life back to the PIN and PUK that it was delivered
// with and takes key and certificate away. It may be repeated.
func (o Office) renew(b *bench, old Card) error {
	puk, err := o.open(old, "puk", old.puk)
	if err != nil {
		return err
	}
	if err := o.erase(b, old); err != nil {
		return err
	}
	pin, first := b.given.delivered()
	if err := b.card.Unblock(puk, pin); refused(err) { // repeated: the PUK is the first one already
		if err := b.card.Unblock(first, pin); err != nil {
			return fmt.Errorf("%w (%w)", ErrDead, err)
		}
		return nil
	} else if err != nil {
		return err
	}
	return b.card.ChangePUK(puk, first)
}

// erase destroys the private key by making another one in its place, and takes the
// certificate away.
func (o Office) erase(b *bench, c Card) error {
	if err := o.manage(b); errors.Is(err, ErrForeign) && c.Certificate == "" && !c.Elsewhere() {
		return nil // interrupted before anything was written
	} else if err != nil {
		return err
	}
	if _, err := b.card.Generate(piv.P256); err != nil {
		return err
	}
	return b.card.SetCertificate(nil)
}

// Read is what a card in a reader tells about itself.
type Read struct {
	Reader      string
	Serial      string
	Card        Card // zero when it is not registered
	Tries       int  // PIN tries left; -1 unknown
	Certificate string
	Matches     bool // the certificate on the card is the one in the register
}

// Look reads the card in a reader and notes how many tries its PIN has left.
func (o Office) Look(ctx context.Context, reader string) (out Read, err error) {
	b, err := o.put(ctx, reader)
	if err != nil {
		return out, err
	}
	defer b.take(&err)
	out = Read{Serial: b.serial}
	if out.Tries, err = b.tries(); err != nil {
		return out, err
	}
	on, err := b.card.Certificate()
	if err != nil && !errors.Is(err, piv.ErrNotFound) {
		return out, err
	}
	if on != nil {
		out.Certificate = on.Subject.CommonName
	}
	c, err := o.known(ctx, b)
	if errors.Is(err, ErrUnknown) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	err = o.DB.Write(ctx, func(tx *store.Tx) error {
		if c, err = o.Book.Get(tx, c.ID); err != nil {
			return err
		}
		c.Tries, c.Seen = out.Tries, tx.Now
		out.Card, out.Matches = c, false
		if err := o.Book.save(tx, c); err != nil || on == nil {
			return err
		}
		if c.Certificate == "" {
			out.Matches = string(c.Brought) == string(on.Raw)
			return nil
		}
		ours, err := o.CA.Get(tx, c.Certificate)
		out.Matches = err == nil && string(ours.DER) == string(on.Raw)
		return err
	})
	return out, err
}

// Locked tells whether the PIN of a card was locked when the desk last saw it.
func (c Card) Locked() bool { return c.Tries == 0 && !c.Seen.IsZero() }

// Check tells whether a PIN is the one that the house chose last: for a dispute about
// a letter. It leaves no trace of the PIN.
func (o Office) Check(ctx context.Context, c Card, pin authn.Secret) (bool, error) {
	if len(c.pinMAC) == 0 || c.PINMade.IsZero() {
		return false, errors.New("the present PIN of this card was not chosen by the house, or its change was interrupted")
	}
	right := equal(o.pinMAC(c, pin), c.pinMAC)
	return right, o.DB.Write(ctx, func(tx *store.Tx) error { return o.note(tx, "card.disputed", c, "right", fmt.Sprint(right)) })
}
