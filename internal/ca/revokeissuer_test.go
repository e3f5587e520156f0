package ca_test

import (
	"errors"
	"strings"
	"testing"

	"seimon/internal/ca"
	"seimon/internal/store"
)

func (h *house) revokeIssuer(id string, why ca.Reason) ca.Issuer {
	h.t.Helper()
	var i ca.Issuer
	h.write(func(tx *store.Tx) (err error) {
		i, err = h.ca.RevokeIssuer(tx, id, why, "test")
		return err
	})
	return i
}

func (h *house) entries(issuer string, shard int) (out []ca.Entry) {
	h.t.Helper()
	h.read(func(tx *store.Tx) (err error) {
		out, err = h.ca.RevokedOf(tx, issuer, shard, tx.Now)
		return err
	})
	return out
}

// TestARevokedIssuerIsOverAtOnce: it signs nothing any more, not even what was prepared
// before; all that it issued is revoked, also what was on hold; its root lists it; a
// successor goes on.
func TestARevokedIssuerIsOverAtOnce(t *testing.T) {
	told := 0
	h := founded(t, func(c *ca.Config) {
		c.OnIssuer = func(*store.Tx, ca.Issuer) error { told++; return nil }
	})
	id := h.active()
	var all []ca.Certificate
	for range 3 {
		all = append(all, h.issue(order(p256(t).Public())))
	}
	h.write(func(tx *store.Tx) error {
		_, err := h.ca.Revoke(tx, all[0].ID, ca.Hold, "test")
		return errors.Join(err, revokeFor(tx, h, all[1].ID, ca.KeyCompromise))
	})
	late, err := h.ca.Prepare(t.Context(), order(p256(t).Public()))
	if err != nil {
		t.Fatal(err)
	}
	i := h.revokeIssuer(id, ca.CACompromise)
	if i.State != ca.IssuerRevoked || i.Reason != ca.CACompromise || i.Revoked.IsZero() || !i.Publishes() || i.Counts() {
		t.Errorf("%+v", i)
	}
	if again := h.revokeIssuer(id, ca.Superseded); again.Reason != ca.CACompromise || told != 1 {
		t.Errorf("revoked again: %+v, told %d times", again, told)
	}
	if _, err := h.ca.Issue(t.Context(), late); !errors.Is(err, ca.ErrSpent) {
		t.Errorf("a revoked issuer signed: %v", err)
	}
	if _, err := h.ca.Prepare(t.Context(), order(p256(t).Public())); !errors.Is(err, ca.ErrNotReady) {
		t.Errorf("a revoked issuer takes orders: %v", err)
	}
	for range 2 {
		if err := h.ca.EndRevoked(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range []ca.Reason{ca.CACompromise, ca.KeyCompromise, ca.CACompromise} {
		h.read(func(tx *store.Tx) error {
			c, err := h.ca.Get(tx, all[n].ID)
			if c.State != ca.Revoked || c.Reason != want {
				t.Errorf("certificate %d is %s %s, not %s", n, c.State, c.Reason, want)
			}
			return err
		})
	}
	for _, shard := range []int{0, 1} {
		if e := h.entries(i.RootID, shard); len(e) != 1 || e[0].Serial != ca.SerialText(i.Certificate.SerialNumber) || e[0].Reason != ca.CACompromise {
			t.Errorf("list %d of the root: %+v", shard, e)
		}
	}
	if got := i.Certificate.CRLDistributionPoints; len(got) != 1 || got[0] != base+"/crl/"+i.RootID+"/1.crl" {
		t.Errorf("the issuer's certificate names %v", got)
	}
	next := h.prepareIssuer(ca.Plan{}, false)
	for _, step := range []ca.Step{ca.Distribute, ca.Activate} {
		if _, err := h.move(next.ID, step); err != nil {
			t.Fatal(err)
		}
	}
	if c := h.issue(order(p256(t).Public())); c.Issuer != next.ID {
		t.Errorf("%+v", c)
	}
	if _, err := h.move(id, ca.Activate); err == nil {
		t.Error("a revoked issuer is active again")
	}
}

func revokeFor(tx *store.Tx, h *house, id string, why ca.Reason) error {
	_, err := h.ca.Revoke(tx, id, why, "test")
	return err
}

// TestManyCertificatesEndWithTheirIssuer: more than one round, and a round that was
// interrupted is gone on with.
func TestManyCertificatesEndWithTheirIssuer(t *testing.T) {
	fail := errors.New("interrupted")
	n, stop := 0, true
	h := founded(t, func(c *ca.Config) {
		c.Profiles = []byte("[person-device]\nper_account = 1000")
		c.OnRevoke = func(*store.Tx, ca.Certificate) error {
			if n++; stop && n == 70 {
				return fail
			}
			return nil
		}
	})
	for range 120 {
		h.issue(order(p256(t).Public()))
	}
	id := h.active()
	h.revokeIssuer(id, ca.Superseded)
	if err := h.ca.EndRevoked(t.Context()); !errors.Is(err, fail) {
		t.Fatal(err)
	}
	if e := h.entries(id, 0); len(e) != 50 {
		t.Errorf("%d are revoked after the first round", len(e))
	}
	stop = false
	if err := h.ca.EndRevoked(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := h.entries(id, 0)
	if len(e) != 120 || e[0].Reason != ca.Superseded {
		t.Errorf("%d are revoked", len(e))
	}
}

func TestRevokingAnIssuerIsConfirmed(t *testing.T) {
	d := &desk{house: founded(t), files: map[string][]byte{}, typed: []string{"no"}}
	id := d.active()
	name := d.issuer(id).Name
	if _, err := d.run("ca revoke " + id + " --reason superseded"); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Error(err)
	}
	for _, line := range []string{"ca revoke " + id, "ca revoke iss_nobody --reason superseded --yes", "ca revoke " + d.issuer(id).RootID + " --reason superseded --yes"} {
		if _, err := d.run(line); err == nil {
			t.Errorf("%s: went through", line)
		}
	}
	if i := d.issuer(id); i.State != ca.IssuerActive {
		t.Fatalf("%+v", i)
	}
	d.typed = []string{name}
	out, err := d.run("ca revoke " + id + " --reason cACompromise")
	if err != nil || !strings.Contains(out, name+" is revoked") {
		t.Errorf("%s %v", out, err)
	}
	if out, err := d.run("ca show --bundle"); err != nil || strings.Contains(out, name) || !strings.Contains(out, "Root CA") {
		t.Errorf("the bundle names a revoked issuer: %s %v", out, err)
	}
	if out, err := d.run("ca issuers"); err != nil || !strings.Contains(out, "revoked") {
		t.Errorf("%s %v", out, err)
	}
}
