package cards_test

import (
	"context"
	"net/http"
	"regexp"
	"testing"

	"seimon/internal/app/demo/vcard"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/card"
	"seimon/internal/card/piv"
	"seimon/internal/desk"
	"seimon/internal/desk/cards"
	"seimon/internal/desk/portal"
	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

type house struct {
	*logintest.House
	office card.Office
	in     *vcard.Card
}

func open(t *testing.T) *house {
	t.Helper()
	h := &house{House: logintest.New(t, []store.Schema{portal.Schema()},
		[]lang.Source{desk.Words(), portal.Words(), card.Words(), cards.Words()})}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(desk.Templates(h.Site))
	p, err := portal.New(portal.Rooms{Hall: h.Hall})
	must(err)
	must(h.Hall.Open(p))
	must(p.Found(t.Context()))
	h.Found()
	h.office = card.Office{
		DB: h.DB, Book: h.Cards, CA: h.CA, People: h.People, Seal: h.Ring, Actor: "desk",
		Holder: func(a directory.Account, p directory.Person) ca.Holder {
			return ca.Holder{Account: a.ID, Person: p.ID, Name: "Person " + a.UserName}
		},
		Insert: func(context.Context, string) (card.Slot, error) { return hand{h.in}, nil },
		Note:   func(*store.Tx, string, authn.AccountID, map[string]string) error { return nil },
	}
	p.AddPlace(cards.Home, "cards")
	_, err = cards.New(cards.Rooms{DB: h.DB, Site: h.Site, Cards: h.Cards, CA: h.CA, Lobby: p})
	must(err)
	must(h.Site.Check())
	return h
}

type hand struct{ *vcard.Card }

func (h hand) Close() error { h.Reset(); return nil }

func (h *house) browser() *webtest.Browser {
	b := webtest.New(h.T, logintest.Origin, h.Site.Handler())
	b.Address = logintest.Campus + ":40000"
	return b
}

// issue gives somebody a card and tells its row.
func (h *house) issue(user string) card.Card {
	h.T.Helper()
	var err error
	if h.in, err = vcard.New("", 10, 10); err != nil {
		h.T.Fatal(err)
	}
	ctx := h.T.Context()
	c, err := h.office.Stock(ctx, card.Supply{Label: "IC-" + user})
	if err == nil {
		c, err = h.office.Personalise(ctx, card.Order{User: user})
	}
	if err == nil {
		_, err = h.office.Print(ctx, c.ID)
	}
	if err == nil {
		c, err = h.office.HandOver(ctx, c.ID, "student-card")
	}
	if err != nil {
		h.T.Fatal(err)
	}
	return c
}

func (h *house) signedIn(user string) *webtest.Browser {
	h.T.Helper()
	return h.browser().Get("/portal/cards?lang=en").Submit("Continue", "username", user).Submit("Continue", "password", logintest.Password)
}

func TestMyCardTellsWhatCanBeKnown(t *testing.T) {
	h := open(t)
	a, other := h.Person("hanako"), h.Person("jiro")
	c := h.issue(a.UserName)
	theirs := h.issue(other.UserName)
	page := h.signedIn(a.UserName)
	page.WantStatus(http.StatusOK).Want("IC-hanako").Want("handed over").Want("Person hanako - IC card IC-hanako").Want("Not yet")
	page.Refuse(theirs.Called())
	if !regexp.MustCompile(`<code[^>]*>[0-9A-F]{2}(:<wbr>[0-9A-F]{2}){15}</code>`).MatchString(page.Body) {
		t.Error("a line breaks inside two digits of the number")
	}
	h.Write(func(tx *store.Tx) error { return h.office.Book.Used(tx, c.Certificate) })
	page.Get("/portal/cards").Want("in use").Want("6 April 2026")
}

// TestACardOfAnotherHouse: its page says whose it is, and who can unlock it.
func TestACardOfAnotherHouse(t *testing.T) {
	h := open(t)
	a := h.Person("hanako")
	c := h.issue(a.UserName)
	brought := h.Certificate(h.Person("jiro"))
	h.Write(func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE card_card SET certificate = '', puk = $1, brought = $2, tries = 0, seen = $3 WHERE id = $4", []byte{}, brought.DER, store.Millis(tx.Now), c.ID)
		return err
	})
	h.signedIn(a.UserName).Want("Issued by", "Example University User CA G1", brought.Tail(), "locked", "The office that gave you this card").Refuse("Only there can it be unlocked")
}

func TestALockedCardIsSaidSo(t *testing.T) {
	h := open(t)
	a := h.Person("hanako")
	c := h.issue(a.UserName)
	p, err := piv.Open(h.in)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if p.Verify("000001") == nil {
			t.Fatal("a wrong PIN was taken")
		}
	}
	page := h.signedIn(a.UserName).Want("10 PIN tries left")
	if _, err := h.office.Look(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	page.Get("/portal/cards").Want("locked").Want("it was locked when the desk last read it")
	page.Get("/portal/cards?lang=ja").Want("ロック中").Want("窓口")
	if _, err := h.office.Lose(t.Context(), c.ID, "lost"); err != nil {
		t.Fatal(err)
	}
	page.Get("/portal/cards?lang=en").Want("reported as lost")
}

func TestEverybodyCanReadHowToFindOut(t *testing.T) {
	h := open(t)
	for path, words := range map[string][2]string{
		"/card/number": {"My certificate number", "わたしの証明書の番号"},
		"/card/locked": {"Is my card locked?", "カードはロックされている？"},
	} {
		b := h.browser()
		b.Get(path+"?lang=en").WantStatus(http.StatusOK).Want(words[0], "Show my card")
		b.Get(path + "?lang=ja").WantStatus(http.StatusOK).Want(words[1])
	}
	h.signedIn(h.Person("saburo").UserName).Want("You have no IC card")
}
