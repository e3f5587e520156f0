package ca_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/ca"
	"seimon/internal/keyring"
	"seimon/internal/store"
)

func (h *house) move(id string, step ca.Step) (i ca.Issuer, err error) {
	h.t.Helper()
	err = h.db.Write(h.t.Context(), func(tx *store.Tx) (err error) {
		i, err = h.ca.Move(tx, id, step, "test")
		return err
	})
	return i, err
}

func (h *house) prepareIssuer(plan ca.Plan, newRoot bool) ca.Issuer {
	h.t.Helper()
	i, err := h.ca.PrepareIssuer(h.t.Context(), plan, newRoot)
	if err != nil {
		h.t.Fatal(err)
	}
	return i
}

// TestEveryStepIsLegalOrRefused goes through all states and all steps.
func TestEveryStepIsLegalOrRefused(t *testing.T) {
	legal := map[ca.IssuerState]map[ca.Step]ca.IssuerState{
		ca.IssuerPrepared:    {ca.Distribute: ca.IssuerDistributed, ca.Discard: ca.IssuerRetired, ca.Revoke: ca.IssuerRevoked},
		ca.IssuerDistributed: {ca.Activate: ca.IssuerActive, ca.Discard: ca.IssuerRetired, ca.Revoke: ca.IssuerRevoked},
		ca.IssuerActive:      {ca.Revoke: ca.IssuerRevoked},
		ca.IssuerStatusOnly:  {ca.Retire: ca.IssuerRetired, ca.Revoke: ca.IssuerRevoked},
		ca.IssuerRevoked:     {ca.Retire: ca.IssuerRetired},
		ca.IssuerRetired:     {},
		ca.Anchor:            {},
	}
	for state, steps := range legal {
		for _, step := range []ca.Step{ca.Distribute, ca.Activate, ca.Retire, ca.Discard, ca.Revoke, "promote"} {
			h := founded(t)
			i := h.prepareIssuer(ca.Plan{}, false)
			if state == ca.Anchor {
				i.ID = i.RootID
			} else {
				h.write(func(tx *store.Tx) error {
					if state == ca.IssuerActive {
						if _, err := tx.Exec("UPDATE ca_issuer SET state = 'status-only' WHERE state = 'active'"); err != nil {
							return err
						}
					}
					_, err := tx.Exec("UPDATE ca_issuer SET state = $1 WHERE id = $2", string(state), i.ID)
					return err
				})
			}
			got, err := h.move(i.ID, step)
			if step == ca.Revoke {
				if err == nil {
					t.Errorf("revoked from %s without a reason", state)
				}
				err = h.db.Write(t.Context(), func(tx *store.Tx) (err error) {
					got, err = h.ca.RevokeIssuer(tx, i.ID, ca.Superseded, "test")
					return err
				})
				if state == ca.IssuerRevoked {
					if err != nil {
						t.Errorf("revoked twice: %v", err)
					}
					continue
				}
			}
			want, ok := steps[step]
			var refusal *ca.Refusal
			if ok != (err == nil) || ok && got.State != want || !ok && !errors.As(err, &refusal) {
				t.Errorf("%s from %s: %s %v", step, state, got.State, err)
			}
			if ok != slices.Contains(ca.Possible(state), step) {
				t.Errorf("%s from %s is not listed as it is", step, state)
			}
		}
	}
	h := founded(t)
	if _, err := h.move("iss_nobody", ca.Activate); !errors.Is(err, ca.ErrNone) {
		t.Error(err)
	}
}

