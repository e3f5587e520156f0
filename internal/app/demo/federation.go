package demo

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
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/store"
)

// federation is the name of the demo's feed, and providers how many services it has.
const (
	federation = "demo-federation"
	providers  = 50
)

// federate publishes the metadata of a small federation in the demo's folder, signed
// with its own key, and lets the gate load it as it would load a real one.
func (t *Town) federate(ctx context.Context) error {
	key, signer, err := t.federationKey()
	if err != nil {
		return err
	}
	sample, err := aggregate.NewSample("federation.example", 5000)
	if err != nil {
		return err
	}
	now := t.house.DB.Now()
	text, err := aggregate.Write(aggregate.Document{
		ID: fmt.Sprintf("_%x", now.UnixNano()), Name: "https://federation.example/", Publisher: "https://federation.example/", Created: now,
		ValidUntil: now.Add(14 * 24 * time.Hour), Cache: "PT6H", Key: xmlsig.Key{Signer: key, Certificate: signer},
	}, providers, sample.Provider)
	if err != nil {
		return err
	}
	file, err := filepath.Abs(t.path("federation.xml"))
	if err != nil {
		return err
	}
	if err := replaceFile(file, text, 0o644); err != nil {
		return err
	}
	f := feed.Feed{ID: federation, Kind: feed.Aggregate, Precedence: 100, Sources: []feed.Source{
		{Generation: 1, URL: "file:" + file, Certificates: []string{base64.StdEncoding.EncodeToString(signer)}},
	}}
	if err := t.house.DB.Write(ctx, func(tx *store.Tx) error { return t.house.Feeds.Put(tx, f) }); err != nil {
		return err
	}
	_, err = t.house.Feeds.Refresh(ctx, federation, feed.Options{})
	return err
}

// federationKey reads or makes the key of the federation, and its certificate.
func (t *Town) federationKey() (*ecdsa.PrivateKey, []byte, error) {
	file := t.path("federation.key")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		var fresh *ecdsa.PrivateKey
		if fresh, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err == nil {
			if text, err = x509.MarshalECPrivateKey(fresh); err == nil {
				err = replaceFile(file, text, 0o600)
			}
		}
	}
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParseECPrivateKey(text)
	if err != nil {
		return nil, nil, err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Demo federation signer"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	return key, der, err
}
