package rp_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// TestPartiesAreReadAgainAfterEachChange has two nodes on one database: what one writes
// the other sees at once, however often it has read the party before.
func TestPartiesAreReadAgainAfterEachChange(t *testing.T) {
	db, clock := storetest.Open(t, rp.Schema())
	one, two := rp.New(db, mac), rp.New(db, mac)
	read := func(b *rp.Book) (p rp.Party, err error) {
		err = db.Read(t.Context(), func(tx *store.Tx) (err error) {
			p, err = b.Get(tx, "library")
			return err
		})
		return p, err
	}
	write := func(fn func(tx *store.Tx) error) {
		t.Helper()
		if err := db.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 4 {
		p := library()
		p.Contact = fmt.Sprintf("desk%d@example.ac.jp", round)
		write(func(tx *store.Tx) error { return one.Put(tx, p) })
		for range 3 { // before and after it is old enough to be kept
			for _, b := range []*rp.Book{one, two} {
				got, err := read(b)
				if err != nil || got.Contact != p.Contact || !reflect.DeepEqual(got.Release, p.Release) {
					t.Fatalf("round %d: %+v %v", round, got, err)
				}
				got.Names["ja"], got.Release[0].Attribute = "changed by the caller", "groups"
			}
			clock.Add(time.Second)
		}
		if round%2 == 1 { // registered anew, with the same version as at first
			write(func(tx *store.Tx) error { return one.Remove(tx, "library") })
			for _, b := range []*rp.Book{one, two} {
				if _, err := read(b); !errors.Is(err, rp.ErrNone) {
					t.Fatalf("removed, and yet read: %v", err)
				}
			}
		}
	}
}

// TestPartyTakenBackIsNotKept reads what is being written, before it is taken back and
// written otherwise at the same instant.
func TestPartyTakenBackIsNotKept(t *testing.T) {
	h := open(t)
	back := errors.New("taken back")
	err := h.db.Write(t.Context(), func(tx *store.Tx) error {
		p := library()
		p.Release = append(p.Release, rp.Release{Attribute: "userName"})
		if err := h.book.Put(tx, p); err != nil {
			return err
		}
		if _, err := h.book.Get(tx, "library"); err != nil {
			return err
		}
		return back
	})
	if !errors.Is(err, back) {
		t.Fatal(err)
	}
	h.put(library())
	h.write(func(tx *store.Tx) error {
		p, err := h.book.Get(tx, "library")
		if err == nil && (len(p.Release) != len(library().Release) || p.Version != 1) {
			t.Errorf("got %+v", p)
		}
		return err
	})
}

func BenchmarkRegistered(b *testing.B) {
	db, clock := storetest.Open(b, rp.Schema())
	book := rp.New(db, mac)
	if err := db.Write(b.Context(), func(tx *store.Tx) error { return book.Put(tx, library()) }); err != nil {
		b.Fatal(err)
	}
	clock.Add(time.Minute)
	for b.Loop() {
		err := db.Glance(b.Context(), func(tx *store.Tx) error {
			_, err := book.Registered(tx, "library")
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
