package session_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/jobs"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// tray keeps submitted tasks as a table would: those of a failed transaction are
// not counted, because every test looks at them after a commit.
type tray struct {
	mu    sync.Mutex
	tasks []jobs.NewTask
}

func (b *tray) Submit(tx *store.Tx, t jobs.NewTask) error {
	tx.After(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.tasks = append(b.tasks, t)
	})
	return nil
}

type room struct {
	t     *testing.T
	db    *store.DB
	clock *storetest.Clock
	k     *session.Keeper
	tray  *tray
}

func newRoom(t *testing.T, cfg session.Config) *room {
	t.Helper()
	db, clock := storetest.Open(t, session.Schema())
	b := &tray{}
	return &room{t: t, db: db, clock: clock, k: session.New(cfg, b), tray: b}
}

func (r *room) write(fn func(tx *store.Tx) error) {
	r.t.Helper()
	if err := r.db.Write(r.t.Context(), fn); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) read(fn func(tx *store.Tx) error) {
	r.t.Helper()
	if err := r.db.Read(r.t.Context(), fn); err != nil {
		r.t.Fatal(err)
	}
}

const chromeOnWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

func (r *room) evidence(kinds ...authn.Kind) []authn.Evidence {
	var out []authn.Evidence
	for _, k := range kinds {
		out = append(out, authn.Evidence{Kind: k, Traits: authn.Traits{Class: authn.Know, First: true, AMR: "pwd"}, Binding: "b_" + string(k), At: r.clock.Now()})
	}
	return out
}

func (r *room) open(account string, kinds ...authn.Kind) (session.Session, string) {
	r.t.Helper()
	var s session.Session
	var token string
	r.write(func(tx *store.Tx) (err error) {
		s, token, err = r.k.Open(tx, session.Session{
			Subject:  authn.Subject{Person: "p_1", Account: authn.AccountID(account), UserName: "s1234567"},
			Evidence: r.evidence(kinds...), Browser: "browser_1", Address: "192.0.2.7", Agent: chromeOnWindows,
		})
		return err
	})
	return s, token
}

// find gives the session behind a token, or nil.
func (r *room) find(token string) *session.Session {
	r.t.Helper()
	var found *session.Session
	r.read(func(tx *store.Tx) error {
		found = nil
		s, err := r.k.Find(tx, token)
		if errors.Is(err, session.ErrNone) {
			return nil
		}
		found = &s
		return err
	})
	return found
}

func TestOpenedSessionIsFoundByItsTokenOnly(t *testing.T) {
	r := newRoom(t, session.Config{Idle: time.Hour, Absolute: 10 * time.Hour})
	s, token := r.open("a_1", "password")
	got := r.find(token)
	if got == nil || got.ID != s.ID || got.Subject != s.Subject || got.Browser != "browser_1" {
		t.Fatalf("%+v", got)
	}
	if got.Agent != "Chrome on Windows" || got.FirstAddress != "192.0.2.7" || got.Address != "192.0.2.7" {
		t.Errorf("agent %q addresses %q %q", got.Agent, got.FirstAddress, got.Address)
	}
	if len(got.Evidence) != 1 || got.Evidence[0] != s.Evidence[0] || !got.Evidence[0].At.Equal(r.clock.Now()) {
		t.Errorf("evidence %+v", got.Evidence)
	}
	if !got.Expires.Equal(r.clock.Now().Add(time.Hour)) {
		t.Error("expires", got.Expires)
	}
	for _, wrong := range []string{"", token + "x", s.ID, strings.ToLower(token)} {
		if r.find(wrong) != nil {
			t.Errorf("found by %q", wrong)
		}
	}
	_, other := r.open("a_1", "password")
	if other == token {
		t.Error("two sessions share a token")
	}
}

