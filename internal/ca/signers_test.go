package ca_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"strings"
)

// newKey makes keys as a helper would.
func newKey(algorithm string) (crypto.Signer, error) {
	if strings.HasPrefix(algorithm, "RSA") {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// liar signs another digest than it was given.
type liar struct{ crypto.Signer }

func (l liar) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	other := append([]byte{}, digest...)
	other[0] ^= 1
	return l.Signer.Sign(r, other, o)
}

// mute never signs.
type mute struct{ crypto.Signer }

func (mute) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the helper is gone")
}
