package login

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/login/page"
	"seimon/internal/login/transaction"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/throttle"
)

// wayConsented marks that consent asked for anew was given in this transaction.
const wayConsented authn.Kind = "consented"

// noteAgreed keeps, in the notes of a transaction, the version of the agreement that
// was accepted before anybody was named.
const noteAgreed authn.Kind = "agreed"

// maxTyped bounds a user name as typed, in bytes.
const maxTyped = 320

// identify takes the user name. Whether it exists changes nothing that can be seen.
func (h *Hall) identify(w http.ResponseWriter, r *http.Request) error {
	typed := strings.TrimSpace(norm.NFKC.String(r.PostForm.Get("username")))
	if typed == "" || len(typed) > maxTyped {
		return h.onward(w, r)
	}
	return h.then(w, r, func(tx *store.Tx, t *transaction.Transaction) error {
		t.Typed, t.Subject = typed, authn.Subject{}
		account, _, err := h.People.ByUserName(tx, typed)
		if err == nil {
			t.Subject = authn.Subject{Person: account.Person, Account: account.ID, UserName: account.UserName}
		}
		t.Step()
		return ignoreNone(err)
	})
}

// prove takes an answer to a factor: the try is counted first, verified outside
// any transaction, and made final together with evidence, audit and, when nothing
// else is missing, the whole end of the sign-in.
func (h *Hall) prove(w http.ResponseWriter, r *http.Request, t *transaction.Transaction, v visit) error {
	s, err := h.survey(r.Context(), t, v)
	if err != nil {
		return err
	}
	kind := authn.Kind(r.PostForm.Get("kind"))
	f := h.Factors.Of(kind)
	asked := s.verdict.Step == policy.StepProve || s.verdict.Step == policy.StepIdentify
	if f == nil || !asked || !slices.Contains(s.verdict.Kinds, kind) {
		return h.onward(w, r)
	}
	at := h.attempt(t, s, kind, r)
	try := h.try(t, s, kind)
	if err := h.count(r, try); err != nil {
		return h.refused(w, r, t, s, err)
	}
	account, verified, err := h.judge(r, s, f, at)
	if errors.Is(err, factor.ErrMore) {
		return h.more(w, r, t, kind)
	}
	if err == nil && r.PostForm.Has(factor.FieldAgain) {
		err = authn.NewFault("B2") // an uncounted answer is never a proof
	}
	if err != nil {
		return h.refused(w, r, t, s, err)
	}
	trust := r.PostForm.Get("trust") == "1"
	err = h.then(w, r, func(tx *store.Tx, t *transaction.Transaction) error {
		if err := verified.Commit(tx); err != nil {
			return err
		}
		if err := h.Throttle.Succeed(tx, try); err != nil {
			return err
		}
		if err := h.named(tx, t, account); err != nil {
			return err
		}
		t.Prove(verified.Evidence)
		delete(t.Memory, kind)
		t.Trust = t.Trust || trust
		t.Way = ""
		if verified.MustChange != "" {
			t.MustChange, t.MustCode = kind, verified.MustChange
		}
		t.Step()
		return h.note(tx, t, s, eventProved, withFacts(kind, "", verified.Facts))
	})
	if authn.AsFault(err) != nil {
		return h.refused(w, r, t, s, err)
	}
	return err
}

// judge lets the factor judge the answer. While nobody is named it also finds the
// account that the proof belongs to.
func (h *Hall) judge(r *http.Request, s *sight, f factor.Factor, at factor.Attempt) (authn.AccountID, factor.Verified, error) {
	ans := factor.Answer{Form: r.PostForm}
	if s.verdict.Step == policy.StepIdentify {
		return h.Factors.Identifier(f.Kind()).Identify(r.Context(), at, ans)
	}
	verified, err := f.Verify(r.Context(), at, ans)
	return "", verified, err
}

// named makes the account that a proof belongs to the subject of the transaction.
func (h *Hall) named(tx *store.Tx, t *transaction.Transaction, id authn.AccountID) error {
	if id == "" {
		return nil
	}
	account, _, err := h.People.ByID(tx, id)
	t.Typed, t.Subject = account.UserName, authn.Subject{Person: account.Person, Account: id, UserName: account.UserName}
	if version := t.Memory[noteAgreed]["version"]; err == nil && version != "" && version != account.AgreedVersion {
		err = h.People.Agree(tx, id, version)
	}
	return err
}

// more goes on to a factor's next question: post, redirect, get.
func (h *Hall) more(w http.ResponseWriter, r *http.Request, t *transaction.Transaction, kind authn.Kind) error {
	if err := h.keepNotes(r.Context(), t); err != nil {
		return err
	}
	http.Redirect(w, r, page.Path(t)+"?way="+string(kind), http.StatusSeeOther)
	return nil
}

// refused puts a wrong answer on record and shows the step again with its cause.
func (h *Hall) refused(w http.ResponseWriter, r *http.Request, t *transaction.Transaction, s *sight, err error) error {
	fault, kind := authn.AsFault(err), authn.Kind(r.PostForm.Get("kind"))
	if fault == nil {
		return err
	}
	werr := h.DB.Write(r.Context(), func(tx *store.Tx) error {
		left, err := h.Throttle.Left(tx, h.try(t, s, kind))
		if err != nil {
			return err
		}
		if fault.Facts == nil {
			fault.Facts = map[string]string{}
		}
		fault.Facts["tries"] = itoa(left)
		return h.note(tx, t, s, "signin.failed", withFacts(kind, fault.Code, fault.Facts))
	})
	if werr != nil {
		return werr
	}
	return h.page(w, r, t, s, fault)
}