func TestTokensAreNotInTheDatabase(t *testing.T) {
	r := newRoom(t, session.Config{})
	_, token := r.open("a_1", "password")
	r.read(func(tx *store.Tx) error {
		var raw []byte
		if err := tx.QueryRow("SELECT token FROM session_session").Scan(&raw); err != nil {
			return err
		}
		if strings.Contains(string(raw), token) || len(raw) != 32 {
			t.Errorf("%d bytes, and the token shows", len(raw))
		}
		return nil
	})
}

func TestEachRiseChangesTheToken(t *testing.T) {
	r := newRoom(t, session.Config{})
	s, first := r.open("a_1", "password")
	r.clock.Add(10 * time.Minute)
	var second string
	r.write(func(tx *store.Tx) (err error) {
		s, second, err = r.k.Rise(tx, s.ID, r.evidence("totp"))
		return err
	})
	if r.find(first) != nil {
		t.Error("the token from before the rise still opens the session")
	}
	got := r.find(second)
	if got == nil || got.ID != s.ID || len(got.Evidence) != 2 || got.Evidence[0].Kind != "password" || got.Evidence[1].Kind != "totp" {
		t.Fatalf("%+v", got)
	}
	r.clock.Add(10 * time.Minute)
	var third string
	r.write(func(tx *store.Tx) (err error) {
		_, third, err = r.k.Rise(tx, s.ID, r.evidence("password"))
		return err
	})
	got = r.find(third)
	if got == nil || len(got.Evidence) != 2 || got.Evidence[1].Kind != "password" || !got.Evidence[1].At.Equal(r.clock.Now()) {
		t.Fatalf("a second proof by password must replace the first: %+v", got)
	}
}

func TestSessionsEndByTheirLimits(t *testing.T) {
	r := newRoom(t, session.Config{Idle: time.Hour, Absolute: 3 * time.Hour})
	s, token := r.open("a_1", "password")
	r.clock.Add(time.Hour - time.Millisecond)
	if r.find(token) == nil {
		t.Fatal("ended before the idle limit")
	}
	r.clock.Add(time.Millisecond)
	if r.find(token) != nil {
		t.Fatal("lives at the idle limit")
	}
	r.write(func(tx *store.Tx) error {
		if err := r.k.Touch(tx, s.ID, ""); !errors.Is(err, session.ErrNone) {
			t.Errorf("a dead session was touched: %v", err)
		}
		if _, _, err := r.k.Rise(tx, s.ID, r.evidence("totp")); !errors.Is(err, session.ErrNone) {
			t.Errorf("a dead session rose: %v", err)
		}
		if _, err := r.k.Visit(tx, session.Visit{Session: s.ID, Party: "library", Front: "oidc"}); !errors.Is(err, session.ErrNone) {
			t.Errorf("a dead session visits: %v", err)
		}
		return nil
	})
	s, token = r.open("a_1", "password")
	for range 5 {
		r.clock.Add(30 * time.Minute)
		r.write(func(tx *store.Tx) error { return r.k.Touch(tx, s.ID, "198.51.100.9") })
	}
	if got := r.find(token); got == nil || got.Address != "198.51.100.9" || got.FirstAddress != "192.0.2.7" || !got.Expires.Equal(s.Created.Add(3*time.Hour)) {
		t.Fatalf("%+v", got)
	}
	r.clock.Add(30 * time.Minute)
	if r.find(token) != nil {
		t.Error("lives beyond the absolute limit")
	}
}

func TestTightenedLimitsHoldForOpenSessions(t *testing.T) {
	r := newRoom(t, session.Config{Idle: 8 * time.Hour, Absolute: 24 * time.Hour})
	_, token := r.open("a_1", "password")
	r.k = session.New(session.Config{Idle: time.Hour, Absolute: 2 * time.Hour}, r.tray)
	r.clock.Add(90 * time.Minute)
	if r.find(token) != nil {
		t.Error("an old session keeps the old limits")
	}
	r.read(func(tx *store.Tx) error {
		list, err := r.k.Of(tx, "a_1")
		if len(list) != 0 {
			t.Error("and is still listed")
		}
		return err
	})
}

