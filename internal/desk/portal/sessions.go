package portal

import (
	"errors"
	"time"

	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
)

// SignedOut is the reason of sessions that their owner ended from the portal.
const SignedOut = "portal"

// sessionsPage is where the person is signed in, and which browsers they trust.
type sessionsPage struct {
	view
	Sessions []sessionView
	Others   bool // there are sessions beside this one
	Browsers []browserView
	TrustFor time.Duration
}

// sessionView is one session as its owner sees it.
type sessionView struct {
	ID      string
	Device  string
	Address string
	First   string // where it was begun, when that is another address
	Since   time.Time
	Used    time.Time
	Here    bool
	Proofs  string
	Visits  []visitView
}

// visitView is one service entered under a session.
type visitView struct {
	Service string
	At      time.Time
}

// browserView is one trusted browser.
type browserView struct {
	session.Trust
	Device string
	Here   bool
	Old    bool // the rules have changed since: the trust no longer counts
}

func (g *guest) sessions() error {
	g.here = "/portal/sessions"
	page := &sessionsPage{view: g.top()}
	err := g.DB.Read(g.r.Context(), func(tx *store.Tx) error {
		doc, version, err := g.Policy.Active(tx)
		if err != nil {
			return err
		}
		page.TrustFor = doc.TrustFor()
		if page.Sessions, err = g.sessionViews(tx); err != nil {
			return err
		}
		trusts, err := g.Sessions.Trusts(tx, g.Account.ID)
		if err != nil {
			return err
		}
		page.Browsers = nil
		for _, t := range trusts {
			page.Browsers = append(page.Browsers, browserView{
				Trust: t, Device: session.Classify(t.Agent).In(g.p()), Here: t.Browser == g.Browser, Old: t.Policy != version,
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	page.Others = len(page.Sessions) > 1
	return g.show("portal.sessions", page)
}

func (g *guest) sessionViews(tx *store.Tx) ([]sessionView, error) {
	all, err := g.Sessions.Of(tx, g.Account.ID)
	if err != nil {
		return nil, err
	}
	var out []sessionView
	for _, s := range all {
		v := sessionView{
			ID: s.ID, Device: session.Classify(s.Agent).In(g.p()), Address: s.Address, Since: s.Created, Used: s.Used, Here: s.ID == g.Session.ID,
		}
		if s.FirstAddress != s.Address {
			v.First = s.FirstAddress
		}
		var kinds []authn.Kind
		for _, e := range s.Evidence {
			kinds = append(kinds, e.Kind)
		}
		v.Proofs = desk.Kinds(g.p(), kinds)
		if v.Visits, err = g.visitViews(tx, s.ID); err != nil {
			return nil, err
		}
		if v.Here {
			out = append([]sessionView{v}, out...)
		} else {
			out = append(out, v)
		}
	}
	return out, nil
}

func (g *guest) visitViews(tx *store.Tx, sid string) ([]visitView, error) {
	visits, err := g.Sessions.Visits(tx, sid)
	if err != nil {
		return nil, err
	}
	var out []visitView
	for _, v := range visits {
		if v.Party == name {
			continue
		}
		service, err := g.serviceName(tx, v.Party)
		if err != nil {
			return nil, err
		}
		out = append(out, visitView{service, v.At})
	}
	return out, nil
}

// serviceName is the name of a party, or its id when it is gone.
func (g *guest) serviceName(tx *store.Tx, id string) (string, error) {
	party, err := g.Parties.Get(tx, id)
	if errors.Is(err, rp.ErrNone) {
		return id, nil
	}
	return party.Name(g.p().Tag()), err
}

// endSession signs one of the person's sessions out. This very one is left by the
// house's own door.
func (g *guest) endSession() error {
	id := g.r.PathValue("id")
	if id == g.Session.ID {
		return g.to("/signout")
	}
	found := false
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		found = false
		s, err := g.Sessions.Get(tx, id)
		if errors.Is(err, session.ErrNone) || err == nil && s.Subject.Account != g.Account.ID {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		if err := g.Sessions.End(tx, s.ID, SignedOut); err != nil {
			return err
		}
		e := g.event("session.ended", "", map[string]string{"why": SignedOut, "agent": s.Agent, "from": s.Address})
		e.Session = s.ID
		return g.Audit.Append(tx, e)
	})
	if err != nil {
		return err
	}
	if !found {
		return g.done("/portal/sessions", "gone")
	}
	return g.done("/portal/sessions", "ended")
}

// endOthers signs out everywhere but here.
func (g *guest) endOthers() error {
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		if err := g.Sessions.EndAll(tx, g.Account.ID, SignedOut, g.Session.ID); err != nil {
			return err
		}
		return g.Audit.Append(tx, g.event("session.others.ended", "", map[string]string{"why": SignedOut}))
	})
	if err != nil {
		return err
	}
	return g.done("/portal/sessions", "others")
}

func (g *guest) renameBrowser() error {
	label := cleanLabel(g.r.PostFormValue("label"))
	if label == "" {
		return g.to("/portal/sessions")
	}
	return g.browserDone("browser.renamed", "renamed", map[string]string{"label": label}, func(tx *store.Tx, id string) error {
		return g.Sessions.Relabel(tx, id, g.Account.ID, label)
	})
}

func (g *guest) removeBrowser() error {
	return g.browserDone("browser.distrusted", "distrusted", nil, func(tx *store.Tx, id string) error {
		return g.Sessions.Distrust(tx, id, g.Account.ID)
	})
}

// browserDone changes a trusted browser of this account and puts it on record.
func (g *guest) browserDone(event, word string, facts map[string]string, act func(tx *store.Tx, id string) error) error {
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		if err := act(tx, g.r.PathValue("id")); err != nil {
			return err
		}
		return g.Audit.Append(tx, g.event(event, "", facts))
	})
	if errors.Is(err, session.ErrNone) {
		return g.done("/portal/sessions", "gone")
	}
	if err != nil {
		return err
	}
	return g.done("/portal/sessions", word)
}
