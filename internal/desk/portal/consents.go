package portal

import (
	"time"

	"seimon/internal/desk"
	"seimon/internal/store"
)

// consentsPage lists what services were allowed to know.
type consentsPage struct {
	view
	Given []givenView
}

// givenView is one agreement as the person who gave it sees it.
type givenView struct {
	Party      string
	Service    string
	Attributes string
	At         time.Time
}

func (g *guest) consents() error {
	g.here = "/portal/consents"
	page := &consentsPage{view: g.top()}
	err := g.DB.Read(g.r.Context(), func(tx *store.Tx) error {
		page.Given = nil
		all, err := g.Parties.Consents(tx, g.Account.ID)
		if err != nil {
			return err
		}
		for _, c := range all {
			service, err := g.serviceName(tx, c.Party)
			if err != nil {
				return err
			}
			var names []string
			for _, a := range c.Attributes {
				names = append(names, g.attributeName(a))
			}
			page.Given = append(page.Given, givenView{c.Party, service, desk.List(g.p(), names), c.At})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return g.show("portal.consents", page)
}

// attributeName is how people call an attribute.
func (g *guest) attributeName(attribute string) string {
	if id := "rp.attribute." + attribute; g.p().Has(id) {
		return g.p().T(id)
	}
	return attribute
}

// withdraw takes an agreement back: the service is asked about again next time.
func (g *guest) withdraw() error {
	party := g.r.PostFormValue("party")
	found := false
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		found = false
		all, err := g.Parties.Consents(tx, g.Account.ID)
		if err != nil {
			return err
		}
		for _, c := range all {
			found = found || c.Party == party
		}
		if !found {
			return nil
		}
		if err := g.Parties.Withdraw(tx, party, g.Account.ID); err != nil {
			return err
		}
		e := g.event("consent.withdrawn", "", nil)
		e.Party = party
		return g.Audit.Append(tx, e)
	})
	if err != nil {
		return err
	}
	if !found {
		return g.to("/portal/consents")
	}
	return g.done("/portal/consents", "withdrawn")
}
