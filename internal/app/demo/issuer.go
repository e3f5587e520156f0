package demo

import (
	"context"
	"encoding/pem"

	"seimon/internal/ca"
	"seimon/internal/store"
)

// issuerFile holds the issuer of people's certificates and its root, as RADIUS and VPN
// servers need them.
const issuerFile = "issuer.pem"

// publish makes the first lists and writes the issuer to its file, so that programs
// beside the demo can use both as soon as it is ready.
func (t *Town) publish(ctx context.Context) error {
	h := t.house
	if err := h.Status.Publish(ctx); err != nil {
		return err
	}
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		list, err := h.CA.Issuers(tx)
		for _, i := range list {
			if i.State == ca.IssuerActive {
				t.issuer = i.ID
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	var text []byte
	for _, c := range h.CA.Chain(t.issuer) {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return replaceFile(t.path(issuerFile), text, 0o644)
}
