package vcard

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// generate is GENERATE ASYMMETRIC KEY PAIR (SP 800-73-4 part 2, 3.3.2).
func (c *Card) generate(slot byte, d []byte) ([]byte, uint16) {
	if !c.mgmtOK {
		return nil, swSecurity
	}
	l, err := parseTLV(d)
	if err != nil {
		return nil, swBadData
	}
	ac, _ := find(l, 0xac)
	if l, err = parseTLV(ac); err != nil {
		return nil, swBadData
	}
	one := func(tag uint32) byte {
		if v, ok := find(l, tag); ok && len(v) == 1 {
			return v[0]
		}
		return 0
	}
	priv, err := newKey(one(0x80))
	if err != nil || c.setKey(slot, priv, [2]byte{one(0xaa), one(0xab)}, false) != nil {
		return nil, swBadData
	}
	return enc(0x7f49, pubTLV(priv)), swOK
}

func newKey(alg byte) (crypto.PrivateKey, error) {
	switch alg {
	case algRSA1024:
		return rsa.GenerateKey(rand.Reader, 1024)
	case algRSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case algRSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case algRSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case algP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case algP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	return nil, errors.New("unsupported algorithm")
}

func pubTLV(priv crypto.PrivateKey) []byte {
	switch p := priv.(type) {
	case *rsa.PrivateKey:
		return append(enc(0x81, p.N.Bytes()), enc(0x82, big.NewInt(int64(p.E)).Bytes())...)
	case *ecdsa.PrivateKey:
		e, _ := p.ECDH()
		return enc(0x86, e.PublicKey().Bytes())
	}
	return nil
}

func (c *Card) block() cipher.Block {
	var b cipher.Block
	var err error
	if c.s.MgmtAlg == alg3DES {
		b, err = des.NewTripleDESCipher(c.s.MgmtKey)
	} else {
		b, err = aes.NewCipher(c.s.MgmtKey)
	}
	if err != nil {
		panic(err)
	}
	return b
}

// manage is GENERAL AUTHENTICATE with the management key: external
// (81 empty, then 82) or mutual (80 empty, then 80 and 81).
func (c *Card) manage(alg byte, d []byte) ([]byte, uint16) {
	if alg == 0 {
		alg = alg3DES
	}
	if alg != c.s.MgmtAlg {
		return nil, swBadP1P2
	}
	outer, err := parseTLV(d)
	t, _ := find(outer, 0x7c)
	l, err2 := parseTLV(t)
	if err != nil || err2 != nil {
		return nil, swBadData
	}
	b := c.block()
	n := b.BlockSize()
	wit, hasWit := find(l, 0x80)
	chal, hasChal := find(l, 0x81)
	resp, hasResp := find(l, 0x82)
	c.mgmtOK = false
	switch {
	case hasWit && len(wit) == 0: // mutual, step 1
		c.witness = make([]byte, n)
		rand.Read(c.witness)
		e := make([]byte, n)
		b.Encrypt(e, c.witness)
		return enc(0x7c, enc(0x80, e)), swOK
	case hasWit && hasChal && c.witness != nil && len(chal) == n: // mutual, step 2
		if !bytes.Equal(wit, c.witness) {
			c.witness = nil
			return nil, swSecurity
		}
		c.witness, c.mgmtOK = nil, true
		e := make([]byte, n)
		b.Encrypt(e, chal)
		return enc(0x7c, enc(0x82, e)), swOK
	case hasResp && len(resp) == n && c.challenge != nil: // external, step 2
		e := make([]byte, n)
		b.Encrypt(e, c.challenge)
		c.challenge = nil
		if !bytes.Equal(e, resp) {
			return nil, swSecurity
		}
		c.mgmtOK = true
		return nil, swOK
	case hasChal && len(chal) == 0: // external, step 1
		c.challenge = make([]byte, n)
		rand.Read(c.challenge)
		return enc(0x7c, enc(0x81, c.challenge)), swOK
	}
	return nil, swBadData
}

// use is GENERAL AUTHENTICATE with a private key (SP 800-73-4 part 2, 3.2.4).
func (c *Card) use(alg, slot byte, d []byte) ([]byte, uint16) {
	k := c.s.Keys[fmt.Sprintf("%02x", slot)]
	if k == nil {
		return nil, swNoReference
	}
	if k.Alg != alg {
		return nil, swBadP1P2
	}
	if k.PINPolicy == 2 && !c.pinOK || k.PINPolicy == 3 && !c.pinFresh {
		return nil, swSecurity
	}
	if c.fault != 0 {
		return nil, c.fault
	}
	time.Sleep(c.delay)
	outer, err := parseTLV(d)
	t, _ := find(outer, 0x7c)
	l, err2 := parseTLV(t)
	if err != nil || err2 != nil {
		return nil, swBadData
	}
	in, sign := find(l, 0x81)
	if !sign {
		in, _ = find(l, 0x85)
	}
	out, err := operate(k.private, in, sign)
	if err != nil {
		return nil, swBadData
	}
	c.pinFresh = false
	c.signs++
	return enc(0x7c, enc(0x82, out)), swOK
}

// operate signs, decrypts or agrees upon a key; RSA is raw.
func operate(private crypto.PrivateKey, in []byte, sign bool) ([]byte, error) {
	switch p := private.(type) {
	case *rsa.PrivateKey:
		m := new(big.Int).SetBytes(in)
		if len(in) != p.Size() || m.Cmp(p.N) >= 0 {
			return nil, errors.New("not a number below the modulus")
		}
		return m.Exp(m, p.D, p.N).FillBytes(make([]byte, p.Size())), nil
	case *ecdsa.PrivateKey:
		if sign {
			return ecdsa.SignASN1(rand.Reader, p, in)
		}
		e, err := p.ECDH()
		if err != nil {
			return nil, err
		}
		peer, err := e.Curve().NewPublicKey(in)
		if err != nil {
			return nil, err
		}
		return e.ECDH(peer)
	}
	return nil, errors.New("unsupported key")
}
