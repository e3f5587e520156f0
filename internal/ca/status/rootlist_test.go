package status_test

import (
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/status"
	"seimon/internal/store"
)

const phrase authn.Secret = "ivory lanterns over the gate"

// TestARevokedIssuerIsOnTheListOfItsRoot, in the shard that its certificate names and in
// the full one; its own lists say that all it issued is revoked.
func TestARevokedIssuerIsOnTheListOfItsRoot(t *testing.T) {
	h := open(t)
	c := h.issue()
	h.publish()
	path := pathOf(h.issuer.Certificate.CRLDistributionPoints[0])
	if l := h.list(path); len(l.RevokedCertificateEntries) != 0 || l.NextUpdate.Sub(l.ThisUpdate) < 150*24*time.Hour {
		t.Errorf("%+v", l)
	}
	h.revokeIssuer()
	if err := h.ca.EndRevoked(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.publish()
	for _, p := range []string{path, "/crl/" + h.issuer.RootID + "/full.crl"} {
		l := h.list(p)
		if len(l.RevokedCertificateEntries) != 1 || l.RevokedCertificateEntries[0].SerialNumber.Cmp(h.issuer.Certificate.SerialNumber) != 0 ||
			l.RevokedCertificateEntries[0].ReasonCode != ca.CACompromise.Code() {
			t.Errorf("%s: %+v", p, l.RevokedCertificateEntries)
		}
	}
	if l := h.list(pathOf(c.Parsed().CRLDistributionPoints[0])); len(l.RevokedCertificateEntries) != 1 || l.RevokedCertificateEntries[0].ReasonCode != ca.CACompromise.Code() {
		t.Errorf("%+v", l.RevokedCertificateEntries)
	}
}

func (h *house) revokeIssuer() {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		_, err := h.ca.RevokeIssuer(tx, h.issuer.ID, ca.CACompromise, "test")
		return err
	})
}

// TestTheRootsListWaitsForItsKey: while the key is offline everything else is published,
// the list stays as it is, and what waits is told; with the key it is signed.
func TestTheRootsListWaitsForItsKey(t *testing.T) {
	h := open(t)
	h.publish()
	_, file, err := h.ca.ExportRoot(t.Context(), "", phrase, "test")
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Add(20 * 24 * time.Hour)
	if err := h.status.SignRoot(t.Context(), h.issuer.RootID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ca.RemoveRoot(t.Context(), file, phrase, "test"); err != nil {
		t.Fatal(err)
	}
	h.publish()
	path := pathOf(h.issuer.Certificate.CRLDistributionPoints[0])
	before := h.list(path)
	if left := before.NextUpdate.Sub(h.clock.Now()); left < 179*24*time.Hour {
		t.Errorf("the list lasts %v", left)
	}
	h.revokeIssuer()
	h.clock.Add(40 * 24 * time.Hour)
	for range 2 {
		h.publish() // it would fail if it tried
		h.clock.Add(10 * time.Second)
	}
	if l := h.list(path); l.Number.Cmp(before.Number) != 0 {
		t.Error("a list was signed without its key")
	}
	waiting := func() (n int64) {
		h.read(func(tx *store.Tx) error {
			lists, err := h.status.Lists(tx)
			for _, l := range lists {
				if l.Issuer == h.issuer.RootID {
					n += l.Waiting
				}
			}
			return err
		})
		return n
	}
	if n := waiting(); n != 2 {
		t.Errorf("%d changes wait", n)
	}
	if err := h.status.SignRoot(t.Context(), h.issuer.RootID); err == nil {
		t.Error("signed without the key")
	}
	if _, err := h.ca.ImportRoot(t.Context(), file, phrase, "test"); err != nil {
		t.Fatal(err)
	}
	if err := h.status.SignRoot(t.Context(), h.issuer.RootID); err != nil {
		t.Fatal(err)
	}
	h.publish()
	if l := h.list(path); len(l.RevokedCertificateEntries) != 1 || l.Number.Cmp(before.Number) <= 0 || waiting() != 0 {
		t.Errorf("%+v, %d wait", l.RevokedCertificateEntries, waiting())
	}
	if err := h.status.SignRoot(t.Context(), h.issuer.ID); err == nil {
		t.Error("an issuer is no root")
	}
}

// TestShortLivedRootLists: the life is a matter of configuration.
func TestShortLivedRootLists(t *testing.T) {
	h := open(t)
	h.status = status.New(h.db, h.ca, status.Config{Seal: h.ring, RootListLife: 30 * 24 * time.Hour})
	h.publish()
	l := h.list("/crl/" + h.issuer.RootID + "/full.crl")
	if l.NextUpdate.Sub(l.ThisUpdate) != 30*24*time.Hour {
		t.Errorf("%v", l.NextUpdate.Sub(l.ThisUpdate))
	}
	// A list from a time when lists lived shorter is not left to end.
	h.status = status.New(h.db, h.ca, status.Config{Seal: h.ring})
	h.publish()
	l = h.list("/crl/" + h.issuer.RootID + "/full.crl")
	if l.NextUpdate.Sub(l.ThisUpdate) != 180*24*time.Hour {
		t.Errorf("%v", l.NextUpdate.Sub(l.ThisUpdate))
	}
	h.clock.Add(31 * 24 * time.Hour)
	h.publish()
	if next := h.list("/crl/" + h.issuer.RootID + "/full.crl"); next.Number.Cmp(l.Number) <= 0 {
		t.Error("it was not signed anew after a sixth of its life")
	}
}
