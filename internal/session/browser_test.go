package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/session"
	"seimon/internal/store"
)

func (r *room) browser() (session.Browser, string) {
	r.t.Helper()
	var b session.Browser
	var token string
	r.write(func(tx *store.Tx) (err error) {
		b, token, err = r.k.NewBrowser(tx, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
		return err
	})
	return b, token
}

func (r *room) noteUse(browser string, account authn.AccountID) (first bool) {
	r.t.Helper()
	r.write(func(tx *store.Tx) (err error) {
		first, err = r.k.NoteUse(tx, browser, account)
		return err
	})
	return first
}

func (r *room) known(browser string, account authn.AccountID) (yes bool) {
	r.t.Helper()
	r.read(func(tx *store.Tx) (err error) {
		yes, err = r.k.Known(tx, browser, account)
		return err
	})
	return yes
}

func (r *room) remembered(token string) bool {
	r.t.Helper()
	var err error
	r.read(func(tx *store.Tx) error {
		_, err = r.k.Browser(tx, token)
		return nil
	})
	if err != nil && !errors.Is(err, session.ErrNone) {
		r.t.Fatal(err)
	}
	return err == nil
}

func TestABrowserIsKnownToEachAccountForItself(t *testing.T) {
	r := newRoom(t, session.Config{})
	b, token := r.browser()
	if b.Agent != "Firefox on Linux" || !r.remembered(token) || r.remembered(token+"x") || r.remembered("") {
		t.Error("the browser is not remembered by its token")
	}
	if r.known(b.ID, "a_1") {
		t.Error("known before anyone used it")
	}
	if !r.noteUse(b.ID, "a_1") || r.noteUse(b.ID, "a_1") {
		t.Error("the first time is told wrongly")
	}
	if !r.known(b.ID, "a_1") || r.known(b.ID, "a_2") || r.known("", "a_1") {
		t.Error("known to the wrong account")
	}
	if !r.noteUse(b.ID, "a_2") {
		t.Error("the first time of a second account is not told")
	}
	r.write(func(tx *store.Tx) error {
		if _, err := r.k.NoteUse(tx, "browser_none", "a_1"); !errors.Is(err, session.ErrNone) {
			t.Errorf("a browser that does not exist was used: %v", err)
		}
		return nil
	})
}

func TestBrowsersAreForgottenInTime(t *testing.T) {
	r := newRoom(t, session.Config{})
	b, token := r.browser()
	r.noteUse(b.ID, "a_1")
	r.clock.Add(session.BrowserLife - time.Hour)
	r.noteUse(b.ID, "a_1")
	r.clock.Add(session.BrowserLife - time.Hour)
	if !r.remembered(token) {
		t.Fatal("forgotten although it was used")
	}
	r.clock.Add(time.Hour)
	if r.remembered(token) {
		t.Error("remembered longer than a cookie lives")
	}
	r.write(func(tx *store.Tx) error { _, err := r.k.Sweep(tx, 10); return err })
	if r.known(b.ID, "a_1") {
		t.Error("a swept browser is still known")
	}
}

func TestABrowserNobodySignedInWithIsForgottenWithinADay(t *testing.T) {
	r := newRoom(t, session.Config{})
	b, token := r.browser()
	if !b.Used.IsZero() {
		t.Error("used before anyone signed in")
	}
	r.clock.Add(24*time.Hour - time.Second)
	if !r.remembered(token) {
		t.Error("forgotten while the person was at it")
	}
	r.clock.Add(time.Second)
	if r.remembered(token) {
		t.Error("a stranger's browser is kept")
	}
	r.write(func(tx *store.Tx) error { _, err := r.k.Sweep(tx, 10); return err })
	r.read(func(tx *store.Tx) error {
		var n int64
		err := tx.QueryRow("SELECT COUNT(*) FROM session_browser").Scan(&n)
		if n != 0 {
			t.Error("and its row remains")
		}
		return err
	})
}

func TestForgetMakesAllButOneBrowserStrangers(t *testing.T) {
	r := newRoom(t, session.Config{})
	mine, _ := r.browser()
	theirs, _ := r.browser()
	r.noteUse(mine.ID, "a_1")
	r.noteUse(theirs.ID, "a_1")
	r.trust(theirs.ID, "a_1", "", 1)
	r.write(func(tx *store.Tx) error { return r.k.Forget(tx, "a_1", mine.ID) })
	if !r.known(mine.ID, "a_1") || r.known(theirs.ID, "a_1") || r.trusted(theirs.ID, "a_1", 1) {
		t.Error("the wrong browser was forgotten")
	}
}

func (r *room) trust(browser string, account authn.AccountID, label string, policy int64) {
	r.t.Helper()
	r.write(func(tx *store.Tx) error {
		return r.k.Trust(tx, session.Trust{Browser: browser, Account: account, Label: label, Until: tx.Now.Add(7 * 24 * time.Hour), Policy: policy})
	})
}

func (r *room) trusted(browser string, account authn.AccountID, policy int64) (yes bool) {
	r.t.Helper()
	r.read(func(tx *store.Tx) (err error) {
		yes, err = r.k.Trusted(tx, browser, account, policy)
		return err
	})
	return yes
}

func (r *room) trusts(account authn.AccountID) (list []session.Trust) {
	r.t.Helper()
	r.read(func(tx *store.Tx) (err error) {
		list, err = r.k.Trusts(tx, account)
		return err
	})
	return list
}

func TestTrustIsBoundToBrowserAccountPolicyAndTime(t *testing.T) {
	r := newRoom(t, session.Config{})
	b, _ := r.browser()
	other, _ := r.browser()
	r.trust(b.ID, "a_1", "", 4)
	if !r.trusted(b.ID, "a_1", 4) {
		t.Fatal("not trusted")
	}
	if r.trusted(other.ID, "a_1", 4) || r.trusted(b.ID, "a_2", 4) || r.trusted(b.ID, "a_1", 5) || r.trusted("", "a_1", 4) {
		t.Error("trusted where nobody said so")
	}
	list := r.trusts("a_1")
	if len(list) != 1 || list[0].Label != "Firefox on Linux" || list[0].Browser != b.ID || list[0].Policy != 4 || list[0].Agent != "Firefox on Linux" {
		t.Errorf("%+v", list)
	}
	r.trust(b.ID, "a_1", "Laboratory PC", 5)
	if list := r.trusts("a_1"); len(list) != 1 || list[0].Label != "Laboratory PC" || !r.trusted(b.ID, "a_1", 5) || r.trusted(b.ID, "a_1", 4) {
		t.Errorf("trusting again must replace: %+v", list)
	}
	r.clock.Add(7 * 24 * time.Hour)
	if r.trusted(b.ID, "a_1", 5) || len(r.trusts("a_1")) != 0 {
		t.Error("trusted after the time is over")
	}
	r.write(func(tx *store.Tx) error {
		if err := r.k.Trust(tx, session.Trust{Browser: "browser_none", Account: "a_1", Until: tx.Now.Add(time.Hour)}); !errors.Is(err, session.ErrNone) {
			t.Errorf("a browser that does not exist is trusted: %v", err)
		}
		return nil
	})
}

func TestTrustIsTakenBackByItsOwnerOnly(t *testing.T) {
	r := newRoom(t, session.Config{})
	b, _ := r.browser()
	r.trust(b.ID, "a_1", "", 1)
	r.trust(b.ID, "a_2", "", 1)
	id := r.trusts("a_1")[0].ID
	r.write(func(tx *store.Tx) error {
		if err := r.k.Distrust(tx, id, "a_2"); !errors.Is(err, session.ErrNone) {
			t.Errorf("somebody else took it back: %v", err)
		}
		if err := r.k.Relabel(tx, id, "a_2", "mine now"); !errors.Is(err, session.ErrNone) {
			t.Errorf("somebody else renamed it: %v", err)
		}
		return r.k.Relabel(tx, id, "a_1", "  Study\tat\nhome\u202e ")
	})
	if got := r.trusts("a_1")[0].Label; got != "Study at home" {
		t.Errorf("label %q", got)
	}
	r.write(func(tx *store.Tx) error { return r.k.Distrust(tx, id, "a_1") })
	if r.trusted(b.ID, "a_1", 1) || !r.trusted(b.ID, "a_2", 1) {
		t.Error("the wrong trust ended")
	}
	var n int64
	r.write(func(tx *store.Tx) (err error) { n, err = r.k.DistrustAll(tx, "a_2"); return err })
	if n != 1 || r.trusted(b.ID, "a_2", 1) {
		t.Error("not all trusts ended")
	}
}

func TestLabelsAreBounded(t *testing.T) {
	r := newRoom(t, session.Config{})
	b, _ := r.browser()
	r.trust(b.ID, "a_1", strings.Repeat("研究室", 100), 1)
	if got := []rune(r.trusts("a_1")[0].Label); len(got) != 60 {
		t.Errorf("%d characters", len(got))
	}
}
