package portal

import (
	"errors"
	"slices"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/mail"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// startPage is the first page: who am I, what needs attention, where can I go.
type startPage struct {
	view
	Name     string
	Kana     string
	Kind     string
	Groups   string
	Until    time.Time
	Others   string // the person's other accounts
	Zone     string
	Named    bool // the zone has a name of its own
	OnCampus bool
	Todo     []todo
	Services []serviceLink
	Search   bool // there are services of federations to look for
}

// todo is one thing that needs the person's attention.
type todo = desk.Todo

// serviceLink is a service that the person may use.
type serviceLink struct {
	Name, URL, Next string
	Elsewhere       bool // of a federation
}

func (g *guest) start() error {
	g.here = "/portal"
	page := &startPage{
		view: g.top(), Name: g.Person.Name.Full(g.p().Tag()), Until: g.Account.ValidUntil,
		Kind: g.accountKind(g.Account.Kind), OnCampus: g.Zone.Kind.OnCampus(),
	}
	if g.p().Tag() == "ja" {
		page.Kana = g.Person.Name.Kana()
	}
	err := g.DB.Read(g.r.Context(), func(tx *store.Tx) error {
		f, s, err := g.outlook(tx)
		if err != nil {
			return err
		}
		tag := string(g.p().Tag())
		page.Zone = f.Doc.ZoneLabel(g.Zone.Name, tag)
		if page.Named = g.Zone.Kind != authn.Elsewhere; !page.Named {
			page.Zone = g.p().T("desk.kind.elsewhere")
		}
		var groups []string
		for _, name := range g.Account.Groups {
			groups = append(groups, f.Doc.GroupLabel(name, tag))
		}
		page.Groups = desk.List(g.p(), groups)
		if page.Others, err = g.otherAccounts(tx); err != nil {
			return err
		}
		if page.Services, err = g.links(tx, f, s); err != nil {
			return err
		}
		if page.Search, err = g.Parties.Searchable(tx); err != nil {
			return err
		}
		page.Todo, err = g.todos(tx, f, s)
		return err
	})
	if err != nil {
		return err
	}
	return g.show("portal.start", page)
}

// accountKind is how people call a kind of account.
func (g *guest) accountKind(kind string) string {
	if id := "portal.kind." + kind; g.p().Has(id) {
		return g.p().T(id)
	}
	return kind
}

func (g *guest) otherAccounts(tx *store.Tx) (string, error) {
	all, err := g.People.AccountsOf(tx, g.Person.ID)
	if err != nil {
		return "", err
	}
	var names []string
	for _, a := range all {
		if a.ID != g.Account.ID {
			names = append(names, a.UserName)
		}
	}
	return strings.Join(names, ", "), nil
}

// links lists the services that this person may use, with what would follow from here.
func (g *guest) links(tx *store.Tx, f desk.Forecaster, s desk.Standing) ([]serviceLink, error) {
	parties, err := g.services(tx)
	if err != nil {
		return nil, err
	}
	return g.open(tx, f, s, parties)
}

// open makes links of the parties that this person may use.
func (g *guest) open(tx *store.Tx, f desk.Forecaster, s desk.Standing, parties []rp.Party) ([]serviceLink, error) {
	var out []serviceLink
	for _, p := range parties {
		at := p.HomeURL
		if at == "" && p.Source != "" && g.Enter != nil {
			at = g.Enter(p)
		}
		if p.ID == name || at == "" {
			continue
		}
		cast, _, err := g.cast(tx, f, s, p)
		if err != nil {
			return nil, err
		}
		if cast.Ruling.Refused != "" {
			continue
		}
		out = append(out, serviceLink{p.Name(g.p().Tag()), at, desk.Next(g.p(), f.Doc, cast), p.Source != ""})
	}
	return out, nil
}

// Times that matter for what needs attention.
const (
	soonOver = 30 * 24 * time.Hour
	lately   = 7 * 24 * time.Hour
)

// todos lists what needs attention, the gravest first.
func (g *guest) todos(tx *store.Tx, f desk.Forecaster, s desk.Standing) ([]todo, error) {
	var out []todo
	add := func(tone, id, path string, facts ...any) {
		out = append(out, todo{Tone: tone, Text: g.p().T("portal.todo."+id, facts...), Label: g.p().T("portal.todo." + id + ".do"), Path: path})
	}
	if err := g.undelivered(tx, add); err != nil {
		return nil, err
	}
	if err := g.recent(tx, add); err != nil {
		return nil, err
	}
	for _, b := range g.bindings {
		if b.State == factor.Pending {
			add("warn", "pending", "/portal/factors", "kind", desk.KindName(g.p(), b.Kind), "day", g.p().Day(b.Created))
		}
	}
	for _, of := range g.todo {
		more, err := of(tx, desk.Visit{Visitor: g.Visitor, W: g.w, R: g.r, Back: g.back})
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if err := g.outOfReach(tx, f, s, add); err != nil {
		return nil, err
	}
	if until := g.Account.ValidUntil; !until.IsZero() && until.Sub(tx.Now) < soonOver {
		add("warn", "over", "/help/contact", "day", g.p().Day(until))
	}
	if g.Person.Recovery == "" || g.Person.RecoveryVerified.IsZero() {
		add("info", "recovery", "/portal/mail/"+string(directory.UseRecovery))
	}
	if g.Person.NoticeAddress() == "" {
		add("warn", "notify", "/portal/mail/"+string(directory.UseNotify))
	}
	return out, nil
}

type adder func(tone, id, path string, facts ...any)

// undelivered warns when the last notice could not be delivered.
func (g *guest) undelivered(tx *store.Tx, add adder) error {
	d, err := g.Mail.Latest(tx, g.Account.ID, "notice")
	if errors.Is(err, mail.ErrNone) {
		return nil
	}
	if err == nil && d.State == mail.Refused {
		add("warn", "refused", "/portal/mail/"+string(directory.UseNotify), "to", d.To, "day", g.p().Day(d.At))
	}
	return err
}

// watched are the changes that the owner is asked about for some days.
func watched(kind string) bool {
	return slices.Contains([]string{
		"factor.added", "factor.replaced", "factor.removed", "factor.restored", "factor.changed",
		"certificate.issued", "certificate.revoked", "certificate.servermade", "password.changed", "password.reset", "address.changed", "account.activated",
	}, kind)
}

// recent reminds of changes of the last days, so that one that was not the owner's
// is seen even if its mail was not.
func (g *guest) recent(tx *store.Tx, add adder) error {
	events, err := g.Audit.Find(tx, audit.Query{Account: g.Account.ID, Since: tx.Now.Add(-lately), Newest: true, Limit: 1000})
	if err != nil {
		return err
	}
	n := 0
	var last time.Time
	for _, e := range events {
		if watched(e.Type) && e.Session != g.Session.ID {
			if n == 0 {
				last = e.At
			}
			n++
		}
	}
	if n > 0 {
		add("info", "recent", "/portal/history", "count", n, "moment", g.p().Moment(last))
	}
	return nil
}

// outOfReach names the services that the person may use but cannot enter from off
// campus for want of a second step.
func (g *guest) outOfReach(tx *store.Tx, f desk.Forecaster, s desk.Standing, add adder) error {
	if hasSecond(s.Has) {
		return nil
	}
	parties, err := g.services(tx)
	if err != nil {
		return err
	}
	bare := f.AfterPassword(s)
	var names []string
	for _, p := range parties {
		cast := f.For(bare, desk.Away(), p.ID)
		if cast.Case.Refused == "" && (cast.Verdict.Step == policy.StepDenied || cast.Verdict.Step == policy.StepEnroll) {
			names = append(names, p.Name(g.p().Tag()))
		}
	}
	if len(names) > 0 {
		add("warn", "second", "/portal/factors", "services", desk.List(g.p(), names))
	}
	return nil
}
