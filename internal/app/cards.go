package app

import (
	"context"
	"os"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/card"
	"seimon/internal/card/pcsc"
	"seimon/internal/desk"
	"seimon/internal/desk/cards"
	"seimon/internal/desk/portal"
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
		Note: func(tx *store.Tx, event string, account authn.AccountID, facts map[string]string) error {
			return h.Audit.Append(tx, audit.Event{Type: event, Account: account, Actor: actor, Facts: facts})
		},
	}
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
