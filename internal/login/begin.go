package login

import (
	"errors"
	"net/http"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/login/failed"
	"seimon/internal/login/page"
	"seimon/internal/login/transaction"
	"seimon/internal/policy"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Begin answers a front's question at once when the browser's session already
// satisfies the rules, and otherwise opens a transaction and sends the person to
// its first step.
func (h *Hall) Begin(w http.ResponseWriter, r *http.Request, a Ask) error {
	if _, ok := h.fronts[a.Front]; !ok {
		return errors.New("login: unknown front " + a.Front)
	}
	if a.HasMaxAge && a.MaxAge <= 0 {
		a.Force = true
	}
	v := seen(r)
	var end *ending
	var t *transaction.Transaction
	var token string
	err := h.DB.Write(r.Context(), func(tx *store.Tx) (err error) {
		end, token = nil, ""
		t = &transaction.Transaction{
			ID: authn.NewID("t"), Ask: a, Support: diagnosis.NewCode(),
			Created: tx.Now, Expires: tx.Now.Add(transaction.Life),
		}
		if err = h.expect(tx, t); err != nil {
			return err
		}
		s, err := h.look(tx, t, v)
		if err != nil {
			return err
		}
		t.Browser = s.browser.ID
		if s.verdict.Step == policy.StepDone || a.Passive {
			end, err = h.finish(tx, t, s)
			return err
		}
		if t.Browser == "" {
			var b session.Browser
			if b, token, err = h.Sessions.NewBrowser(tx, v.agent); err != nil {
				return err
			}
			t.Browser = b.ID
		}
		t.Source = transaction.Source(v.client.Addr, t.Subject.Account)
		if err := h.begun(tx, t, s); err != nil {
			return err
		}
		return h.shelf.Insert(tx, t)
	})
	if err != nil {
		return err
	}
	if token != "" {
		web.SetCookie(w, BrowserCookie, token, browserLife)
	}
	if end != nil {
		return end.send(w, r)
	}
	if err := h.crowd.Begun(r.Context(), t); err != nil {
		web.Note(r, "crowd", err.Error())
	}
	web.SetPathCookie(w, keptCookie, h.shelf.Keepsake(t), page.Path(t), transaction.KeptFor)
	http.Redirect(w, r, page.Path(t), http.StatusSeeOther)
	return nil
}

// expect fills in the person whom the service expects, when it named one.
func (h *Hall) expect(tx *store.Tx, t *transaction.Transaction) error {
	if t.Ask.Subject == "" || t.Ask.Hint != "" {
		return nil
	}
	account, _, err := h.People.ByID(tx, t.Ask.Subject)
	if err == nil {
		t.Ask.Hint = account.UserName
		return nil
	}
	return ignoreNone(err)
}

// again opens a new transaction with the question of an old one: the way on from
// a page that waited too long.
func (h *Hall) again(w http.ResponseWriter, r *http.Request) error {
	var t *transaction.Transaction
	err := h.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
		t, err = h.load(tx, r.PathValue("id"), seen(r))
		return err
	})
	var late *failed.Late
	if errors.As(err, &late) && late.Transaction.Ask.Front != "" {
		t, err = late.Transaction, nil
	}
	if err != nil {
		return err
	}
	return h.Begin(w, r, t.Ask)
}

// Enter lets a desk's visitor in when the session satisfies the rules for the
// desk right now. Otherwise it begins a sign-in, writes the answer and returns
// false.
func (h *Hall) Enter(w http.ResponseWriter, r *http.Request, a Ask) (Visitor, bool, error) {
	var s *sight
	t := &transaction.Transaction{Ask: a}
	err := h.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
		t.Created = tx.Now
		s, err = h.look(tx, t, seen(r))
		return err
	})
	if err != nil {
		return Visitor{}, false, err
	}
	if s.verdict.Step != policy.StepDone || !s.mine(t) {
		return Visitor{}, false, h.Begin(w, r, a)
	}
	return Visitor{
		Session: s.session, Account: s.account, Person: s.person,
		Assurance: authn.Assess(s.kase.Evidence), Zone: s.zone, Browser: s.browser.ID,
	}, true, nil
}

// Current gives the live session of a browser, whatever it is worth, or session.ErrNone.
func (h *Hall) Current(r *http.Request) (session.Session, error) {
	var s session.Session
	err := h.DB.Glance(r.Context(), func(tx *store.Tx) (err error) {
		s, err = h.Sessions.Find(tx, web.Cookie(r, SessionCookie))
		return err
	})
	return s, err
}

// bare is the sign-in page without a service: a bookmark, or the host name typed in.
func (h *Hall) bare(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/portal", http.StatusSeeOther)
	return nil
}

// Failed shows the page for an error that ended a request; see failed.Pages.
func (h *Hall) Failed(w http.ResponseWriter, r *http.Request, err error) bool {
	return failed.Pages{DB: h.DB, Site: h.Site, Parties: h.Parties, HelpURL: h.HelpURL}.Show(w, r, err)
}
