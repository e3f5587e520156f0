package throttle_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
	"seimon/internal/throttle"
)

var limits = throttle.Limits{
	Pair:   throttle.Limit{Tries: 3, First: time.Minute, Cap: time.Hour, Forget: 24 * time.Hour},
	Source: throttle.Limit{Tries: 10, First: time.Minute, Cap: 10 * time.Minute, Forget: time.Minute},
	Kinds:  map[authn.Kind]throttle.Limit{"totp": {Tries: 1, Cap: 48 * time.Hour}},
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// begin counts a try and returns its fault, if it was refused.
func begin(t testing.TB, db *store.DB, th *throttle.Throttle, try throttle.Try) *authn.Fault {
	t.Helper()
	err := db.Background(context.Background(), func(tx *store.Tx) error { return th.Begin(tx, try) })
	f := authn.AsFault(err)
	if err != nil && (f == nil || f.Code != throttle.CodeLocked) {
		t.Fatal(err)
	}
	return f
}

func succeed(t testing.TB, db *store.DB, th *throttle.Throttle, try throttle.Try) {
	t.Helper()
	if err := db.Write(context.Background(), func(tx *store.Tx) error { return th.Succeed(tx, try) }); err != nil {
		t.Fatal(err)
	}
}

func left(t testing.TB, db *store.DB, th *throttle.Throttle, try throttle.Try) (n int) {
	t.Helper()
	err := db.Read(context.Background(), func(tx *store.Tx) (err error) {
		n, err = th.Left(tx, try)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLockNamesItsEndAndEnds(t *testing.T) {
	db, clock := storetest.Open(t, throttle.Schema())
	th := throttle.New(limits)
	try := throttle.Try{Who: "acc_1", Factor: "password", Source: addr("192.0.2.1")}
	for i := range 3 {
		if n := left(t, db, th, try); n != 3-i {
			t.Errorf("%d left before try %d", n, i+1)
		}
		if f := begin(t, db, th, try); f != nil {
			t.Fatalf("try %d refused: %v", i+1, f)
		}
	}
	f := begin(t, db, th, try)
	if f == nil || f.Facts["until"] != clock.Now().Add(time.Minute).Format(time.RFC3339) || left(t, db, th, try) != 0 {
		t.Fatalf("fault %+v, %d left", f, left(t, db, th, try))
	}
	clock.Add(time.Minute)
	if f := begin(t, db, th, try); f != nil {
		t.Fatal("still locked", f)
	}
	succeed(t, db, th, try)
	if n := left(t, db, th, try); n != 3 {
		t.Errorf("%d left after success", n)
	}
}

// Guesses that arrive together do not pass the limit together.
func TestGuessesAtOnce(t *testing.T) {
	db, _ := storetest.Open(t, throttle.Schema())
	th := throttle.New(limits)
	count := func(try func(i int) throttle.Try) int32 {
		var passed atomic.Int32
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				if begin(t, db, th, try(i)) == nil {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		return passed.Load()
	}
	if n := count(func(i int) throttle.Try {
		return throttle.Try{Who: "acc_1", Factor: "password", Source: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}
	}); n != 3 {
		t.Errorf("%d guesses at one account passed at once", n)
	}
	if n := count(func(i int) throttle.Try {
		return throttle.Try{Who: fmt.Sprint("acc_", 100+i), Factor: "password", Source: addr("192.0.2.9")}
	}); n != 10 {
		t.Errorf("%d guesses from one source passed at once", n)
	}
}

// Whatever a stranger does, from the owner's own network too, the browsers that
// the owner has used stay open.
func TestStrangerCannotLockTheOwner(t *testing.T) {
	db, clock := storetest.Open(t, throttle.Schema())
	th := throttle.New(limits)
	stranger := throttle.Try{Who: "acc_1", Factor: "password", Source: addr("192.0.2.1")}
	owner := stranger
	owner.Known = true
	for range 200 {
		begin(t, db, th, stranger)
		clock.Add(30 * time.Second)
	}
	if begin(t, db, th, stranger) == nil {
		t.Fatal("the stranger is not locked")
	}
	if f := begin(t, db, th, owner); f != nil {
		t.Fatal("the owner is locked", f)
	}
	succeed(t, db, th, owner)
	if begin(t, db, th, stranger) == nil {
		t.Error("the owner's success gave the stranger new tries")
	}
	for range 3 {
		if f := begin(t, db, th, owner); f != nil {
			t.Fatal(f)
		}
	}
	if begin(t, db, th, owner) == nil {
		t.Error("a known browser is not limited at all")
	}
}

func TestFactorsAreCountedApart(t *testing.T) {
	db, clock := storetest.Open(t, throttle.Schema())
	th := throttle.New(limits)
	code := throttle.Try{Who: "acc_1", Factor: "totp", Source: addr("192.0.2.1")}
	password := throttle.Try{Who: "acc_1", Factor: "password", Source: addr("192.0.2.1")}
	if begin(t, db, th, code) != nil {
		t.Fatal("first code refused")
	}
	// A right password, or a code sent anew, leaves the count of codes alone.
	if begin(t, db, th, password) != nil {
		t.Fatal("password refused")
	}
	succeed(t, db, th, password)
	if begin(t, db, th, code) == nil {
		t.Error("the ladder of the kind is not used")
	}
	for range 20 {
		clock.Add(time.Hour)
		begin(t, db, th, code)
	}
	f := begin(t, db, th, code)
	if f == nil {
		t.Fatal("not locked")
	}
	until, err := time.Parse(time.RFC3339, f.Facts["until"])
	if err != nil || until.Sub(clock.Now()) < 2*time.Hour {
		t.Errorf("the cap of the kind is not used: %v, %v", f.Facts, err)
	}
}

func TestSources(t *testing.T) {
	same := func(a, b string) bool {
		db, _ := storetest.Open(t, throttle.Schema())
		th := throttle.New(limits)
		for i := range 10 {
			begin(t, db, th, throttle.Try{Who: fmt.Sprint("a", i), Factor: "password", Source: addr(a)})
		}
		return begin(t, db, th, throttle.Try{Who: "b", Factor: "password", Source: addr(b)}) != nil
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		if got := same(c.a, c.b); got != c.same {
			t.Errorf("%s and %s one source: %v", c.a, c.b, got)
		}
	}
	db, _ := storetest.Open(t, throttle.Schema())
	th := throttle.New(limits)
	for i := range 20 {
		if f := begin(t, db, th, throttle.Try{Who: fmt.Sprint("a", i), Factor: "password"}); f != nil {
			t.Fatal("an unknown source was counted", f)
		}
	}
}

// A busy address whose people sign in rightly is never locked.
func TestSuccessTakesTheSourcesTryBack(t *testing.T) {
	db, _ := storetest.Open(t, throttle.Schema())
	th := throttle.New(limits)
	for i := range 50 {
		try := throttle.Try{Who: fmt.Sprint("acc_", i), Factor: "password", Source: addr("192.0.2.1")}
		if f := begin(t, db, th, try); f != nil {
			t.Fatalf("sign-in %d: %v", i, f)
		}
		succeed(t, db, th, try)
	}
	if n := rows(t, db); n != 0 {
		t.Errorf("%d rows stay after nothing but success", n)
	}
}

// On the first morning of a term hundreds sign in at once from one address with
// browsers that nobody knows yet; a sprayer there is stopped all the same.
func TestFirstMorning(t *testing.T) {
	db, _ := storetest.Open(t, throttle.Schema())
	th := throttle.New(throttle.DefaultLimits())
	try := func(i int) throttle.Try {
		return throttle.Try{Who: fmt.Sprint("acc_", i), Factor: "password", Source: addr("192.0.2.1")}
	}
	all := func(n int, step func(*store.Tx, throttle.Try) error) (passed int) {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			passed = 0
			for i := range n {
				err := step(tx, try(i))
				if err == nil {
					passed++
				} else if authn.AsFault(err) == nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return passed
	}
	if n := all(500, th.Begin); n != 500 { // all being verified at the same time
		t.Fatalf("%d of 500 may try", n)
	}
	all(500, th.Succeed)
	if n := rows(t, db); n != 0 {
		t.Errorf("%d counts stay", n)
	}
	if n := all(2000, th.Begin); n < 800 || n > 1000 {
		t.Errorf("%d sprayed guesses passed", n)
	}
}

// An account that exists and a name that does not are locked alike at every step.
func TestLockTellsNothingAboutTheAccount(t *testing.T) {
	db, clock := storetest.Open(t, throttle.Schema())
	th := throttle.New(limits)
	for i := range 30 {
		real := begin(t, db, th, throttle.Try{Who: "acc_1", Factor: "password", Source: addr("192.0.2.1")})
		none := begin(t, db, th, throttle.Try{Who: "name:7f3a", Factor: "password", Source: addr("192.0.2.2")})
		if fmt.Sprint(real) != fmt.Sprint(none) || real != nil && real.Facts["until"] != none.Facts["until"] {
			t.Fatalf("step %d: %v and %v", i, real, none)
		}
		clock.Add(47 * time.Second)
	}
}

func TestDeskSeesAndClears(t *testing.T) {
	db, clock := storetest.Open(t, throttle.Schema())
	th := throttle.New(limits)
	for _, known := range []bool{false, true} {
		for range 3 {
			begin(t, db, th, throttle.Try{Who: "acc_1", Factor: "password", Source: addr("192.0.2.1"), Known: known})
		}
	}
	begin(t, db, th, throttle.Try{Who: "acc_2", Factor: "totp"})
	locks := func(who string) (out []throttle.Lock) {
		err := db.Read(t.Context(), func(tx *store.Tx) (err error) { out, err = th.Locks(tx, who); return err })
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	got := locks("acc_1")
	if len(got) != 2 || !got[0].Known || got[1].Known || got[0].Tries != 3 || !got[0].Until.Equal(clock.Now().Add(time.Minute)) {
		t.Errorf("%+v", got)
	}
	if err := db.Write(t.Context(), func(tx *store.Tx) error { return th.Clear(tx, "acc_1") }); err != nil {
		t.Fatal(err)
	}
	if len(locks("acc_1")) != 0 || len(locks("acc_2")) != 1 {
		t.Error("not cleared, or too much")
	}
	if f := begin(t, db, th, throttle.Try{Who: "acc_1", Factor: "password", Source: addr("192.0.2.1")}); f != nil {
		t.Error(f)
	}
}

func rows(t testing.TB, db *store.DB) (n int) {
	t.Helper()
	err := db.Read(context.Background(), func(tx *store.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM throttle_count").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Names that a guesser makes up do not fill the database for ever, and what still
// counts is not swept away.
func TestSweep(t *testing.T) {
	db, clock := storetest.Open(t, throttle.Schema())
	th := throttle.New(limits)
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range 5200 {
			if err := th.Begin(tx, throttle.Try{Who: fmt.Sprint("name:", i), Factor: "password"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	clock.Add(24*time.Hour - time.Millisecond)
	begin(t, db, th, throttle.Try{Who: "fresh", Factor: "password"})
	sweep := func() (n int64) {
		err := db.Background(t.Context(), func(tx *store.Tx) (err error) { n, err = th.Sweep(tx); return err })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := sweep(); n != 0 {
		t.Errorf("%d counts swept too early", n)
	}
	clock.Add(time.Millisecond)
	if a, b, c := sweep(), sweep(), sweep(); a+b != 5200 || c != 0 || rows(t, db) != 1 {
		t.Errorf("swept %d, %d, %d, left %d", a, b, c, rows(t, db))
	}
}

// Begin inside a transaction that fails counts nothing and breaks nothing.
func TestRolledBackTry(t *testing.T) {
	db, _ := storetest.Open(t, throttle.Schema())
	th := throttle.New(limits)
	try := throttle.Try{Who: "a", Factor: "password"}
	refused := errors.New("refused")
	for range 10 {
		err := db.Write(t.Context(), func(tx *store.Tx) error { return errors.Join(th.Begin(tx, try), refused) })
		if !errors.Is(err, refused) || authn.AsFault(err) != nil {
			t.Fatal(err)
		}
	}
}
