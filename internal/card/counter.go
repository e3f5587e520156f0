package card

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/card/piv"
	"seimon/internal/directory"
	"seimon/internal/store"
)

// Documents lists the kinds of document that the desk may look at. Only the kind is
// kept, never a number.
func Documents() []string {
	return []string{"passport", "driving-licence", "residence-card", "my-number-card", "student-card", "staff-card"}
}

func checkDocument(kind string) error {
	if !slices.Contains(Documents(), kind) {
		return fmt.Errorf("%q is no kind of document; there are %v", kind, Documents())
	}
	return nil
}

func (o Office) prove(tx *store.Tx, c Card, act, document string) error {
	_, err := tx.Exec("INSERT INTO card_proof (card, account, person, act, document, at, by_whom) VALUES ($1,$2,$3,$4,$5,$6,$7)",
		c.ID, string(c.Account), string(c.Person), act, document, store.Millis(tx.Now), o.Actor)
	if err != nil {
		return err
	}
	_, err = o.People.Prove(tx, directory.Proof{
		Person: c.Person, Way: directory.InPerson, Documents: []string{document}, Place: "card desk", By: o.Actor,
	})
	return err
}

// HandOver notes that the person was given the card and the letter, after a look at a
// document. The card that it replaces stops working.
func (o Office) HandOver(ctx context.Context, id, document string) (c Card, err error) {
	if err := checkDocument(document); err != nil {
		return c, err
	}
	err = o.change(ctx, id, func(tx *store.Tx, fresh Card) (Card, error) {
		if fresh.Printed.IsZero() && fresh.State == Personalised {
			return fresh, fmt.Errorf("the PIN letter of card %s is not printed yet (seimon card letter)", fresh.Called())
		}
		if c, err = o.Book.move(tx, fresh, Handed, "", o.Actor); err != nil {
			return c, err
		}
		if err := o.prove(tx, c, "handover", document); err != nil {
			return c, err
		}
		if err := o.supersede(tx, c); err != nil {
			return c, err
		}
		return c, o.note(tx, "card.handed", c, "document", document)
	})
	return c, err
}

// supersede ends the card that this one replaces.
func (o Office) supersede(tx *store.Tx, c Card) error {
	if c.Replaces == "" {
		return nil
	}
	old, err := o.Book.Get(tx, c.Replaces)
	if err != nil || old.State == Returned {
		return err
	}
	if old, err = o.Book.move(tx, old, Replaced, "", o.Actor); err != nil {
		return err
	}
	old.ReplacedBy = c.ID
	if err := o.Book.save(tx, old); err != nil {
		return err
	}
	if err := o.revoke(tx, old, ca.Superseded); err != nil {
		return err
	}
	return o.note(tx, "card.replaced", old, "by", c.ID)
}

func (o Office) revoke(tx *store.Tx, c Card, why ca.Reason) error {
	if c.Certificate == "" {
		return o.cut(tx, c)
	}
	_, err := o.CA.Revoke(tx, c.Certificate, why, o.Actor)
	return err
}

// Activate notes that the person's PIN was seen to work, here at the desk.
func (o Office) Activate(ctx context.Context, c Card, reader string, pin authn.Secret) (_ Card, err error) {
	b, err := o.put(ctx, reader)
	if err != nil {
		return c, err
	}
	defer b.take(&err)
	if err := o.expect(ctx, b, c); err != nil {
		return c, err
	}
	if err := b.card.Verify(pin); err != nil {
		return c, o.wrongPIN(ctx, c, err)
	}
	err = o.change(ctx, c.ID, func(tx *store.Tx, fresh Card) (Card, error) {
		fresh.Tries, fresh.Seen = unknownTries, tx.Now
		if c = fresh; fresh.State != Handed {
			return fresh, nil
		}
		if c, err = o.Book.move(tx, fresh, Active, "PIN tried at the desk", o.Actor); err != nil {
			return c, err
		}
		return c, o.note(tx, "card.activated", c)
	})
	return c, err
}

// wrongPIN notes the tries left after a wrong PIN.
func (o Office) wrongPIN(ctx context.Context, c Card, cause error) error {
	left := unknownTries
	var wrong *piv.PINError
	if errors.As(cause, &wrong) {
		left = wrong.Left
	}
	if errors.Is(cause, piv.ErrBlocked) {
		left = 0
	}
	if left == unknownTries {
		return cause
	}
	return errors.Join(cause, o.change(ctx, c.ID, func(tx *store.Tx, fresh Card) (Card, error) {
		fresh.Tries, fresh.Seen = left, tx.Now
		return fresh, nil
	}))
}

// Mending is a request to unblock a card.
type Mending struct {
	Card     Card
	Reader   string
	Document string
	Why      string
	PIN      authn.Secret // of the person's own choice; "" lets the house choose one, with a letter
}

