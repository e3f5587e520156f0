package factor_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

type shelf struct {
	*factor.Bindings
	db    *store.DB
	clock *storetest.Clock
	t     *testing.T
}

func open(t *testing.T) shelf {
	db, clock := storetest.Open(t, keyring.Schema(), factor.Schema())
	ring := keyringtest.Open(t, db, bytes.Repeat([]byte{7}, 32))
	return shelf{factor.NewBindings(db, ring), db, clock, t}
}

func (s shelf) write(fn func(*store.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(s.t.Context(), fn); err != nil {
		s.t.Fatal(err)
	}
}

func (s shelf) add(b factor.Binding) factor.Binding {
	s.t.Helper()
	s.write(func(tx *store.Tx) (err error) {
		b, err = s.Add(tx, b)
		return err
	})
	return b
}

func (s shelf) of(account authn.AccountID) []factor.Binding {
	s.t.Helper()
	var out []factor.Binding
	if err := s.db.Read(s.t.Context(), func(tx *store.Tx) (err error) {
		out, err = s.Of(tx, account)
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return out
}

func TestBindingKeepsWhatWasAdded(t *testing.T) {
	s := open(t)
	b := s.add(factor.Binding{Account: "acc_1", Kind: "totp", Label: "スマートフォン", Payload: []byte("secret"), Counter: 3})
	s.add(factor.Binding{Account: "acc_2", Kind: "totp", Payload: []byte("other")})
	got := s.of("acc_1")
	if len(got) != 1 {
		t.Fatalf("%d bindings", len(got))
	}
	g := got[0]
	if g.ID != b.ID || g.State != factor.Pending || g.Label != "スマートフォン" || string(g.Payload) != "secret" || g.Counter != 3 ||
		!g.Created.Equal(s.clock.Now()) || !g.Used.IsZero() {
		t.Errorf("%+v", g)
	}
}

func TestPendingBecomesActiveOnce(t *testing.T) {
	s := open(t)
	b := s.add(factor.Binding{Account: "a", Kind: "totp"})
	s.write(func(tx *store.Tx) error { return s.Activate(tx, b.ID) })
	if got := s.of("a"); got[0].State != factor.Active {
		t.Errorf("state %s", got[0].State)
	}
	err := s.db.Write(t.Context(), func(tx *store.Tx) error { return s.Activate(tx, b.ID) })
	if !errors.Is(err, factor.ErrNone) {
		t.Errorf("second time: %v", err)
	}
}

func TestPayloadOpensOnlyInItsRow(t *testing.T) {
	s := open(t)
	a := s.add(factor.Binding{Account: "a", Kind: "totp", Payload: []byte("one")})
	b := s.add(factor.Binding{Account: "b", Kind: "totp", Payload: []byte("two")})
	for what, change := range map[string]func(tx *store.Tx) error{
		"payload of another row": func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE factor_binding SET payload = (SELECT payload FROM factor_binding WHERE id = $1) WHERE id = $2", a.ID, b.ID)
			return err
		},
		"row given to another account": func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE factor_binding SET account = 'b' WHERE id = $1", a.ID)
			return err
		},
		"row given another kind": func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE factor_binding SET kind = 'password', account = 'b' WHERE id = $1", a.ID)
			return err
		},
	} {
		err := s.db.Write(t.Context(), func(tx *store.Tx) error {
			if err := change(tx); err != nil {
				return err
			}
			if _, err := s.Of(tx, "b"); err == nil {
				t.Errorf("%s: opened", what)
			}
			return errors.New("undo")
		})
		if err == nil {
			t.Error("not undone")
		}
	}
}

func TestPayloadIsSealedAtRest(t *testing.T) {
	s := open(t)
	s.add(factor.Binding{Account: "a", Kind: "totp", Payload: []byte("JBSWY3DPEHPK3PXP")})
	var raw []byte
	if err := s.db.Read(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow("SELECT payload FROM factor_binding").Scan(&raw)
	}); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("JBSWY3")) || len(raw) < 16 {
		t.Errorf("raw payload %q", raw)
	}
}

func TestAdvanceIsWonByOne(t *testing.T) {
	s := open(t)
	b := s.add(factor.Binding{Account: "a", Kind: "totp", State: factor.Active, Counter: 10})
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			var ok bool
			err := s.db.Write(t.Context(), func(tx *store.Tx) (err error) {
				ok, err = s.Advance(tx, b.ID, 11)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d requests advanced the counter to the same value", won.Load())
	}
	s.write(func(tx *store.Tx) error {
		for _, c := range []int64{9, 10, 11} {
			if ok, err := s.Advance(tx, b.ID, c); ok || err != nil {
				t.Errorf("counter went back to %d: %v", c, err)
			}
		}
		return nil
	})
	if got := s.of("a")[0]; got.Counter != 11 || !got.Used.Equal(s.clock.Now()) {
		t.Errorf("%+v", got)
	}
}

func TestOnlyActiveBindingsAdvance(t *testing.T) {
	s := open(t)
	pending := s.add(factor.Binding{Account: "a", Kind: "totp"})
	removed := s.add(factor.Binding{Account: "a", Kind: "totp", State: factor.Active})
	s.write(func(tx *store.Tx) error { return s.Remove(tx, removed.ID) })
	s.write(func(tx *store.Tx) error {
		for _, id := range []string{pending.ID, removed.ID, "none"} {
			if ok, err := s.Advance(tx, id, 99); ok || err != nil {
				t.Errorf("%s advanced: %v", id, err)
			}
		}
		return nil
	})
}

func TestReplaceIsWonByOne(t *testing.T) {
	s := open(t)
	b := s.add(factor.Binding{Account: "a", Kind: "password", State: factor.Active, Counter: 1})
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			next, ok := b, false
			next.Payload, next.Counter = []byte{byte(i)}, 2
			err := s.db.Write(t.Context(), func(tx *store.Tx) (err error) {
				ok, err = s.Replace(tx, next, 1)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d requests replaced the same secret", won.Load())
	}
}

func TestIdentifierBelongsToOneBinding(t *testing.T) {
	s := open(t)
	first := s.add(factor.Binding{Account: "a", Kind: "clientcert", Identifier: "serial-1"})
	add := func(account authn.AccountID, kind authn.Kind) error {
		return s.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := s.Add(tx, factor.Binding{Account: account, Kind: kind, Identifier: "serial-1"})
			return err
		})
	}
	if err := add("b", "clientcert"); !errors.Is(err, factor.ErrTaken) {
		t.Errorf("the same identifier again: %v", err)
	}
	if err := add("b", "passkey"); err != nil {
		t.Errorf("the same identifier in another kind: %v", err)
	}
	s.write(func(tx *store.Tx) error {
		if got, err := s.ByIdentifier(tx, "clientcert", "serial-1"); err != nil || got.ID != first.ID {
			t.Errorf("found %+v, %v", got, err)
		}
		return s.Remove(tx, first.ID)
	})
	if err := add("b", "clientcert"); err != nil {
		t.Errorf("after removal: %v", err)
	}
}

