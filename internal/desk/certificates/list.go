package certificates

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/desk"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/web"
)

// item is one certificate as its owner sees it.
type item struct {
	ca.Certificate
	Stand     string // active, soon, early, expired, replaced, held, revoked: words certificates.stand.STAND
	Left      int    // percent of its life that is left
	Days      int    // days until its end, the last one counted whole
	Used      time.Time
	Renew     string // why it can be renewed now: "due", "mail"; empty: it cannot
	From      time.Time
	NewMail   string          // the address that the person has now, when it is another
	MailSince time.Time       // since when, if that is known
	Newer     *ca.Certificate // the one that replaced it
	Foreign   string          // user name of the person's other account, when it belongs to that
}

// Usable tells whether the certificate can be used now.
func (i item) Usable() bool { return i.Stand == "active" || i.Stand == "soon" }

// Revocable tells whether there is something to take out of use: one that was replaced
// still opens the wireless network and the VPN until its day.
func (i item) Revocable() bool {
	return i.Usable() || i.Stand == "replaced" || i.Stand == "early" || i.Stand == "held"
}

// Over tells whether the device needs another certificate.
func (i item) Over() bool { return i.Stand == "revoked" || i.Stand == "expired" }

// Tone is the colour of its badge.
func (i item) Tone() string {
	switch i.Stand {
	case "active":
		return "good"
	case "soon", "early", "held":
		return "warn"
	case "revoked", "expired":
		return "error"
	}
	return ""
}

// judge tells how a certificate stands at a moment.
func judge(c ca.Certificate, now time.Time) item {
	i := item{Certificate: c, Days: wholeDays(c.NotAfter.Sub(now)), From: c.NotAfter.Add(-soon)}
	// Short lives are shown on the scale of a year: ten days are little, whatever they are of.
	life := max(c.NotAfter.Sub(c.NotBefore), 365*day)
	i.Left = int(max(0, min(100, 100*c.NotAfter.Sub(now)/life)))
	switch {
	case c.State == ca.Revoked && c.Reason == ca.Hold && now.Before(c.NotAfter):
		i.Stand = "held"
	case c.State == ca.Revoked:
		i.Stand = "revoked"
	case !now.Before(c.NotAfter):
		i.Stand = "expired"
	case c.ReplacedBy != "":
		i.Stand = "replaced"
	case now.Before(c.NotBefore):
		i.Stand = "early"
	case c.NotAfter.Sub(now) <= soon:
		i.Stand = "soon"
	default:
		i.Stand = "active"
	}
	return i
}

// renewable tells why a certificate can be renewed now. What was revoked or replaced
// never can, and what is on a card is renewed at the card office.
func (i *item) renewable(p directory.Person) {
	if i.State != ca.Active || i.ReplacedBy != "" || i.Card != "" {
		return
	}
	if i.Mail != "" && p.Mail != "" && i.Mail != p.Mail {
		i.NewMail, i.Renew = p.Mail, "mail"
	}
	if i.Stand == "soon" || i.Stand == "expired" {
		i.Renew = "due"
	}
}

// listPage is "my certificates".
type listPage struct {
	view
	Ready   bool
	Current []item
	Past    []item
	Others  []item // of the person's other accounts
	Limit   int
	Count   int
	May     bool // a new one may be made from here
	Full    bool
	Zone    string
	Rule    policy.EnrolmentRule
	Wifi    bool
}

func (d *Desk) list(v desk.Visit) error {
	page := &listPage{view: d.top(v), Wifi: d.Wifi.SSID != ""}
	err := d.DB.Read(v.R.Context(), func(tx *store.Tx) error {
		page.Current, page.Past, page.Others = nil, nil, nil
		doc, _, err := d.Policy.Active(tx)
		if err != nil {
			return err
		}
		page.Ready, page.Limit = d.CA.Ready(tx), devices(doc)
		page.Zone, page.Rule = doc.ZoneLabel(v.Zone.Name, string(v.P().Tag())), doc.EnrolmentRule(Kind)
		if v.Zone.Kind == authn.Elsewhere {
			page.Zone = v.P().T("desk.kind.elsewhere")
		}
		page.May = page.Ready && doc.Enrolment(policy.EnrolQuestion{Kind: Kind, Zone: v.Zone, Evidence: proving(v, d, tx), Now: tx.Now})
		own, err := d.items(tx, v.Account, v.Person)
		if err != nil {
			return err
		}
		page.sort(own)
		page.Full = page.Count >= page.Limit
		page.Others, err = d.others(tx, v, own)
		return err
	})
	if err != nil {
		return err
	}
	return d.show(v, "certificates.list", page)
}

func (page *listPage) sort(all []item) {
	page.Count = 0
	for _, i := range all {
		if i.Stand == "revoked" || i.Stand == "replaced" || i.Stand == "expired" && i.Days < -90 {
			page.Past = append(page.Past, i)
			continue
		}
		page.Current = append(page.Current, i)
		if i.Card == "" && i.Stand != "expired" && i.Stand != "held" {
			page.Count++
		}
	}
}

