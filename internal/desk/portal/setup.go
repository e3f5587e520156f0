package portal

import (
	"errors"
	"net/http"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/factor"
	"seimon/internal/login"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/throttle"
	"seimon/internal/web"
)

// setupPage is one question of a set-up, or of a new password.
type setupPage struct {
	view
	Action   string
	Errand   string
	Kind     authn.Kind
	Title    string
	Name     string
	Template string
	Data     any
	Button   string
	After    string
	Others   bool // offer to sign out everywhere else
	Show     bool // nothing is asked: something is shown once
}

// wanted finds the factor that a set-up is about; nil when there is none to set up here.
func (g *guest) wanted() (authn.Kind, factor.Enroller) {
	kind := authn.Kind(g.r.PathValue("kind"))
	if kind == "" {
		kind = policy.Password
	} else if kind == policy.Password {
		return kind, nil
	}
	return kind, g.Factors.Enroller(kind)
}

// rules reads the rules in force and tells whether this kind may be set up from
// here with what was just proved. A password is changed, never added.
func (g *guest) rules(kind authn.Kind) (doc *policy.Document, may bool, err error) {
	err = g.DB.Read(g.r.Context(), func(tx *store.Tx) (err error) {
		doc, _, err = g.Policy.Active(tx)
		return err
	})
	if err != nil || kind == policy.Password {
		return doc, err == nil, err
	}
	return doc, doc.Enrolment(policy.EnrolQuestion{Kind: kind, Zone: g.Zone, Evidence: g.Session.Evidence, Now: g.DB.Now()}), nil
}

// setup shows the next question of a set-up.
func (g *guest) setup() error {
	kind, e := g.wanted()
	if e == nil {
		return g.missing()
	}
	doc, may, err := g.rules(kind)
	if err != nil {
		return err
	}
	if !may {
		return g.notFromHere(kind, doc)
	}
	now, err := g.begin(kind)
	if err != nil {
		return err
	}
	return g.ask(e, now, doc, g.top(), http.StatusOK)
}

// notFromHerePage says why something cannot be set up and where it can.
type notFromHerePage struct {
	view
	Kind string
	Zone string
	On   bool
	Rule policy.EnrolmentRule
}

func (g *guest) notFromHere(kind authn.Kind, doc *policy.Document) error {
	g.here = "/portal/factors"
	zone := doc.ZoneLabel(g.Zone.Name, string(g.p().Tag()))
	if g.Zone.Kind == authn.Elsewhere {
		zone = g.p().T("desk.kind.elsewhere")
	}
	return g.showAt(http.StatusForbidden, "portal.notfromhere", &notFromHerePage{
		Kind: desk.KindName(g.p(), kind), Zone: zone, On: len(doc.EnrolmentRule(kind).Zones) > 0, Rule: doc.EnrolmentRule(kind),
	})
}

// ask shows what the factor asks, with what went wrong before.
func (g *guest) ask(e factor.Enroller, now errand, doc *policy.Document, v view, status int) error {
	prompt, err := e.Begin(g.r.Context(), g.attempt(doc, now))
	if err != nil {
		if f := authn.AsFault(err); f != nil {
			g.here = "/portal/factors"
			return g.showAt(http.StatusConflict, "portal.stopped", &setupPage{view: g.wrong(f), Kind: now.kind})
		}
		return err
	}
	if err := g.keep(now); err != nil {
		return err
	}
	return g.prompt(prompt, setupPage{view: v, Errand: now.id, Kind: now.kind, Action: g.r.URL.Path, Others: now.kind == policy.Password}, status)
}

// prompt frames the fields of a factor.
func (g *guest) prompt(prompt factor.Prompt, page setupPage, status int) error {
	page.Template, page.After, page.Data, page.Button = prompt.Template, prompt.After, prompt.Data, prompt.Button
	page.Title, page.Name = prompt.Title, desk.KindName(g.p(), page.Kind)
	view := web.View{Template: "portal.setup", Title: prompt.Title, Data: &page, Status: status, Focus: true, Who: g.Account.UserName, Again: g.back}
	return g.Site.Render(g.w, g.r, view)
}

