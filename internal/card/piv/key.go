package piv

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// Algorithm is the kind of a key on a card (SP 800-78-4, table 6-2; RSA-3072 from
// SP 800-78-5).
type Algorithm byte

// The kinds that a campus card may use.
const (
	RSA2048 Algorithm = 0x07
	RSA3072 Algorithm = 0x05
	P256    Algorithm = 0x11
	P384    Algorithm = 0x14
)

// String is the name that people use, "" for a kind that is none of ours.
func (a Algorithm) String() string {
	return map[Algorithm]string{RSA2048: "RSA-2048", RSA3072: "RSA-3072", P256: "P-256", P384: "P-384"}[a]
}

// AlgorithmNamed finds a kind by its name.
func AlgorithmNamed(name string) (Algorithm, error) {
	for _, a := range []Algorithm{P256, P384, RSA2048, RSA3072} {
		if a.String() == name {
			return a, nil
		}
	}
	return 0, fmt.Errorf("there is no kind of key %q", name)
}

// slotAuthentication is the key for signing in (SP 800-73-4 part 1, table 4b); its PIN
// is asked for once until the card leaves the reader.
const slotAuthentication = 0x9a

// Generate makes a new key in slot 9A and gives its public half (SP 800-73-4 part 2,
// 3.3.2). The management key must have been shown; the old key is gone.
func (c *Card) Generate(a Algorithm) (crypto.PublicKey, error) {
	out, err := c.send(command{"GENERATE ASYMMETRIC KEY PAIR", insGenerate, 0, slotAuthentication, enc(0xac, enc(0x80, []byte{byte(a)})), true})
	if err != nil {
		return nil, err
	}
	return parsePublic(a, out)
}

// parsePublic reads the public key of an answer (SP 800-73-4 part 2, 3.3.2).
func parsePublic(a Algorithm, b []byte) (crypto.PublicKey, error) {
	list, err := inside(b, 0x7f49)
	if err != nil {
		return nil, err
	}
	switch a {
	case P256, P384:
		curve := elliptic.P256()
		if a == P384 {
			curve = elliptic.P384()
		}
		point, _ := find(list, 0x86)
		k, err := ecdsa.ParseUncompressedPublicKey(curve, point)
		if err != nil {
			return nil, fmt.Errorf("piv: public key: %w", err)
		}
		return k, nil
	case RSA2048, RSA3072:
		n, _ := find(list, 0x81)
		e, _ := find(list, 0x82)
		k := &rsa.PublicKey{N: new(big.Int).SetBytes(n)}
		if exponent := new(big.Int).SetBytes(e); exponent.IsInt64() && exponent.Int64() < 1<<31 {
			k.E = int(exponent.Int64())
		}
		bits := map[Algorithm]int{RSA2048: 2048, RSA3072: 3072}[a]
		if k.N.BitLen() != bits || k.E < 65537 || k.E%2 == 0 {
			return nil, fmt.Errorf("piv: public key of %d bits with exponent %d", k.N.BitLen(), k.E)
		}
		return k, nil
	}
	return nil, ErrUnsupported
}

// Signer signs with the key in slot 9A, whose public half the caller knows from
// Generate or from the certificate. The PIN must have been shown. It knows ECDSA and
// RSA PKCS #1 v1.5.
func (c *Card) Signer(public crypto.PublicKey) (crypto.Signer, error) {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return &signer{c, P256, public}, nil
		case elliptic.P384():
			return &signer{c, P384, public}, nil
		}
	case *rsa.PublicKey:
		switch k.N.BitLen() {
		case 2048:
			return &signer{c, RSA2048, public}, nil
		case 3072:
			return &signer{c, RSA3072, public}, nil
		}
	}
	return nil, ErrUnsupported
}

type signer struct {
	card   *Card
	alg    Algorithm
	public crypto.PublicKey
}

func (s *signer) Public() crypto.PublicKey { return s.public }

// Sign makes a signature over a digest on the card.
func (s *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if len(digest) != opts.HashFunc().Size() {
		return nil, errors.New("piv: the digest has the wrong length")
	}
	in := digest
	switch k := s.public.(type) {
	case *ecdsa.PublicKey:
		in = digest[:min(len(digest), (k.Params().BitSize+7)/8)] // FIPS 186-5 6.4.1: the leftmost bits
	case *rsa.PublicKey:
		if _, pss := opts.(*rsa.PSSOptions); pss {
			return nil, ErrUnsupported
		}
		var err error
		if in, err = padPKCS1(digest, opts.HashFunc(), k.Size()); err != nil {
			return nil, err
		}
	}
	// SP 800-73-4 part 2, 3.2.4: 82 asks for the signature of 81.
	out, err := s.card.send(command{"GENERAL AUTHENTICATE", insAuthenticate, byte(s.alg), slotAuthentication,
		enc(0x7c, enc(0x82), enc(0x81, in)), true})
	if err != nil {
		return nil, err
	}
	list, err := inside(out, 0x7c)
	if err != nil {
		return nil, err
	}
	signature, ok := find(list, 0x82)
	if !ok {
		return nil, fmt.Errorf("%w: no signature", errTLV)
	}
	return signature, nil
}

// padPKCS1 is EMSA-PKCS1-v1_5 (RFC 8017 9.2): a card gets the padded block.
func padPKCS1(digest []byte, h crypto.Hash, size int) ([]byte, error) {
	info, ok := map[crypto.Hash][]byte{
		crypto.SHA256: {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20},
		crypto.SHA384: {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30},
		crypto.SHA512: {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40},
	}[h]
	fill := size - 3 - len(info) - len(digest)
	if !ok || fill < 8 {
		return nil, ErrUnsupported
	}
	out := append([]byte{0, 1}, make([]byte, fill)...)
	for i := range fill {
		out[2+i] = 0xff
	}
	return append(append(append(out, 0), info...), digest...), nil
}
