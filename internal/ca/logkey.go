package ca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"seimon/internal/store"
)

// signHead signs a head with the key of the log.
func (a *Authority) signHead(ctx context.Context, h LogHead) ([]byte, error) {
	signer, err := a.logSigner(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(h.signed())
	return signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}

func (a *Authority) logSigner(ctx context.Context) (crypto.Signer, error) {
	a.mu.RLock()
	signer := a.logSign
	a.mu.RUnlock()
	if signer != nil {
		return signer, nil
	}
	k, err := a.logKeyRow(ctx)
	if err != nil {
		return nil, err
	}
	if signer, err = a.open(ctx, k); err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.logSign = signer
	a.mu.Unlock()
	return signer, nil
}

func (a *Authority) logKeyRow(ctx context.Context) (k keyRow, err error) {
	if a.logKeyID() == "" {
		if err := a.load(ctx); err != nil {
			return k, err
		}
	}
	id := a.logKeyID()
	if id == "" {
		return k, ErrNotReady
	}
	err = a.db.Read(ctx, func(tx *store.Tx) error {
		k, err = readKey(tx, id)
		return err
	})
	return k, err
}

func (a *Authority) logKeyID() string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.logKey
}

// LogKey gives the public key of the log as a SubjectPublicKeyInfo. People note its
// fingerprint, since a proof is worth what the key is worth.
func (a *Authority) LogKey(ctx context.Context) ([]byte, error) {
	k, err := a.logKeyRow(ctx)
	return k.public, err
}

// Verify checks the signature of a head under the public key of the log (a
// SubjectPublicKeyInfo).
func (h LogHead) Verify(key []byte) error {
	parsed, err := x509.ParsePKIXPublicKey(key)
	if err != nil {
		return fmt.Errorf("ca: the key of the log: %w", err)
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return errors.New("ca: the key of the log is of another kind")
	}
	if len(h.Root) != sha256.Size {
		return errors.New("ca: the root of the log has another length")
	}
	sum := sha256.Sum256(h.signed())
	if !ecdsa.VerifyASN1(public, sum[:], h.Signature) {
		return errors.New("ca: the signature of the log's head is wrong")
	}
	return nil
}
