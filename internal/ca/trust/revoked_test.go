package trust_test

import (
	"testing"

	"seimon/internal/ca"
	"seimon/internal/store"
)

// TestARevokedIssuerOpensNothing: from the moment on its certificates are refused with
// the cause, before their own rows have followed, and browsers are no longer asked for
// them.
func TestARevokedIssuerOpensNothing(t *testing.T) {
	h := open(t)
	row, cert := h.own(ca.PersonDevice)
	if v := h.judge(cert); v.Fault != nil {
		t.Fatal(v.Fault)
	}
	h.write(func(tx *store.Tx) error {
		_, err := h.ca.RevokeIssuer(tx, row.Issuer, ca.CACompromise, "test")
		return err
	})
	for range 2 {
		v := h.judge(cert)
		if v.Fault == nil || v.Fault.Code != "C4" || v.Fault.Facts["reason"] != "cACompromise" || v.Fault.Facts["since"] == "" {
			t.Errorf("%+v", v.Fault)
		}
		h.read(func(tx *store.Tx) error {
			hints, err := h.trust.Hints(tx)
			if len(hints) != 0 {
				t.Errorf("%d hints", len(hints))
			}
			return err
		})
		if err := h.ca.EndRevoked(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