// TestRollover walks the whole way with certificates of both issuers.
func TestRollover(t *testing.T) {
	h := founded(t)
	first := h.issue(order(p256(t).Public()))
	next := h.prepareIssuer(ca.Plan{Algorithm: ca.RSA2048}, true)
	if next.Name != "Example University User CA G2" || next.Root.Subject.CommonName != "Example University Root CA G2" || next.State != ca.IssuerPrepared || next.Publishes() {
		t.Errorf("%+v", next)
	}
	if c := h.issue(order(p256(t).Public())); c.Issuer != first.Issuer {
		t.Error("a prepared issuer signs")
	}
	if _, err := h.ca.PrepareIssuer(t.Context(), ca.Plan{Issuer: next.Name}, false); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second issuer of the same name: %v", err)
	}
	for _, step := range []ca.Step{ca.Distribute, ca.Activate} {
		if _, err := h.move(next.ID, step); err != nil {
			t.Fatal(err)
		}
	}
	other := h.another() // a second node learns of it at once
	p, err := other.Prepare(t.Context(), order(p256(t).Public()))
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.Issue(t.Context(), p)
	if err != nil || second.Issuer != next.ID || second.Parsed().CheckSignatureFrom(next.Certificate) != nil {
		t.Errorf("%+v %v", second, err)
	}
	old := h.issuer(first.Issuer)
	if old.State != ca.IssuerStatusOnly || !old.Publishes() {
		t.Errorf("%+v", old)
	}
	if _, err := h.ca.Sign(t.Context(), old.ID); err != nil {
		t.Errorf("the old issuer cannot sign lists: %v", err)
	}
	var refusal *ca.Refusal
	if _, err := h.move(old.ID, ca.Retire); !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, "2 certificates") {
		t.Errorf("retired with valid certificates: %v", err)
	}
	h.clock.Add(396 * 24 * time.Hour)
	if i, err := h.move(old.ID, ca.Retire); err != nil || i.State != ca.IssuerRetired || i.Publishes() {
		t.Errorf("%+v %v", i, err)
	}
	if len(h.ca.Chain(first.Issuer)) != 2 || len(h.ca.Chain(second.Issuer)) != 2 || h.ca.Chain("iss_nobody") != nil {
		t.Error("chains")
	}
}

// TestWhatIsPreparedGoesToTheIssuerOfThatMoment: a rollover between Prepare and Issue
// leaves a whole certificate of the issuer that was active.
func TestWhatIsPreparedGoesToTheIssuerOfThatMoment(t *testing.T) {
	h := founded(t)
	p, err := h.ca.Prepare(t.Context(), order(p256(t).Public()))
	if err != nil {
		t.Fatal(err)
	}
	next := h.prepareIssuer(ca.Plan{}, false)
	for _, step := range []ca.Step{ca.Distribute, ca.Activate} {
		if _, err := h.move(next.ID, step); err != nil {
			t.Fatal(err)
		}
	}
	c, err := h.ca.Issue(t.Context(), p)
	if err != nil || c.Issuer == next.ID || c.Parsed().CheckSignatureFrom(h.issuer(c.Issuer).Certificate) != nil {
		t.Errorf("%+v %v", c, err)
	}
}