// count counts a try before it is verified; a wish for another code is none.
func (h *Hall) count(r *http.Request, try throttle.Try) error {
	if r.PostForm.Has(factor.FieldAgain) {
		return nil
	}
	return h.DB.Background(r.Context(), func(tx *store.Tx) error { return h.Throttle.Begin(tx, try) })
}

// try names an attempt for the throttle; setting up a factor has counts of its own. An
// unknown user name is counted under what was typed, so that it locks exactly as a known
// one does.
func (h *Hall) try(t *transaction.Transaction, s *sight, kind authn.Kind) throttle.Try {
	who := string(t.Subject.Account)
	if who == "" && t.Typed == "" {
		who = "browser:" + t.Browser // a proof before any name: nobody else's tries count
	} else if who == "" {
		who = "name:" + hex.EncodeToString(h.Ring.MAC("login.name", []byte(directory.Key(t.Typed))))
	}
	if s.verdict.Step == policy.StepEnroll || s.verdict.Step == policy.StepChange {
		kind += ".setup"
	}
	return throttle.Try{Who: who, Factor: kind, Source: s.visit.client.Addr, Known: s.known}
}

// survey looks at a transaction without moving it.
func (h *Hall) survey(ctx context.Context, t *transaction.Transaction, v visit) (s *sight, err error) {
	err = h.DB.Read(ctx, func(tx *store.Tx) error {
		if s, err = h.look(tx, t, v); err != nil || s.browser.ID == "" {
			return err
		}
		s.known, err = h.Sessions.Known(tx, s.browser.ID, t.Subject.Account)
		return err
	})
	return s, err
}

// enroll takes the answer to an enrolment or a change that the sign-in asked for.
func (h *Hall) enroll(w http.ResponseWriter, r *http.Request, t *transaction.Transaction, v visit, step policy.Step) error {
	s, err := h.survey(r.Context(), t, v)
	if err != nil {
		return err
	}
	kind := authn.Kind(r.PostForm.Get("kind"))
	e, ok := h.Factors.Of(kind).(factor.Enroller)
	allowed := slices.Contains(s.verdict.Kinds, kind) || step == policy.StepChange && kind == t.MustChange
	if !ok || s.verdict.Step != step || !allowed {
		return h.onward(w, r)
	}
	try := h.try(t, s, kind)
	if err := h.count(r, try); err != nil {
		return h.refused(w, r, t, s, err)
	}
	done, err := e.Finish(r.Context(), h.attempt(t, s, kind, r), factor.Answer{Form: r.PostForm})
	if errors.Is(err, factor.ErrMore) {
		return h.more(w, r, t, kind)
	}
	if err == nil && r.PostForm.Has(factor.FieldAgain) {
		err = authn.NewFault("B2") // an uncounted answer is never a proof
	}
	if err != nil {
		return h.refused(w, r, t, s, err)
	}
	event := map[policy.Step]string{policy.StepEnroll: "factor.added", policy.StepChange: "factor.changed"}[step]
	err = h.then(w, r, func(tx *store.Tx, t *transaction.Transaction) error {
		if err := errors.Join(done.Commit(tx), h.Throttle.Succeed(tx, try)); err != nil {
			return err
		}
		if done.Evidence != nil {
			t.Prove(*done.Evidence)
		}
		delete(t.Memory, kind)
		t.Way = ""
		if step == policy.StepChange {
			t.MustChange, t.MustCode = "", ""
		}
		t.Step()
		if err := h.tell(tx, t, s, "login.mail."+event, map[string]string{"kind": h.Words.In(s.person.Lang).T(string(kind) + ".name"), "label": done.Binding.Label}); err != nil {
			return err
		}
		return h.note(tx, t, s, event, withFacts(kind, "", map[string]string{"label": done.Binding.Label}))
	})
	if fault := authn.AsFault(err); fault != nil {
		return h.refused(w, r, t, s, fault)
	}
	return err
}

// agree takes the person's yes to the university's agreement, also before it is known
// who they are.
func (h *Hall) agree(w http.ResponseWriter, r *http.Request) error {
	v := seen(r)
	return h.then(w, r, func(tx *store.Tx, t *transaction.Transaction) error {
		s, err := h.look(tx, t, v)
		if err != nil {
			return err
		}
		version, _, _ := s.doc.Agreement()
		if r.PostForm.Get("agree") != "1" || r.PostForm.Get("version") != version {
			return nil
		}
		switch s.verdict.Step { // at any other step it is not known whose yes it is
		case policy.StepIdentify:
			t.Step()
			t.Notes(noteAgreed)["version"] = version
		case policy.StepAgree:
			t.Step()
			return h.People.Agree(tx, t.Subject.Account, version)
		}
		return nil
	})
}

// consent takes the person's choice of what the service may be told.
func (h *Hall) consent(w http.ResponseWriter, r *http.Request) error {
	chosen := r.PostForm["attribute"]
	v := seen(r)
	return h.then(w, r, func(tx *store.Tx, t *transaction.Transaction) error {
		s, err := h.look(tx, t, v)
		if err != nil {
			return err
		}
		if s.verdict.Step != policy.StepConsent {
			return nil
		}
		if r.PostForm.Get("shown") != s.released.Shown() { // it has changed under the page
			t.Notes(wayConsented)["anew"] = "1"
			return nil
		}
		t.Way = wayConsented
		t.Step()
		return h.Parties.Consent(tx, s.party, t.Subject.Account, chosen, s.released.Items)
	})
}

// ignoreNone drops the error that says there is no such account.
func ignoreNone(err error) error {
	if errors.Is(err, directory.ErrNone) {
		return nil
	}
	return err
}

func withFacts(kind authn.Kind, code authn.Code, facts map[string]string) map[string]string {
	out := map[string]string{"factor": string(kind)}
	if code != "" {
		out["code"] = string(code)
	}
	maps.Copy(out, facts)
	return out
}
