package session_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/session"
	"seimon/internal/store"
)

// together runs fn n times at once.
func (r *room) together(n int, fn func(i int) error) {
	r.t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = fn(i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		r.t.Fatal(err)
	}
}

func TestTheFirstUseIsToldOnce(t *testing.T) {
	r := newRoom(t, session.Config{})
	b, _ := r.browser()
	firsts := make([]bool, 8)
	r.together(len(firsts), func(i int) error {
		return r.db.Write(t.Context(), func(tx *store.Tx) (err error) {
			firsts[i], err = r.k.NoteUse(tx, b.ID, "a_1")
			return err
		})
	})
	n := 0
	for _, first := range firsts {
		if first {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of %d sign-ins were the first", n, len(firsts))
	}
}

func TestOneOfManyTokensSurvivesRisesAtOnce(t *testing.T) {
	r := newRoom(t, session.Config{})
	s, first := r.open("a_1", "password")
	tokens := make([]string, 6)
	kinds := []authn.Kind{"totp", "mailcode", "passkey", "matrix", "clientcert", "recovery"}
	r.together(len(tokens), func(i int) error {
		return r.db.Write(t.Context(), func(tx *store.Tx) (err error) {
			_, tokens[i], err = r.k.Rise(tx, s.ID, r.evidence(kinds[i]))
			return err
		})
	})
	alive := 0
	for _, token := range append(tokens, first) {
		if got := r.find(token); got != nil {
			alive++
			if len(got.Evidence) != 1+len(kinds) {
				t.Errorf("evidence was lost: %d of %d", len(got.Evidence), 1+len(kinds))
			}
		}
	}
	if alive != 1 {
		t.Errorf("%d tokens open the session", alive)
	}
}

// A visit that meets the end of its session is either refused or handed over; it
// is never left behind where no sign-out finds it.
func TestNoVisitEscapesTheEndOfItsSession(t *testing.T) {
	r := newRoom(t, session.Config{})
	const rounds, parties = 12, 3
	entered := 0
	for range rounds {
		s, _ := r.open("a_1", "password")
		var mu sync.Mutex
		r.together(parties+1, func(i int) error {
			if i == parties {
				return r.db.Write(t.Context(), func(tx *store.Tx) error { return r.k.EndAll(tx, "a_1", "suspended", "") })
			}
			err := r.db.Write(t.Context(), func(tx *store.Tx) error {
				_, err := r.k.Visit(tx, session.Visit{Session: s.ID, Party: string(rune('a' + i)), Front: "oidc"})
				return err
			})
			if errors.Is(err, session.ErrNone) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			entered++
			return err
		})
		if left := r.visits(s.ID); len(left) != 0 {
			t.Fatalf("left behind: %+v", left)
		}
	}
	if len(r.tray.tasks) != entered {
		t.Errorf("%d visits were made, %d handed over", entered, len(r.tray.tasks))
	}
}

func TestEnteringTwiceAtOnceIsOneVisit(t *testing.T) {
	r := newRoom(t, session.Config{})
	s, _ := r.open("a_1", "password")
	ids := make([]string, 6)
	r.together(len(ids), func(i int) error {
		return r.db.Write(t.Context(), func(tx *store.Tx) error {
			v, err := r.k.Visit(tx, session.Visit{Session: s.ID, Party: "library", Front: "oidc"})
			ids[i] = v.ID
			return err
		})
	})
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Errorf("visits %v", ids)
		}
	}
}

// life is one session as the rules of the room describe it.
type life struct {
	session   session.Session
	token     string
	old       []string
	used      time.Time
	kinds     map[authn.Kind]bool
	ended     bool
	firstSeen time.Time
}

func (l *life) live(now time.Time, cfg session.Config) bool {
	return !l.ended && now.Before(l.used.Add(cfg.Idle)) && now.Before(l.firstSeen.Add(cfg.Absolute))
}

// Whatever happens in whatever order, a session is found by its newest token while
// it lives, and by nothing else ever.
func TestSessionsLiveByTheRules(t *testing.T) {
	cfg := session.Config{Idle: 30 * time.Minute, Absolute: 2 * time.Hour, PerAccount: 1000}
	r := newRoom(t, cfg)
	dice := rand.New(rand.NewPCG(1, 2))
	kinds := []authn.Kind{"password", "totp", "mailcode"}
	var lives []*life
	for range 250 {
		now := r.clock.Now()
		if dice.IntN(4) == 0 || len(lives) == 0 {
			s, token := r.open("a_1", "password")
			lives = append(lives, &life{session: s, token: token, used: now, firstSeen: now, kinds: map[authn.Kind]bool{"password": true}})
		}
		l := lives[dice.IntN(len(lives))]
		live := l.live(now, cfg)
		r.write(func(tx *store.Tx) error {
			var err error
			switch dice.IntN(4) {
			case 0:
				kind := kinds[dice.IntN(len(kinds))]
				var token string
				if _, token, err = r.k.Rise(tx, l.session.ID, r.evidence(kind)); err == nil {
					tx.After(func() { l.old, l.token, l.used, l.kinds[kind] = append(l.old, l.token), token, now, true })
				}
			case 1:
				if err = r.k.Touch(tx, l.session.ID, ""); err == nil && now.Sub(l.used) >= time.Minute {
					tx.After(func() { l.used = now })
				}
			case 2:
				if dice.IntN(4) == 0 {
					tx.After(func() { l.ended = true })
					return r.k.End(tx, l.session.ID, "signed out")
				}
				return nil
			default:
				_, err = r.k.Sweep(tx, 2)
				return err
			}
			if errors.Is(err, session.ErrNone) && !live {
				return nil
			}
			if err == nil && !live {
				t.Error("a session that is over did something")
			}
			return err
		})
		r.clock.Add(time.Duration(dice.IntN(240)) * time.Second)
		for _, l := range lives {
			got := r.find(l.token)
			if (got != nil) != l.live(r.clock.Now(), cfg) || got != nil && (got.ID != l.session.ID || len(got.Evidence) != len(l.kinds)) {
				t.Fatalf("found %+v, want live %v with %v", got, l.live(r.clock.Now(), cfg), l.kinds)
			}
			if n := len(l.old); n > 0 && r.find(l.old[n-1]) != nil {
				t.Fatal("an old token works")
			}
		}
	}
	if len(lives) < 30 {
		t.Errorf("only %d sessions were tried", len(lives))
	}
}