func TestRemovedBindingsAreRememberedForAWhile(t *testing.T) {
	s := open(t)
	other := s.add(factor.Binding{Account: "b", Kind: "totp", State: factor.Active})
	s.write(func(tx *store.Tx) error { return s.Remove(tx, other.ID) })
	for range 8 {
		b := s.add(factor.Binding{Account: "a", Kind: "totp", State: factor.Active, Label: s.clock.Now().String()})
		s.clock.Add(time.Hour)
		s.write(func(tx *store.Tx) error { return s.Remove(tx, b.ID) })
	}
	err := s.db.Write(t.Context(), func(tx *store.Tx) error {
		old, err := s.Retired(tx, "a", "totp")
		if err != nil {
			return err
		}
		if len(old) != 5 || !old[0].Changed.After(old[4].Changed) {
			t.Errorf("%d remembered", len(old))
		}
		if b, err := s.Retired(tx, "b", "totp"); err != nil || len(b) != 1 {
			t.Errorf("another account lost its own: %d, %v", len(b), err)
		}
		var rows int
		if err := tx.QueryRow("SELECT count(*) FROM factor_binding WHERE account = 'a'").Scan(&rows); err != nil || rows != 5 {
			t.Errorf("%d rows, %v", rows, err)
		}
		return s.Remove(tx, old[0].ID)
	})
	if !errors.Is(err, factor.ErrNone) {
		t.Errorf("removed twice: %v", err)
	}
	if got := s.of("a"); len(got) != 0 {
		t.Errorf("removed bindings are still listed: %d", len(got))
	}
}

func TestResealMovesEveryPayloadToTheNewMaster(t *testing.T) {
	db, _ := storetest.Open(t, keyring.Schema(), factor.Schema())
	masters := [][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)}
	before, err := keyring.Open(t.Context(), db, keyring.Config{Master: masters[0]})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range 7 {
			if _, err := factor.NewBindings(db, before).Add(tx, factor.Binding{Account: "a", Kind: "totp", Payload: []byte{byte(i)}}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	during, err := keyring.Open(t.Context(), db, keyring.Config{Master: masters[1], Old: masters[:1]})
	if err != nil {
		t.Fatal(err)
	}
	for round, want := range []int{7, 0} {
		if n, err := factor.NewBindings(db, during).Reseal(t.Context(), during.Head()); n != want || err != nil {
			t.Errorf("round %d: %d sealed again, %v", round, n, err)
		}
	}
	if err := db.Read(t.Context(), func(tx *store.Tx) error {
		got, err := factor.NewBindings(db, during).Of(tx, "a")
		seen := map[byte]bool{}
		for _, b := range got {
			seen[b.Payload[0]] = true
		}
		if len(seen) != 7 {
			t.Errorf("%d payloads survived", len(seen))
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// Every hour all payloads are looked at, a million of them somewhere. Nobody who signs in
// meanwhile may wait for it: this look does not need the one writer, whom it finds busy here.
func TestNothingStaleKeepsNobodyWaiting(t *testing.T) {
	db, _ := storetest.Open(t, keyring.Schema(), factor.Schema())
	ring, err := keyring.Open(t.Context(), db, keyring.Config{Master: bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	b := factor.NewBindings(db, ring)
	add := func(tx *store.Tx) error {
		_, err := b.Add(tx, factor.Binding{Account: "a", Kind: "totp", Payload: []byte{1}})
		return err
	}
	if err := db.Write(t.Context(), add); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		if n, err := b.Reseal(ctx, ring.Head()); n != 0 || err != nil {
			t.Errorf("%d sealed again, %v", n, err)
		}
		return add(tx)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSettingsFallBack(t *testing.T) {
	s := factor.Settings{"devices": "3", "lastWins": "true", "lifetime": "24h", "broken": "x"}
	if s.Int("devices", 1) != 3 || !s.Bool("lastWins", false) || s.Duration("lifetime", 0) != 24*time.Hour {
		t.Error("a value was not read")
	}
	if s.Int("broken", 7) != 7 || s.Bool("broken", true) != true || s.Duration("broken", time.Minute) != time.Minute || factor.Settings(nil).Int("x", 2) != 2 {
		t.Error("a broken value was not replaced")
	}
}
