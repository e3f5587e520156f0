package certificates_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/ca"
	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/store"
)

const ending = "証明書の期限が近づいています"

func TestRemindersGoOutOnceEach(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	c := h.certificate(h.signIn("s1234567", logintest.Campus, home+"/new"), "laptop")
	told := func() int { return len(h.Mails("s1234567@example.ac.jp", ending)) }
	for _, step := range []struct {
		left time.Duration
		all  int // mails so far
	}{{40 * day, 0}, {30*day + time.Hour, 0}, {30 * day, 1}, {20 * day, 1}, {14 * day, 2}, {5 * day, 2}, {3 * day, 3}, {time.Hour, 3}, {-time.Hour, 3}} {
		h.until(c.NotAfter.Add(-step.left))
		for range 3 {
			h.Must(h.desk.Remind(t.Context()))
		}
		if got := told(); got != step.all {
			t.Errorf("%v before the end: %d mails, not %d", step.left, got, step.all)
		}
	}
	last := h.Mails("s1234567@example.ac.jp", ending)[2]
	if !strings.Contains(last.Text, "あと3日") || !strings.Contains(last.Text, home+"/"+c.ID+"/renew") {
		t.Error(last.Text)
	}
}

func TestALateReminderIsOneMail(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.Write(func(tx *store.Tx) error { return h.People.SetLang(tx, a.Person, lang.EN) })
	b := h.At(logintest.Campus).Get(home + "/new?lang=ja")
	h.Prove(b, "s1234567")
	c := h.certificate(b, "laptop")
	h.until(c.NotAfter.Add(-2 * day))
	h.Must(h.desk.Remind(t.Context()))
	got := h.Mails("s1234567@example.ac.jp", "Your certificate ends soon")
	if len(got) != 1 || !strings.Contains(got[0].Text, "Days left: 2.") {
		t.Errorf("%+v", got)
	}
	h.Must(h.desk.Remind(t.Context()))
	if n := len(h.Mails("s1234567@example.ac.jp", "Your certificate ends soon")); n != 1 {
		t.Errorf("%d mails", n)
	}
}

func TestWhoHasANewerOneIsLeftInPeace(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	old, gone := h.certificate(b, "laptop"), h.certificate(b, "phone")
	h.until(old.NotAfter.Add(-31 * day))
	h.Must(h.desk.Remind(t.Context()))
	h.until(old.NotAfter.Add(-30*day + time.Hour))
	h.Write(func(tx *store.Tx) error {
		_, err := h.ca.Revoke(tx, gone.ID, ca.Superseded, "test")
		return err
	})
	h.again(b, home+"/"+old.ID+"/renew")
	_, text := request(t)
	if m := h.order(b, "request", text, "label", "laptop", "replaces", old.ID); m.ID == "" {
		t.Fatal(m.Cause)
	}
	h.Must(h.desk.Remind(t.Context()))
	if got := h.Mails("s1234567@example.ac.jp", ending); len(got) != 0 {
		t.Errorf("reminded of what was replaced or revoked: %+v", got)
	}
}

func TestTwoNodesRemindOnce(t *testing.T) {
	h := open(t)
	var last time.Time
	for i := range 5 {
		user := fmt.Sprintf("s100000%d", i)
		h.Person(user)
		last = h.certificate(h.signIn(user, logintest.Campus, home+"/new"), "laptop").NotAfter
	}
	h.until(last.Add(-10 * day))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := h.desk.Remind(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 5 {
		if n := len(h.Mails(fmt.Sprintf("s100000%d@example.ac.jp", i), ending)); n != 1 {
			t.Errorf("person %d was reminded %d times", i, n)
		}
	}
}

func TestAFullMailboxNeverStopsAnIssue(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.Write(func(tx *store.Tx) error {
		return h.People.SetMail(tx, a.Person, directory.UseMail, "")
	})
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	h.certificate(b, "laptop")
	if len(h.of(a.ID)) != 1 {
		t.Error("somebody without an address got no certificate")
	}
}