// Unblock gives the card a new PIN and all its tries, with the PUK that nobody sees.
func (o Office) Unblock(ctx context.Context, m Mending) (c Card, err error) {
	c = m.Card
	if err := checkDocument(m.Document); err != nil {
		return c, err
	}
	if m.Why == "" {
		return c, errors.New("a reason is needed, for the record")
	}
	if c.Elsewhere() {
		return c, fmt.Errorf("card %s was personalised elsewhere: only the office that did it can unblock it", c.Called())
	}
	if !c.State.Usable() {
		return c, fmt.Errorf("card %s is %s; only a card that its person has can be unblocked", c.Called(), c.State)
	}
	pin, own := m.PIN, m.PIN != ""
	if !own {
		pin = newPIN()
	}
	if err := piv.CheckPIN(pin); err != nil {
		return c, err
	}
	if weak(pin.Reveal()) {
		return c, errors.New("this PIN is among those that are guessed first; choose another")
	}
	b, err := o.put(ctx, m.Reader)
	if err != nil {
		return c, err
	}
	defer b.take(&err)
	if err := o.expect(ctx, b, c); err != nil {
		return c, err
	}
	// A number can be copied: the PUK goes only to a card that has our management key.
	if err := o.manage(b); err != nil {
		return c, err
	}
	puk, err := o.open(c, "puk", c.puk)
	if err != nil {
		return c, err
	}
	if err := o.intend(ctx, c, pin, own); err != nil {
		return c, err
	}
	if err := b.card.Unblock(puk, pin); errors.Is(err, piv.ErrBlocked) {
		return c, fmt.Errorf("%w (%w)", ErrDead, err)
	} else if err != nil {
		return c, err
	}
	tries, err := b.tries()
	if err != nil {
		return c, err
	}
	err = o.change(ctx, c.ID, func(tx *store.Tx, fresh Card) (Card, error) {
		fresh.Tries, fresh.Seen, fresh.PINMade, fresh.LockAfter = tries, tx.Now, tx.Now, max(tries, 0)
		c = fresh
		if err := o.prove(tx, c, "unblock", m.Document); err != nil {
			return c, err
		}
		return c, o.note(tx, "card.unblocked", c, "why", m.Why, "document", m.Document)
	})
	return c, err
}

// intend writes the new PIN down before the card has it; one that the person chose is
// never written down.
func (o Office) intend(ctx context.Context, c Card, pin authn.Secret, own bool) error {
	return o.change(ctx, c.ID, func(tx *store.Tx, fresh Card) (Card, error) {
		fresh.pin, fresh.pinMAC, fresh.PINMade = nil, nil, time.Time{}
		if !own {
			fresh.pin, fresh.pinMAC, fresh.Printed = o.close(fresh, "pin", pin), o.pinMAC(fresh, pin), time.Time{}
		}
		return fresh, nil
	})
}

// Suspend puts card and certificate on hold.
func (o Office) Suspend(ctx context.Context, id, why string) (Card, error) {
	return o.end(ctx, id, ending{Suspended, ca.Hold, "card.suspended", why})
}

// Lose ends a lost card for good.
func (o Office) Lose(ctx context.Context, id, why string) (Card, error) {
	return o.end(ctx, id, ending{Lost, ca.KeyCompromise, "card.lost", why})
}

type ending struct {
	to     State
	reason ca.Reason
	event  string
	why    string
}

func (o Office) end(ctx context.Context, id string, e ending) (c Card, err error) {
	if e.why == "" {
		return c, errors.New("a reason is needed, for the record")
	}
	err = o.change(ctx, id, func(tx *store.Tx, fresh Card) (Card, error) {
		if c, err = o.Book.move(tx, fresh, e.to, e.why, o.Actor); err != nil {
			return c, err
		}
		if err := o.revoke(tx, c, e.reason); err != nil {
			return c, err
		}
		return c, o.note(tx, e.event, c, "why", e.why)
	})
	return c, err
}

// Resume ends a suspension: the card that was found works again.
func (o Office) Resume(ctx context.Context, id, why string) (c Card, err error) {
	err = o.change(ctx, id, func(tx *store.Tx, fresh Card) (Card, error) {
		if fresh.State != Suspended {
			return fresh, fmt.Errorf("card %s is not suspended; it is %s", fresh.Called(), fresh.State)
		}
		to := Active
		if fresh.Used.IsZero() {
			to = Handed
		}
		if c, err = o.Book.move(tx, fresh, to, why, o.Actor); err != nil {
			return c, err
		}
		if len(c.Brought) > 0 {
			return c, errors.Join(o.join(tx, c), o.note(tx, "card.resumed", c, "why", why))
		}
		back, err := o.CA.Restore(tx, c.Certificate, o.Actor)
		if err != nil {
			return c, err
		}
		if back.State != ca.Active {
			return c, fmt.Errorf("the certificate of card %s was revoked meanwhile (%s); give the person another card", c.Called(), back.Reason)
		}
		return c, o.note(tx, "card.resumed", c, "why", why)
	})
	return c, err
}

// Return takes a card back, or writes off one that was destroyed. With a reader its
// private key is destroyed too; wipe tells to look for the card there.
func (o Office) Return(ctx context.Context, c Card, why string, wipe *string) (_ Card, err error) {
	if err := c.may(Returned); err != nil {
		return c, err
	}
	if wipe != nil {
		if err := o.wipe(ctx, c, *wipe); err != nil {
			return c, err
		}
	}
	if why == "" {
		why = "returned"
	}
	return o.end(ctx, c.ID, ending{Returned, ca.CessationOfOperation, "card.returned", why})
}

func (o Office) wipe(ctx context.Context, c Card, reader string) (err error) {
	b, err := o.put(ctx, reader)
	if err != nil {
		return err
	}
	defer b.take(&err)
	if err := o.expect(ctx, b, c); err != nil {
		return err
	}
	return o.erase(b, c)
}
