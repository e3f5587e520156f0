package ca_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/store"
)

// rows reads every row of certificates.
func (h *house) rows() (out []ca.Certificate) {
	h.t.Helper()
	h.read(func(tx *store.Tx) (err error) {
		out, err = h.ca.List(tx, ca.Filter{Limit: 1 << 20})
		return err
	})
	return out
}

// sound holds the whole table against what must always be true.
func (h *house) sound(given []ca.Certificate) {
	h.t.Helper()
	serials, byID := map[string]string{}, map[string]ca.Certificate{}
	for _, c := range h.rows() {
		byID[c.ID] = c
		if other := serials[c.Issuer+c.Serial]; other != "" {
			h.t.Errorf("%s and %s have one serial", other, c.ID)
		}
		serials[c.Issuer+c.Serial] = c.ID
		if parsed := c.Parsed(); parsed != nil && ca.SerialText(parsed.SerialNumber) != c.Serial {
			h.t.Errorf("%s holds the certificate of another serial", c.ID)
		} else if (parsed != nil) != !c.Issued.IsZero() || c.State == ca.Active && parsed == nil {
			h.t.Errorf("%s is %s with certificate %t", c.ID, c.State, parsed != nil)
		}
	}
	for _, g := range given {
		if row, ok := byID[g.ID]; !ok || string(row.DER) != string(g.DER) {
			h.t.Errorf("a certificate was handed out without its row: %s", g.ID)
		}
	}
}

