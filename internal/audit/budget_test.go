package audit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"seimon/internal/audit"
	"seimon/internal/store"
)

// flood brings events about as a front does and gives the codes that were shown.
func flood(t *testing.T, l *audit.Log, db *store.DB, b audit.Budget, events []audit.Event) (shown []string) {
	t.Helper()
	for _, e := range events {
		support, ok := l.Afford(b, e)
		shown = append(shown, support)
		if ok {
			write(t, l, db, e)
		}
	}
	return shown
}

func write(t *testing.T, l *audit.Log, db *store.DB, e audit.Event) {
	t.Helper()
	if err := db.Write(t.Context(), func(tx *store.Tx) error { return l.Append(tx, e) }); err != nil {
		t.Fatal(err)
	}
}

func all(t *testing.T, l *audit.Log, db *store.DB, q audit.Query) (out []audit.Event) {
	t.Helper()
	q.Limit = 10_000
	err := db.Read(t.Context(), func(tx *store.Tx) (err error) {
		out, err = l.Find(tx, q)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func turned(support, address, code string) audit.Event {
	return audit.Event{Type: "request.refused", Support: support, Address: address, Facts: map[string]string{"code": code, "front": "test"}}
}

// Whoever sends the same wrong request again and again writes a handful of rows, and
// each code that a page showed leads to one of them.
func TestABudgetBoundsOneCause(t *testing.T) {
	l, db, clock := open(t)
	var events []audit.Event
	for i := range 500 {
		events = append(events, turned("S"+strconv.Itoa(i), "198.51.100.7", "R3.unknown"))
	}
	shown := flood(t, l, db, audit.Few(), events)
	if n := len(all(t, l, db, audit.Query{})); n != audit.Few().Cause {
		t.Errorf("%d rows", n)
	}
	for _, code := range shown {
		if len(all(t, l, db, audit.Query{Support: code})) == 0 {
			t.Fatalf("%s leads nowhere", code)
		}
	}
	other := flood(t, l, db, audit.Few(), []audit.Event{turned("other", "198.51.100.7", "R3.redirect"), turned("neighbour", "198.51.100.8", "R3.unknown")})
	if other[0] != "other" || other[1] != "neighbour" {
		t.Errorf("another cause, and another source: %v", other)
	}
	settle(t, l, false)
	if n := len(all(t, l, db, audit.Query{})); n != audit.Few().Cause+2 {
		t.Errorf("%d rows before the span is over", n)
	}
	clock.Add(audit.Span)
	settle(t, l, false)
	settle(t, l, false)
	last := all(t, l, db, audit.Query{Newest: true})
	if len(last) != audit.Few().Cause+3 || last[0].Facts["more"] != "490" || last[0].Support != shown[499] || last[0].Facts["code"] != "R3.unknown" {
		t.Errorf("the count: %d rows, %+v", len(last), last[0])
	}
	if again, ok := l.Afford(audit.Few(), turned("again", "198.51.100.7", "R3.unknown")); !ok || again != "again" {
		t.Error("the next span is not free")
	}
}

func settle(t *testing.T, l *audit.Log, all bool) {
	t.Helper()
	if err := l.Settle(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

// However causes, sources and types are mixed, rows stay within the budgets, nothing is
// lost from the sums, and every code shown leads to a row.
func TestBudgetsHoldForEveryMixture(t *testing.T) {
	b := audit.Budget{Cause: 3, Source: 8, All: 40}
	for seed := range uint64(8) {
		l, db, _ := open(t)
		dice := rand.New(rand.NewPCG(seed, 4))
		var events []audit.Event
		for i := range 600 {
			address := fmt.Sprintf("2001:db8:%x:%x::%x", dice.IntN(12), dice.IntN(1000), dice.IntN(1000)) // 12 sites, countless addresses
			if dice.IntN(2) == 0 {
				address = "192.0.2." + strconv.Itoa(dice.IntN(4))
			}
			events = append(events, turned(fmt.Sprintf("%d-%d", seed, i), address, "R3."+strconv.Itoa(dice.IntN(1+int(seed)*40))))
		}
		shown := flood(t, l, db, b, events)
		written := all(t, l, db, audit.Query{})
		if len(written) > b.All || len(written) < b.Source {
			t.Errorf("%d rows", len(written))
		}
		on, sources := map[string]bool{}, map[string]int{}
		for _, e := range written {
			on[e.Support] = true
			if e.Address[:3] == "192" {
				sources[e.Address]++
			}
		}
		for source, n := range sources {
			if n > b.Source {
				t.Errorf("%s wrote %d rows", source, n)
			}
		}
		for _, code := range shown {
			if !on[code] {
				t.Fatalf("%s leads nowhere", code)
			}
		}
		settle(t, l, true)
		sum := len(written)
		for _, e := range all(t, l, db, audit.Query{})[len(written):] {
			n, err := strconv.Atoi(e.Facts["more"])
			if err != nil || !on[e.Support] {
				t.Errorf("%+v", e)
			}
			sum += n
		}
		if sum != len(events) {
			t.Errorf("%d of %d events are accounted for", sum, len(events))
		}
	}
}

// Counts outlive an outage of the database.
func TestCountsWaitForTheDatabase(t *testing.T) {
	l, db, _ := open(t)
	var events []audit.Event
	for i := range 30 {
		events = append(events, turned(strconv.Itoa(i), "", "R3"))
	}
	flood(t, l, db, audit.Few(), events)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l.Settle(ctx, true) == nil {
		t.Fatal("written with a context that is over")
	}
	settle(t, l, true)
	if last := all(t, l, db, audit.Query{Newest: true}); last[0].Facts["more"] != "20" {
		t.Errorf("%+v", last[0])
	}
}
