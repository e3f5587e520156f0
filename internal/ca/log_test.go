package ca_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"seimon/internal/ca"
	"seimon/internal/store"
)

func (h *house) sequence() {
	h.t.Helper()
	if err := h.ca.Sequence(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) proof(id string) (p ca.LogProof) {
	h.t.Helper()
	h.read(func(tx *store.Tx) (err error) {
		p, err = h.ca.Proof(tx, id)
		return err
	})
	return p
}

func (h *house) verify(known *ca.LogHead) *ca.LogReport {
	h.t.Helper()
	r, err := h.ca.VerifyLog(h.t.Context(), known, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func TestEveryCertificateIsInTheLogAndCanBeProved(t *testing.T) {
	h := founded(t)
	var ids []string
	var heads []ca.LogHead
	for range 5 {
		for range 3 {
			ids = append(ids, h.issue(order(p256(t).Public())).ID)
		}
		h.sequence()
		h.read(func(tx *store.Tx) error {
			head, err := h.ca.Head(tx)
			heads = append(heads, head)
			return err
		})
		h.clock.Add(-1e9) // a clock that steps back does not take the log with it
	}
	key, err := h.ca.LogKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		p := h.proof(id)
		if err := p.Check(key); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var read ca.LogProof
		if err := json.Unmarshal(text, &read); err != nil || read.Check(key) != nil {
			t.Error("a proof does not survive JSON")
		}
		for what, forge := range map[string]func(p *ca.LogProof){
			"time":        func(p *ca.LogProof) { p.Millis++ },
			"certificate": func(p *ca.LogProof) { p.Certificate = h.proof(ids[(len(ids)+1)%len(ids)]).Certificate },
			"place":       func(p *ca.LogProof) { p.Leaf++ },
			"root":        func(p *ca.LogProof) { p.Head.Root[0] ^= 1 },
			"size":        func(p *ca.LogProof) { p.Head.Size++ },
			"path":        func(p *ca.LogProof) { p.Path = p.Path[:len(p.Path)-1] },
			"short hash":  func(p *ca.LogProof) { p.Path[0] = p.Path[0][:31] },
			"short root":  func(p *ca.LogProof) { p.Head.Root = nil },
			"no key":      func(p *ca.LogProof) { p.Key = nil },
		} {
			f := h.proof(ids[0])
			if forge(&f); f.Check(nil) == nil {
				t.Errorf("a proof with another %s passes", what)
			}
		}
	}
	for i := range heads {
		for j := i; j < len(heads); j++ {
			h.read(func(tx *store.Tx) error {
				path, err := h.ca.Consistency(tx, heads[i].Size, heads[j].Size)
				if err == nil {
					err = ca.CheckConsistency(heads[i], heads[j], path)
				}
				return err
			})
		}
		if i > 0 && heads[i].Millis <= heads[i-1].Millis {
			t.Error("the time of the log went back")
		}
	}
	if r := h.verify(&heads[1]); !r.Sound() || r.Entries != 15 || r.Heads != 5 {
		t.Errorf("%+v", r)
	}
}

func TestTamperingShows(t *testing.T) {
	for what, c := range map[string]struct{ sql, finding string }{
		"a removed certificate":       {"DELETE FROM ca_certificate WHERE leaf = 2", "entry 2 is missing"},
		"the newest removed":          {"DELETE FROM ca_certificate WHERE leaf = 5", "the newest entries were removed"},
		"a changed time":              {"UPDATE ca_certificate SET issued_at = issued_at + 1 WHERE leaf = 3", "one of them was changed"},
		"another certificate's bytes": {"UPDATE ca_certificate SET der = (SELECT der FROM ca_certificate WHERE leaf = 1) WHERE leaf = 4", "the row does not belong"},
		"another intent":              {"UPDATE ca_certificate SET intent = token WHERE leaf = 0", "the row does not belong"},
		"a changed serial":            {"UPDATE ca_certificate SET serial = 'AB' WHERE leaf = 0", "the row does not belong"},
		"a head rewritten":            {"UPDATE ca_log_head SET at = at + 1 WHERE size = 4", "the signature of the log's head is wrong"},
		"a tile rewritten":            {"UPDATE ca_log_tile SET hashes = (SELECT root FROM ca_log_head WHERE size = 2)", "differs from the entries"},
		"a longer tile":               {"DELETE FROM ca_log_head WHERE size = 6", "cannot be extended"},
	} {
		h := founded(t)
		for i := range 6 {
			h.issue(order(p256(t).Public()))
			if i%2 == 1 {
				h.sequence()
			}
		}
		var known ca.LogHead
		h.read(func(tx *store.Tx) (err error) { known, err = h.ca.Head(tx); return err })
		h.write(func(tx *store.Tx) error { _, err := tx.Exec(c.sql); return err })
		if strings.Contains(c.sql, "log_head WHERE") {
			h.issue(order(p256(t).Public()))
		}
		r := h.verify(&known)
		if r.Sound() || !strings.Contains(strings.Join(r.Findings, "\n"), c.finding) {
			t.Errorf("%s: %q", what, r.Findings)
		}
	}
}

// TestANotedHeadUncoversACutEnd removes the newest certificate with its head: only
// somebody who noted that head can tell.
func TestANotedHeadUncoversACutEnd(t *testing.T) {
	h := founded(t)
	for range 4 {
		h.issue(order(p256(t).Public()))
		h.sequence()
	}
	var known ca.LogHead
	h.read(func(tx *store.Tx) (err error) { known, err = h.ca.Head(tx); return err })
	h.write(func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM ca_certificate WHERE leaf = 3")
		if err == nil {
			_, err = tx.Exec("DELETE FROM ca_log_head WHERE size = 4")
		}
		if err == nil {
			_, err = tx.Exec("UPDATE ca_log_tile SET hashes = substr(hashes, 1, 96)")
		}
		return err
	})
	h.issue(order(p256(t).Public()))
	if r := h.verify(nil); !r.Sound() {
		t.Errorf("without a noted head: %+v", r)
	}
	if r := h.verify(&known); r.Sound() || !strings.Contains(r.Findings[0], "that you noted: its past was changed") {
		t.Errorf("%+v", r)
	}
}

func TestNodesExtendTheLogTogether(t *testing.T) {
	h := founded(t)
	nodes := []*ca.Authority{h.ca, h.another(), h.another()}
	keys := make(chan ca.Order, 40)
	for range cap(keys) {
		keys <- order(p256(t).Public())
	}
	close(keys)
	var wait sync.WaitGroup
	for _, a := range nodes {
		wait.Go(func() {
			for o := range keys {
				o.Holder.Account += "x"
				o.Profile = ca.WiFiPseudonym
				p, err := a.Prepare(t.Context(), o)
				if err == nil {
					_, err = a.Issue(t.Context(), p)
				}
				if f := errors.Join(err, a.Sequence(t.Context())); f != nil && !strings.Contains(f.Error(), "C9.limit") {
					t.Error(f)
				}
			}
		})
	}
	wait.Wait()
	if r := h.verify(nil); !r.Sound() || r.Entries != 20 {
		t.Errorf("%+v", r)
	}
}

// FuzzProof: a proof comes from anywhere. None may pass that the log's key did not sign.
func FuzzProof(f *testing.F) {
	h := founded(f)
	h.issue(order(p256(f).Public()))
	h.issue(order(p256(f).Public()))
	h.sequence()
	key, err := h.ca.LogKey(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	entries := map[string]bool{}
	for _, c := range h.rows() {
		p := h.proof(c.ID)
		text, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		entries[fmt.Sprint(p.Leaf, p.Millis, p.Certificate)] = true
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var p ca.LogProof
		if json.Unmarshal(text, &p) != nil || p.Check(key) != nil {
			return
		}
		if !entries[fmt.Sprint(p.Leaf, p.Millis, p.Certificate)] {
			t.Errorf("a proof of what is not in the log passes: %s", text)
		}
	})
}
