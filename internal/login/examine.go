package login

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/login/transaction"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

const (
	// SessionCookie is the cookie that holds the session's token.
	SessionCookie = "session"
	// BrowserCookie is the cookie that tells browsers apart.
	BrowserCookie = "browser"
	// keptCookie is what the browser keeps of each sign-in.
	keptCookie = "kept"
)

// visit is what one request brings: where it comes from and what its browser holds.
type visit struct {
	client  web.Client
	agent   string
	session string          // token
	browser string          // token
	kept    string          // of the sign-in it asks for
	live    session.Session // of a request without a browser
}

func seen(r *http.Request) visit {
	return visit{
		client:  web.ClientOf(r),
		agent:   r.UserAgent(),
		session: web.Cookie(r, SessionCookie),
		browser: web.Cookie(r, BrowserCookie),
		kept:    web.PathCookie(r, keptCookie),
	}
}

// sight is everything that one decision is made from, read in one transaction.
type sight struct {
	visit    visit
	party    rp.Party
	doc      *policy.Document
	version  int64
	zone     authn.Zone
	ruling   policy.Ruling
	browser  session.Browser
	known    bool            // the owner has used this browser before
	trusted  bool            // the owner trusts it
	session  session.Session // the live session of this browser, of whomever
	account  directory.Account
	person   directory.Person
	bindings []factor.Binding
	former   *authn.Fault // why what the account had does not count, when it is denied
	attrs    map[string][]string
	released rp.Released
	kase     policy.Case
	verdict  policy.Verdict
}

// mine tells whether the browser's session belongs to the subject of the transaction.
func (s *sight) mine(t *transaction.Transaction) bool {
	return s.session.ID != "" && s.session.Subject.Account == t.Subject.Account
}

// look reads what a transaction's next step depends on and asks policy for it.
// Nothing else asks policy.Decide, for people and machines alike.
func (h *Hall) look(tx *store.Tx, t *transaction.Transaction, v visit) (*sight, error) {
	s := &sight{visit: v, session: v.live}
	if err := h.place(tx, t, s); err != nil {
		return nil, err
	}
	h.adopt(t, s)
	if err := h.who(tx, t, s); err != nil {
		return nil, err
	}
	s.kase = policy.Case{
		Known:    t.Typed != "" || t.Subject.Account != "",
		Evidence: t.Proofs(s.session.Subject.Account, s.session.Evidence),
		Passive:  t.Ask.Passive,
		Now:      tx.Now,

		EnrolFresh:     enrolFresh,
		TrustedBrowser: s.trusted,
	}
	s.ruling = s.doc.Rule(policy.Question{Service: t.Ask.Party, Groups: s.account.Groups, Zone: s.zone, Addr: v.client.Addr})
	s.kase.Place = s.ruling.Place
	s.kase.Requirement = s.ruling.Requirement.Stricter(t.Ask.Want)
	for i, e := range s.kase.Evidence {
		s.kase.Evidence[i].Traits = s.doc.Leads(s.first(t), e.Kind, e.Traits)
	}
	s.kase.Has = h.has(t, s)
	if t.Subject.Account != "" {
		if err := h.standing(tx, t, s); err != nil {
			return nil, err
		}
	}
	s.verdict = policy.Decide(s.kase)
	s.humour(t)
	if s.verdict.Step != policy.StepDenied || len(s.kase.Evidence) == 0 {
		return s, nil
	}
	var err error
	s.former, err = h.Factors.Former(tx, s.account.ID)
	return s, err
}

// humour asks for what the service would like, as long as the person can give it:
// a wish never leads to an enrolment or a refusal.
func (s *sight) humour(t *transaction.Transaction) {
	if !t.Ask.Wish.SecondStep() {
		return
	}
	wished := s.kase
	wished.Requirement = s.kase.Requirement.Stricter(t.Ask.Wish)
	if v := policy.Decide(wished); v.Step != policy.StepEnroll && v.Step != policy.StepDenied {
		s.kase, s.verdict = wished, v
	}
}

// place finds the party, the rules and the place the request comes from.
func (h *Hall) place(tx *store.Tx, t *transaction.Transaction, s *sight) (err error) {
	v := s.visit
	if s.party, err = h.Parties.Serving(tx, t.Ask.Party); err != nil {
		return err
	}
	if s.doc, s.version, err = h.Policy.Active(tx); err != nil {
		return err
	}
	s.zone = s.doc.Zone(v.client.Addr)
	if v.browser != "" {
		if s.browser, err = h.Sessions.Browser(tx, v.browser); err != nil && !errors.Is(err, session.ErrNone) {
			return err
		}
	}
	if v.session != "" {
		if s.session, err = h.Sessions.Find(tx, v.session); err != nil && !errors.Is(err, session.ErrNone) {
			return err
		}
	}
	return nil
}

// adopt makes the live session's subject the transaction's when nobody was named yet.
func (h *Hall) adopt(t *transaction.Transaction, s *sight) {
	if t.Subject.Account != "" || t.Typed != "" || t.Ask.Pick || s.session.ID == "" {
		return
	}
	if t.Ask.Subject != "" && t.Ask.Subject != s.session.Subject.Account {
		return
	}
	if t.Ask.Hint != "" && t.Ask.Hint != s.session.Subject.UserName {
		return
	}
	t.Subject = s.session.Subject
}

