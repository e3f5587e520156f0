package campus

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/store"
)

// Federate makes the campus a member of a federation of so many services: its signed
// metadata is written and loaded. It gives the entityID of one service in the middle.
func (c *Campus) Federate(ctx context.Context, services int) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"}}
	signer, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		return "", err
	}
	sample, err := aggregate.NewSample("federation.example.org", 6_600)
	if err != nil {
		return "", err
	}
	now := time.Now()
	text, err := aggregate.Write(aggregate.Document{
		ID: "_1", Name: "urn:campus", Created: now, ValidUntil: now.Add(14 * 24 * time.Hour), Cache: "PT6H", Key: xmlsig.Key{Signer: key},
	}, services, sample.Provider)
	if err != nil {
		return "", err
	}
	file := filepath.Join(c.Dir, "federation.xml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", err
	}
	house, err := c.Open(ctx)
	if err != nil {
		return "", err
	}
	f := feed.Feed{ID: "federation", Kind: feed.Aggregate, Sources: []feed.Source{
		{Generation: 1, URL: "file:" + file, Certificates: []string{base64.StdEncoding.EncodeToString(signer)}},
	}}
	err = house.DB.Write(ctx, func(tx *store.Tx) error { return house.Feeds.Put(tx, f) })
	if err == nil {
		_, err = house.Feeds.Refresh(ctx, f.ID, feed.Options{})
	}
	return fmt.Sprintf("https://sp%05d.federation.example.org/shibboleth", services/2), errors.Join(err, house.Close())
}
