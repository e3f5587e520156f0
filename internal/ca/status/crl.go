package status

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"seimon/internal/ca"
)

// draft is a revocation list to be signed (RFC 5280 5.1).
type draft struct {
	issuer   []byte // encoded name
	keyID    []byte
	number   int64
	this     time.Time
	next     time.Time
	entries  []ca.Entry
	point    string // address of the shard; "" for the full list
	onlyCAs  bool   // the list of a root
	onlyUser bool
}

// maxTime is what UTCTime can hold (RFC 5280 4.1.2.5).
var maxUTC = time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)

func addTime(b *cryptobyte.Builder, t time.Time) {
	if t = t.UTC().Truncate(time.Second); t.Before(maxUTC) {
		b.AddASN1UTCTime(t)
		return
	}
	b.AddASN1GeneralizedTime(t)
}

func oid(numbers ...int) asn1.ObjectIdentifier { return numbers }

// addExtension adds one Extension.
func addExtension(b *cryptobyte.Builder, id asn1.ObjectIdentifier, critical bool, value func(*cryptobyte.Builder)) {
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		if critical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1(der.OCTET_STRING, value)
	})
}

// sign encodes and signs the list.
func (d draft) sign(signer crypto.Signer) ([]byte, error) {
	hash, algorithm, err := algorithmOf(signer.Public())
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 512+48*len(d.entries)))
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { d.tbs(b, algorithm) })
	tbs, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return sealed(signer, hash, algorithm, tbs)
}

func (d draft) tbs(b *cryptobyte.Builder, algorithm []byte) {
	b.AddASN1Int64(1) // version 2
	b.AddBytes(algorithm)
	b.AddBytes(d.issuer)
	addTime(b, d.this)
	addTime(b, d.next)
	if len(d.entries) > 0 { // RFC 5280 5.1.2.6: absent when there are none
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, e := range d.entries {
				addEntry(b, e)
			}
		})
	}
	b.AddASN1(der.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, d.extensions)
	})
}

func (d draft) extensions(b *cryptobyte.Builder) {
	addExtension(b, oid(2, 5, 29, 35), false, func(b *cryptobyte.Builder) { // RFC 5280 5.2.1
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(der.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(d.keyID) })
		})
	})
	addExtension(b, oid(2, 5, 29, 20), false, func(b *cryptobyte.Builder) { b.AddASN1Int64(d.number) }) // 5.2.3
	if d.point == "" {
		return
	}
	addExtension(b, oid(2, 5, 29, 28), true, func(b *cryptobyte.Builder) { // 5.2.5, critical
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			context := func(n int) der.Tag { return der.Tag(n).ContextSpecific() }
			b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
					b.AddASN1(context(6), func(b *cryptobyte.Builder) { b.AddBytes([]byte(d.point)) })
				})
			})
			if d.onlyUser {
				b.AddASN1(context(1), func(b *cryptobyte.Builder) { b.AddUint8(0xff) })
			}
			if d.onlyCAs {
				b.AddASN1(context(2), func(b *cryptobyte.Builder) { b.AddUint8(0xff) })
			}
		})
	})
}

func addEntry(b *cryptobyte.Builder, e ca.Entry) {
	serial, err := hex.DecodeString(e.Serial)
	if err != nil {
		b.SetError(fmt.Errorf("status: serial %q: %w", e.Serial, err))
		return
	}
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(serial))
		addTime(b, e.At)
		code := e.Reason.Code()
		if code == 0 { // RFC 5280 5.3.1: unspecified is left out
			return
		}
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			addExtension(b, oid(2, 5, 29, 21), false, func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(code)) })
		})
	})
}

// sealed puts a signed structure together: content, algorithm, signature.
func sealed(signer crypto.Signer, hash crypto.Hash, algorithm, tbs []byte, after ...[]byte) ([]byte, error) {
	signature, err := signature(signer, hash, tbs)
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, len(tbs)+len(signature)+64))
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
		for _, more := range after {
			b.AddBytes(more)
		}
	})
	return b.Bytes()
}

func signature(signer crypto.Signer, hash crypto.Hash, content []byte) ([]byte, error) {
	h := hash.New()
	h.Write(content)
	return signer.Sign(rand.Reader, h.Sum(nil), hash)
}

// algorithmOf gives the hash and the AlgorithmIdentifier for a key (RFC 5758 3.2, RFC 4055 5).
func algorithmOf(public crypto.PublicKey) (crypto.Hash, []byte, error) {
	hash, id, null := crypto.SHA256, oid(1, 2, 840, 10045, 4, 3, 2), false
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize > 256 {
			hash, id = crypto.SHA384, oid(1, 2, 840, 10045, 4, 3, 3)
		}
	case *rsa.PublicKey:
		id, null = oid(1, 2, 840, 113549, 1, 1, 11), true
	default:
		return 0, nil, errors.New("status: a key that is not known")
	}
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		if null {
			b.AddASN1NULL()
		}
	})
	out, err := b.Bytes()
	return hash, slices.Clip(out), err
}