// TestOnePreparedIsIssuedOnce: many at once want to issue the same.
func TestOnePreparedIsIssuedOnce(t *testing.T) {
	h := founded(t)
	for range 20 {
		p, err := h.ca.Prepare(t.Context(), order(p256(t).Public()))
		if err != nil {
			t.Fatal(err)
		}
		nodes := []*ca.Authority{h.ca, h.another()}
		var wait sync.WaitGroup
		var won atomic.Int64
		for i := range 8 {
			wait.Go(func() {
				_, err := nodes[i%2].Issue(t.Context(), p)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, ca.ErrSpent) {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if won.Load() != 1 {
			t.Errorf("issued %d times", won.Load())
		}
		h.write(func(tx *store.Tx) error { // make room under the limit
			_, err := h.ca.Revoke(tx, p.ID(), ca.Superseded, "")
			return err
		})
	}
	h.sound(nil)
	if _, err := h.ca.Issue(t.Context(), nil); !errors.Is(err, ca.ErrSpent) {
		t.Error(err)
	}
}

// TestRandomHistories runs random steps of random nodes, with the orphan finder and a
// clock that jumps, and holds the table against its rules.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := founded(t, func(c *ca.Config) { c.Profiles = []byte("[person-device]\nper_account = 1000") })
		nodes := []*ca.Authority{h.ca, h.another(), h.another()}
		var open []*ca.Prepared
		var given []ca.Certificate
		for range 60 {
			node := nodes[rng.IntN(len(nodes))]
			switch rng.IntN(8) {
			case 0, 1, 2:
				o := order(p256(t).Public())
				o.Holder.Account = authn.AccountID(fmt.Sprint("acc_", rng.IntN(3)))
				p, err := node.Prepare(t.Context(), o)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				open = append(open, p)
			case 3, 4:
				if len(open) == 0 {
					continue
				}
				c, err := node.Issue(t.Context(), open[rng.IntN(len(open))])
				if err == nil {
					given = append(given, c)
				} else if !errors.Is(err, ca.ErrSpent) {
					t.Fatalf("seed %d: %v", seed, err)
				}
			case 5:
				if len(given) > 0 {
					h.write(func(tx *store.Tx) error {
						_, err := node.Revoke(tx, given[rng.IntN(len(given))].ID, ca.Reasons()[rng.IntN(8)], "")
						return err
					})
				}
			case 6:
				h.clock.Add(time.Duration(rng.IntN(5)-2) * 40 * time.Minute)
				if h.clock.Now().Before(h.issuer(h.active()).Certificate.NotBefore) {
					h.clock.Add(6 * time.Hour)
				}
			case 7:
				if _, err := node.MendOrphans(t.Context(), ca.OrphanAge, ""); err != nil {
					t.Fatal(err)
				}
			}
		}
		h.sound(given)
		if r := h.verify(nil); !r.Sound() || int(r.Entries) != len(given) {
			t.Errorf("seed %d: %d given, %+v", seed, len(given), r)
		}
	}
}

func (h *house) active() (id string) {
	h.t.Helper()
	h.read(func(tx *store.Tx) error {
		list, err := h.ca.Issuers(tx)
		for _, i := range list {
			if i.State == ca.IssuerActive {
				id = i.ID
			}
		}
		return err
	})
	return id
}

// TestAnOrphanIsRevokedAndItsIssueRefused: what stays at the intent for too long.
func TestAnOrphanIsRevokedAndItsIssueRefused(t *testing.T) {
	h := founded(t)
	p, err := h.ca.Prepare(t.Context(), order(p256(t).Public()))
	if err != nil {
		t.Fatal(err)
	}
	mended, err := h.ca.MendOrphans(t.Context(), ca.OrphanAge, "test")
	if err != nil || len(mended) > 0 {
		t.Errorf("a fresh intent was mended: %v %v", mended, err)
	}
	h.clock.Add(2 * time.Hour)
	if mended, err = h.ca.MendOrphans(t.Context(), ca.OrphanAge, "test"); err != nil || len(mended) != 1 || mended[0].ID != p.ID() {
		t.Errorf("%v %v", mended, err)
	}
	if _, err := h.ca.Issue(t.Context(), p); !errors.Is(err, ca.ErrSpent) {
		t.Errorf("an orphan was issued: %v", err)
	}
	h.read(func(tx *store.Tx) error {
		c, err := h.ca.Get(tx, p.ID())
		list, listErr := h.ca.RevokedOf(tx, c.Issuer, c.Shard, h.clock.Now())
		if c.State != ca.Revoked || len(c.DER) > 0 || len(list) != 1 {
			t.Errorf("%+v %v", c, list)
		}
		of, ofErr := h.ca.Of(tx, "acc_1")
		if len(of) != 0 {
			t.Error("an orphan is shown to its owner")
		}
		return errors.Join(err, listErr, ofErr)
	})
	h.sound(nil)
}

// TestAHookThatFailsTakesTheCertificateBack: the other rooms and the certificate are
// one transaction.
func TestAHookThatFailsTakesTheCertificateBack(t *testing.T) {
	fail := errors.New("the room below is closed")
	var broken atomic.Bool
	h := founded(t, func(c *ca.Config) {
		c.OnIssue = func(*store.Tx, ca.Certificate) error {
			if broken.Load() {
				return fail
			}
			return nil
		}
		c.OnRevoke = c.OnIssue
	})
	good := h.issue(order(p256(t).Public()))
	broken.Store(true)
	p, err := h.ca.Prepare(t.Context(), order(p256(t).Public()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ca.Issue(t.Context(), p); !errors.Is(err, fail) {
		t.Error(err)
	}
	if err := h.db.Write(t.Context(), func(tx *store.Tx) error { _, err := h.ca.Revoke(tx, good.ID, ca.Hold, ""); return err }); !errors.Is(err, fail) {
		t.Error(err)
	}
	h.sound([]ca.Certificate{good})
	h.read(func(tx *store.Tx) error {
		bad, err := h.ca.Get(tx, p.ID())
		still, stillErr := h.ca.Get(tx, good.ID)
		if bad.State != ca.Intended || still.State != ca.Active {
			t.Error(bad.State, still.State)
		}
		return errors.Join(err, stillErr)
	})
}

// TestAKeyThatSignsSomethingElseIsNoticed: a broken or hostile helper.
func TestAKeyThatSignsSomethingElseIsNoticed(t *testing.T) {
	store := &helper{keys: map[string]crypto.Signer{}}
	h := open(t, func(c *ca.Config) { c.Keys = store })
	if _, err := h.ca.Found(t.Context(), ca.Plan{Organization: "Example University", Helper: true}); err != nil {
		t.Fatal(err)
	}
	h.issue(order(p256(t).Public()))
	for name, fault := range map[string]func(s crypto.Signer) crypto.Signer{
		"another key":       func(crypto.Signer) crypto.Signer { return p256(t) },
		"a wrong signature": func(s crypto.Signer) crypto.Signer { return liar{s} },
		"no answer":         func(s crypto.Signer) crypto.Signer { return mute{s} },
	} {
		p, err := h.ca.Prepare(t.Context(), order(p256(t).Public()))
		if err != nil {
			t.Fatal(err)
		}
		store.fault.Store(&fault)
		if _, err := h.ca.Issue(t.Context(), p); err == nil {
			t.Errorf("%s: issued", name)
		}
		store.fault.Store(nil)
	}
	h.issue(order(p256(t).Public())) // and goes on when the helper is itself again
	h.sound(nil)
}

// helper keeps keys outside the database, as PKCS#11 does.
type helper struct {
	mu    sync.Mutex
	keys  map[string]crypto.Signer
	fault atomic.Pointer[func(crypto.Signer) crypto.Signer]
}

func (k *helper) Generate(_ context.Context, label, algorithm string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	handle := fmt.Sprint(label, len(k.keys))
	key, err := newKey(algorithm)
	k.keys[handle] = key
	return handle, err
}

func (k *helper) Signer(_ context.Context, handle string) (crypto.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[handle]
	if !ok {
		return nil, errors.New("no such key")
	}
	if f := k.fault.Load(); f != nil {
		return (*f)(key), nil
	}
	return key, nil
}

// TestRevocationHasOneTruth: hold, release and the final word.
func TestRevocationHasOneTruth(t *testing.T) {
	var events []string
	h := founded(t, func(c *ca.Config) {
		c.OnIssue = func(_ *store.Tx, k ca.Certificate) error { events = append(events, "usable"); return nil }
		c.OnRevoke = func(_ *store.Tx, k ca.Certificate) error { events = append(events, string(k.Reason)); return nil }
		c.Note = func(_ *store.Tx, event, actor string, _ ca.Certificate, _ map[string]string) error {
			events = append(events, event+" by "+actor)
			return nil
		}
	})
	events = nil
	c := h.issue(order(p256(t).Public()))
	do := func(fn func(tx *store.Tx) (ca.Certificate, error)) (out ca.Certificate) {
		h.clock.Add(time.Minute)
		h.write(func(tx *store.Tx) (err error) { out, err = fn(tx); return err })
		return out
	}
	revoke := func(why ca.Reason) ca.Certificate {
		return do(func(tx *store.Tx) (ca.Certificate, error) { return h.ca.Revoke(tx, c.ID, why, "desk") })
	}
	restore := func() ca.Certificate {
		return do(func(tx *store.Tx) (ca.Certificate, error) { return h.ca.Restore(tx, c.ID, "desk") })
	}
	if got := restore(); got.State != ca.Active {
		t.Error("restoring what is not held")
	}
	held := revoke(ca.Hold)
	if again := revoke(ca.Hold); again.State != ca.Revoked || !again.Revoked.Equal(held.Revoked) {
		t.Error("a hold moved")
	}
	if got := restore(); got.State != ca.Active || !got.Revoked.IsZero() || got.Reason != "" {
		t.Errorf("%+v", got)
	}
	revoke(ca.Hold)
	final := revoke(ca.KeyCompromise)
	if final.Reason != ca.KeyCompromise || final.Revoked.Equal(held.Revoked) {
		t.Errorf("%+v", final)
	}
	if got := revoke(ca.Superseded); got.Reason != ca.KeyCompromise || !got.Revoked.Equal(final.Revoked) {
		t.Errorf("%+v", got)
	}
	if got := restore(); got.State != ca.Revoked {
		t.Error("what was revoked for good came back")
	}
	if err := h.db.Write(t.Context(), func(tx *store.Tx) error { _, err := h.ca.Revoke(tx, c.ID, "because", ""); return err }); err == nil {
		t.Error("a reason of one's own")
	}
	if err := h.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := h.ca.Revoke(tx, "cert_none", ca.Hold, "")
		return err
	}); !errors.Is(err, ca.ErrNone) {
		t.Error(err)
	}
	want := []string{"usable", "certificate.issued by ", "certificateHold", "certificate.revoked by desk", "usable", "certificate.restored by desk",
		"certificateHold", "certificate.revoked by desk", "keyCompromise", "certificate.revoked by desk"}
	if !slices.Equal(events, want) {
		t.Errorf("%q", events)
	}
}

// TestASteppedClock: issuing goes on, dates stay inside the issuer's, and before the
// issuer's own beginning nothing is issued.
func TestASteppedClock(t *testing.T) {
	h := founded(t)
	first := h.issue(order(p256(t).Public()))
	h.clock.Add(-30 * time.Minute)
	second := h.issue(order(p256(t).Public()))
	issuer := h.issuer(first.Issuer).Certificate
	if second.Serial == first.Serial || second.NotBefore.Before(issuer.NotBefore) || second.NotAfter.After(issuer.NotAfter) {
		t.Errorf("%+v", second)
	}
	h.clock.Add(-24 * time.Hour)
	if _, err := h.ca.Prepare(t.Context(), order(p256(t).Public())); err == nil {
		t.Error("issued before the issuer began")
	}
	h.clock.Add(20 * 366 * 24 * time.Hour)
	if _, err := h.ca.Prepare(t.Context(), order(p256(t).Public())); err == nil {
		t.Error("issued after the issuer ended")
	}
	h.clock.Add(-10*366*24*time.Hour - 20*24*time.Hour)
	if c := h.issue(order(p256(t).Public())); c.NotAfter.After(issuer.NotAfter) {
		t.Errorf("%v reaches beyond %v", c.NotAfter, issuer.NotAfter)
	}
	h.sound([]ca.Certificate{first, second})
}
