package ca_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"slices"
	"testing"

	"seimon/internal/ca"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// house is an authority on a fresh database, founded unless said otherwise.
type house struct {
	t     testing.TB
	db    *store.DB
	clock *storetest.Clock
	ring  *keyring.Ring
	ca    *ca.Authority
}

const base = "http://pki.example.ac.jp"

func open(t testing.TB, change ...func(*ca.Config)) *house {
	t.Helper()
	db, clock := storetest.Open(t, ca.Schema(), keyring.Schema())
	h := &house{t: t, db: db, clock: clock}
	h.ring = keyringtest.Open(t, db, bytes.Repeat([]byte("k"), 32))
	h.ca = h.another(change...)
	return h
}

// another opens the authority once more, as a second node does.
func (h *house) another(change ...func(*ca.Config)) *ca.Authority {
	h.t.Helper()
	cfg := ca.Config{Seal: h.ring, MAC: h.ring.MAC, Base: base, Realm: "example.ac.jp"}
	for _, f := range change {
		f(&cfg)
	}
	a, err := ca.Open(h.t.Context(), h.db, cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

func founded(t testing.TB, change ...func(*ca.Config)) *house {
	t.Helper()
	h := open(t, change...)
	if _, err := h.ca.Found(t.Context(), ca.Plan{Organization: "Example University", Country: "JP"}); err != nil {
		t.Fatal(err)
	}
	return h
}

func p256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func order(key crypto.PublicKey) ca.Order {
	return ca.Order{
		Profile: ca.PersonDevice, Key: key, Label: "laptop",
		Holder: ca.Holder{Account: "acc_1", Person: "per_1", Name: "Kokuritsu Taro", Mail: "taro@example.ac.jp", UPN: "s2600001@example.ac.jp"},
	}
}

func (h *house) issue(o ca.Order) ca.Certificate {
	h.t.Helper()
	p, err := h.ca.Prepare(h.t.Context(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := h.ca.Issue(h.t.Context(), p)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *house) read(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.db.Read(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) write(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.db.Write(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func TestACertificateIsIssuedFoundAndRevoked(t *testing.T) {
	h := founded(t)
	c := h.issue(order(p256(t).Public()))
	if c.State != ca.Active || c.Name != "Kokuritsu Taro - laptop 2026" || len(c.Tail()) != 5 {
		t.Errorf("%+v", c)
	}
	chain := h.ca.Chain(c.Issuer)
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	between.AddCert(chain[0])
	roots.AddCert(chain[1])
	_, err := c.Parsed().Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: h.clock.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		t.Error(err)
	}
	h.write(func(tx *store.Tx) error {
		if _, err := h.ca.Revoke(tx, c.ID, ca.KeyCompromise, "taro"); err != nil {
			return err
		}
		again, err := h.ca.Revoke(tx, c.ID, ca.Superseded, "taro")
		if again.State != ca.Revoked || again.Reason != ca.KeyCompromise || again.Revoked != tx.Now {
			t.Errorf("%+v", again)
		}
		return err
	})
	h.read(func(tx *store.Tx) error {
		bySerial, err := h.ca.BySerial(tx, c.Issuer, c.Serial)
		if err != nil || bySerial.ID != c.ID || !h.ca.Ready(tx) {
			t.Error(bySerial, err)
		}
		of, err := h.ca.Of(tx, "acc_1")
		if err != nil || len(of) != 1 {
			t.Error(of, err)
		}
		list, err := h.ca.RevokedOf(tx, c.Issuer, c.Shard, h.clock.Now())
		if err != nil || len(list) != 1 || list[0].Serial != c.Serial {
			t.Error(list, err)
		}
		byKey, err := h.ca.ByKey(tx, c.KeyHash)
		if !slices.ContainsFunc(byKey, func(k ca.Certificate) bool { return k.ID == c.ID }) {
			t.Error(byKey)
		}
		return err
	})
}
