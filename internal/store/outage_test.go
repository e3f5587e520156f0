package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// A database that is out of order fails soon, says since when, and is used again by
// itself once it is back.
func TestOutage(t *testing.T) {
	db, clock, power := storetest.OpenSwitched(t, notes)
	if o, out := db.Outage(); out {
		t.Fatalf("out of order from the start: %+v", o)
	}
	power.Off()
	since := clock.Now()
	begun := time.Now()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if err := insert(t.Context(), db, fmt.Sprint("lost", i)); !store.Unavailable(err) {
				t.Errorf("a write during an outage: %v", err)
			}
		})
	}
	all.Wait()
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("eight writes waited %v for a database that is out of order", took)
	}
	clock.Add(7 * time.Minute)
	if err := insert(t.Context(), db, "lost too"); !store.Unavailable(err) {
		t.Errorf("a later write: %v", err)
	}
	if o, out := db.Outage(); !out || !o.Since.Equal(since) || o.Cause == nil {
		t.Errorf("the outage is %+v, %v; it began at %v", o, out, since)
	}
	power.On()
	if err := insert(t.Context(), db, "kept"); err != nil {
		t.Errorf("after the outage: %v", err)
	}
	kept := bodies(t, db)
	if o, out := db.Outage(); out || !kept["kept"] || len(kept) != 1 {
		t.Errorf("after the outage: %+v, kept %v", o, kept)
	}
}

// Whoever writes after the database is back is not told of the wait of those before.
func TestOutageIsOverAtOnce(t *testing.T) {
	db, _, power := storetest.OpenSwitched(t, notes)
	rounds := 40
	if db.Flavour() == store.PostgreSQL {
		rounds = 3 // each waits as long as a server that went away is tried again
	}
	for i := range rounds {
		power.Off()
		if err := insert(t.Context(), db, fmt.Sprint("lost", i)); !store.Unavailable(err) {
			t.Errorf("a write during outage %d: %v", i, err)
		}
		power.On()
		if err := insert(t.Context(), db, fmt.Sprint("kept", i)); err != nil {
			t.Fatalf("after outage %d: %v", i, err)
		}
	}
}

// What a transaction itself did wrong is no outage.
func TestNoOutage(t *testing.T) {
	db, _, _ := storetest.OpenSwitched(t, notes)
	own := errors.New("no")
	for _, fn := range []func(tx *store.Tx) error{
		func(*store.Tx) error { return own },
		func(tx *store.Tx) error { _, err := tx.Exec("INSERT INTO nowhere (a) VALUES (1)"); return err },
	} {
		if err := db.Write(t.Context(), fn); err == nil || store.Unavailable(err) {
			t.Errorf("%v counts as an outage", err)
		}
	}
	if _, out := db.Outage(); out {
		t.Error("out of order")
	}
}
