package audit_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

func keyed(key string) func([]byte) []byte {
	return func(data []byte) []byte {
		h := hmac.New(sha256.New, []byte(key))
		h.Write(data)
		return h.Sum(nil)
	}
}

func open(t testing.TB) (*audit.Log, *store.DB, *storetest.Clock) {
	db, clock := storetest.Open(t, audit.Schema())
	return audit.New(db, keyed("k")), db, clock
}

func appendAll(t testing.TB, l *audit.Log, db *store.DB, events ...audit.Event) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		for _, e := range events {
			if err := l.Append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func find(t testing.TB, l *audit.Log, db *store.DB, q audit.Query) []audit.Event {
	t.Helper()
	var out []audit.Event
	err := db.Read(t.Context(), func(tx *store.Tx) (err error) {
		out, err = l.Find(tx, q)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func seal(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func types(events []audit.Event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.Type)
	}
	return strings.Join(out, " ")
}

func TestEventComesBackWhole(t *testing.T) {
	l, db, clock := open(t)
	in := audit.Event{
		Type: "signin.failed", Account: "acc_1", Actor: "desk", Session: "s", Transaction: "t", Support: "7KQ2", Party: "p",
		Address: "2001:db8::1", Facts: map[string]string{"code": "P1", "名": "\x00\xff<"},
	}
	appendAll(t, l, db, in)
	for _, sealed := range []bool{false, true} {
		if sealed {
			seal(t, l)
		}
		got := find(t, l, db, audit.Query{Support: "7KQ2"})
		if len(got) != 1 {
			t.Fatalf("sealed %v: %d events", sealed, len(got))
		}
		want := in
		want.ID, want.At = got[0].ID, clock.Now()
		want.Facts = map[string]string{"code": "P1", "名": "\x00\uFFFD<"}
		if fmt.Sprint(got[0]) != fmt.Sprint(want) || want.ID == 0 {
			t.Errorf("sealed %v:\n got %v\nwant %v", sealed, got[0], want)
		}
	}
}

func TestForeignBytesAreStorable(t *testing.T) {
	l, db, _ := open(t)
	appendAll(t, l, db, audit.Event{Type: "signin.failed", Actor: "a\x00b\xff", Support: "x\x00"})
	if got := find(t, l, db, audit.Query{Support: "x\x00"}); len(got) != 1 || got[0].Actor != "a\uFFFDb\uFFFD" {
		t.Errorf("%v", got)
	}
}

func TestRefusedEventsLeaveTheTransactionToTheCaller(t *testing.T) {
	l, db, _ := open(t)
	for _, e := range []audit.Event{{}, {Type: "x", Facts: map[string]string{"a": strings.Repeat("x", audit.FactsLimit)}}} {
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return l.Append(tx, e) }); err == nil {
			t.Errorf("%.20v was taken", e.Type)
		}
	}
	refused := errors.New("refused")
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(l.Append(tx, audit.Event{Type: "gone"}), refused)
	})
	if !errors.Is(err, refused) || len(find(t, l, db, audit.Query{})) != 0 {
		t.Error("an event of a failed transaction stayed", err)
	}
}

func TestFindSelects(t *testing.T) {
	l, db, clock := open(t)
	start := clock.Now()
	for i := range 30 {
		appendAll(t, l, db, audit.Event{
			Type: []string{"signin.done", "signin.failed", "factor_added"}[i%3], Account: authn.AccountID(fmt.Sprint("acc_", i%2)),
			Session: fmt.Sprint("s", i%5), Transaction: fmt.Sprint("t", i), Support: fmt.Sprint("c", i/2),
		})
		clock.Add(time.Second)
		if i == 14 {
			seal(t, l)
		}
	}
	for _, c := range []struct {
		q    audit.Query
		want int
	}{
		{audit.Query{}, 30},
		{audit.Query{Account: "acc_1"}, 15},
		{audit.Query{Account: "nobody"}, 0},
		{audit.Query{Support: "c7"}, 2},
		{audit.Query{Transaction: "t29"}, 1},
		{audit.Query{Session: "s3", Account: "acc_1"}, 3},
		{audit.Query{TypePrefix: "signin."}, 20},
		{audit.Query{TypePrefix: "factor%"}, 0},
		{audit.Query{TypePrefix: "factor_"}, 10},
		{audit.Query{Since: start.Add(10 * time.Second)}, 20},
		{audit.Query{Until: start.Add(10 * time.Second)}, 10},
		{audit.Query{Since: start.Add(10 * time.Second), Until: start.Add(20 * time.Second), TypePrefix: "signin.done"}, 3},
		{audit.Query{Limit: 7}, 7},
	} {
		got := find(t, l, db, c.q)
		if len(got) != c.want {
			t.Errorf("%+v: %d events, want %d", c.q, len(got), c.want)
		}
		if !slices.IsSortedFunc(got, func(a, b audit.Event) int { return a.At.Compare(b.At) }) {
			t.Errorf("%+v: not in order of time", c.q)
		}
	}
}

