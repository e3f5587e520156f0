package app

import (
	"context"
	"crypto/x509"
	"os"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/card"
	"seimon/internal/card/pcsc"
	"seimon/internal/desk"
	"seimon/internal/desk/cards"
	"seimon/internal/desk/portal"
	"seimon/internal/factor"
	"seimon/internal/factor/clientcert"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// CardService is where the card service of this machine listens.
func CardService() string {
	if s := os.Getenv("PCSCLITE_CSOCK_NAME"); s != "" {
		return s
	}
	return pcsc.Socket
}

// Readers lists the card readers of this machine.
func (d *Desk) Readers() ([]pcsc.Reader, error) { return pcsc.Readers(d.ctx, CardService()) }

// Cards is what the commands about IC cards work with.
func (d *Desk) Cards() (card.Desk, error) {
	h, err := d.House()
	if err != nil {
		return card.Desk{}, err
	}
	return card.Desk{Office: h.CardOffice(d.Actor(), pcscSlot), Words: h.Words, University: h.name(lang.JA)}, nil
}

func pcscSlot(ctx context.Context, reader string) (card.Slot, error) {
	return pcsc.Open(ctx, CardService(), reader)
}

// CardOffice is the desk for IC cards: who works there, and how a card is taken.
func (h *House) CardOffice(actor string, insert func(ctx context.Context, reader string) (card.Slot, error)) card.Office {
	return card.Office{
		DB: h.DB, Book: h.Cards, CA: h.CA, People: h.People, Seal: h.Ring, Actor: actor, Holder: h.Holder, Insert: insert,
		Houses: houses{h},
		Note: func(tx *store.Tx, event string, account authn.AccountID, facts map[string]string) error {
			return h.Audit.Append(tx, audit.Event{Type: event, Account: account, Actor: actor, Facts: facts})
		},
	}
}

// houses judges and binds the certificates of other houses that cards bring along.
type houses struct{ h *House }

// Judge tells what a certificate is worth.
func (x houses) Judge(tx *store.Tx, chain []*x509.Certificate) (trust.Verdict, error) {
	return x.h.Trust.Judge(tx, chain)
}

// Pin binds a certificate to an account by its serial.
func (x houses) Pin(tx *store.Tx, house string, c *x509.Certificate, account authn.AccountID) error {
	return x.h.Trust.Pin(tx, house, trust.BySerial, c, account)
}

// Cut takes a certificate out of use, with every session that rests on it.
func (x houses) Cut(tx *store.Tx, account authn.AccountID, c *x509.Certificate) error {
	return x.h.cutCertificate(tx, ca.Certificate{Account: account, DER: c.Raw})
}

// Join binds it to the account to which it leads, also after Cut.
func (x houses) Join(tx *store.Tx, c *x509.Certificate) error {
	return x.bring(tx, c, clientcert.BringBack)
}

// bind is Join for what was not taken out of use.
func (x houses) bind(tx *store.Tx, c *x509.Certificate) error {
	return x.bring(tx, c, clientcert.Bring)
}

func (x houses) bring(tx *store.Tx, c *x509.Certificate, how func(*store.Tx, *factor.Bindings, trust.Verdict, *x509.Certificate) error) error {
	v, err := x.h.Trust.Judge(tx, []*x509.Certificate{c})
	if err != nil {
		return err
	}
	if v.Foreign != "" && v.Account != "" { // known, so that a later list of its issuer is held against it
		if err := x.h.Trust.Seen(tx, v.Foreign, c, v.Account); err != nil {
			return err
		}
	}
	return how(tx, x.h.Bindings, v, c)
}

// openCards opens the pages about one's own IC cards; they stand in the menu where
// certificates can be shown at all.
func openCards(h *House) error {
	lobby := h.Hall.Front(desk.Portal).(*portal.Portal)
	if h.Config.CertHost.Listen != "" {
		lobby.AddPlace(cards.Home, "cards")
	}
	h.OnIssue = append(h.OnIssue, h.Cards.Restored) // the end of a hold comes this way
	h.OnRevoke = append(h.OnRevoke, h.Cards.Revoked)
	_, err := cards.New(cards.Rooms{DB: h.DB, Site: h.Site, Cards: h.Cards, CA: h.CA, Lobby: lobby})
	return err
}
