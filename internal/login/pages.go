package login

import (
	"cmp"
	"net/http"
	"slices"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/factor"
	"seimon/internal/lang"
	"seimon/internal/login/page"
	"seimon/internal/login/transaction"
	"seimon/internal/policy"
	"seimon/internal/web"
)

func printer(r *http.Request) lang.Printer { return web.Lang(r) }

// page shows the present step of a transaction, with what went wrong if anything did.
func (h *Hall) page(w http.ResponseWriter, r *http.Request, t *transaction.Transaction, s *sight, fault *authn.Fault) error {
	r = web.Prefer(r, t.Ask.Lang)
	p := &page.Step{
		Action: page.Path(t), Pass: h.shelf.Pass(t, s.verdict.Step), Support: t.Support,
		Who: t.Typed, Service: s.party.Name(printer(r).Tag()),
	}
	if t.Subject.UserName != "" && len(s.kase.Evidence) > 0 {
		p.Who = t.Subject.UserName
	}
	if fault != nil {
		p.Problem = h.advice(r, s, fault)
	}
	if fault != nil && fault.Code.Family() == "P1" {
		p.Hints = diagnosis.Hints(printer(r), t.Typed)
	}
	view := web.View{Data: p, Party: page.Badge(s.party, printer(r).Tag()), Support: t.Support, Status: http.StatusOK, FormAction: t.Ask.Origins, Focus: true}
	if fault != nil {
		view.Status = http.StatusUnprocessableEntity
	}
	var err error
	switch s.verdict.Step {
	case policy.StepIdentify:
		p.UserName, p.Ways = t.Ask.Hint, h.ways(t, s, "")
		view.Template, view.Title = "login.identify", "login.identify.title"
		if slices.Contains(s.verdict.Kinds, t.Way) {
			view.Template, view.Title = "login.prove", ""
			if p.Version, p.Agreement = page.Agreement(s.doc, printer(r).Tag()); s.unread(t, p.Version) {
				view.Template, view.Title, p.Ways = "login.agree", "login.agree.title", nil
			} else {
				err = h.provePage(r, t, s, p)
			}
			p.Ways = append(p.Ways, page.Way{Kind: policy.Password, Path: page.Path(t) + "?way=" + string(policy.Password)})
		}
	case policy.StepProve:
		view.Template = "login.prove"
		err = h.provePage(r, t, s, p)
	case policy.StepEnroll, policy.StepChange:
		view.Template = "login.enroll"
		err = h.enrollPage(r, t, s, p)
	case policy.StepAgree:
		view.Template, view.Title = "login.agree", "login.agree.title"
		p.Version, p.Agreement = page.Agreement(s.doc, printer(r).Tag())
	case policy.StepConsent:
		view.Template, view.Title = "login.consent", "login.consent.title"
		p.Items, p.Shown, p.Anew = page.Items(printer(r), s.released), s.released.Shown(), t.Memory[wayConsented]["anew"] != ""
	default:
		return h.denied(w, r, t, s)
	}
	if f := authn.AsFault(err); f != nil {
		// The factor cannot ask its question; the page says why and offers the other ways.
		p.Problem, view.Status = h.advice(r, s, f), http.StatusUnprocessableEntity
	} else if err != nil {
		return err
	}
	if view.Title == "" {
		view.Title = cmp.Or(p.Title, "login.stuck.title")
	}
	return h.Site.Render(w, r, view)
}

// unread tells whether the agreement comes before a proof that names the account:
// in a browser that nobody has signed in with yet. In a known one, whoever has not
// agreed is asked after the proof.
func (s *sight) unread(t *transaction.Transaction, version string) bool {
	return version != "" && s.browser.Used.IsZero() && t.Memory[noteAgreed]["version"] != version
}

// pick chooses the factor to show: what the person picked, then what they proved
// before, then the first that would do.
func pick(t *transaction.Transaction, s *sight) authn.Kind {
	kinds := s.verdict.Kinds
	if slices.Contains(kinds, t.Way) {
		return t.Way
	}
	for _, e := range s.kase.Evidence {
		if slices.Contains(kinds, e.Kind) {
			return e.Kind
		}
	}
	if len(kinds) == 0 {
		return ""
	}
	return kinds[0]
}