// who reads the account afresh: its state may have changed since the last step. A
// name that nobody has is read in the same way, so that time tells nothing (law 4).
func (h *Hall) who(tx *store.Tx, t *transaction.Transaction, s *sight) (err error) {
	id := t.Subject.Account
	if id == "" && t.Typed == "" {
		return nil
	}
	if s.account, s.person, err = h.People.ByID(tx, id); err != nil && (id != "" || ignoreNone(err) != nil) {
		return err
	}
	t.Subject.Person, t.Subject.UserName = s.account.Person, s.account.UserName
	s.bindings, err = h.Bindings.Of(tx, id)
	if t.Keep(s.bindings); err != nil || s.browser.ID == "" {
		return err
	}
	s.trusted, err = h.Sessions.Trusted(tx, s.browser.ID, id, s.version)
	return err
}

// first asks the rules what may come before the password here.
func (s *sight) first(t *transaction.Transaction) policy.FirstQuestion {
	return policy.FirstQuestion{Service: t.Ask.Party, Zone: s.zone, Named: s.account.ID != "", Groups: s.account.Groups}
}

// has lists what may be asked. Before anything is proved every account, real or
// not, has the same: the factors that may come first, and, while nobody is named,
// of these only the ones that tell who is proving.
func (h *Hall) has(t *transaction.Transaction, s *sight) []authn.Authenticator {
	q := s.first(t)
	if len(s.kase.Evidence) > 0 {
		out := h.Factors.Authenticators(s.bindings)
		for i, a := range out {
			out[i].Traits = s.doc.Leads(q, a.Kind, a.Traits)
		}
		return out
	}
	q.Named = false
	var out []authn.Authenticator
	for _, f := range h.Factors {
		a := authn.Authenticator{Kind: f.Kind(), Traits: f.Traits()}
		offered := h.Factors.Identifier(a.Kind) != nil && s.doc.Offers(q, a.Kind)
		if offered || a.Traits.First && s.kase.Known {
			a.Traits.First = true
			out = append(out, a)
		}
	}
	return out
}

// standing fills what only matters once the account is known: its state, what it
// may enrol, trust, agreement and consent.
func (h *Hall) standing(tx *store.Tx, t *transaction.Transaction, s *sight) (err error) {
	k := &s.kase
	if code, _ := s.account.Standing(tx.Now); code != "" {
		k.Refused = code
	} else {
		k.Refused = s.ruling.Refused
	}
	k.MustChange = t.MustChange
	for _, f := range h.Factors {
		if _, ok := f.(factor.Enroller); !ok || f.Traits().First {
			continue
		}
		if s.doc.Enrolment(policy.EnrolQuestion{Kind: f.Kind(), Zone: s.zone, Evidence: refreshed(k.Evidence, tx.Now)}) {
			k.MayEnroll = append(k.MayEnroll, authn.Authenticator{Kind: f.Kind(), Traits: f.Traits()})
		}
	}
	if version, _, _ := s.doc.Agreement(); version != "" {
		k.Agreement = s.account.AgreedVersion != version
	}
	attrs := h.People.Attributes(s.account, s.person)
	if f, ok := h.fronts[t.Ask.Front].(Identifier); ok {
		maps.Copy(attrs, f.Identifiers(s.party, s.account.ID))
	}
	s.attrs = t.Ask.Limit(attrs)
	if s.released, err = h.Parties.Release(tx, s.party, t.Subject.Account, s.attrs); err != nil {
		return err
	}
	k.Consent = s.released.Ask || t.Ask.Reconsent && t.Way != wayConsented && len(s.released.Items) > 0
	return nil
}

// refreshed is the evidence as it would be after the first factor was given again,
// which the decision asks for before an enrolment.
func refreshed(evidence []authn.Evidence, now time.Time) []authn.Evidence {
	out := slices.Clone(evidence)
	for i := range out {
		if out[i].Traits.First {
			out[i].At = now
		}
	}
	return out
}

// fault names the cause of a denial, with the facts that its words use.
func (h *Hall) fault(t *transaction.Transaction, s *sight) *authn.Fault {
	f := authn.NewFault(s.verdict.Cause, "kind", string(s.zone.Kind))
	switch f.Code {
	case "Z1", "Z2", "Z2.guest", "R1.none", "R1.enroll":
		// A registration that was begun and forgotten is the likelier reason, and nearer to its end.
		if i := slices.IndexFunc(s.bindings, func(b factor.Binding) bool { return b.State == factor.Pending }); i >= 0 {
			f.Code = "T5"
			f.Facts["begun"] = factor.TimeFact(s.bindings[i].Created)
		}
	}
	if cause := s.verdict.Cause; s.former != nil && f.Code == cause && (cause.Family()[0] == 'Z' || cause == "R1.none") {
		// Nothing is registered any more, and the person may not know why.
		f.Code = s.former.Code
		maps.Copy(f.Facts, s.former.Facts)
		return f
	}
	if s.account.ID != "" {
		f.Facts["user"] = s.account.UserName
		_, since := s.account.Standing(s.kase.Now)
		if !since.IsZero() {
			f.Facts["since"] = factor.TimeFact(since)
		}
		f.Facts["why"] = s.account.StateWhy
	}
	return f
}
