package login

import (
	"context"
	"errors"
	"net/http"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/login/failed"
	"seimon/internal/login/transaction"
	"seimon/internal/policy"
	"seimon/internal/session"
	"seimon/internal/store"
)

// load reads a transaction, and refuses it to any browser but the one that began it.
func (h *Hall) load(tx *store.Tx, id string, v visit) (*transaction.Transaction, error) {
	t, err := h.shelf.Load(tx, id)
	if errors.Is(err, transaction.ErrNone) {
		return nil, failed.Gone(h.shelf.Recall(id, v.kept, tx.Now))
	}
	if err != nil {
		return nil, err
	}
	if v.browser == "" {
		return nil, failed.ErrNoCookie
	}
	b, err := h.Sessions.Browser(tx, v.browser)
	if errors.Is(err, session.ErrNone) || err == nil && b.ID != t.Browser {
		err = failed.ErrOtherBrowser
	}
	return t, err
}

// advance loads a transaction, lets change act on it, asks policy what comes
// next and ends the sign-in when nothing is missing. It returns either an ending
// or the sight for the next page. change may be nil.
func (h *Hall) advance(ctx context.Context, id string, v visit, change func(tx *store.Tx, t *transaction.Transaction) error) (t *transaction.Transaction, s *sight, end *ending, err error) {
	err = h.DB.Write(ctx, func(tx *store.Tx) (err error) {
		t, s, end = nil, nil, nil
		if t, err = h.load(tx, id, v); err != nil {
			return err
		}
		if !t.Done.IsZero() {
			end, err = h.repeat(tx, t, v)
			return err
		}
		if tx.Now.After(t.Expires) {
			return &failed.Late{Transaction: t}
		}
		if change != nil {
			if err = change(tx, t); err != nil {
				return err
			}
		}
		if s, err = h.look(tx, t, v); err != nil {
			return err
		}
		if s.verdict.Step == policy.StepDone {
			if end, err = h.finish(tx, t, s); err != nil {
				return err
			}
			return h.shelf.Save(tx, t)
		}
		if change == nil && t.Shown == shown(s) {
			return nil
		}
		t.Expires = tx.Now.Add(transaction.Life)
		if err = h.decided(tx, t, s); err != nil {
			return err
		}
		return h.shelf.Save(tx, t)
	})
	return t, s, end, err
}

// repeat answers a transaction that is over already.
func (h *Hall) repeat(tx *store.Tx, t *transaction.Transaction, v visit) (*ending, error) {
	s, err := h.look(tx, t, v)
	if err != nil {
		return nil, err
	}
	if !repeatable(t, s, tx.Now) || s.verdict.Step != policy.StepDone {
		return nil, &failed.Late{Transaction: t}
	}
	return h.finish(tx, t, s)
}

// glance reads a transaction as advance would find it. still tells that showing
// its page changes nothing, so that no write is needed for it.
func (h *Hall) glance(ctx context.Context, id string, v visit) (t *transaction.Transaction, s *sight, still bool, err error) {
	err = h.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if t, err = h.load(tx, id, v); err != nil || !t.Done.IsZero() || tx.Now.After(t.Expires) {
			return err
		}
		if s, err = h.look(tx, t, v); err == nil {
			still = s.verdict.Step != policy.StepDone && t.Shown == shown(s)
		}
		return err
	})
	return t, s, still, err
}

// show is GET of a transaction: the page of its present step.
func (h *Hall) show(w http.ResponseWriter, r *http.Request) error {
	way, back := authn.Kind(r.URL.Query().Get("way")), r.URL.Query().Get(factor.NoteBack)
	v := seen(r)
	var change func(*store.Tx, *transaction.Transaction) error
	if h.Factors.Of(way) != nil {
		change = func(_ *store.Tx, t *transaction.Transaction) error {
			t.Way = way
			if back != "" && len(back) <= maxTyped {
				t.Notes(way)[factor.NoteBack] = back
			}
			return nil
		}
	} else if t, s, still, err := h.glance(r.Context(), r.PathValue("id"), v); err == nil && still {
		return h.page(w, r, t, s, nil)
	}
	t, s, end, err := h.advance(r.Context(), r.PathValue("id"), v, change)
	if err != nil {
		return err
	}
	if end != nil {
		return end.send(w, r)
	}
	if back != "" { // a code does not stay in the address
		return h.onward(w, r)
	}
	return h.page(w, r, t, s, nil)
}

