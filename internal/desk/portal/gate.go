package portal

import (
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// zonePage is how the gate sees this person, here and now.
type zonePage struct {
	view
	Gate desk.GateView
}

func (g *guest) zone() error {
	g.here = "/portal/zone"
	page := &zonePage{view: g.top()}
	err := g.DB.Read(g.r.Context(), func(tx *store.Tx) error {
		f, s, err := g.outlook(tx)
		if err != nil {
			return err
		}
		parties, err := g.services(tx)
		if err != nil {
			return err
		}
		page.Gate = desk.See(g.r, f, &s, parties)
		return nil
	})
	if err != nil {
		return err
	}
	return g.show("portal.zone", page)
}

// testPage shows what a service would be told if the person went there now.
type testPage struct {
	view
	Services []option
	Chosen   *testView
}

type option struct {
	ID, Name string
	Here     bool
}

// testView is one service under test.
type testView struct {
	Name       string
	Home       string
	Next       string
	Met        bool
	Asks       []string
	Rule       string
	Zone       string
	Attributes []attributeView
	Lacking    string // required attributes that the account does not have
	Pairwise   bool
	Subject    string
	Level      authn.Level
	AMR        string
	AuthTime   time.Time
}

// attributeView is one attribute that the service may have.
type attributeView struct {
	Name     string
	Values   string
	Required bool
	Sent     bool
}

func (g *guest) test() error {
	g.here = "/portal/zone"
	page := &testPage{view: g.top()}
	wanted := g.r.URL.Query().Get("service")
	err := g.DB.Read(g.r.Context(), func(tx *store.Tx) error {
		page.Services, page.Chosen = nil, nil
		parties, err := g.services(tx)
		if err != nil {
			return err
		}
		for _, p := range parties {
			if p.ID == name {
				continue
			}
			page.Services = append(page.Services, option{p.ID, p.Name(g.p().Tag()), p.ID == wanted})
			if p.ID == wanted {
				if page.Chosen, err = g.tested(tx, p); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return g.show("portal.test", page)
}

// cast is the forecast for one service from here, consent included, and what the
// service would receive.
func (g *guest) cast(tx *store.Tx, f desk.Forecaster, s desk.Standing, party rp.Party) (desk.Forecast, rp.Released, error) {
	out := f.For(s, g.hereAt(f.Doc), party.ID)
	released, err := g.Parties.Release(tx, party, g.Account.ID, g.People.Attributes(g.Account, g.Person))
	if out.Verdict.Step == policy.StepDone && released.Ask {
		out.Verdict = policy.Verdict{Step: policy.StepConsent}
	}
	return out, released, err
}

// tested works out what a service would meet and receive. It writes nothing and
// lets nobody in.
func (g *guest) tested(tx *store.Tx, party rp.Party) (*testView, error) {
	f, s, err := g.outlook(tx)
	if err != nil {
		return nil, err
	}
	at := g.hereAt(f.Doc)
	cast, released, err := g.cast(tx, f, s, party)
	if err != nil {
		return nil, err
	}
	worth := authn.Assess(g.Session.Evidence)
	zone := f.Doc.ZoneLabel(at.Zone.Name, string(g.p().Tag()))
	if at.Zone.Kind == authn.Elsewhere {
		zone = g.p().T("desk.kind.elsewhere")
	}
	v := &testView{
		Name: party.Name(g.p().Tag()), Home: party.HomeURL, Next: desk.Next(g.p(), f.Doc, cast),
		Met:  policy.Met(cast.Case.Requirement, cast.Case.Evidence, s.Trusted, f.Now) && cast.Case.Refused == "",
		Asks: desk.Asks(g.p(), cast.Case.Requirement), Rule: cast.Ruling.Name, Zone: zone,
		Pairwise: party.Pairwise, Subject: g.Parties.SubjectFor(party, g.Account.ID),
		Level: worth.Level, AMR: strings.Join(worth.AMR, " "), AuthTime: worth.AuthTime,
	}
	var lacking []string
	for _, r := range party.Release {
		i := slices.IndexFunc(released.Items, func(x rp.Item) bool { return x.Attribute == r.Attribute })
		if i < 0 {
			if r.Required {
				lacking = append(lacking, g.attributeName(r.Attribute))
			}
			continue
		}
		_, sent := released.Values[r.Attribute]
		v.Attributes = append(v.Attributes, attributeView{
			g.attributeName(r.Attribute), strings.Join(released.Items[i].Values, ", "), r.Required, sent,
		})
	}
	v.Lacking = desk.List(g.p(), lacking)
	return v, nil
}
