package card

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/card/piv"
	"seimon/internal/store"
)

// Houses judges and binds the certificates that cards bring along.
type Houses interface {
	// Judge tells what a certificate is worth (ca/trust).
	Judge(tx *store.Tx, chain []*x509.Certificate) (trust.Verdict, error)
	// Pin binds a certificate of another house to an account by its serial.
	Pin(tx *store.Tx, house string, c *x509.Certificate, account authn.AccountID) error
	// Cut takes a certificate of another house out of use, with all that rests on it.
	Cut(tx *store.Tx, account authn.AccountID, c *x509.Certificate) error
	// Join binds it to the account to which it leads, also after Cut.
	Join(tx *store.Tx, c *x509.Certificate) error
}

// Adoption asks for a card to be registered that was personalised elsewhere.
type Adoption struct {
	User     string
	Label    string
	Reader   string
	Document string
	PIN      authn.Secret // typed by the person: the card proves that it has the key
}

// Adopt registers a card that another office personalised, such as a service of the
// maker or another house, with the certificate that is on it. The person is at the desk:
// the PIN opens the key, and the key proves that the card is what its certificate says.
func (o Office) Adopt(ctx context.Context, a Adoption) (c Card, err error) {
	if err := errors.Join(checkLabel(a.Label), checkDocument(a.Document)); err != nil {
		return c, err
	}
	b, err := o.put(ctx, a.Reader)
	if err != nil {
		return c, err
	}
	defer b.take(&err)
	cert, err := b.proven(a.PIN)
	if err != nil {
		return c, err
	}
	tries, err := b.tries()
	if err != nil {
		return c, err
	}
	err = o.DB.Write(ctx, func(tx *store.Tx) error {
		account, p, err := o.person(tx, a.User)
		if err != nil {
			return err
		}
		fresh, err := o.arrived(tx, b.serial, a.Label)
		if err != nil {
			return err
		}
		fresh.Account, fresh.Person, fresh.Algorithm = account.ID, p.ID, ca.KeyKind(cert.PublicKey)
		fresh.Tries, fresh.Seen, fresh.LockAfter = tries, tx.Now, 0
		if err := o.brought(tx, &fresh, cert, a.User); err != nil {
			return err
		}
		c, err = o.enter(tx, fresh, a.Document)
		return err
	})
	return c, err
}

// proven reads the certificate of the card and lets its key sign.
func (b *bench) proven(pin authn.Secret) (*x509.Certificate, error) {
	if b.serial == "" {
		return nil, errors.New("this card has neither a number nor a GUID by which it could be known again: only the office that personalised it can give it one")
	}
	cert, err := b.card.Certificate()
	if errors.Is(err, piv.ErrNotFound) {
		return nil, errors.New("there is no certificate on this card: personalise it (seimon card stock, seimon card personalise)")
	}
	if err != nil {
		return nil, err
	}
	if err := b.card.Verify(pin); err != nil {
		return nil, err
	}
	if err := possesses(b.card, cert.PublicKey); err != nil {
		return nil, fmt.Errorf("the card does not have the key of its certificate: %w", err)
	}
	return cert, nil
}

// arrived is the row of a card that comes in with a certificate: one from a delivery
// note, or a new one.
func (o Office) arrived(tx *store.Tx, serial, label string) (Card, error) {
	c, err := o.Book.BySerial(tx, serial)
	switch {
	case errors.Is(err, ErrNone):
		c, err = o.Book.add(tx, Card{Serial: serial, Label: label, By: o.Actor})
		if err == nil {
			err = o.note(tx, "card.stocked", c)
		}
	case err == nil && c.State != Stock:
		err = fmt.Errorf("card %s is registered already; it is %s", c.Called(), c.State)
	case err == nil && label != "":
		c.Label = label
	}
	return c, err
}

// brought judges the certificate on the card and writes down which it is.
func (o Office) brought(tx *store.Tx, c *Card, cert *x509.Certificate, user string) error {
	v, err := o.Houses.Judge(tx, []*x509.Certificate{cert})
	if err != nil {
		return err
	}
	called := fmt.Sprintf("the certificate on the card (%s, ends with %s, of %s)", v.Name, v.Tail, v.Issuer)
	switch {
	case v.Fault != nil && v.Fault.Code == "C7.unknown":
		return fmt.Errorf("%s is of a house that is not trusted here: seimon ca trust add", called)
	case v.Fault != nil:
		return fmt.Errorf("%s does not count here: %s %v", called, v.Fault.Code, v.Fault.Facts)
	case v.Account != "" && v.Account != c.Account:
		return fmt.Errorf("%s belongs to another account than %s", called, user)
	case v.Certificate.ID != "":
		return o.broughtOurs(tx, c, v, called)
	}
	if v.Account == "" {
		if err := o.Houses.Pin(tx, v.Foreign, cert, c.Account); err != nil {
			return err
		}
	}
	c.Brought = cert.Raw
	return o.held(tx, broughtBy+fingerprint(cert.Raw), called)
}

// broughtOurs takes a certificate that we issued for a key on a card elsewhere.
func (o Office) broughtOurs(tx *store.Tx, c *Card, v trust.Verdict, called string) error {
	if !v.Hardware {
		return fmt.Errorf("%s says that its key is in software (profile %s): one for a card is issued with seimon cert issue --profile card", called, v.Certificate.Profile)
	}
	c.Certificate = v.Certificate.ID
	return o.held(tx, c.Certificate, called)
}

// held refuses a certificate that another card has.
func (o Office) held(tx *store.Tx, certificate, called string) error {
	other, err := o.Book.ByCertificate(tx, certificate)
	switch {
	case errors.Is(err, ErrNone), err == nil && other.State == Returned:
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%s is that of card %s in the register", called, other.Called())
}

// enter brings the card into use: its person has it and knows its PIN.
func (o Office) enter(tx *store.Tx, c Card, document string) (Card, error) {
	c, err := o.Book.move(tx, c, Handed, "personalised elsewhere", o.Actor)
	if err == nil {
		c, err = o.Book.move(tx, c, Active, "PIN tried at the desk", o.Actor)
	}
	if err == nil {
		err = o.Book.save(tx, c)
	}
	if err == nil {
		err = o.prove(tx, c, "adopt", document)
	}
	if err == nil && len(c.Brought) > 0 { // one that came back to its person counts again
		err = o.join(tx, c)
	}
	if err != nil {
		return c, err
	}
	return c, o.note(tx, "card.adopted", c, "document", document, "certificate", c.Certificate, "fingerprint", fingerprint(c.Brought))
}

// cut takes a brought certificate out of use together with its card.
func (o Office) cut(tx *store.Tx, c Card) error {
	if len(c.Brought) == 0 {
		return nil
	}
	cert, err := x509.ParseCertificate(c.Brought)
	if err != nil {
		return err
	}
	return o.Houses.Cut(tx, c.Account, cert)
}

// join makes a brought certificate count again.
func (o Office) join(tx *store.Tx, c Card) error {
	cert, err := x509.ParseCertificate(c.Brought)
	if err != nil {
		return err
	}
	return o.Houses.Join(tx, cert)
}
