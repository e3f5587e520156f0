package login

import (
	"errors"
	"maps"
	"net/http"
	"time"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/login/failed"
	"seimon/internal/login/transaction"
	"seimon/internal/mail"
	"seimon/internal/policy"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// browserLife is how long a browser is remembered, in the cookie's own measure.
const browserLife = 400 * 24 * time.Hour

// ending is a sign-in that is over and durable: cookies to set, then the front's answer.
type ending struct {
	sessionToken string
	browserToken string
	respond      Respond
}

func (e *ending) send(w http.ResponseWriter, r *http.Request) error {
	if e.browserToken != "" {
		web.SetCookie(w, BrowserCookie, e.browserToken, browserLife)
	}
	if e.sessionToken != "" {
		web.SetCookie(w, SessionCookie, e.sessionToken, 0)
	}
	return failed.Ended(e.respond(w, r))
}

// finish ends a transaction: done when policy said so, otherwise with the fault
// that the service is told. Everything happens in the caller's transaction.
func (h *Hall) finish(tx *store.Tx, t *transaction.Transaction, s *sight) (*ending, error) {
	o := Outcome{Request: t.Ask.Request, Party: s.party, Zone: s.zone, Support: t.Support, Subject: t.Subject, Began: t.Created}
	end := &ending{}
	if s.verdict.Step != policy.StepDone {
		o.Subject = authn.Subject{}
		o.Fault = authn.NewFault(s.verdict.Cause)
		return end, h.conclude(tx, t, s, &o, end)
	}
	if t.Ask.Subject != "" && t.Ask.Subject != t.Subject.Account {
		o.Fault = authn.NewFault(NeedsLogin)
		return end, h.conclude(tx, t, s, &o, end)
	}
	if err := h.openSession(tx, t, s, end); err != nil {
		return nil, err
	}
	o.Session, o.Account, o.Person = s.session, s.account, s.person
	o.Evidence = s.kase.Evidence
	o.Assurance = authn.Assess(o.Evidence)
	o.Attributes = s.released.Values
	visit, err := h.Sessions.Visit(tx, session.Visit{
		Session: s.session.ID, Account: t.Subject.Account, Party: s.party.ID, Front: t.Ask.Front,
	})
	if err != nil {
		return nil, err
	}
	o.Visit = visit
	return end, h.conclude(tx, t, s, &o, end)
}

// openSession opens a session for the subject or adds to the one there is. A
// session of somebody else in the same browser ends.
func (h *Hall) openSession(tx *store.Tx, t *transaction.Transaction, s *sight, end *ending) (err error) {
	if s.browser.ID == "" {
		if s.browser, end.browserToken, err = h.Sessions.NewBrowser(tx, s.visit.agent); err != nil {
			return err
		}
	}
	switch {
	case s.mine(t) && len(t.Evidence) == 0:
		err = h.Sessions.Renew(tx, s.session, s.visit.client.Addr.String())
	case s.mine(t):
		if err := h.Sessions.Renew(tx, s.session, s.visit.client.Addr.String()); err != nil {
			return err
		}
		s.session, end.sessionToken, err = h.Sessions.Rise(tx, s.session.ID, t.Evidence)
	default:
		if s.session.ID != "" {
			if err := h.Sessions.End(tx, s.session.ID, "replaced"); err != nil {
				return err
			}
		}
		s.session, end.sessionToken, err = h.Sessions.Open(tx, session.Session{
			Subject: t.Subject, Evidence: t.Evidence, Browser: s.browser.ID,
			Address: s.visit.client.Addr.String(), Agent: s.visit.agent,
		})
	}
	if err != nil || len(t.Evidence) == 0 {
		return err
	}
	return h.welcome(tx, t, s)
}

// welcome does what a sign-in by a person (not by an earlier session) brings:
// the browser becomes known, trust is noted, the person is told.
func (h *Hall) welcome(tx *store.Tx, t *transaction.Transaction, s *sight) error {
	account := t.Subject.Account
	first, err := h.Sessions.NoteUse(tx, s.browser.ID, account)
	if err != nil {
		return err
	}
	if t.Trust && s.kase.Requirement.TrustedBrowser && authn.Assess(t.Evidence).Classes.Count() > 1 {
		err := h.Sessions.Trust(tx, session.Trust{
			Browser: s.browser.ID, Account: account, Label: s.session.Agent,
			Until: tx.Now.Add(s.doc.TrustFor()), Policy: s.version, At: tx.Now,
		})
		if err != nil {
			return err
		}
		if err := h.record(tx, t, s, "browser.trusted", nil); err != nil {
			return err
		}
	}
	if s.person.Notices == directory.NoticeEvery || first {
		return h.tell(tx, t, s, "login.mail.signin", map[string]string{
			"service": s.party.Name(h.Words.In(s.person.Lang).Tag()), "address": s.visit.client.Addr.String(),
			"device": session.Classify(s.visit.agent).In(h.Words.In(s.person.Lang)),
		})
	}
	return nil
}

// tell sends a notice to the owner of the account, when there is an address to send it to.
func (h *Hall) tell(tx *store.Tx, t *transaction.Transaction, s *sight, template string, facts map[string]string) error {
	to := s.person.NoticeAddress()
	if to == "" {
		return nil
	}
	all := map[string]string{
		"user": s.account.UserName, "name": s.person.Name.Full(h.Words.In(s.person.Lang).Tag()), "support": t.Support,
		"at": h.Words.In(s.person.Lang).Moment(tx.Now),
	}
	maps.Copy(all, facts)
	_, err := h.Mail.Enqueue(tx, mail.Message{
		To: to, Lang: s.person.Lang, Template: template, Facts: all, Account: s.account.ID, Purpose: "notice",
	})
	return err
}

// conclude lets the front write its answer and closes the transaction.
func (h *Hall) conclude(tx *store.Tx, t *transaction.Transaction, s *sight, o *Outcome, end *ending) error {
	front, ok := h.fronts[t.Ask.Front]
	if !ok {
		return errors.New("login: unknown front " + t.Ask.Front)
	}
	var err error
	if end.respond, err = front.Complete(tx, *o); err != nil {
		return err
	}
	t.Done, t.Session = tx.Now, o.Session.ID
	return h.ended(tx, t, s, o)
}

// repeatable tells whether an ended transaction may give its answer once more: a
// double click or a reload within a minute, by the same browser, with its session alive.
func repeatable(t *transaction.Transaction, s *sight, now time.Time) bool {
	return t.Session != "" && s.session.ID == t.Session && now.Sub(t.Done) < repeatFor
}

// cancel returns to the service without signing in.
func (h *Hall) cancel(tx *store.Tx, t *transaction.Transaction, s *sight) (*ending, error) {
	code := Cancelled
	if s.verdict.Step == policy.StepDenied {
		code = s.verdict.Cause
	}
	o := Outcome{Request: t.Ask.Request, Party: s.party, Zone: s.zone, Support: t.Support, Fault: authn.NewFault(code)}
	end := &ending{}
	err := h.conclude(tx, t, s, &o, end)
	return end, err
}
