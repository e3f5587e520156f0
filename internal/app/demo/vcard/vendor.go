package vcard

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
)

// vendor are the vendor commands that piv-go and ykman use.
func (c *Card) vendor(ins, p1, p2 byte, d []byte) ([]byte, uint16) {
	switch ins {
	case 0xfd: // version
		return c.s.Version[:], swOK
	case 0xf8: // serial
		return binary.BigEndian.AppendUint32(nil, c.s.Serial), swOK
	case 0xf7: // metadata
		return c.metadata(p2)
	case 0xf9: // attest
		return c.attest(p1)
	case 0xfa: // set retries; PIN and PUK go back to their defaults
		if !c.mgmtOK || !c.pinOK {
			return nil, swSecurity
		}
		s := c.s
		s.PINMax, s.PUKMax, s.PINTries, s.PUKTries = int(p1), int(p2), int(p1), int(p2)
		s.PIN, s.PUK = FactoryPIN, FactoryPUK
		return nil, c.saved()
	case 0xfb: // reset, only when PIN and PUK are both blocked
		if c.s.PINTries != 0 || c.s.PUKTries != 0 {
			return nil, swConditions
		}
		n := NewState(c.s.PINMax, c.s.PUKMax)
		n.Serial, n.Version = c.s.Serial, c.s.Version
		if k := c.s.Keys["f9"]; k != nil {
			n.Keys["f9"], n.Objects["5fff01"] = k, c.s.Objects["5fff01"]
		}
		c.s = n
		return nil, c.saved()
	case 0xfe: // import key
		return nil, c.importKey(p1, p2, d)
	case 0xff: // set management key
		if !c.mgmtOK {
			return nil, swSecurity
		}
		if len(d) < 3 || len(d) != 3+int(d[2]) || d[1] != 0x9b {
			return nil, swBadData
		}
		if n := map[byte]int{alg3DES: 24, algAES128: 16, algAES192: 24, algAES256: 32}[d[0]]; n != int(d[2]) {
			return nil, swBadData
		}
		c.s.MgmtAlg, c.s.MgmtKey = d[0], append([]byte(nil), d[3:]...)
		return nil, c.saved()
	}
	return nil, swNoCommand
}

func (c *Card) metadata(slot byte) ([]byte, uint16) {
	tries := func(most, left int, def bool) []byte {
		f := byte(0)
		if def {
			f = 1
		}
		return bytes.Join([][]byte{enc(1, []byte{0xff}), enc(5, []byte{f}), enc(6, []byte{byte(most), byte(left)})}, nil)
	}
	switch slot {
	case 0x80:
		return tries(c.s.PINMax, c.s.PINTries, c.s.PIN == FactoryPIN), swOK
	case 0x81:
		return tries(c.s.PUKMax, c.s.PUKTries, c.s.PUK == FactoryPUK), swOK
	case 0x9b:
		return bytes.Join([][]byte{enc(1, []byte{c.s.MgmtAlg}), enc(2, []byte{0, 1}), enc(5, []byte{0})}, nil), swOK
	}
	k := c.s.Keys[fmt.Sprintf("%02x", slot)]
	if k == nil {
		return nil, swNoReference
	}
	origin := byte(1)
	if k.Imported {
		origin = 2
	}
	return bytes.Join([][]byte{enc(1, []byte{k.Alg}), enc(2, []byte{k.PINPolicy, k.Touch}), enc(3, []byte{origin}),
		enc(4, pubTLV(k.private))}, nil), swOK
}

func (c *Card) importKey(alg, slot byte, d []byte) uint16 {
	if !c.mgmtOK {
		return swSecurity
	}
	l, err := parseTLV(d)
	if err != nil {
		return swBadData
	}
	var priv crypto.PrivateKey
	if p, ok := find(l, 1); ok {
		q, _ := find(l, 2)
		k := &rsa.PrivateKey{Primes: []*big.Int{new(big.Int).SetBytes(p), new(big.Int).SetBytes(q)}}
		k.E = 65537
		k.N = new(big.Int).Mul(k.Primes[0], k.Primes[1])
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(k.Primes[0], one), new(big.Int).Sub(k.Primes[1], one))
		k.D = new(big.Int).ModInverse(big.NewInt(65537), phi)
		if k.D == nil || k.Validate() != nil {
			return swBadData
		}
		k.Precompute()
		priv = k
	} else if s, ok := find(l, 6); ok {
		curve := elliptic.P256()
		if alg == algP384 {
			curve = elliptic.P384()
		}
		if priv, err = ecdsa.ParseRawPrivateKey(curve, s); err != nil {
			return swBadData
		}
	} else {
		return swBadData
	}
	pol := func(tag uint32) byte {
		if v, ok := find(l, tag); ok && len(v) == 1 {
			return v[0]
		}
		return 0
	}
	if c.setKey(slot, priv, [2]byte{pol(0xaa), pol(0xab)}, true) != nil {
		return swBadData
	}
	return swOK
}

// attest issues the statement that a slot's key was made on the card, from the
// key in F9, in the form of a YubiKey's (piv-go's Verifier reads it).
func (c *Card) attest(slot byte) ([]byte, uint16) {
	k, f9 := c.s.Keys[fmt.Sprintf("%02x", slot)], c.s.Keys["f9"]
	if k == nil || k.Imported || f9 == nil {
		return nil, swBadData
	}
	l, _ := parseTLV(c.s.Objects["5fff01"])
	der, _ := find(l, 0x70)
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, swBadData
	}
	oid := func(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 41482, 3, n} }
	serial, _ := asn1.Marshal(int64(c.s.Serial))
	sn, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	t := &x509.Certificate{SerialNumber: sn, Subject: pkix.Name{CommonName: fmt.Sprintf("YubiKey PIV Attestation %02x", slot)},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, ExtraExtensions: []pkix.Extension{
			{Id: oid(3), Value: c.s.Version[:]}, {Id: oid(7), Value: serial},
			{Id: oid(8), Value: []byte{k.PINPolicy, k.Touch}}, {Id: oid(9), Value: []byte{1}}}}
	out, err := x509.CreateCertificate(rand.Reader, t, ca, k.private.(crypto.Signer).Public(), f9.private)
	if err != nil {
		return nil, swBadData
	}
	return out, swOK
}