// Pages join without a gap or a repetition, also while events are sealed between
// two pages and although many events share one instant.
func TestPaging(t *testing.T) {
	for _, newest := range []bool{false, true} {
		l, db, clock := open(t)
		var all []string
		for i := range 50 {
			name := fmt.Sprintf("e%02d", i)
			appendAll(t, l, db, audit.Event{Type: name, Account: "a"})
			all = append(all, name)
			if i%4 == 3 {
				clock.Add(time.Millisecond)
			}
			if i == 20 {
				seal(t, l)
			}
		}
		if newest {
			slices.Reverse(all)
		}
		var got []string
		q := audit.Query{Account: "a", Limit: 7, Newest: newest}
		for page := 0; ; page++ {
			events := find(t, l, db, q)
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				got = append(got, e.Type)
			}
			q.Before = events[len(events)-1].ID
			if page == 1 {
				seal(t, l)
			}
		}
		if !slices.Equal(got, all) {
			t.Errorf("newest %v: got %v", newest, got)
		}
		q.Before = 99999
		if len(find(t, l, db, q)) != 0 {
			t.Error("an unknown place gave the first page again")
		}
	}
}

func TestEmptyLogIsSound(t *testing.T) {
	l, _, _ := open(t)
	r, err := l.Verify(t.Context(), nil)
	if err != nil || !r.Sound() || r.Events != 0 || r.Head.Block != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestManyBlocksVerifyWithProgress(t *testing.T) {
	l, db, _ := open(t)
	events := make([]audit.Event, 1500)
	for i := range events {
		events[i] = audit.Event{Type: fmt.Sprint("e", i)}
	}
	appendAll(t, l, db, events...)
	calls, last := 0, int64(0)
	r, err := l.Verify(t.Context(), func(done, total int64) {
		calls++
		if done < last || done > total || total != 1500 {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil || !r.Sound() || r.Events != 1500 || r.Blocks < 7 || last != 1500 || calls < 2 {
		t.Errorf("%+v, %d calls up to %d, %v", r, calls, last, err)
	}
}

func TestAnotherKeyFindsEverythingForeign(t *testing.T) {
	l, db, _ := open(t)
	appendAll(t, l, db, audit.Event{Type: "a"}, audit.Event{Type: "b"})
	seal(t, l)
	r, err := audit.New(db, keyed("other")).Verify(t.Context(), nil)
	if err != nil || r.Damaged != 3 {
		t.Errorf("%+v %v", r, err)
	}
}

// Several nodes append and seal at once: nothing is lost, nothing is sealed
// twice, and the chain is one.
func TestNodesSealAtOnce(t *testing.T) {
	l, db, _ := open(t)
	var writers, sealers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 100 {
				err := db.Write(t.Context(), func(tx *store.Tx) error {
					return l.Append(tx, audit.Event{Type: fmt.Sprintf("w%d.%d", w, i)})
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	for range 3 {
		node := audit.New(db, keyed("k"))
		sealers.Go(func() {
			for {
				if err := node.Seal(t.Context()); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writers.Wait()
	close(done)
	sealers.Wait()
	r, err := l.Verify(t.Context(), nil)
	if err != nil || !r.Sound() || r.Events != 400 || r.Unsealed != 0 {
		t.Errorf("%+v %v", r, err)
	}
	if got := find(t, l, db, audit.Query{Limit: 1000}); len(got) != 400 {
		t.Errorf("%d events found", len(got))
	}
}

// PostgreSQL gives ids before commit, so an event with a smaller id can appear
// after one with a greater id was sealed.
func TestLateEventIsSealed(t *testing.T) {
	l, db, _ := open(t)
	appendAll(t, l, db, audit.Event{Type: "one"}, audit.Event{Type: "two"}, audit.Event{Type: "three"})
	var held string
	err := db.Write(t.Context(), func(tx *store.Tx) error { // what a transaction still open would hide
		if err := tx.QueryRow("SELECT type FROM audit_fresh WHERE id = 2").Scan(&held); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM audit_fresh WHERE id = 2")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	seal(t, l)
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO audit_fresh (id, at, type, account, actor, session, txn, support, party, address, facts)
			VALUES (2, $1, $2, '', '', '', '', '', '', '', '{}')`, store.Millis(tx.Now), held)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Verify(t.Context(), nil)
	if err != nil || !r.Sound() || r.Events != 3 || r.Blocks != 2 {
		t.Errorf("%+v %v", r, err)
	}
	if got := types(find(t, l, db, audit.Query{})); got != "one two three" {
		t.Error(got)
	}
}

// The same with two real transactions where the database allows them.
func TestLateCommitIsSealed(t *testing.T) {
	l, db, _ := open(t)
	if db.Flavour() == store.SQLite {
		return // one writer at a time: no transaction can be late
	}
	appended, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var slow sync.WaitGroup
	slow.Go(func() {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			err := l.Append(tx, audit.Event{Type: "slow"})
			once.Do(func() { close(appended) })
			<-release
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-appended
	appendAll(t, l, db, audit.Event{Type: "quick"})
	seal(t, l)
	close(release)
	slow.Wait()
	seal(t, l)
	r, err := l.Verify(t.Context(), nil)
	if err != nil || !r.Sound() || r.Events != 2 || r.Blocks != 2 {
		t.Errorf("%+v %v", r, err)
	}
}
