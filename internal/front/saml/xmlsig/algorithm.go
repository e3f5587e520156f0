package xmlsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// The names of the standards.
const (
	Space     = "http://www.w3.org/2000/09/xmldsig#"
	exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	enveloped = Space + "enveloped-signature"
	more      = "http://www.w3.org/2001/04/xmldsig-more#"
	enc       = "http://www.w3.org/2001/04/xmlenc#"
)

// The signature algorithms (RFC 9231). SHA-1 is not among them.
const (
	RSASHA256   = more + "rsa-sha256"
	RSASHA384   = more + "rsa-sha384"
	RSASHA512   = more + "rsa-sha512"
	ECDSASHA256 = more + "ecdsa-sha256"
	ECDSASHA384 = more + "ecdsa-sha384"
	ECDSASHA512 = more + "ecdsa-sha512"
)

// SHA256 is the digest that we write.
const SHA256 = enc + "sha256"

// Algorithms lists what Verify accepts.
func Algorithms() []string {
	return []string{RSASHA256, RSASHA384, RSASHA512, ECDSASHA256, ECDSASHA384, ECDSASHA512}
}

// Digests lists the digest methods that Verify accepts.
func Digests() []string { return []string{SHA256, more + "sha384", enc + "sha512"} }

func digestOf(method string) (crypto.Hash, error) {
	switch method {
	case SHA256:
		return crypto.SHA256, nil
	case more + "sha384":
		return crypto.SHA384, nil
	case enc + "sha512":
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("xmlsig: the digest method %.80q is not accepted", method)
}

func hashOf(algorithm string) (crypto.Hash, error) {
	if !slices.Contains(Algorithms(), algorithm) {
		return 0, fmt.Errorf("xmlsig: the signature method %.80q is not accepted", algorithm)
	}
	switch {
	case strings.HasSuffix(algorithm, "256"):
		return crypto.SHA256, nil
	case strings.HasSuffix(algorithm, "384"):
		return crypto.SHA384, nil
	}
	return crypto.SHA512, nil
}

func sum(h crypto.Hash, data []byte) []byte {
	switch h {
	case crypto.SHA256:
		v := sha256.Sum256(data)
		return v[:]
	case crypto.SHA384:
		v := sha512.Sum384(data)
		return v[:]
	}
	v := sha512.Sum512(data)
	return v[:]
}

// errBad is a signature that no known key made.
var errBad = errors.New("xmlsig: the signature does not fit any of the registered keys")

// LongestRSA is the most bits that an RSA key may have. Services bring their own keys;
// the work grows with the square.
const LongestRSA = 8192

// Check verifies a bare signature over data with one of the keys. An algorithm only
// works with keys of its own kind; keys that are short or of absurd length count for
// nothing.
func Check(algorithm string, data, signature []byte, keys []crypto.PublicKey) error {
	h, err := hashOf(algorithm)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return errors.New("xmlsig: no key is registered")
	}
	digest := sum(h, data)
	for _, k := range keys {
		if fits(algorithm, h, digest, signature, k) {
			return nil
		}
	}
	return errBad
}

func fits(algorithm string, h crypto.Hash, digest, signature []byte, key crypto.PublicKey) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, more+"rsa-") && k.N.BitLen() >= 2048 && k.N.BitLen() <= LongestRSA && rsa.VerifyPKCS1v15(k, h, digest, signature) == nil
	case *ecdsa.PublicKey:
		size := (k.Curve.Params().BitSize + 7) / 8
		if !strings.HasPrefix(algorithm, more+"ecdsa-") || len(signature) != 2*size || size < 32 { // RFC 9231 2.3.6
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(k, digest, r, s)
	}
	return false
}

// AlgorithmFor gives the algorithm that a key signs with.
func AlgorithmFor(key crypto.PublicKey) (string, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return RSASHA256, nil
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return ECDSASHA256, nil
		case 384:
			return ECDSASHA384, nil
		}
	}
	return "", fmt.Errorf("xmlsig: no signatures are made with a %T", key)
}

// Bare signs data with the algorithm of the key.
func Bare(key crypto.Signer, data []byte) (algorithm string, signature []byte, err error) {
	if algorithm, err = AlgorithmFor(key.Public()); err != nil {
		return "", nil, err
	}
	h, err := hashOf(algorithm)
	if err != nil {
		return "", nil, err
	}
	if signature, err = key.Sign(rand.Reader, sum(h, data), h); err != nil {
		return "", nil, err
	}
	if pub, ok := key.Public().(*ecdsa.PublicKey); ok {
		signature, err = fixed(signature, (pub.Curve.Params().BitSize+7)/8)
	}
	return algorithm, signature, err
}

// fixed turns the ASN.1 form of an ECDSA signature into r and s of fixed length.
func fixed(der []byte, size int) ([]byte, error) {
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		return nil, err
	}
	out := make([]byte, 2*size)
	v.R.FillBytes(out[:size])
	v.S.FillBytes(out[size:])
	return out, nil
}
