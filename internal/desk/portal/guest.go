package portal

import (
	"crypto/hmac"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/diagnosis"
	"seimon/internal/factor"
	"seimon/internal/policy"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// view is what every page of the portal shows beside its own content.
type view struct {
	Done    string // what was just done, as a sentence
	Problem *diagnosis.Advice
}

// place is one entry of the menu.
type place struct{ path, words string }

func (p *Portal) places() []place {
	return slices.Concat([]place{{"/portal", "portal.start"}, {"/portal/factors", "portal.factors"}}, p.more, []place{
		{"/portal/sessions", "portal.sessions"}, {"/portal/history", "portal.history"}, {"/portal/consents", "portal.consents"},
		{"/portal/settings", "portal.settings"}, {"/portal/zone", "portal.zone"},
	})
}

// show renders a page of the portal: room is the template, and its words' prefix.
func (g *guest) show(room string, data any) error {
	return g.showAt(http.StatusOK, room, data)
}

func (g *guest) showAt(status int, room string, data any) error {
	return g.render(web.View{Template: room, Title: room + ".title", Data: data, Status: status})
}

// render puts a page into the portal's frame.
func (g *guest) render(v web.View) error {
	p := g.p()
	v.Who, v.WhoAction = g.Account.UserName, &web.Action{Label: p.T("portal.signout"), URL: "/signout"}
	for _, at := range g.places() {
		v.Nav = append(v.Nav, web.Link{Label: p.T(at.words + ".nav"), URL: at.path, Here: at.path == g.here})
	}
	if g.r.Method != http.MethodGet {
		v.Again = g.back
	}
	return g.Site.Render(g.w, g.r, v)
}

// top is the part of a page that says what was just done.
func (g *guest) top() view { return view{Done: g.justDone()} }

// wrong is the part of a page that says what went wrong.
func (g *guest) wrong(f *authn.Fault) view {
	a := diagnosis.Advise(g.p(), f, diagnosis.Context{Proved: true, Now: g.DB.Now(), Facts: map[string]string{
		"address": web.ClientOf(g.r).Addr.String(), "user": g.Account.UserName, "service": g.p().T("portal.name"),
	}})
	return view{Problem: &a}
}

// say makes a problem of a sentence that is no fault of the catalogue.
func (g *guest) say(id string) *diagnosis.Advice { return &diagnosis.Advice{Cause: g.p().T(id)} }

// mark makes a word about what was done that only this session's pages believe.
func (g *guest) mark(word string) string {
	sum := g.Ring.MAC("portal.done", []byte(g.Session.ID+"|"+word))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// done leads to a page that says what was done: post, redirect, get.
func (g *guest) done(to, word string) error {
	return g.Leave(desk.Visit{Visitor: g.Visitor, W: g.w, R: g.r}, to, "portal.done."+word)
}

func (g *guest) justDone() string {
	done := g.r.URL.Query().Get("done")
	at := strings.LastIndexByte(done, '.')
	if at < 0 || !hmac.Equal([]byte(done[at+1:]), []byte(g.mark(done[:at]))) || !g.p().Has(done[:at]) {
		return ""
	}
	return g.p().T(done[:at])
}

// to leads to a page.
func (g *guest) to(path string) error {
	http.Redirect(g.w, g.r, path, http.StatusSeeOther)
	return nil
}

// event is an audit event of this person's own doing.
func (g *guest) event(kind, support string, facts map[string]string) audit.Event {
	all := map[string]string{"agent": session.Classify(g.r.UserAgent()).String()}
	maps.Copy(all, facts)
	return audit.Event{
		Type: kind, Account: g.Account.ID, Actor: string(g.Account.ID), Session: g.Session.ID, Support: support,
		Party: name, Address: web.ClientOf(g.r).Addr.String(), Facts: all,
	}
}

// change is one change of a credential: what is put on record and told to the owner.
type change struct {
	event    string
	template string // words of the mail
	facts    map[string]string
	to       []string // further addresses to tell
}

// record writes the event of a change and the mail about it.
func (g *guest) record(tx *store.Tx, c change) error {
	support := diagnosis.NewCode()
	if err := g.Audit.Append(tx, g.event(c.event, support, c.facts)); err != nil {
		return err
	}
	reader := g.teller.In(g.Person)
	facts := map[string]string{
		"address": web.ClientOf(g.r).Addr.String(), "device": session.Classify(g.r.UserAgent()).In(reader),
		"page": g.Site.URL("/portal/factors"), "kind": "", "label": "",
	}
	maps.Copy(facts, c.facts)
	if k := c.facts["factor"]; k != "" {
		facts["kind"] = desk.KindName(reader, authn.Kind(k))
	}
	to := append([]string{g.Person.NoticeAddress()}, c.to...)
	return g.teller.Tell(tx, desk.Notice{Account: g.Account, Person: g.Person, To: to, Template: c.template, Facts: facts, Support: support})
}

// own finds a binding of this account among those not removed.
func (g *guest) own(id string) (factor.Binding, bool) {
	for _, b := range g.bindings {
		if b.ID == id && b.Account == g.Account.ID {
			return b, true
		}
	}
	return factor.Binding{}, false
}

// outlook is what forecasts need, read in one transaction.
func (g *guest) outlook(tx *store.Tx) (desk.Forecaster, desk.Standing, error) {
	doc, version, err := g.Policy.Active(tx)
	if err != nil {
		return desk.Forecaster{}, desk.Standing{}, err
	}
	s := desk.StandingOf(g.Factors, g.Account, g.bindings, g.Session.Evidence)
	if g.Browser != "" {
		if s.Trusted, err = g.Sessions.Trusted(tx, g.Browser, g.Account.ID, version); err != nil {
			return desk.Forecaster{}, s, err
		}
	}
	return desk.Forecaster{Doc: doc, Factors: g.Factors, Now: tx.Now}, s, nil
}

// hereAt is where this request comes from.
func (g *guest) hereAt(doc *policy.Document) desk.Place {
	addr := web.ClientOf(g.r).Addr
	return desk.Place{Zone: doc.Zone(addr), Addr: addr}
}

// stale is how long a session may go unnoted while its person reads pages.
const stale = time.Minute

// touch notes that the session is in use.
func (g *guest) touch() error {
	if g.DB.Now().Sub(g.Session.Used) < stale {
		return nil
	}
	return g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		return g.Sessions.Touch(tx, g.Session.ID, web.ClientOf(g.r).Addr.String())
	})
}
