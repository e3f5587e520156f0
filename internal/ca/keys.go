package ca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// KeyStore keeps private keys outside this program, such as in PKCS#11. A handle
// names a key there for ever. An error of Signer or of the signer it gives means
// that the key cannot be reached now; nothing was signed then.
type KeyStore interface {
	Signer(ctx context.Context, handle string) (crypto.Signer, error)
	Generate(ctx context.Context, label, algorithm string) (handle string, err error)
}

// The algorithms of issuers' keys.
const (
	P256    = "P-256"
	P384    = "P-384"
	RSA2048 = "RSA-2048"
	RSA3072 = "RSA-3072"
)

// KeyAlgorithms lists what issuers can sign with, the preferred one first.
func KeyAlgorithms() []string { return []string{P256, P384, RSA2048, RSA3072} }

// newKey makes a key pair in this process.
func newKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, fmt.Errorf("ca: no keys are kept for the algorithm %q", algorithm)
}

// keyRow is a key as it is stored: sealed, or named in the helper.
type keyRow struct {
	id, algorithm  string
	public, sealed []byte
	handle         string
}

func keyContext(id string) string { return "ca_key:" + id }

// makeKey makes a key, in the helper if asked, and gives the row to store.
func (a *Authority) makeKey(ctx context.Context, label, algorithm string, helper bool) (keyRow, crypto.Signer, error) {
	k := keyRow{id: authn.NewID("key"), algorithm: algorithm, sealed: []byte{}}
	var signer crypto.Signer
	var err error
	if helper {
		if a.cfg.Keys == nil {
			return k, nil, errors.New("ca: no helper for keys is configured")
		}
		if k.handle, err = a.cfg.Keys.Generate(ctx, label, algorithm); err != nil {
			return k, nil, fmt.Errorf("ca: the helper: %w", err)
		}
		signer, err = a.cfg.Keys.Signer(ctx, k.handle)
	} else {
		signer, err = newKey(algorithm)
	}
	if err != nil {
		return k, nil, err
	}
	if !helper {
		private, err := x509.MarshalPKCS8PrivateKey(signer)
		if err != nil {
			return k, nil, err
		}
		k.sealed = a.cfg.Seal.Seal(keyContext(k.id), private)
	}
	k.public, err = x509.MarshalPKIXPublicKey(signer.Public())
	return k, signer, err
}

func (k *keyRow) insert(tx *store.Tx) error {
	_, err := tx.Exec("INSERT INTO ca_key (id, algorithm, public, sealed, handle, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
		k.id, k.algorithm, k.public, k.sealed, k.handle, store.Millis(tx.Now))
	return err
}

func readKey(tx *store.Tx, id string) (keyRow, error) {
	k := keyRow{id: id}
	err := tx.QueryRow("SELECT algorithm, public, sealed, handle FROM ca_key WHERE id = $1", id).
		Scan(&k.algorithm, &k.public, &k.sealed, &k.handle)
	if errors.Is(err, store.ErrNoRows) {
		return k, fmt.Errorf("ca: key %s is not in the database", id)
	}
	return k, err
}

// reseal brings sealed keys under the current master key. One that cannot be opened
// stays as it is: the doctor finds it, and everything else goes on.
func (a *Authority) reseal(ctx context.Context) error {
	ring, ok := a.cfg.Seal.(interface{ Stale(sealed []byte) bool })
	if !ok {
		return nil
	}
	fresh := map[string][]byte{}
	err := a.db.Read(ctx, func(tx *store.Tx) error {
		clear(fresh)
		rows, err := tx.Query("SELECT id, sealed FROM ca_key WHERE handle = '' AND LENGTH(sealed) > 0")
		return store.Each(rows, err, func(rows *sql.Rows) error {
			var id string
			var sealed []byte
			if err := rows.Scan(&id, &sealed); err != nil || !ring.Stale(sealed) {
				return err
			}
			plain, err := a.cfg.Seal.Unseal(keyContext(id), sealed)
			if err != nil {
				a.cfg.Log.Error("a key of the certificate authority cannot be opened", "key", id, "error", err)
				return nil
			}
			fresh[id] = a.cfg.Seal.Seal(keyContext(id), plain)
			return nil
		})
	})
	if err != nil || len(fresh) == 0 {
		return err
	}
	return a.db.Write(ctx, func(tx *store.Tx) error {
		for id, sealed := range fresh {
			if _, err := tx.Exec("UPDATE ca_key SET sealed = $1 WHERE id = $2", sealed, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// open gives the private half. It must be the half of the stored public key, whatever
// the helper says.
func (a *Authority) open(ctx context.Context, k keyRow) (crypto.Signer, error) {
	signer, err := a.openUnchecked(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("ca: key %s: %w", k.id, err)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	if string(public) != string(k.public) {
		return nil, fmt.Errorf("ca: key %s: the private key is not the one of the stored public key", k.id)
	}
	return signer, nil
}

func (a *Authority) openUnchecked(ctx context.Context, k keyRow) (crypto.Signer, error) {
	if k.handle != "" {
		if a.cfg.Keys == nil {
			return nil, errors.New("the key lies in the helper, and none is configured")
		}
		return a.cfg.Keys.Signer(ctx, k.handle)
	}
	der, err := a.cfg.Seal.Unseal(keyContext(k.id), k.sealed)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	return signer, nil
}
