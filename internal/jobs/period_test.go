package jobs_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"seimon/internal/jobs"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

func period(t testing.TB, db *store.DB, b *jobs.Board, name string) jobs.Period {
	t.Helper()
	var out jobs.Period
	err := db.Read(context.Background(), func(tx *store.Tx) error {
		all, err := b.Periods(tx)
		for _, p := range all {
			if p.Name == name {
				out = p
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// However often two nodes look, the work runs once per period.
func TestPeriodRunsOnOneNode(t *testing.T) {
	for _, every := range []time.Duration{time.Second, time.Hour} {
		db, clock := storetest.Open(t, jobs.Schema())
		a, b := jobs.New(db, "a"), jobs.New(db, "b")
		n := 0
		count := func(context.Context) error { n++; return nil }
		a.Every("p", every, count)
		b.Every("p", every, count)
		for i := 1; i <= 5; i++ {
			for range 3 {
				runDue(t, a)
				runDue(t, b)
			}
			if n != i {
				t.Fatalf("every %v: %d runs in %d periods", every, n, i)
			}
			clock.Add(every)
		}
	}
}

func TestEachNodeRunsItsOwn(t *testing.T) {
	db, clock := storetest.Open(t, jobs.Schema())
	a, b := jobs.New(db, "a"), jobs.New(db, "b")
	na, nb := 0, 0
	a.EachNode("refresh", time.Minute, func(context.Context) error { na++; return nil })
	b.EachNode("refresh", time.Minute, func(context.Context) error { nb++; return nil })
	for range 3 {
		runDue(t, a)
		runDue(t, a)
		runDue(t, b)
		clock.Add(time.Minute)
	}
	if na != 3 || nb != 3 {
		t.Errorf("%d and %d runs in 3 periods", na, nb)
	}
}

// Rare work is neither repeated nor forgotten when programs come and go.
func TestRarePeriodOutlivesRestarts(t *testing.T) {
	db, clock := storetest.Open(t, jobs.Schema())
	n := 0
	for range 48 { // a restart every hour, for two days
		b := jobs.New(db, "n")
		b.Every("daily", 24*time.Hour, func(context.Context) error { n++; return nil })
		runDue(t, b)
		clock.Add(time.Hour)
	}
	if n != 2 {
		t.Errorf("%d runs in two days", n)
	}
}

func TestFailedPeriodComesBackSooner(t *testing.T) {
	db, clock := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	n := 0
	var err error
	b.Every("daily", 24*time.Hour, func(context.Context) error { n++; return err })
	err = errors.New("disk full")
	runDue(t, b)
	if p := period(t, db, b, "daily"); p.Fault != "disk full" || p.Fails != 1 || !p.Due.Before(clock.Now().Add(time.Minute)) {
		t.Errorf("%+v", p)
	}
	err = nil
	clock.Add(time.Minute)
	runDue(t, b)
	if p := period(t, db, b, "daily"); n != 2 || p.Fault != "" || p.Fails != 0 || !p.Due.Equal(clock.Now().Add(24*time.Hour)) || !p.Ran.Equal(clock.Now()) {
		t.Errorf("%d runs, %+v", n, p)
	}
}

// A node that dies in the middle of its run is replaced when its lease ends.
func TestPeriodMovesToAnotherNode(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 24 * time.Hour} {
		db, clock := storetest.Open(t, jobs.Schema())
		a, b := jobs.New(db, "a"), jobs.New(db, "b")
		entered, release := make(chan struct{}), make(chan struct{})
		a.Every("p", every, func(context.Context) error { close(entered); <-release; return nil })
		n := 0
		b.Every("p", every, func(context.Context) error { n++; return nil })
		var dead sync.WaitGroup
		dead.Go(func() { runDue(t, a) })
		<-entered
		runDue(t, b)
		if n != 0 {
			t.Error("ran in spite of the lease")
		}
		clock.Add(2 * time.Minute)
		runDue(t, b)
		if n != 1 {
			t.Errorf("every %v: ran %d times after the lease", every, n)
		}
		close(release)
		dead.Wait()
		runDue(t, b)
		if p := period(t, db, b, "p"); n != 1 || (every < time.Minute) != (p.Node != "") {
			t.Errorf("every %v: %d runs, %+v", every, n, p)
		}
	}
}

func TestRunTurnsPeriods(t *testing.T) {
	db, clock := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	var n atomic.Int32
	turned := make(chan struct{}, 1)
	b.Every("p", time.Second, func(context.Context) error {
		n.Add(1)
		turned <- struct{}{}
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	for range 3 {
		<-turned
		clock.Add(time.Second)
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-turned: // one more turn began before the end
		<-ended
	}
	if p := period(t, db, b, "p"); p.Node != "" {
		t.Errorf("the lease was not given back: %+v", p)
	}
}
