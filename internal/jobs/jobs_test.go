package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"seimon/internal/jobs"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

func submit(t testing.TB, db *store.DB, b *jobs.Board, tasks ...jobs.NewTask) {
	t.Helper()
	err := db.Write(context.Background(), func(tx *store.Tx) error {
		for _, task := range tasks {
			if err := b.Submit(tx, task); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func runDue(t testing.TB, b *jobs.Board) {
	t.Helper()
	if _, err := b.RunDue(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func state(t testing.TB, db *store.DB, b *jobs.Board, id string) jobs.State {
	t.Helper()
	var s jobs.State
	err := db.Read(context.Background(), func(tx *store.Tx) (err error) {
		s, err = b.State(tx, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// recorder is a handler that notes what it was given.
type recorder struct {
	mu   sync.Mutex
	seen []string
	err  error
}

func (r *recorder) handle(_ context.Context, t jobs.Task) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, string(t.Payload))
	return r.err
}

func (r *recorder) got() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.seen, " ")
}

func TestTaskRunsOnceAfterItsTransaction(t *testing.T) {
	db, _ := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	var r recorder
	b.Handle("mail", r.handle)
	refused := errors.New("refused")
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(b.Submit(tx, jobs.NewTask{Kind: "mail", Payload: []byte("never")}), refused)
	})
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	submit(t, db, b, jobs.NewTask{ID: "x", Kind: "mail", Payload: []byte("a")}, jobs.NewTask{Kind: "unknown"})
	runDue(t, b)
	runDue(t, b)
	if r.got() != "a" {
		t.Errorf("ran %q", r.got())
	}
	if s := state(t, db, b, "x"); s.Stage != jobs.Done || s.Tries != 1 || s.Ended.IsZero() {
		t.Errorf("%+v", s)
	}
	err = db.Read(t.Context(), func(tx *store.Tx) error {
		open, err := b.Open(tx, 10)
		if len(open) != 1 || open[0].Kind != "unknown" {
			t.Errorf("open: %+v", open)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTaskWaitsForItsTime(t *testing.T) {
	db, clock := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	var r recorder
	b.Handle("k", r.handle)
	submit(t, db, b, jobs.NewTask{Kind: "k", Payload: []byte("late"), At: clock.Now().Add(time.Hour)})
	runDue(t, b)
	if r.got() != "" {
		t.Fatal("ran too early")
	}
	clock.Add(time.Hour)
	runDue(t, b)
	if r.got() != "late" {
		t.Fatal("did not run")
	}
}

func TestKeyWaitsOnce(t *testing.T) {
	db, clock := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	var r recorder
	b.Handle("k", r.handle)
	later := clock.Now().Add(time.Hour)
	submit(t, db, b,
		jobs.NewTask{Kind: "k", Key: "a", Payload: []byte("old"), At: later},
		jobs.NewTask{Kind: "k", Key: "a", Payload: []byte("new")},
		jobs.NewTask{Kind: "k", Key: "b", Payload: []byte("other")},
		jobs.NewTask{Kind: "k", Key: "b", Payload: []byte("newer"), At: later})
	runDue(t, b)
	if got := strings.Fields(r.got()); !slices.Equal(got, []string{"new", "newer"}) && !slices.Equal(got, []string{"newer", "new"}) {
		t.Errorf("ran %q", r.got())
	}
}

// What is submitted while the same key runs is not lost: it runs afterwards.
func TestKeySubmittedWhileRunning(t *testing.T) {
	db, _ := storetest.Open(t, jobs.Schema())
	a, b := jobs.New(db, "a"), jobs.New(db, "b")
	var atOnce, most atomic.Int32
	var payloads recorder
	entered, release := make(chan struct{}, 2), make(chan struct{})
	handle := func(ctx context.Context, task jobs.Task) error {
		most.Store(max(most.Load(), atOnce.Add(1)))
		defer atOnce.Add(-1)
		entered <- struct{}{}
		<-release
		return payloads.handle(ctx, task)
	}
	a.Handle("k", handle)
	b.Handle("k", handle)
	submit(t, db, a, jobs.NewTask{Kind: "k", Key: "x", Payload: []byte("first")})
	var first sync.WaitGroup
	first.Go(func() { runDue(t, a) })
	<-entered
	submit(t, db, a, jobs.NewTask{Kind: "k", Key: "x", Payload: []byte("second")})
	runDue(t, b) // finds it busy
	close(release)
	first.Wait()
	runDue(t, b)
	if payloads.got() != "first second" || most.Load() != 1 {
		t.Errorf("ran %q, %d at once", payloads.got(), most.Load())
	}
}

func TestFailureWaitsLongerAndEndsDead(t *testing.T) {
	db, clock := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	r := recorder{err: errors.New("no answer")}
	b.Handle("k", r.handle)
	var reported atomic.Int32
	b.Report(func(what string, err error) {
		if what == "k" && strings.Contains(err.Error(), "no answer") {
			reported.Add(1)
		}
	})
	submit(t, db, b, jobs.NewTask{ID: "x", Kind: "k", Payload: []byte("p")})
	last := time.Duration(0)
	tries := 0
	for ; tries < 100; tries++ {
		runDue(t, b)
		s := state(t, db, b, "x")
		if s.Stage == jobs.Dead {
			break
		}
		wait := s.Due.Sub(clock.Now())
		if s.Stage != jobs.Waiting || s.Fault != "no answer" || wait < 2*time.Second || wait > 2*time.Hour || (last < 30*time.Minute && wait < last) {
			t.Fatalf("after try %d: %+v, waits %v after %v", s.Tries, s, wait, last)
		}
		runDue(t, b) // too early: nothing
		last = wait
		clock.Add(wait)
	}
	if tries < 10 || tries > 30 || int(reported.Load()) != tries+1 {
		t.Errorf("dead after %d tries, %d reported", tries, reported.Load())
	}
	clock.Add(1000 * time.Hour)
	r.err = nil
	runDue(t, b)
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		dead, err := b.Dead(tx, 10)
		if len(dead) != 1 || dead[0].ID != "x" || dead[0].Fault != "no answer" {
			t.Errorf("dead: %+v", dead)
		}
		return errors.Join(err, b.Revive(tx, "x"))
	})
	if err != nil {
		t.Fatal(err)
	}
	runDue(t, b)
	if s := state(t, db, b, "x"); s.Stage != jobs.Done || s.Tries != 1 {
		t.Errorf("revived: %+v", s)
	}
}

func TestPermanentFailureAndDrop(t *testing.T) {
	db, _ := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	b.Handle("k", func(context.Context, jobs.Task) error { return fmt.Errorf("x: %w", jobs.Permanent(errors.New("gone"))) })
	submit(t, db, b, jobs.NewTask{ID: "x", Kind: "k"})
	runDue(t, b)
	if s := state(t, db, b, "x"); s.Stage != jobs.Dead || s.Tries != 1 {
		t.Errorf("%+v", s)
	}
	drop := func() error {
		return db.Write(t.Context(), func(tx *store.Tx) error { return b.Drop(tx, "x") })
	}
	if err := drop(); err != nil {
		t.Error(err)
	}
	if err := drop(); !errors.Is(err, store.ErrNoRows) {
		t.Error(err)
	}
}

func TestPanicIsAFailure(t *testing.T) {
	db, _ := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	b.Handle("k", func(context.Context, jobs.Task) error { panic("boom") })
	b.Every("p", time.Hour, func(context.Context) error { panic("bang") })
	submit(t, db, b, jobs.NewTask{ID: "x", Kind: "k"})
	runDue(t, b)
	if s := state(t, db, b, "x"); s.Stage != jobs.Waiting || !strings.Contains(s.Fault, "boom") {
		t.Errorf("%+v", s)
	}
	if p := period(t, db, b, "p"); p.Fails != 1 || !strings.Contains(p.Fault, "bang") {
		t.Errorf("%+v", p)
	}
}

// A failed task whose key was submitted anew gives way to the newer one.
func TestFailedTaskGivesWayToItsKey(t *testing.T) {
	db, _ := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	var r recorder
	b.Handle("k", func(ctx context.Context, task jobs.Task) error {
		if string(task.Payload) == "old" {
			submit(t, db, b, jobs.NewTask{ID: "new", Kind: "k", Key: "x", Payload: []byte("new")})
			return errors.New("failed")
		}
		return r.handle(ctx, task)
	})
	submit(t, db, b, jobs.NewTask{ID: "old", Kind: "k", Key: "x", Payload: []byte("old")})
	runDue(t, b)
	if r.got() != "new" || state(t, db, b, "old").Stage != jobs.Done || state(t, db, b, "new").Stage != jobs.Done {
		t.Errorf("ran %q, old %+v", r.got(), state(t, db, b, "old"))
	}
}

// The lease of a silent node ends; another takes over, and what the first one says
// later changes nothing.
func TestLeaseEnds(t *testing.T) {
	db, clock := storetest.Open(t, jobs.Schema())
	a, b := jobs.New(db, "a"), jobs.New(db, "b")
	entered, release := make(chan struct{}), make(chan struct{})
	a.Handle("k", func(context.Context, jobs.Task) error {
		close(entered)
		<-release
		return jobs.Permanent(errors.New("too late"))
	})
	var r recorder
	b.Handle("k", r.handle)
	submit(t, db, a, jobs.NewTask{ID: "x", Kind: "k", Payload: []byte("p")})
	var first sync.WaitGroup
	first.Go(func() { runDue(t, a) })
	<-entered
	runDue(t, b)
	if r.got() != "" {
		t.Error("ran in spite of the lease")
	}
	clock.Add(2 * time.Minute)
	runDue(t, b)
	close(release)
	first.Wait()
	if s := state(t, db, b, "x"); r.got() != "p" || s.Stage != jobs.Done || s.Tries != 2 {
		t.Errorf("ran %q: %+v", r.got(), s)
	}
}

// A task that takes its node down each time is given up.
func TestTaskThatKillsItsNode(t *testing.T) {
	db, clock := storetest.Open(t, jobs.Schema())
	submit(t, db, jobs.New(db, "s"), jobs.NewTask{ID: "x", Kind: "k"})
	release := make(chan struct{})
	var all sync.WaitGroup
	defer all.Wait()
	defer close(release)
	kills := 0
	for ; kills < 50; kills++ {
		node := jobs.New(db, "n")
		entered := make(chan struct{})
		node.Handle("k", func(context.Context, jobs.Task) error {
			close(entered)
			<-release // as if the program were gone
			return nil
		})
		ended := make(chan struct{})
		all.Go(func() { defer close(ended); runDue(t, node) })
		select {
		case <-entered:
		case <-ended:
		}
		clock.Add(2 * time.Minute)
		if state(t, db, node, "x").Stage == jobs.Dead {
			break
		}
	}
	if kills < 3 || kills > 10 {
		t.Errorf("given up after %d kills", kills)
	}
}

func TestNodesShareTheWork(t *testing.T) {
	db, _ := storetest.Open(t, jobs.Schema())
	var mu sync.Mutex
	runs := map[string]int{}
	all := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	var nodes sync.WaitGroup
	var first *jobs.Board
	for range 3 {
		b := jobs.New(db, "n")
		b.Handle("k", func(_ context.Context, task jobs.Task) error {
			mu.Lock()
			defer mu.Unlock()
			if runs[task.ID]++; len(runs) == 100 && runs[task.ID] == 1 {
				close(all)
			}
			return nil
		})
		if first == nil {
			first = b
		}
		nodes.Go(func() {
			if err := b.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 100 {
		submit(t, db, first, jobs.NewTask{ID: fmt.Sprint(i), Kind: "k"})
	}
	<-all
	stop()
	nodes.Wait()
	for id, n := range runs {
		if n != 1 {
			t.Errorf("task %s ran %d times", id, n)
		}
		if s := state(t, db, first, id); s.Stage != jobs.Done {
			t.Errorf("task %s is %s", id, s.Stage)
		}
	}
}

// A submitted task starts at once on the same node, without waiting for a poll: on a
// clock that moves only while everybody waits, no time passes.
func TestSubmitWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, _ := storetest.Open(t, jobs.Schema())
		b := jobs.New(db, "n")
		ran := make(chan struct{}, 1)
		b.Handle("k", func(context.Context, jobs.Task) error { ran <- struct{}{}; return nil })
		ctx, stop := context.WithCancel(t.Context())
		var node sync.WaitGroup
		node.Go(func() { b.Run(ctx) }) //nolint:errcheck // always nil
		began := time.Now()
		for range 20 {
			submit(t, db, b, jobs.NewTask{Kind: "k"})
			<-ran
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("20 tasks, one after another, waited %v", d)
		}
		stop()
		node.Wait()
	})
}

// At the end of the program handlers are told, waited for, and what they did not
// finish is given back as if it had not been tried.
func TestRunEndsCleanly(t *testing.T) {
	db, _ := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	entered := make(chan struct{})
	b.Handle("k", func(ctx context.Context, task jobs.Task) error {
		task.Progress(3, 10)
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	})
	b.Report(func(what string, err error) { t.Errorf("%s: %v", what, err) })
	b.Every("p", time.Second, func(context.Context) error { return nil })
	submit(t, db, b, jobs.NewTask{ID: "x", Kind: "k"})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	<-entered
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s := state(t, db, b, "x"); s.Stage != jobs.Waiting || s.Tries != 0 || s.Fault != "" || s.Done != 3 || s.Total != 10 {
		t.Errorf("%+v", s)
	}
	var r recorder
	next := jobs.New(db, "m")
	next.Handle("k", r.handle)
	ran := false
	next.Every("p", time.Second, func(context.Context) error { ran = true; return nil })
	runDue(t, next)
	if len(r.seen) != 1 || !ran {
		t.Errorf("the next node: %d tasks, period %v", len(r.seen), ran)
	}
}

func TestProgressIsSeen(t *testing.T) {
	db, _ := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	b.Handle("k", func(_ context.Context, task jobs.Task) error {
		task.Progress(5, 10)
		if s := state(t, db, b, "x"); s.Done != 5 || s.Total != 10 || s.Stage != jobs.Running || s.Node == "" {
			t.Errorf("%+v", s)
		}
		task.Progress(6, 10) // too soon to be stored
		task.Progress(10, 10)
		if s := state(t, db, b, "x"); s.Done != 10 {
			t.Errorf("%+v", s)
		}
		return nil
	})
	submit(t, db, b, jobs.NewTask{ID: "x", Kind: "k"})
	runDue(t, b)
}

func TestSweepKeepsTheDead(t *testing.T) {
	db, clock := storetest.Open(t, jobs.Schema())
	b := jobs.New(db, "n")
	b.Handle("good", func(context.Context, jobs.Task) error { return nil })
	b.Handle("bad", func(context.Context, jobs.Task) error { return jobs.Permanent(errors.New("x")) })
	submit(t, db, b, jobs.NewTask{ID: "good", Kind: "good"}, jobs.NewTask{ID: "bad", Kind: "bad"})
	runDue(t, b)
	clock.Add(48 * time.Hour)
	runDue(t, b)
	if s := state(t, db, b, "bad"); s.Stage != jobs.Dead {
		t.Errorf("%+v", s)
	}
	err := db.Read(t.Context(), func(tx *store.Tx) error { _, err := b.State(tx, "good"); return err })
	if !errors.Is(err, store.ErrNoRows) {
		t.Error("the finished task is still there", err)
	}
}
