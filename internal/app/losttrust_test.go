package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"seimon/internal/ca"
	"seimon/internal/directory"
	"seimon/internal/session"
	"seimon/internal/store"
)

// TestALostCertificateTakesTheTrustOfItsDeviceAlong: the computer that was stolen with
// the certificate is a browser that its owner trusted; a password alone must not do there.
// One that is of no use any more was in nobody else's hands.
func TestALostCertificateTakesTheTrustOfItsDeviceAlong(t *testing.T) {
	s := install(t)
	s.edit(`#base = `, `base = `)
	h, write := s.open()
	if _, err := h.CA.Found(t.Context(), ca.Plan{Organization: "Example University"}); err != nil {
		t.Fatal(err)
	}
	var account directory.Account
	var browser session.Browser
	write(func(tx *store.Tx) (err error) {
		account, _, err = h.People.Add(tx, directory.Person{Name: directory.Names{Family: "山田"}}, directory.Account{UserName: "s2600001", Kind: "student", State: directory.Active})
		if err == nil {
			browser, _, err = h.Sessions.NewBrowser(tx, "Firefox")
		}
		if err == nil {
			err = h.Sessions.Trust(tx, session.Trust{Browser: browser.ID, Account: account.ID, Label: "laptop", Until: tx.Now.Add(24 * time.Hour), Policy: 1, At: tx.Now})
		}
		return err
	})
	for _, c := range []struct {
		why  ca.Reason
		want int
	}{{ca.CessationOfOperation, 1}, {ca.KeyCompromise, 0}} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.CA.Prepare(t.Context(), ca.Order{Profile: ca.PersonDevice, Key: key.Public(), Label: "laptop", Holder: ca.Holder{Account: account.ID, Person: account.Person, Name: "Yamada"}})
		if err != nil {
			t.Fatal(err)
		}
		made, err := h.CA.Issue(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		write(func(tx *store.Tx) error {
			if _, err := h.CA.Revoke(tx, made.ID, c.why, "test"); err != nil {
				return err
			}
			left, err := h.Sessions.Trusts(tx, account.ID)
			if len(left) != c.want {
				t.Errorf("%s: %d trusted browsers are left", c.why, len(left))
			}
			return err
		})
	}
}
