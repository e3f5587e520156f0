package card

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/card/piv"
	"seimon/internal/directory"
	"seimon/internal/store"
)

// Order asks for a card to be personalised.
type Order struct {
	User      string
	Algorithm piv.Algorithm // 0 = P-256
	Reader    string
	Replaces  string // id of the card that this one is to follow
	// Progress is told before each step, by a word of its own; it may be nil.
	Progress func(step string)
}

// Personalise makes the card in the reader somebody's: its own management key, PIN and
// PUK, a key made on the card, a certificate. Begun before and interrupted, it goes on.
func (o Office) Personalise(ctx context.Context, order Order) (c Card, err error) {
	if order.Algorithm == 0 {
		order.Algorithm = piv.P256
	}
	b, err := o.put(ctx, order.Reader)
	if err != nil {
		return c, err
	}
	defer b.take(&err)
	if c, err = o.known(ctx, b); err != nil {
		return c, err
	}
	a, p, err := o.begin(ctx, &c, order)
	if err != nil {
		return c, err
	}
	step := func(name string) {
		if order.Progress != nil {
			order.Progress(name)
		}
	}
	step("management")
	if err := o.claim(b); errors.Is(err, ErrForeign) {
		return c, fmt.Errorf("%w; take it back (seimon card return), then adopt it with its certificate (seimon card adopt), "+
			"or register it with the key that its maker told (seimon card stock --given)", err)
	} else if err != nil {
		return c, err
	}
	step("secrets")
	if err := o.setSecrets(b, c); err != nil {
		return c, err
	}
	step("key")
	public, err := o.makeKey(ctx, b, &c)
	if err != nil {
		return c, err
	}
	step("certificate")
	cert, err := o.certify(ctx, &c, public, o.Holder(a, p))
	if err != nil {
		return c, err
	}
	step("writing")
	if err := o.inscribe(b, cert); err != nil {
		return c, err
	}
	tries, err := b.tries()
	if err != nil {
		return c, err
	}
	err = o.change(ctx, c.ID, func(tx *store.Tx, fresh Card) (Card, error) {
		fresh.Tries, fresh.Seen, fresh.LockAfter = tries, tx.Now, max(tries, 0)
		if c, err = o.Book.move(tx, fresh, Personalised, "", o.Actor); err != nil {
			return c, err
		}
		return c, o.note(tx, "card.personalised", c, "certificate", c.Certificate)
	})
	return c, err
}

// begin writes down for whom the card is to be, with PIN and PUK, before it is touched.
func (o Office) begin(ctx context.Context, c *Card, order Order) (a directory.Account, p directory.Person, err error) {
	pin, puk := newPIN(), newPUK()
	err = o.DB.Write(ctx, func(tx *store.Tx) error {
		fresh, err := o.Book.Get(tx, c.ID)
		if err != nil {
			return err
		}
		if a, p, err = o.person(tx, order.User); err != nil {
			return err
		}
		if !o.CA.Ready(tx) {
			return errors.New("no issuer is active: make one first (seimon ca init)")
		}
		if fresh.State == Personalising { // go on
			*c = fresh
			if fresh.Account != a.ID {
				return fmt.Errorf("card %s is being personalised for somebody else; finish that, or take the card back (seimon card return)", fresh.Called())
			}
			return nil
		}
		fresh.Account, fresh.Person, fresh.Algorithm, fresh.Replaces = a.ID, a.Person, order.Algorithm.String(), order.Replaces
		fresh.pin, fresh.puk, fresh.pinMAC = o.close(fresh, "pin", pin), o.close(fresh, "puk", puk), o.pinMAC(fresh, pin)
		fresh.PINMade = tx.Now
		if *c, err = o.Book.move(tx, fresh, Personalising, "", o.Actor); err != nil {
			return err
		}
		if err := o.Book.save(tx, *c); err != nil {
			return err
		}
		return o.note(tx, "card.begun", *c)
	})
	return a, p, err
}

// person finds the account and refuses one that may not sign in.
func (o Office) person(tx *store.Tx, user string) (directory.Account, directory.Person, error) {
	a, p, err := o.People.ByUserName(tx, user)
	if errors.Is(err, directory.ErrNone) {
		return a, p, fmt.Errorf("there is no account %q", user)
	}
	if err != nil {
		return a, p, err
	}
	if code, _ := a.Standing(tx.Now); code != "" && code != "P6" && code != "P7.early" {
		return a, p, fmt.Errorf("the account %s cannot have a card now: it is suspended or has ended (%s)", user, code)
	}
	return a, p, nil
}

