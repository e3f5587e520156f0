package main

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/ThalesGroup/crypto11"
)

// token is the keys behind a PKCS#11 module.
type token struct {
	ctx *crypto11.Context

	mu   sync.Mutex
	keys map[string]crypto11.Signer
}

// openToken logs in to a token.
func openToken(module, label, pin string) (*token, error) {
	ctx, err := crypto11.Configure(&crypto11.Config{Path: module, TokenLabel: label, Pin: pin, MaxSessions: 8})
	if err != nil {
		return nil, fmt.Errorf("token %q: %w", label, err)
	}
	return &token{ctx: ctx, keys: map[string]crypto11.Signer{}}, nil
}

func (t *token) close() error { return t.ctx.Close() }

// generate makes a key pair in the token.
func (t *token) generate(label, algorithm string) (handle string, public []byte, err error) {
	id := make([]byte, 16)
	rand.Read(id) //nolint:errcheck // never fails (crypto/rand.Read)
	var s crypto11.Signer
	switch algorithm {
	case "P-256":
		s, err = t.ctx.GenerateECDSAKeyPairWithLabel(id, []byte(label), elliptic.P256())
	case "P-384":
		s, err = t.ctx.GenerateECDSAKeyPairWithLabel(id, []byte(label), elliptic.P384())
	case "RSA-2048":
		s, err = t.ctx.GenerateRSAKeyPairWithLabel(id, []byte(label), 2048)
	case "RSA-3072":
		s, err = t.ctx.GenerateRSAKeyPairWithLabel(id, []byte(label), 3072)
	default:
		return "", nil, wrong("the algorithm must be P-256, P-384, RSA-2048 or RSA-3072")
	}
	if err != nil {
		return "", nil, err
	}
	handle = hex.EncodeToString(id)
	t.mu.Lock()
	t.keys[handle] = s
	t.mu.Unlock()
	public, err = x509.MarshalPKIXPublicKey(s.Public())
	return handle, public, err
}

// find gives the key of a handle.
func (t *token) find(handle string) (crypto11.Signer, error) {
	t.mu.Lock()
	s := t.keys[handle]
	t.mu.Unlock()
	if s != nil {
		return s, nil
	}
	id, err := hex.DecodeString(handle)
	if err != nil || len(id) != 16 {
		return nil, wrong("not a handle")
	}
	found, err := t.ctx.FindKeyPairs(id, nil)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fault{"none", errors.New("there is no such key in the token")}
	}
	s = found[0]
	t.mu.Lock()
	t.keys[handle] = s
	t.mu.Unlock()
	return s, nil
}

func (t *token) public(handle string) ([]byte, error) {
	s, err := t.find(handle)
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKIXPublicKey(s.Public())
}

// hashes are those that may be signed.
func hashes() map[string]crypto.Hash {
	return map[string]crypto.Hash{"SHA-256": crypto.SHA256, "SHA-384": crypto.SHA384, "SHA-512": crypto.SHA512}
}

func (t *token) sign(handle, hash string, digest []byte) ([]byte, error) {
	h, ok := hashes()[hash]
	if !ok || len(digest) != h.Size() {
		return nil, wrong("the hash must be SHA-256, SHA-384 or SHA-512, and the digest as long as it says")
	}
	s, err := t.find(handle)
	if err != nil {
		return nil, err
	}
	return s.Sign(rand.Reader, digest, h)
}
