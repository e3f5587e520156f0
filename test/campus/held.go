package campus

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"

	"seimon/internal/app"
	"seimon/internal/ca"
	"seimon/internal/directory"
	"seimon/internal/store"
)

// Held founds an authority and gives the first so many people a certificate each, with
// its key, as their browsers have it. The program must not be running.
func (c *Campus) Held(ctx context.Context, people int) ([]*tls.Certificate, error) {
	h, err := c.Open(ctx)
	if err != nil {
		return nil, err
	}
	out, err := held(ctx, h, people)
	return out, errors.Join(err, h.Close())
}

func held(ctx context.Context, h *app.House, people int) (out []*tls.Certificate, err error) {
	if _, err := h.CA.Found(ctx, ca.Plan{Organization: "Seimon University"}); err != nil {
		return nil, err
	}
	for n := range people {
		var a directory.Account
		var p directory.Person
		err := h.DB.Read(ctx, func(tx *store.Tx) (err error) {
			a, p, err = h.People.ByUserName(tx, UserName(n))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("campus: %s: %w", UserName(n), err)
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		order, err := h.CA.Prepare(ctx, ca.Order{Profile: ca.PersonDevice, Holder: h.Holder(a, p), Key: key.Public(), Label: "laptop"})
		if err != nil {
			return nil, err
		}
		cert, err := h.CA.Issue(ctx, order)
		if err != nil {
			return nil, err
		}
		chain := [][]byte{cert.DER}
		for _, above := range h.CA.Chain(cert.Issuer) {
			chain = append(chain, above.Raw)
		}
		out = append(out, &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: cert.Parsed()})
	}
	return out, nil
}
