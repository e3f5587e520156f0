package card

import (
	"errors"
	"slices"
	"testing"

	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

func TestOnlyCardsInUseMaySignIn(t *testing.T) {
	for _, s := range States() {
		want := s == Handed || s == Active
		if s.Usable() != want {
			t.Errorf("%s: usable %v", s, s.Usable())
		}
	}
}

func TestEveryStateCanBeReachedAndEnds(t *testing.T) {
	seen := []State{Stock}
	for i := 0; i < len(seen); i++ {
		for _, n := range seen[i].next() {
			if !slices.Contains(seen, n) {
				seen = append(seen, n)
			}
		}
	}
	for _, s := range States() {
		if !slices.Contains(seen, s) {
			t.Errorf("%s cannot be reached", s)
		}
		if s != Returned && !slices.Contains(s.next(), Returned) {
			t.Errorf("a card that is %s cannot be taken back", s)
		}
	}
	for _, s := range []State{Lost, Replaced, Returned} {
		for _, n := range s.next() {
			if n.Usable() {
				t.Errorf("%s is not the end: %s may follow", s, n)
			}
		}
	}
}

func TestTheBookKeepsACard(t *testing.T) {
	db, clock := storetest.Open(t, Schema())
	b := NewBook()
	var c Card
	write := func(fn func(tx *store.Tx) error) {
		t.Helper()
		if err := db.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	write(func(tx *store.Tx) (err error) {
		c, err = b.add(tx, Card{Serial: "Y100", Label: "0001", By: "desk"})
		return err
	})
	err := db.Write(t.Context(), func(tx *store.Tx) error { _, err := b.add(tx, Card{Serial: "Y100"}); return err })
	if !errors.Is(err, ErrTaken) {
		t.Fatalf("the same card twice: %v", err)
	}
	write(func(tx *store.Tx) (err error) {
		if c, err = b.move(tx, c, Personalising, "", "desk"); err != nil {
			return err
		}
		c.Account, c.Person, c.Certificate = "acc_1", "per_1", "cert_1"
		if err := b.save(tx, c); err != nil {
			return err
		}
		if c, err = b.move(tx, c, Personalised, "", "desk"); err != nil {
			return err
		}
		c, err = b.move(tx, c, Handed, "", "desk")
		return err
	})
	state := func() (s string) {
		write(func(tx *store.Tx) (err error) { s, _, err = b.CardOf(tx, "cert_1"); return err })
		return s
	}
	if got := state(); got != "active" {
		t.Errorf("a card that was handed over is %q to a sign-in", got)
	}
	clock.Add(1e9)
	write(func(tx *store.Tx) error { return b.Used(tx, "cert_1") })
	write(func(tx *store.Tx) (err error) { c, err = b.Get(tx, c.ID); return err })
	if c.State != Active || !c.Used.Equal(clock.Now()) {
		t.Errorf("after a sign-in: %s, used %v", c.State, c.Used)
	}
	old := c
	write(func(tx *store.Tx) (err error) { c, err = b.move(tx, c, Lost, "train", "desk"); return err })
	if got := state(); got != "lost" {
		t.Errorf("a lost card is %q to a sign-in", got)
	}
	err = db.Write(t.Context(), func(tx *store.Tx) error { _, err := b.move(tx, old, Suspended, "", "other desk"); return err })
	if !errors.Is(err, ErrNone) {
		t.Errorf("two desks moved one card: %v", err)
	}
	var wrong *StateError
	err = db.Write(t.Context(), func(tx *store.Tx) error { _, err := b.move(tx, c, Active, "", "desk"); return err })
	if !errors.As(err, &wrong) {
		t.Errorf("a lost card became active: %v", err)
	}
	write(func(tx *store.Tx) error {
		if s, _, err := b.CardOf(tx, "cert_other"); s != "" || err != nil {
			t.Errorf("a certificate on no card: %q, %v", s, err)
		}
		return b.Used(tx, "cert_other")
	})
}
