package certificates

import (
	"errors"
	"net/http"
	"slices"

	"seimon/internal/ca"
	"seimon/internal/desk"
	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/store"
	"seimon/internal/web"
)

// choice is a reason for a revocation as people say it: words certificates.why.NAME.
type choice struct {
	Name   string
	Reason ca.Reason
}

func whys() []choice {
	return []choice{
		{"lost", ca.KeyCompromise}, {"copied", ca.KeyCompromise}, {"unused", ca.CessationOfOperation},
		{"newer", ca.Superseded}, {"wrong", ca.AffiliationChanged},
	}
}

// left is the reason when the account ends.
const left = ca.AffiliationChanged

// revokePage asks before a certificate is revoked and says what that means.
type revokePage struct {
	view
	Item item
	Whys []choice
	Why  string
	Last bool // no other certificate can be used afterwards
}

func (d *Desk) revocation(v desk.Visit) error { return d.askWhy(v, view{}, http.StatusOK) }

func (d *Desk) askWhy(v desk.Visit, top view, status int) error {
	page := &revokePage{view: top, Whys: whys(), Why: v.R.PostFormValue("why")}
	err := d.DB.Read(v.R.Context(), func(tx *store.Tx) (err error) {
		if page.Item, err = d.own(tx, v); err != nil {
			return err
		}
		all, err := d.CA.Of(tx, v.Account.ID)
		page.Last = !slices.ContainsFunc(all, func(c ca.Certificate) bool { return c.ID != page.Item.ID && c.Current(tx.Now) })
		return err
	})
	if errors.Is(err, ca.ErrNone) {
		return d.missing(v)
	}
	if err != nil {
		return err
	}
	if page.Item.Stand == "revoked" {
		return v.To(home + "/" + page.Item.ID)
	}
	return d.Lobby.Show(v, web.View{Template: "certificates.revoke", Title: "certificates.revoke.title", Data: page, Status: status})
}

// revoke takes a certificate out of use. What hangs on it ends in the same
// transaction; the page that follows shows what was cut off, as it happens.
func (d *Desk) revoke(v desk.Visit) error {
	chosen := slices.IndexFunc(whys(), func(w choice) bool { return w.Name == v.R.PostFormValue("why") })
	if chosen < 0 {
		problem := view{Problem: &diagnosis.Advice{Cause: v.P().T("certificates.revoke.why.missing")}}
		return d.askWhy(v, problem, http.StatusUnprocessableEntity)
	}
	var c ca.Certificate
	err := d.DB.Write(v.R.Context(), func(tx *store.Tx) error {
		i, err := d.own(tx, v)
		if err != nil {
			return err
		}
		c, err = d.CA.Revoke(tx, i.ID, whys()[chosen].Reason, string(v.Account.ID))
		return err
	})
	if errors.Is(err, ca.ErrNone) {
		return d.missing(v)
	}
	if err != nil {
		return err
	}
	return d.Lobby.Leave(v, home+"/"+c.ID, "certificates.done.revoked")
}

// Issued tells the owner of a certificate that there is a new one. It belongs into
// the transaction that issues. Cards are handed over by the card office.
func (d *Desk) Issued(tx *store.Tx, c ca.Certificate) error {
	if c.Card != "" || c.Account == "" {
		return nil
	}
	if !c.Issued.Equal(tx.Now) { // the end of a hold comes this way too
		return d.tell(tx, c, "certificates.mail.restored", nil)
	}
	// From here on the certificate itself counts toward the limit.
	if _, err := tx.Exec("DELETE FROM certificates_work WHERE id = $1", workOf(c.KeyHash)); err != nil {
		return err
	}
	template := "certificates.mail.issued"
	if c.Replaces != "" {
		template = "certificates.mail.renewed"
	}
	return d.tell(tx, c, template, nil)
}

// Revoked tells the owner that a certificate no longer counts. It belongs into the
// transaction that revokes.
func (d *Desk) Revoked(tx *store.Tx, c ca.Certificate) error {
	if c.Account == "" {
		return nil
	}
	if err := d.watch(tx, c); err != nil {
		return err
	}
	if c.Reason == ca.Hold {
		return d.tell(tx, c, "certificates.mail.held", nil)
	}
	return d.tell(tx, c, "certificates.mail.revoked", map[string]string{"reason": string(c.Reason)})
}

// tell queues a mail about a certificate to its owner, in the owner's language.
func (d *Desk) tell(tx *store.Tx, c ca.Certificate, template string, facts map[string]string) error {
	account, person, err := d.People.ByID(tx, c.Account)
	if errors.Is(err, directory.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	p := d.teller.In(person)
	all := map[string]string{
		"certificate": c.Name, "label": c.Label, "tail": c.Tail(), "until": p.Day(c.NotAfter), "page": d.Site.URL(home),
		"link": d.Site.URL(home + "/" + c.ID), "renew": d.Site.URL(home + "/" + c.ID + "/renew"),
	}
	for name, value := range facts {
		if id := "certificates.reason." + value; name == "reason" && p.Has(id) {
			value = p.T(id)
		}
		all[name] = value
	}
	return d.teller.Tell(tx, desk.Notice{Account: account, Person: person, Template: template, Facts: all, Support: diagnosis.NewCode()})
}
