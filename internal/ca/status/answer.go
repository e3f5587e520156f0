package status

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// The errors of a responder (RFC 6960 4.2.1, OCSPResponseStatus).
const (
	malformedRequest = 1
	internalError    = 2
	tryLater         = 3
	unauthorized     = 6
)

// standing is the state of one certificate in an answer.
type standing struct {
	kind   standingKind
	since  int64 // Unix seconds of the revocation
	reason int
}

type standingKind int

const (
	unknown standingKind = iota
	good
	revoked
)

// single is what an answer says about one certificate.
type single struct {
	id certID
	standing
}

// refusal is an unsigned answer that only names an error (RFC 6960 2.3).
func refusal(code byte) []byte { return []byte{0x30, 3, 0x0a, 1, code} }

// sign makes a whole OCSPResponse (RFC 6960 4.2.1) with the signer's certificate in it.
func (k *signer) sign(all []single, nonce []byte, this, next time.Time) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { // ResponseData
		b.AddASN1(der.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(k.certificate.RawSubject) })
		b.AddASN1GeneralizedTime(this) // producedAt
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, s := range all {
				s.add(b, this, next)
			}
		})
		if nonce != nil { // RFC 9654 2.1
			b.AddASN1(der.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
					addExtension(b, oidNonce, false, func(b *cryptobyte.Builder) { b.AddBytes(nonce) })
				})
			})
		}
	})
	tbs, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	var certs cryptobyte.Builder
	certs.AddASN1(der.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(k.certificate.Raw) })
	})
	chain, err := certs.Bytes()
	if err != nil {
		return nil, err
	}
	basic, err := sealed(k.key, k.hash, k.algorithm, tbs, chain)
	if err != nil {
		return nil, err
	}
	var out cryptobyte.Builder
	out.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(0) // successful
		b.AddASN1(der.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oid(1, 3, 6, 1, 5, 5, 7, 48, 1, 1)) // id-pkix-ocsp-basic
				b.AddASN1OctetString(basic)
			})
		})
	})
	return out.Bytes()
}

// add writes a SingleResponse.
func (s single) add(b *cryptobyte.Builder, this, next time.Time) {
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(s.id.raw)
		switch s.kind {
		case good:
			b.AddASN1(der.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
		case revoked:
			b.AddASN1(der.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1GeneralizedTime(time.Unix(s.since, 0).UTC())
				if s.reason != 0 { // absent means unspecified
					b.AddASN1(der.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.reason)) })
				}
			})
		default:
			b.AddASN1(der.Tag(2).ContextSpecific(), func(*cryptobyte.Builder) {})
		}
		b.AddASN1GeneralizedTime(this)
		b.AddASN1(der.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(next) })
	})
}
