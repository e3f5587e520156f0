package session_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/jobs"
	"seimon/internal/session"
	"seimon/internal/store"
)

func (r *room) visit(sid, party, front string, detail []byte) session.Visit {
	r.t.Helper()
	var v session.Visit
	r.write(func(tx *store.Tx) (err error) {
		v, err = r.k.Visit(tx, session.Visit{Session: sid, Party: party, Front: front, Detail: detail})
		return err
	})
	return v
}

func (r *room) visits(sid string) []session.Visit {
	r.t.Helper()
	var list []session.Visit
	r.read(func(tx *store.Tx) (err error) {
		list, err = r.k.Visits(tx, sid)
		return err
	})
	return list
}

func TestEnteringAgainRenewsTheVisit(t *testing.T) {
	r := newRoom(t, session.Config{})
	s, _ := r.open("a_1", "password")
	first := r.visit(s.ID, "library", "oidc", []byte("one"))
	r.clock.Add(time.Minute)
	again := r.visit(s.ID, "library", "oidc", []byte("two"))
	r.visit(s.ID, "webmail", "saml", nil)
	if again.ID != first.ID || string(again.Detail) != "two" || !again.First.Equal(first.At) || !again.At.Equal(r.clock.Now()) || again.Account != "a_1" {
		t.Errorf("%+v after %+v", again, first)
	}
	if list := r.visits(s.ID); len(list) != 2 {
		t.Errorf("%+v", list)
	}
}

func TestEndHandsEveryVisitToItsFrontOnce(t *testing.T) {
	r := newRoom(t, session.Config{Tell: func(front string) bool { return front != "portal" }})
	s, token := r.open("a_1", "password")
	other, otherToken := r.open("a_1", "password")
	v := r.visit(s.ID, "library", "oidc", []byte(`{"sub":"x"}`))
	r.visit(s.ID, "webmail", "saml", nil)
	r.visit(s.ID, "portal", "portal", nil)
	r.visit(other.ID, "library", "oidc", nil)
	for range 2 {
		r.write(func(tx *store.Tx) error { return r.k.End(tx, s.ID, "signed out") })
	}
	if r.find(token) != nil || r.find(otherToken) == nil {
		t.Error("the wrong session ended")
	}
	kinds := []string{}
	for _, task := range r.tray.tasks {
		kinds = append(kinds, task.Kind)
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"signout:oidc", "signout:saml"}) {
		t.Fatal(kinds)
	}
	i := slices.IndexFunc(r.tray.tasks, func(n jobs.NewTask) bool { return n.Kind == "signout:oidc" })
	var got session.Visit
	if err := json.Unmarshal(r.tray.tasks[i].Payload, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != v.ID || got.Session != s.ID || got.Party != "library" || string(got.Detail) != `{"sub":"x"}` || got.Why != "signed out" || got.Account != "a_1" {
		t.Errorf("%+v", got)
	}
	if r.tray.tasks[i].Key != v.ID {
		t.Error("a repeated hand-over would not be recognised")
	}
}

func TestAFailedEndHandsNothingOver(t *testing.T) {
	r := newRoom(t, session.Config{})
	s, token := r.open("a_1", "password")
	r.visit(s.ID, "library", "oidc", nil)
	refused := errors.New("refused")
	err := r.db.Write(t.Context(), func(tx *store.Tx) error {
		if err := r.k.End(tx, s.ID, "signed out"); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) || len(r.tray.tasks) != 0 || r.find(token) == nil || len(r.visits(s.ID)) != 1 {
		t.Error("half of an end happened", err)
	}
}

func TestEndAllSparesOneSessionAndOtherAccounts(t *testing.T) {
	var cut []string
	r := newRoom(t, session.Config{Cut: func(_ *store.Tx, account authn.AccountID, why string) error {
		cut = append(cut, string(account)+" "+why)
		return nil
	}})
	_, a := r.open("a_1", "password")
	mine, b := r.open("a_1", "password")
	_, c := r.open("a_2", "password")
	gone, _ := r.open("a_1", "password")
	r.visit(gone.ID, "library", "oidc", nil)
	r.write(func(tx *store.Tx) error { return r.k.EndAll(tx, "a_1", "password changed", mine.ID) })
	if r.find(a) != nil || r.find(b) == nil || r.find(c) == nil || len(r.tray.tasks) != 1 {
		t.Error("EndAll with an exception ended the wrong sessions")
	}
	r.write(func(tx *store.Tx) error { return r.k.EndAll(tx, "a_1", "suspended", "") })
	if r.find(b) != nil || r.find(c) == nil {
		t.Error("EndAll ended the wrong sessions")
	}
	if got := strings.Join(cut, ", "); got != "a_1 password changed, a_1 suspended" {
		t.Errorf("what outlives sessions was cut for %q", got)
	}
}