// setSecrets gives the card the PIN and PUK that were written down.
func (o Office) setSecrets(b *bench, c Card) error {
	pin, err := o.open(c, "pin", c.pin)
	if err != nil {
		return err
	}
	puk, err := o.open(c, "puk", c.puk)
	if err != nil {
		return err
	}
	if err := b.card.Verify(pin); err == nil {
		return nil // set before an interruption; the PIN is always set last
	} else if !refused(err) {
		return err
	}
	first, firstPUK, err := b.delivered()
	if err != nil {
		return err
	}
	switch err := b.card.SetTries(lockAfter, lockAfter); {
	case err == nil: // which makes PIN and PUK the factory's
		first, firstPUK = piv.FactoryPIN, piv.FactoryPUK
	case !errors.Is(err, piv.ErrUnsupported):
		return err
	}
	if err := b.card.ChangePUK(firstPUK, puk); refused(err) {
		if err := b.card.ChangePUK(puk, puk); refused(err) {
			return fmt.Errorf("%w (%w)", ErrOtherPIN, err)
		} else if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := b.card.ChangePIN(first, pin); err != nil {
		return err
	}
	return b.card.Verify(pin)
}

// delivered shows the card the PIN that it came with, or the factory's, which it has
// after an interruption.
func (b *bench) delivered() (pin, puk authn.Secret, err error) {
	pin, puk = b.given.delivered()
	err = b.card.Verify(pin)
	if refused(err) && pin != piv.FactoryPIN {
		pin, puk = piv.FactoryPIN, piv.FactoryPUK
		err = b.card.Verify(pin)
	}
	if refused(err) {
		err = fmt.Errorf("%w (%w)", ErrOtherPIN, err)
	}
	return pin, puk, err
}

// refused tells whether a card said that a PIN or PUK is wrong, or locked.
func refused(err error) bool {
	var wrong *piv.PINError
	return errors.As(err, &wrong) || errors.Is(err, piv.ErrBlocked)
}

// makeKey makes the key on the card, or recognises the one made before an interruption.
func (o Office) makeKey(ctx context.Context, b *bench, c *Card) (crypto.PublicKey, error) {
	if len(c.PublicKey) > 0 {
		if public, err := x509.ParsePKIXPublicKey(c.PublicKey); err == nil && possesses(b.card, public) == nil {
			return public, nil
		}
	}
	alg, err := piv.AlgorithmNamed(c.Algorithm)
	if err != nil {
		return nil, err
	}
	public, err := b.card.Generate(alg)
	if err != nil {
		return nil, err
	}
	if err := possesses(b.card, public); err != nil {
		return nil, fmt.Errorf("the key that the card made does not work: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	return public, o.change(ctx, c.ID, func(tx *store.Tx, fresh Card) (Card, error) {
		fresh.PublicKey, fresh.Certificate = der, ""
		*c = fresh
		return fresh, nil
	})
}

// possesses lets the card sign something fresh and checks the signature: the card has
// the private half, and PIN, key and slot work together.
func possesses(card *piv.Card, public crypto.PublicKey) error {
	signer, err := card.Signer(public)
	if err != nil {
		return err
	}
	challenge := make([]byte, 32)
	rand.Read(challenge)
	sum := sha256.Sum256(challenge)
	signature, err := signer.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		return err
	}
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(k, sum[:], signature) {
			return nil
		}
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], signature) == nil {
			return nil
		}
	}
	return errors.New("the signature of the card is wrong")
}

// certify gets the certificate, or finds the one issued before an interruption.
func (o Office) certify(ctx context.Context, c *Card, public crypto.PublicKey, holder ca.Holder) (*x509.Certificate, error) {
	cert, err := o.issued(ctx, *c, public)
	if err != nil {
		return nil, err
	}
	if cert.ID == "" {
		prepared, err := o.CA.Prepare(ctx, ca.Order{Profile: ca.CardProfile, Holder: holder, Key: public, Label: c.device(), Card: c.ID})
		if err != nil {
			return nil, err
		}
		if cert, err = o.CA.Issue(ctx, prepared); err != nil {
			return nil, err
		}
	}
	parsed := cert.Parsed()
	if parsed == nil {
		return nil, fmt.Errorf("certificate %s cannot be read", cert.ID)
	}
	return parsed, o.change(ctx, c.ID, func(tx *store.Tx, fresh Card) (Card, error) {
		fresh.Certificate = cert.ID
		*c = fresh
		return fresh, nil
	})
}

// issued finds an active certificate for this card and key.
func (o Office) issued(ctx context.Context, c Card, public crypto.PublicKey) (out ca.Certificate, err error) {
	hash, err := ca.KeyHash(public)
	if err != nil {
		return out, err
	}
	err = o.DB.Read(ctx, func(tx *store.Tx) error {
		list, err := o.CA.ByKey(tx, hash)
		for _, x := range list {
			if x.State == ca.Active && x.Card == c.ID && x.Account == c.Account {
				out = x
			}
		}
		return err
	})
	return out, err
}

// device is how the card is called in its certificate.
func (c Card) device() string {
	if c.Label != "" {
		return "IC card " + c.Label
	}
	return "IC card"
}

// inscribe writes certificate and names, and reads them back.
func (o Office) inscribe(b *bench, cert *x509.Certificate) error {
	if err := b.card.SetCertificate(cert); err != nil {
		return err
	}
	if b.guid == [16]byte{} {
		rand.Read(b.guid[:])
	}
	if err := b.card.SetCHUID(piv.CHUID{GUID: b.guid, Expires: cert.NotAfter.UTC().Truncate(day)}); err != nil {
		return err
	}
	if err := b.card.SetCCC(b.guid); err != nil {
		return err
	}
	back, err := b.card.Certificate()
	if err != nil {
		return err
	}
	if !bytes.Equal(back.Raw, cert.Raw) {
		return errors.New("the card gives back another certificate than was written")
	}
	return possesses(b.card, cert.PublicKey)
}

// Replace personalises the card in the reader for the holder of another one, which
// is replaced when the new one is handed over.
func (o Office) Replace(ctx context.Context, old Card, order Order) (Card, error) {
	if err := old.may(Replaced); err != nil {
		return Card{}, err
	}
	var a directory.Account
	err := o.DB.Read(ctx, func(tx *store.Tx) (err error) {
		a, _, err = o.People.ByID(tx, old.Account)
		return err
	})
	if err != nil {
		return Card{}, err
	}
	order.User, order.Replaces = a.UserName, old.ID
	return o.Personalise(ctx, order)
}
