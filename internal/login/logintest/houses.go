package logintest

import (
	"crypto/x509"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/card"
	"seimon/internal/factor/clientcert"
	"seimon/internal/store"
)

// Houses is what the card desk knows of certificates of other houses.
func (h *House) Houses() card.Houses { return houses{h} }

type houses struct{ h *House }

func (x houses) Judge(tx *store.Tx, chain []*x509.Certificate) (trust.Verdict, error) {
	return x.h.Trust.Judge(tx, chain)
}

func (x houses) Pin(tx *store.Tx, house string, c *x509.Certificate, account authn.AccountID) error {
	return x.h.Trust.Pin(tx, house, trust.BySerial, c, account)
}

func (x houses) Cut(tx *store.Tx, account authn.AccountID, c *x509.Certificate) error {
	return x.h.cut(tx, ca.Certificate{Account: account, DER: c.Raw})
}

func (x houses) Join(tx *store.Tx, c *x509.Certificate) error {
	v, err := x.h.Trust.Judge(tx, []*x509.Certificate{c})
	if err != nil {
		return err
	}
	return clientcert.BringBack(tx, x.h.Bindings, v, c)
}

// cut takes a certificate out of use, with the sessions that rest on it.
func (h *House) cut(tx *store.Tx, c ca.Certificate) error {
	binding, err := clientcert.Unregister(tx, h.Bindings, c)
	if err == nil && binding != "" {
		_, err = h.Sessions.EndResting(tx, c.Account, binding, "certificate revoked")
	}
	return err
}