// proving is what will have been proved when a form opens: everything the account
// has, because a change asks for it.
func proving(v desk.Visit, d *Desk, tx *store.Tx) []authn.Evidence {
	var out []authn.Evidence
	for _, e := range v.Session.Evidence {
		e.At = tx.Now
		out = append(out, e)
	}
	return out
}

// items reads an account's certificates with their use for signing in.
func (d *Desk) items(tx *store.Tx, a directory.Account, p directory.Person) ([]item, error) {
	all, err := d.CA.Of(tx, a.ID)
	if err != nil {
		return nil, err
	}
	bindings, err := d.Bindings.Of(tx, a.ID)
	if err != nil {
		return nil, err
	}
	var out []item
	for _, c := range all {
		i, err := d.about(tx, c, p, bindings)
		if err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, nil
}

// about is everything that a certificate's owner is told of it.
func (d *Desk) about(tx *store.Tx, c ca.Certificate, p directory.Person, bindings []factor.Binding) (item, error) {
	i := judge(c, tx.Now)
	i.renewable(p)
	if i.NewMail != "" {
		var err error
		if i.MailSince, err = d.People.FormerMail(tx, p.ID, i.Mail); err != nil {
			return i, err
		}
	}
	if c.ReplacedBy != "" {
		newer, err := d.CA.Get(tx, c.ReplacedBy)
		if err != nil {
			return i, err
		}
		i.Newer = &newer
	}
	print := Fingerprint(c.DER)
	at := slices.IndexFunc(bindings, func(b factor.Binding) bool { return b.Kind == Kind && b.Identifier == print })
	if at >= 0 {
		i.Used = bindings[at].Used
	}
	return i, nil
}

// Fingerprint is the SHA-256 of a certificate in hexadecimal: the identifier of its
// binding.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// others lists what is still usable of the person's other accounts: after a move
// from one account to the next it is made again for this one. A device that has one of
// this account already, by its name, needs no other.
func (d *Desk) others(tx *store.Tx, v desk.Visit, own []item) ([]item, error) {
	accounts, err := d.People.AccountsOf(tx, v.Person.ID)
	if err != nil {
		return nil, err
	}
	has := func(label string) bool {
		return slices.ContainsFunc(own, func(i item) bool { return i.Label == label && i.Usable() })
	}
	var out []item
	for _, a := range accounts {
		if a.ID == v.Account.ID {
			continue
		}
		all, err := d.CA.Of(tx, a.ID)
		if err != nil {
			return nil, err
		}
		for _, c := range all {
			i := judge(c, tx.Now)
			recent := i.Usable() || i.Stand == "revoked" && i.Reason == left && i.Days > 0
			if recent && c.Card == "" && !has(c.Label) {
				i.Foreign = a.UserName
				out = append(out, i)
			}
		}
	}
	return out, nil
}

// own finds a certificate of this account by the id in the path.
func (d *Desk) own(tx *store.Tx, v desk.Visit) (item, error) {
	c, err := d.CA.Get(tx, v.R.PathValue("id"))
	if err != nil {
		return item{}, err
	}
	if c.Account != v.Account.ID || c.Issued.IsZero() {
		return item{}, ca.ErrNone
	}
	bindings, err := d.Bindings.Of(tx, v.Account.ID)
	if err != nil {
		return item{}, err
	}
	return d.about(tx, c, v.Person, bindings)
}

// onePage is one certificate with everything about it.
type onePage struct {
	view
	Item     item
	Issuer   string
	Trail    []step
	Open     bool // of the trail: something more is expected soon
	Systems  []string
	Seen     string
	Wifi     bool
	Cut      bool
	Finished bool
}

func (d *Desk) one(v desk.Visit) error {
	page := &onePage{view: d.top(v), Systems: systems(), Seen: systemOf(v.R.UserAgent()), Wifi: d.Wifi.SSID != ""}
	err := d.DB.Read(v.R.Context(), func(tx *store.Tx) (err error) {
		if page.Item, err = d.own(tx, v); err != nil {
			return err
		}
		if chain := d.CA.Chain(page.Item.Issuer); len(chain) > 0 {
			page.Issuer = chain[0].Subject.CommonName
		}
		if page.Trail, err = d.trail(tx, v.P(), page.Item.Certificate); err != nil {
			return err
		}
		page.Open, err = d.open(tx, page.Item.Certificate, page.Trail)
		return err
	})
	if errors.Is(err, ca.ErrNone) {
		return d.missing(v)
	}
	if err != nil {
		return err
	}
	return d.Lobby.Show(v, web.View{
		Template: "certificates.one", Title: "certificates.one.title", TitleFacts: []any{"label", page.Item.Label}, Data: page, Asks: page.Open,
	})
}