func TestTwoNodesFoundOneAuthority(t *testing.T) {
	h := open(t)
	if h.ca.Policy(ca.Software) != "" {
		t.Error("a policy before there is an authority")
	}
	h.read(func(tx *store.Tx) error {
		if h.ca.Ready(tx) {
			t.Error("ready without an issuer")
		}
		return nil
	})
	if _, err := h.ca.Prepare(t.Context(), order(p256(t).Public())); !errors.Is(err, ca.ErrNotReady) {
		t.Error(err)
	}
	nodes := []*ca.Authority{h.ca, h.another(), h.another(), h.another()}
	var wait sync.WaitGroup
	won := make(chan ca.Issuer, len(nodes))
	for _, a := range nodes {
		wait.Go(func() {
			i, err := a.Found(t.Context(), ca.Plan{Organization: "Example University"})
			switch {
			case err == nil:
				won <- i
			case !errors.Is(err, ca.ErrFounded):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	close(won)
	if len(won) != 1 {
		t.Errorf("%d founders", len(won))
	}
	h.read(func(tx *store.Tx) error {
		issuers, err := h.ca.Issuers(tx)
		if err != nil {
			return err
		}
		roots, err := h.ca.Roots(tx)
		if len(issuers) != 1 || len(roots) != 1 || issuers[0].State != ca.IssuerActive {
			t.Errorf("%d issuers, %d roots", len(issuers), len(roots))
		}
		return err
	})
	for _, a := range nodes { // those that lost see the one that won
		p, err := a.Prepare(t.Context(), order(p256(t).Public()))
		if err == nil {
			_, err = a.Issue(t.Context(), p)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func TestPlansThatCannotStand(t *testing.T) {
	h := open(t)
	for name, plan := range map[string]ca.Plan{
		"no name":       {},
		"long name":     {Organization: strings.Repeat("x", 65)},
		"country":       {Organization: "X", Country: "jp"},
		"algorithm":     {Organization: "X", Algorithm: "RSA-1024"},
		"arc":           {Organization: "X", Arc: "3.1"},
		"arc of a word": {Organization: "X", Arc: "1.3.x"},
		"long issuer":   {Organization: "X", Issuer: strings.Repeat("x", 65)},
		"no helper":     {Organization: "X", Helper: true},
	} {
		if _, err := h.ca.Found(t.Context(), plan); err == nil {
			t.Errorf("%s: founded", name)
		}
	}
	for _, address := range []string{"https://pki.example.ac.jp", "http://", "pki.example.ac.jp", "http://pki.example.ac.jp/", "http://u:p@pki.example.ac.jp"} {
		if _, err := ca.Open(t.Context(), h.db, ca.Config{Seal: h.ring, Base: address}); err == nil {
			t.Errorf("base %q is accepted", address)
		}
	}
	nowhere := h.another(func(c *ca.Config) { c.Base = "" })
	if _, err := nowhere.Found(t.Context(), ca.Plan{Organization: "X"}); err == nil {
		t.Error("founded without an address for lists")
	}
}

// TestAMasterKeyCanBeReplaced: the keys of issuers and of the log move under the new
// one at the next start, and the old one can be thrown away.
func TestAMasterKeyCanBeReplaced(t *testing.T) {
	h := founded(t)
	h.issue(order(p256(t).Public()))
	before, after := bytes.Repeat([]byte("k"), 32), bytes.Repeat([]byte("n"), 32)
	for _, c := range []keyring.Config{{Master: after, Old: [][]byte{before}}, {Master: after}} {
		ring, err := keyring.Open(t.Context(), h.db, c)
		if err != nil {
			t.Fatal(err)
		}
		h.ring = ring
		h.ca = h.another()
		h.issue(order(p256(t).Public()))
		h.sequence()
	}
	if ring, err := keyring.Open(t.Context(), h.db, keyring.Config{Master: before}); err == nil {
		h.ring = ring
		t.Error("the old master key still opens the house")
	}
	if r := h.verify(nil); !r.Sound() || r.Entries != 3 {
		t.Errorf("%+v", r)
	}
}

// TestFewerListsLeaveNoCertificateWithoutOne: what was issued when there were more
// lists keeps its list.
func TestFewerListsLeaveNoCertificateWithoutOne(t *testing.T) {
	h := founded(t, func(c *ca.Config) { c.Shards = 16 })
	var high int
	for range 20 {
		high = max(high, h.issue(order(p256(t).Public())).Shard)
	}
	fewer := h.another(func(c *ca.Config) { c.Shards = 2 })
	if high <= 2 || fewer.Shards() != 16 {
		t.Errorf("shard %d, %d lists", high, fewer.Shards())
	}
	o := order(p256(t).Public())
	o.Holder.Account = "acc_2"
	p, err := fewer.Prepare(t.Context(), o)
	if err != nil || p.Certificate().Shard > 2 {
		t.Errorf("%+v %v", p, err)
	}
	if more := h.another(func(c *ca.Config) { c.Shards = 32 }); more.Shards() != 32 || h.another().Shards() != 32 {
		t.Errorf("%d lists", more.Shards())
	}
}
