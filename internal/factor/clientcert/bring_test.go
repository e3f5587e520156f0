package clientcert_test

import (
	"crypto/x509"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/ca/trust"
	"seimon/internal/factor"
	"seimon/internal/factor/clientcert"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// TestARemovedCertificateIsNotBroughtBack: whoever removed a certificate of another
// house, because it is lost, does not find it in use again when its issuer is switched
// on anew. Only the card that it was cut off with brings it back.
func TestARemovedCertificateIsNotBroughtBack(t *testing.T) {
	db, clock := storetest.Open(t, factor.Schema(), keyring.Schema())
	ring := keyringtest.Open(t, db, []byte("0123456789abcdef0123456789abcdef"))
	bindings := factor.NewBindings(db, ring)
	leaf := &x509.Certificate{Raw: []byte("a certificate"), NotBefore: clock.Now(), NotAfter: clock.Now().AddDate(1, 0, 0)}
	v := trust.Verdict{Foreign: "anc_1", Account: authn.AccountID("acc_1"), Name: "Card 1", Tail: "77"}
	active := func(want int) {
		t.Helper()
		err := db.Read(t.Context(), func(tx *store.Tx) error {
			all, err := bindings.Of(tx, v.Account)
			if len(all) != want {
				t.Errorf("%d in use, not %d", len(all), want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(fn func(tx *store.Tx) error) {
		t.Helper()
		if err := db.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	bring := func(how func(*store.Tx, *factor.Bindings, trust.Verdict, *x509.Certificate) error) {
		t.Helper()
		write(func(tx *store.Tx) error { return how(tx, bindings, v, leaf) })
	}
	bring(clientcert.Bring)
	bring(clientcert.Bring) // once is enough
	active(1)
	write(func(tx *store.Tx) error {
		all, err := bindings.Of(tx, v.Account)
		if err != nil {
			return err
		}
		return bindings.Remove(tx, all[0].ID)
	})
	bring(clientcert.Bring)
	active(0)
	bring(clientcert.BringBack)
	active(1)
}
