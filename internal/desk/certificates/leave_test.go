package certificates_test

import (
	"testing"
	"time"

	"seimon/internal/ca"
	"seimon/internal/directory"
	"seimon/internal/login/logintest"
	"seimon/internal/store"
)

// expire ends an account a minute ago.
func (h *house) expire(a directory.Account) {
	h.T.Helper()
	h.Write(func(tx *store.Tx) error {
		fresh, p, err := h.People.ByID(tx, a.ID)
		if err != nil {
			return err
		}
		fresh.ValidUntil = tx.Now.Add(-time.Minute)
		return h.People.Update(tx, fresh, p)
	})
}

func (h *house) state(a directory.Account, s directory.State) {
	h.T.Helper()
	h.Write(func(tx *store.Tx) error { return h.People.SetState(tx, a.ID, s, "test", "test") })
}

// leave runs the job as often as it may run: every time it does the same.
func (h *house) leave() {
	h.T.Helper()
	for range 2 {
		h.Must(h.desk.Leave(h.T.Context()))
	}
}

func (h *house) stands(c ca.Certificate, want ca.State, reason ca.Reason) {
	h.T.Helper()
	if got := h.get(c.ID); got.State != want || got.Reason != reason {
		h.T.Errorf("%s is %s %s, not %s %s", c.Label, got.State, got.Reason, want, reason)
	}
}

func TestLeavingRevokes(t *testing.T) {
	h := open(t)
	for user, leaves := range map[string]bool{"s1000001": true, "s1000003": false} {
		a := h.Person(user)
		c := h.certificate(h.signIn(user, logintest.Campus, home+"/new"), "laptop")
		n := 0
		if leaves {
			h.expire(a)
			n = 1
		}
		h.leave()
		if leaves {
			h.stands(c, ca.Revoked, ca.AffiliationChanged)
		} else {
			h.stands(c, ca.Active, "")
		}
		events, mails := h.Events(a.ID, "certificate.revoked"), h.Mails(user+"@example.ac.jp", "証明書を失効させました")
		if len(events) != n || len(mails) != n || n == 1 && events[0].Actor != "system" {
			t.Errorf("%s: %+v %+v", user, events, mails)
		}
	}
}

// TestASuspensionIsAHold: suspended, certificates are on hold; resumed, they work
// again, and sign-in with them too. Mail and record tell both.
func TestASuspensionIsAHold(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	c := h.certificate(h.signIn("s1234567", logintest.Campus, home+"/new"), "laptop")
	for round := 1; round <= 2; round++ {
		h.Clock.Add(time.Hour)
		h.state(a, directory.Suspended)
		h.leave()
		h.stands(c, ca.Revoked, ca.Hold)
		h.state(a, directory.Active)
		h.leave()
		h.stands(c, ca.Active, "")
		for kind, n := range map[string]int{"certificate.revoked": round, "certificate.restored": round} {
			if e := h.Events(a.ID, kind); len(e) != n || e[n-1].Actor != "system" {
				t.Errorf("round %d: %s: %+v", round, kind, e)
			}
		}
		for _, subject := range []string{"証明書を一時的に止めました", "証明書がまた使えるようになりました"} {
			if m := h.Mails("s1234567@example.ac.jp", subject); len(m) != round {
				t.Errorf("round %d: %s: %d mails", round, subject, len(m))
			}
		}
	}
	b := h.signIn("s1234567", logintest.Campus, home+"/"+c.ID)
	b.Want("使えないようにしました。理由：一時的に止めている", "また使えるようにしました。")
	if got := h.of(a.ID); len(got) != 1 || !got[0].Current(h.Clock.Now()) {
		t.Errorf("%+v", got)
	}
}

// TestOnlyTheHoldOfASuspensionIsLifted: what was compromised stays revoked, what
// somebody else put on hold stays on hold, and an account that ends while it is
// suspended loses its certificates for good.
func TestOnlyTheHoldOfASuspensionIsLifted(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	stolen, mislaid, plain := h.certificate(b, "stolen"), h.certificate(b, "mislaid"), h.certificate(b, "plain")
	revoke := func(c ca.Certificate, why ca.Reason) {
		h.Write(func(tx *store.Tx) error {
			_, err := h.ca.Revoke(tx, c.ID, why, "desk")
			return err
		})
	}
	revoke(mislaid, ca.Hold)
	h.state(a, directory.Suspended)
	h.leave()
	revoke(stolen, ca.KeyCompromise)
	h.leave()
	h.state(a, directory.Active)
	h.leave()
	h.stands(stolen, ca.Revoked, ca.KeyCompromise)
	h.stands(mislaid, ca.Revoked, ca.Hold)
	h.stands(plain, ca.Active, "")

	h.state(a, directory.Suspended)
	h.leave()
	h.expire(a)
	h.state(a, directory.Active)
	h.leave()
	h.stands(plain, ca.Revoked, ca.AffiliationChanged)
	h.stands(mislaid, ca.Revoked, ca.AffiliationChanged)
	h.stands(stolen, ca.Revoked, ca.KeyCompromise)
}

// TestAPersonCanEndAHoldForGood: whoever finds that the device is lost does not wait
// for the end of the hold.
func TestAPersonCanEndAHoldForGood(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	c := h.certificate(b, "laptop")
	h.Write(func(tx *store.Tx) error {
		_, err := h.ca.Revoke(tx, c.ID, ca.Hold, "desk")
		return err
	})
	b.Get(home+"/"+c.ID).Want("停止中").Click("laptopを失効させる").Submit("いま失効させる", "why", "lost")
	h.stands(c, ca.Revoked, ca.KeyCompromise)
	b.Get(home + "/" + c.ID + "/revoke")
	ok(t, b, home+"/"+c.ID)
}