// setUp takes an answer to a set-up. It is counted before it is judged.
func (g *guest) setUp() error {
	kind, e := g.wanted()
	if e == nil {
		return g.missing()
	}
	doc, may, err := g.rules(kind)
	if err != nil {
		return err
	}
	if !may {
		return g.notFromHere(kind, doc)
	}
	now, err := g.current(kind)
	if errors.Is(err, store.ErrNoRows) {
		return g.to(g.r.URL.Path) // a form of an errand that is over, or of another session
	}
	if err != nil {
		return err
	}
	try := throttle.Try{Who: string(g.Account.ID), Factor: kind + ".setup", Source: web.ClientOf(g.r).Addr, Known: true}
	again := g.r.PostForm.Has(factor.FieldAgain)
	if !again {
		if err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error { return g.Throttle.Begin(tx, try) }); err != nil {
			return g.again(e, now, doc, err)
		}
	}
	done, err := e.Finish(g.r.Context(), g.attempt(doc, now), factor.Answer{Form: g.r.PostForm})
	if errors.Is(err, factor.ErrMore) {
		return g.more(now)
	}
	if err == nil && again {
		err = authn.NewFault("B2") // an uncounted answer is never a proof
	}
	if err != nil {
		return g.again(e, now, doc, err)
	}
	err = g.finish(now, done, try)
	if errors.Is(err, errClosed) {
		return g.to("/portal/factors")
	}
	if authn.AsFault(err) != nil {
		return g.again(e, now, doc, err)
	}
	if err != nil {
		return err
	}
	if done.Show != nil {
		return g.prompt(*done.Show, setupPage{Kind: kind, Action: "/portal/factors", Show: true}, http.StatusOK)
	}
	if kind == policy.Password {
		return g.done("/portal/factors", "password")
	}
	return g.done("/portal/factors", "added")
}

// more goes on to the factor's next question: post, redirect, get. The count of
// tries stays: a new code must not give new tries.
func (g *guest) more(now errand) error {
	if err := g.keep(now); err != nil {
		return err
	}
	return g.to(g.r.URL.Path)
}

// current finds the errand that the form belongs to.
func (g *guest) current(kind authn.Kind) (errand, error) {
	if err := g.r.ParseForm(); err != nil {
		return errand{}, authn.NewFault("B2").Because(err)
	}
	var e errand
	err := g.DB.Read(g.r.Context(), func(tx *store.Tx) (err error) {
		e, err = g.errandOf(tx, kind)
		return err
	})
	if err == nil && e.id != g.r.PostForm.Get("errand") {
		err = store.ErrNoRows
	}
	return e, err
}

// again shows the question once more with what was wrong with the answer.
func (g *guest) again(e factor.Enroller, now errand, doc *policy.Document, err error) error {
	fault := authn.AsFault(err)
	if fault == nil {
		return err
	}
	return g.ask(e, now, doc, g.wrong(fault), http.StatusUnprocessableEntity)
}

// errClosed says that another answer to the same form was first.
var errClosed = errors.New("portal: the errand is over")

// finish makes a set-up final: the binding, its record, the notice, the session's
// new evidence and, when asked, the end of all other sessions, in one transaction.
func (g *guest) finish(now errand, done factor.Enrolled, try throttle.Try) error {
	var token string
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		token = ""
		if ok, err := g.close(tx, now); err != nil || !ok {
			return errors.Join(err, closedUnless(ok || err != nil))
		}
		if err := done.Commit(tx); err != nil {
			return err
		}
		if err := g.Throttle.Succeed(tx, try); err != nil {
			return err
		}
		if err := g.told(tx, now.kind, done); err != nil {
			return err
		}
		if now.kind == policy.Password && g.r.PostForm.Get("others") == "1" {
			if err := g.Sessions.EndAll(tx, g.Account.ID, "password", g.Session.ID); err != nil {
				return err
			}
			if _, err := g.Sessions.DistrustAll(tx, g.Account.ID); err != nil {
				return err
			}
		}
		if done.Evidence == nil {
			return nil
		}
		var err error
		_, token, err = g.Sessions.Rise(tx, g.Session.ID, []authn.Evidence{*done.Evidence})
		return err
	})
	if err == nil && token != "" {
		web.SetCookie(g.w, login.SessionCookie, token, 0)
	}
	return err
}

func closedUnless(ok bool) error {
	if ok {
		return nil
	}
	return errClosed
}

// told puts a finished set-up on record and tells the owner.
func (g *guest) told(tx *store.Tx, kind authn.Kind, done factor.Enrolled) error {
	facts := map[string]string{"factor": string(kind), "label": done.Binding.Label, "binding": done.Binding.ID}
	if kind == policy.Password {
		return g.record(tx, change{event: "password.changed", template: "portal.mail.password", facts: facts})
	}
	if len(done.Replaced) == 0 {
		return g.record(tx, change{event: "factor.added", template: "portal.mail.added", facts: facts})
	}
	var old []string
	for _, b := range done.Replaced {
		old = append(old, b.Label)
	}
	facts["old"] = strings.Join(old, ", ")
	return g.record(tx, change{event: "factor.replaced", template: "portal.mail.replaced", facts: facts})
}
