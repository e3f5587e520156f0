package cards

import (
	"crypto/x509"
	"embed"
	"errors"
	"io/fs"
	"net/http"
	"time"

	"seimon/internal/ca"
	"seimon/internal/card"
	"seimon/internal/desk"
	"seimon/internal/lang"
	"seimon/internal/store"
	"seimon/internal/web"
)

//go:embed words templates
var files embed.FS

// Words is what the pages say.
func Words() lang.Source { return lang.Source{Room: "cards", Files: files} }

// Home is the page of one's own cards.
const Home = "/portal/cards"

// Lobby is the door that signed-in people come through; the portal is one.
type Lobby interface {
	Page(h func(desk.Visit) error) web.Handler
	Show(v desk.Visit, view web.View) error
}

// Rooms are the rooms below that the desk arranges.
type Rooms struct {
	DB    *store.DB
	Site  *web.Site
	Cards *card.Book
	CA    *ca.Authority
	Lobby Lobby
}

// Desk is the person's desk for IC cards.
type Desk struct{ Rooms }

// New mounts the pages.
func New(r Rooms) (*Desk, error) {
	sub, err := fs.Sub(files, "templates")
	if err != nil {
		return nil, err
	}
	if err := r.Site.Templates(sub); err != nil {
		return nil, err
	}
	d := &Desk{r}
	d.Site.Page("GET "+Home, d.Lobby.Page(d.mine))
	d.Site.Page("GET /card/number", d.guide("number", "windows", "mac", "linux", "firefox"))
	d.Site.Page("GET /card/locked", d.guide("locked", "windows", "opensc", "chrome"))
	return d, nil
}

// cardView is one card as its person sees it.
type cardView struct {
	Name   string // printed on the card, or its own number
	State  card.State
	Tone   string
	Since  time.Time
	Usable bool

	Certificate string   // its common name
	Elsewhere   bool     // personalised by another office
	Issuer      string   // whose it is, when it is of another house
	Serial      []string // in groups of two digits
	Tail        string
	Until       time.Time
	Expired     bool

	Used   time.Time
	Locked bool
	Tries  int // when last seen at the desk; -1 unknown
	Seen   time.Time
	Letter time.Time
}

// page is the person's cards: those that can be used, and those of earlier days.
type page struct {
	Cards, Former []cardView
}

func (d *Desk) mine(v desk.Visit) error {
	var p page
	err := d.DB.Read(v.R.Context(), func(tx *store.Tx) error {
		p = page{}
		list, err := d.Cards.ByAccount(tx, v.Account.ID)
		if err != nil {
			return err
		}
		for _, c := range list {
			one, err := d.view(tx, c)
			if err != nil {
				return err
			}
			if c.State == card.Replaced || c.State == card.Returned {
				p.Former = append(p.Former, one)
			} else if c.State != card.Personalising {
				p.Cards = append(p.Cards, one)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.Lobby.Show(v, web.View{Template: "cards.mine", Title: "cards.mine.title", Data: p})
}

func (d *Desk) view(tx *store.Tx, c card.Card) (cardView, error) {
	out := cardView{
		Name: c.Called(), State: c.State, Tone: tone(c), Since: c.Since, Usable: c.State.Usable(), Used: c.Used,
		Locked: c.Locked() && c.State.Usable(), Tries: c.Tries, Seen: c.Seen, Letter: c.Printed, Elsewhere: c.Elsewhere(),
	}
	if len(c.Brought) > 0 {
		return out, out.brought(c.Brought, tx.Now)
	}
	if c.Certificate == "" {
		return out, nil
	}
	cert, err := d.CA.Get(tx, c.Certificate)
	if errors.Is(err, ca.ErrNone) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Certificate, out.Serial, out.Tail, out.Until = cert.Name, pairs(cert.Serial), cert.Tail(), cert.NotAfter
	out.Expired = !tx.Now.Before(cert.NotAfter)
	return out, nil
}

// brought shows the certificate of another house.
func (v *cardView) brought(der []byte, now time.Time) error {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	serial := ca.SerialText(cert.SerialNumber)
	v.Certificate, v.Issuer, v.Serial, v.Tail, v.Until = cert.Subject.CommonName, cert.Issuer.CommonName, pairs(serial), ca.TailOf(serial), cert.NotAfter
	v.Expired = !now.Before(cert.NotAfter)
	return nil
}

// tone is the colour of a card's state.
func tone(c card.Card) string {
	switch {
	case c.State == card.Lost || c.State.Usable() && c.Locked():
		return "error"
	case c.State == card.Suspended:
		return "warn"
	case c.State.Usable():
		return "good"
	}
	return ""
}

// pairs cuts a serial into groups of two digits, as certificate viewers show it; a line
// breaks only between them.
func pairs(serial string) (out []string) {
	for i := 0; i < len(serial); i += 2 {
		out = append(out, serial[i:min(i+2, len(serial))])
	}
	return out
}

// guidePage tells everybody how to find something out on a computer.
type guidePage struct {
	Name    string
	Systems []string
}

func (d *Desk) guide(name string, systems ...string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return d.Site.Render(w, r, web.View{Template: "cards.guide", Title: "cards." + name + ".title", Data: guidePage{name, systems}})
	}
}
