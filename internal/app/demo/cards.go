package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"seimon/internal/app"
	"seimon/internal/app/demo/campus"
	"seimon/internal/app/demo/vcard"
	"seimon/internal/card"
	"seimon/internal/card/pcsc"
	"seimon/internal/store"
	"seimon/internal/web"
)

// virtualReader is how vsmartcard's readers are called at pcscd.
const virtualReader = "Virtual PCD"

// carried is a virtual IC card and the slot that it goes into.
type carried struct {
	User, Label string
	card        *vcard.Card
	slot        *vcard.Reader
}

// Held is a card as the announcement and the pages tell of it.
type Held struct {
	User   string `json:"user"`
	Label  string `json:"label"`
	PIN    string `json:"pin"`
	Tries  int    `json:"tries"`
	Inside bool   `json:"inside"`
}

func (c *carried) held() Held {
	return Held{c.User, c.Label, c.card.PIN(), c.card.Info().PINTries, c.slot.Inside()}
}

// needReader makes sure that virtual cards have a reader, before anything is built.
func needReader(ctx context.Context) error {
	list, err := pcsc.Readers(ctx, app.CardService())
	ours := slices.DeleteFunc(list, func(r pcsc.Reader) bool { return !strings.HasPrefix(r.Name, virtualReader) })
	if err == nil && len(ours) == 0 {
		err = errors.New("pcscd runs without a virtual reader")
	}
	if err == nil && ours[0].Present {
		err = errors.New("another virtual card is in the virtual reader")
	}
	if err != nil {
		return fmt.Errorf("%w.\nThe demo with IC cards needs pcscd and the virtual reader of vsmartcard "+
			"(Debian: apt install pcscd vsmartcard-vpcd opensc-pkcs11, then start pcscd).\nWithout --card the demo needs nothing", err)
	}
	return nil
}

// bearers are those who have cards: the first two of the staff without trouble.
func bearers() (out []campus.Person) {
	for _, p := range campus.People() {
		if p.Kind == "staff" && p.Trouble == campus.None && len(out) < 2 {
			out = append(out, p)
		}
	}
	return out
}

// issueCards makes a virtual card for each bearer, or finds the one of an earlier
// start, and puts the first into the reader.
func (t *Town) issueCards(ctx context.Context) error {
	for i, p := range bearers() {
		c := &carried{User: p.User, Label: fmt.Sprintf("DEMO-%d", i+1)}
		file := filepath.Join(t.dir, "card-"+p.User+".json")
		var err error
		if c.card, err = vcard.Load(file); errors.Is(err, fs.ErrNotExist) {
			c.card, err = vcard.New(file, 10, 10)
		}
		if err != nil {
			return err
		}
		if err := t.personalise(ctx, c); err != nil {
			return errors.Join(fmt.Errorf("the card of %s: %w", p.User, err), os.Remove(file))
		}
		c.slot = vcard.NewReader(vcard.Slot(i), c.card)
		t.cards = append(t.cards, c)
	}
	if len(t.cards) == 0 {
		return nil
	}
	return t.cards[0].insert(ctx)
}

// insert puts the card in and waits until pcscd sees it.
func (c *carried) insert(ctx context.Context) error {
	if err := c.slot.Insert(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		list, err := pcsc.Readers(ctx, app.CardService())
		if err != nil {
			tick.Stop()
			return err
		}
		if slices.ContainsFunc(list, func(r pcsc.Reader) bool { return r.Present && strings.HasPrefix(r.Name, virtualReader) }) {
			tick.Stop()
			return nil
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return errors.New("pcscd does not see the virtual card")
		case <-tick.C:
		}
	}
}

// hand is the virtual card held in the hand: no reader is needed to make it.
type hand struct{ *vcard.Card }

// Close resets the card, as a reader does.
func (h hand) Close() error { h.Reset(); return nil }

// personalise takes a card through the same desk as a real one.
func (t *Town) personalise(ctx context.Context, c *carried) error {
	o := t.house.CardOffice("demo", func(context.Context, string) (card.Slot, error) { return hand{c.card}, nil })
	k, err := t.registered(ctx, c)
	if errors.Is(err, card.ErrNone) {
		k, err = o.Stock(ctx, card.Supply{Label: c.Label})
	}
	if err != nil {
		return err
	}
	if k.State == card.Stock || k.State == card.Personalising {
		if k, err = o.Personalise(ctx, card.Order{User: c.User}); err != nil {
			return err
		}
	}
	if k.Letter() {
		if _, err := o.Print(ctx, k.ID); err != nil {
			return err
		}
	}
	if k.State == card.Personalised {
		_, err = o.HandOver(ctx, k.ID, "staff-card")
	}
	return err
}

func (t *Town) registered(ctx context.Context, c *carried) (k card.Card, err error) {
	err = t.house.DB.Read(ctx, func(tx *store.Tx) error {
		k, err = t.house.Cards.Find(tx, c.Label)
		return err
	})
	return k, err
}

// takeCards takes every card out of its reader.
func (t *Town) takeCards() {
	for _, c := range t.cards {
		if c.slot != nil {
			c.slot.Remove()
		}
	}
}

// cardOf finds the card of a person, or nil.
func (t *Town) cardOf(user string) *carried {
	for _, c := range t.cards {
		if c.User == user {
			return c
		}
	}
	return nil
}

// moveCard puts a card into its reader or takes it out.
func (p *pages) moveCard(w http.ResponseWriter, r *http.Request) error {
	c := p.cardOf(r.PathValue("user"))
	if c == nil {
		return p.missing(w, r)
	}
	switch r.PathValue("where") {
	case "in":
		if err := c.slot.Insert(r.Context()); err != nil {
			return p.site.Trouble(w, r, web.Trouble{
				Status: http.StatusBadGateway, Cause: web.Lang(r).T("demo.card.noreader"), Next: web.Lang(r).T("demo.card.noreader.next"),
				Actions: []web.Action{{Label: web.Lang(r).T("demo.nav.people"), URL: "/people/" + c.User}},
			})
		}
	case "out":
		c.slot.Remove()
	default:
		return p.missing(w, r)
	}
	http.Redirect(w, r, "/people/"+c.User, http.StatusSeeOther)
	return nil
}