// answer is POST of a transaction: the answer to its present step.
func (h *Hall) answer(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return authn.NewFault("B2").Because(err)
	}
	v := seen(r)
	t, err := h.peek(r.Context(), r.PathValue("id"), v)
	if err != nil {
		return err
	}
	state, step := h.shelf.Check(t, r.PostForm.Get("pass"))
	if state != transaction.Good {
		// An old page, a double click or a form of another transaction: the answer is
		// not used, and the person goes on from where the sign-in really stands.
		return h.onward(w, r)
	}
	switch r.PostForm.Get("act") {
	case "other":
		return h.then(w, r, func(_ *store.Tx, t *transaction.Transaction) error {
			t.Forget()
			t.Ask.Pick, t.Ask.Hint = true, ""
			return nil
		})
	case "cancel":
		return h.leave(w, r, v)
	}
	switch step {
	case policy.StepIdentify:
		switch {
		case r.PostForm.Has("kind"):
			return h.prove(w, r, t, v)
		case r.PostForm.Has("version"):
			return h.agree(w, r)
		default:
			return h.identify(w, r)
		}
	case policy.StepProve:
		return h.prove(w, r, t, v)
	case policy.StepEnroll, policy.StepChange:
		return h.enroll(w, r, t, v, step)
	case policy.StepAgree:
		return h.agree(w, r)
	case policy.StepConsent:
		return h.consent(w, r)
	default:
		return h.onward(w, r)
	}
}

// onward shows where the sign-in stands: post, redirect, get.
func (h *Hall) onward(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/login/"+r.PathValue("id"), http.StatusSeeOther)
	return nil
}

// then changes the transaction and goes on to whatever comes next.
func (h *Hall) then(w http.ResponseWriter, r *http.Request, change func(*store.Tx, *transaction.Transaction) error) error {
	_, _, end, err := h.advance(r.Context(), r.PathValue("id"), seen(r), h.once(r.PostForm.Get("pass"), change))
	if err != nil {
		return err
	}
	if end != nil {
		return end.send(w, r)
	}
	return h.onward(w, r)
}

// once lets change act only while the pass still fits: of two answers to the
// same step that arrive together one wins and the other just goes on.
func (h *Hall) once(pass string, change func(*store.Tx, *transaction.Transaction) error) func(*store.Tx, *transaction.Transaction) error {
	return func(tx *store.Tx, t *transaction.Transaction) error {
		if state, _ := h.shelf.Check(t, pass); state != transaction.Good {
			return nil
		}
		return change(tx, t)
	}
}

// peek reads a transaction without moving it.
func (h *Hall) peek(ctx context.Context, id string, v visit) (t *transaction.Transaction, err error) {
	err = h.DB.Read(ctx, func(tx *store.Tx) error {
		if t, err = h.load(tx, id, v); err != nil {
			return err
		}
		if t.Done.IsZero() && tx.Now.After(t.Expires) {
			return &failed.Late{Transaction: t}
		}
		return nil
	})
	return t, err
}

// leave goes back to the service without signing in.
func (h *Hall) leave(w http.ResponseWriter, r *http.Request, v visit) error {
	var end *ending
	err := h.DB.Write(r.Context(), func(tx *store.Tx) error {
		end = nil
		t, err := h.shelf.Load(tx, r.PathValue("id"))
		if err != nil {
			return err
		}
		if !t.Done.IsZero() {
			return &failed.Late{Transaction: t}
		}
		s, err := h.look(tx, t, v)
		if err != nil {
			return err
		}
		if end, err = h.cancel(tx, t, s); err != nil {
			return err
		}
		return h.shelf.Save(tx, t)
	})
	if err != nil {
		return err
	}
	return end.send(w, r)
}

// attempt is what a factor is told about the person in front of it.
func (h *Hall) attempt(t *transaction.Transaction, s *sight, kind authn.Kind, r *http.Request) factor.Attempt {
	var own []factor.Binding
	for _, b := range s.bindings {
		if b.Kind == kind {
			own = append(own, b)
		}
	}
	return factor.Attempt{
		Subject: t.Subject, Person: factor.ProfileOf(s.account, s.person), Bindings: own, Transaction: t.ID, Proved: len(s.kase.Evidence) > 0, Requirement: s.kase.Requirement,
		Settings: s.doc.Settings(kind), Lang: printer(r).Tag(), Now: s.kase.Now, Memory: t.Notes(kind),
	}
}