func TestTouchWritesAtMostOnceAMinute(t *testing.T) {
	r := newRoom(t, session.Config{})
	s, token := r.open("a_1", "password")
	touch := func() { r.write(func(tx *store.Tx) error { return r.k.Touch(tx, s.ID, "") }) }
	r.clock.Add(59 * time.Second)
	touch()
	if got := r.find(token); !got.Used.Equal(s.Used) {
		t.Error("written within the minute")
	}
	r.clock.Add(time.Second)
	touch()
	if got := r.find(token); !got.Used.Equal(r.clock.Now()) || got.Address != "192.0.2.7" {
		t.Errorf("not written after a minute, or the address was lost: %+v", got)
	}
	r.clock.Add(time.Second)
	r.write(func(tx *store.Tx) error { return r.k.Touch(tx, s.ID, "2001:db8::1") })
	if got := r.find(token); got.Address != "2001:db8::1" || got.FirstAddress != "192.0.2.7" {
		t.Errorf("a new address was not noted: %+v", got)
	}
}

func TestAnAccountsSessionsAreListedNewestFirstAndBounded(t *testing.T) {
	r := newRoom(t, session.Config{PerAccount: 3})
	_, oldest := r.open("a_1", "password")
	r.open("a_2", "password")
	for range 3 {
		r.clock.Add(time.Minute)
		r.open("a_1", "password")
	}
	if r.find(oldest) != nil {
		t.Error("a fourth session did not end the least used one")
	}
	r.read(func(tx *store.Tx) error {
		list, err := r.k.Of(tx, "a_1")
		if len(list) != 3 || !list[0].Used.After(list[1].Used) || !list[1].Used.After(list[2].Used) {
			t.Errorf("%+v", list)
		}
		return err
	})
}

func TestSweepRemovesOnlyWhatIsOver(t *testing.T) {
	r := newRoom(t, session.Config{Idle: time.Hour, Absolute: 24 * time.Hour})
	for range 5 {
		s, _ := r.open("a_1", "password")
		r.write(func(tx *store.Tx) error {
			_, err := r.k.Visit(tx, session.Visit{Session: s.ID, Party: "library", Front: "oidc"})
			return err
		})
	}
	r.clock.Add(time.Hour)
	_, live := r.open("a_1", "password")
	var gone []int64
	for range 3 {
		r.write(func(tx *store.Tx) error {
			n, err := r.k.Sweep(tx, 3)
			if err == nil {
				tx.After(func() { gone = append(gone, n) })
			}
			return err
		})
	}
	if len(gone) != 3 || gone[0] != 3 || gone[1] != 2 || gone[2] != 0 {
		t.Error(gone)
	}
	if r.find(live) == nil {
		t.Error("a live session was swept")
	}
	told := map[string]bool{}
	for _, task := range r.tray.tasks {
		var v session.Visit
		if err := json.Unmarshal(task.Payload, &v); err != nil || v.Why != session.Expired || v.Party != "library" {
			t.Errorf("%+v %v", v, err)
		}
		told[v.ID] = true
	}
	if len(told) != 5 || len(r.tray.tasks) != 5 {
		t.Errorf("services were told of %d visits under the five sessions that ran out", len(told))
	}
	r.read(func(tx *store.Tx) error {
		var n int64
		err := tx.QueryRow("SELECT COUNT(*) FROM session_visit").Scan(&n)
		if n != 0 {
			t.Errorf("%d visits without a session remain", n)
		}
		return err
	})
}

func BenchmarkFind(b *testing.B) {
	db, _ := storetest.Open(b, session.Schema())
	k := session.New(session.Config{}, &tray{})
	var token string
	err := db.Write(b.Context(), func(tx *store.Tx) (err error) {
		_, token, err = k.Open(tx, session.Session{Subject: authn.Subject{Account: "a_1"}, Evidence: []authn.Evidence{{Kind: "password"}, {Kind: "totp"}}})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := db.Read(b.Context(), func(tx *store.Tx) error { _, err := k.Find(tx, token); return err }); err != nil {
			b.Fatal(err)
		}
	}
}