func (h *Hall) provePage(r *http.Request, t *transaction.Transaction, s *sight, p *page.Step) error {
	p.Kind = pick(t, s)
	p.Ways = h.ways(t, s, p.Kind)
	if s.kase.Requirement.TrustedBrowser && len(s.kase.Evidence) > 0 && s.kase.Requirement.SecondStep() {
		p.Trust = printer(r).Span(s.doc.TrustFor())
	}
	f := h.Factors.Of(p.Kind)
	at := h.attempt(t, s, p.Kind, r)
	prompt, err := f.Challenge(r.Context(), at)
	if err != nil {
		return err
	}
	return h.frame(r, t, p, prompt)
}

func (h *Hall) enrollPage(r *http.Request, t *transaction.Transaction, s *sight, p *page.Step) error {
	p.Kind = pick(t, s)
	if s.verdict.Step == policy.StepChange {
		p.Kind = t.MustChange
		if p.Problem == nil {
			p.Problem = h.advice(r, s, authn.NewFault(t.MustCode))
		}
	} else if p.Problem == nil {
		p.Problem = h.advice(r, s, h.fault(t, s))
	}
	p.Ways = h.ways(t, s, p.Kind)
	e, ok := h.Factors.Of(p.Kind).(factor.Enroller)
	if !ok {
		return authn.NewFault("R1")
	}
	prompt, err := e.Begin(r.Context(), h.attempt(t, s, p.Kind, r))
	if err != nil {
		return err
	}
	return h.frame(r, t, p, prompt)
}

func (h *Hall) ways(t *transaction.Transaction, s *sight, shown authn.Kind) []page.Way {
	var out []page.Way
	for _, k := range s.verdict.Kinds {
		if k != shown {
			out = append(out, page.Way{Kind: k, Path: page.Path(t) + "?way=" + string(k)})
		}
	}
	return out
}

// frame puts a factor's fields into the page and keeps the factor's notes.
func (h *Hall) frame(r *http.Request, t *transaction.Transaction, p *page.Step, prompt factor.Prompt) error {
	p.Title, p.Button, p.Auto = prompt.Title, prompt.Button, prompt.Auto && p.Problem == nil
	p.Template, p.After, p.Data = prompt.Template, prompt.After, prompt.Data
	return h.keepNotes(r.Context(), t)
}

func (h *Hall) denied(w http.ResponseWriter, r *http.Request, t *transaction.Transaction, s *sight) error {
	fault := h.fault(t, s)
	a := h.advice(r, s, fault)
	return h.Site.Render(w, r, web.View{
		Template: "login.denied", Title: "login.denied.title", Status: http.StatusForbidden, Support: t.Support,
		Party: page.Badge(s.party, printer(r).Tag()), FormAction: t.Ask.Origins, Focus: true,
		Data: &page.Step{
			Action: page.Path(t), Pass: h.shelf.Pass(t, s.verdict.Step), Problem: a, Support: t.Support,
			Again: fault.Code.Family()[0] == 'Z' || fault.Code == "T5",
			Who:   t.Subject.UserName, Service: s.party.Name(printer(r).Tag()),
		},
	})
}

// advice puts a fault into words: all that helps once the first factor was
// proved, and nothing about the account before.
func (h *Hall) advice(r *http.Request, s *sight, f *authn.Fault) *diagnosis.Advice {
	tag := printer(r).Tag()
	a := diagnosis.Advise(printer(r), f, diagnosis.Context{
		Proved: len(s.kase.Evidence) > 0, HelpURL: h.HelpURL, Now: s.kase.Now,
		Facts: map[string]string{
			"groups":  s.doc.GroupLabels(s.ruling.For, string(tag)),
			"service": s.party.Name(tag), "address": s.visit.client.Addr.String(),
			"zone": s.doc.ZoneLabel(s.zone.Name, string(tag)), "user": s.account.UserName,
		},
	})
	return &a
}
