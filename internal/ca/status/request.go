package status

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // names of issuers in requests (RFC 5019 2.1.1), no security rests on it
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"seimon/internal/ca"
)

// The largest request, and the most certificates it may ask for.
const (
	maxRequest = 8 << 10
	maxAsked   = 16
	maxSerial  = 32 // bytes; RFC 5280 4.1.2.2 allows 20
)

// Bounds of a nonce (RFC 9654 2.1): outside of them the request is malformed.
const (
	minNonce = 1
	maxNonce = 128
)

var (
	errMalformed = errors.New("status: not an OCSP request")
	oidNonce     = oid(1, 3, 6, 1, 5, 5, 7, 48, 1, 2)
)

// certID names a certificate in a request (RFC 6960 4.1.1).
type certID struct {
	raw       []byte // the whole element, echoed
	algorithm string // object identifier of the hash
	null      bool   // its parameters are NULL, not absent: clients compare them
	name, key []byte // hashes of the issuer's name and key
	serial    *big.Int
}

// request is a parsed OCSPRequest.
type request struct {
	asked []certID
	nonce []byte // the value of the extension, echoed; nil without one
}

// parseRequest reads an OCSPRequest (RFC 6960 4.1.1). A signature is not asked for
// and not looked at.
func parseRequest(raw []byte) (*request, error) {
	if len(raw) > maxRequest {
		return nil, errMalformed
	}
	in := cryptobyte.String(raw)
	var outer, tbs, list, extensions cryptobyte.String
	var there bool
	context := func(n int) der.Tag { return der.Tag(n).ContextSpecific().Constructed() }
	if !in.ReadASN1(&outer, der.SEQUENCE) || !in.Empty() || !outer.ReadASN1(&tbs, der.SEQUENCE) ||
		!outer.SkipOptionalASN1(context(0)) || !outer.Empty() {
		return nil, errMalformed
	}
	if !readVersion(&tbs) || !tbs.SkipOptionalASN1(context(1)) || !tbs.ReadASN1(&list, der.SEQUENCE) ||
		!tbs.ReadOptionalASN1(&extensions, &there, context(2)) || !tbs.Empty() {
		return nil, errMalformed
	}
	q := &request{}
	for !list.Empty() {
		var one cryptobyte.String
		if len(q.asked) == maxAsked || !list.ReadASN1(&one, der.SEQUENCE) {
			return nil, errMalformed
		}
		id, ok := readCertID(&one)
		if !ok || !one.SkipOptionalASN1(context(0)) || !one.Empty() {
			return nil, errMalformed
		}
		q.asked = append(q.asked, id)
	}
	if len(q.asked) == 0 || there && !q.readExtensions(extensions) {
		return nil, errMalformed
	}
	return q, nil
}

// readVersion takes the version, which is absent or v1.
func readVersion(in *cryptobyte.String) bool {
	var version cryptobyte.String
	var there bool
	if !in.ReadOptionalASN1(&version, &there, der.Tag(0).ContextSpecific().Constructed()) {
		return false
	}
	var n int
	return !there || version.ReadASN1Integer(&n) && version.Empty() && n == 0
}

func readCertID(in *cryptobyte.String) (certID, bool) {
	var id certID
	var element, body, algorithm cryptobyte.String
	var name, key cryptobyte.String
	id.serial = new(big.Int)
	if !in.ReadASN1Element(&element, der.SEQUENCE) {
		return id, false
	}
	id.raw = element
	hash := oid()
	if !element.ReadASN1(&body, der.SEQUENCE) || !body.ReadASN1(&algorithm, der.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&hash) ||
		!readNull(&algorithm, &id.null) || !body.ReadASN1(&name, der.OCTET_STRING) || !body.ReadASN1(&key, der.OCTET_STRING) ||
		!body.ReadASN1Integer(id.serial) || !body.Empty() {
		return id, false
	}
	id.algorithm, id.name, id.key = hash.String(), name, key
	return id, id.serial.BitLen() <= 8*maxSerial
}

// readNull takes the parameters of a hash algorithm, which are NULL or absent.
func readNull(in *cryptobyte.String, there *bool) bool {
	var value cryptobyte.String
	return in.ReadOptionalASN1(&value, there, der.NULL) && value.Empty() && in.Empty()
}

// readExtensions takes the nonce. Other extensions change nothing; a critical one is
// not understood (RFC 6960 4.1.2).
func (q *request) readExtensions(wrapped cryptobyte.String) bool {
	var list cryptobyte.String
	if !wrapped.ReadASN1(&list, der.SEQUENCE) || !wrapped.Empty() {
		return false
	}
	for !list.Empty() {
		var one, value cryptobyte.String
		id, critical := oid(), false
		if !list.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&id) ||
			!one.ReadOptionalASN1Boolean(&critical, der.BOOLEAN, false) || !one.ReadASN1(&value, der.OCTET_STRING) || !one.Empty() {
			return false
		}
		if !id.Equal(oidNonce) {
			if critical {
				return false
			}
			continue
		}
		inner := value
		var nonce cryptobyte.String
		if q.nonce != nil || !inner.ReadASN1(&nonce, der.OCTET_STRING) || !inner.Empty() || len(nonce) < minNonce || len(nonce) > maxNonce {
			return false
		}
		q.nonce = value
	}
	return true
}

// sha1ID is the identifier of SHA-1, by which nearly all clients name issuers.
const sha1ID = "1.3.14.3.2.26"

// hashed is an issuer as a request names it.
type hashed struct{ name, key []byte }

// hashesOf computes how requests name an issuer, by hash algorithm.
func hashesOf(c *x509.Certificate) map[string]hashed {
	// RFC 6960 4.1.1: the hash of the key is over the bits of the key alone.
	in := cryptobyte.String(c.RawSubjectPublicKeyInfo)
	var spki cryptobyte.String
	var key []byte
	if !in.ReadASN1(&spki, der.SEQUENCE) || !spki.SkipASN1(der.SEQUENCE) || !spki.ReadASN1BitStringAsBytes(&key) {
		return nil
	}
	out := map[string]hashed{}
	for id, hash := range map[string]func([]byte) []byte{
		sha1ID:                   func(b []byte) []byte { s := sha1.Sum(b); return s[:] }, //nolint:gosec // as above
		"2.16.840.1.101.3.4.2.1": func(b []byte) []byte { s := sha256.Sum256(b); return s[:] },
		"2.16.840.1.101.3.4.2.2": func(b []byte) []byte { s := sha512.Sum384(b); return s[:] },
		"2.16.840.1.101.3.4.2.3": func(b []byte) []byte { s := sha512.Sum512(b); return s[:] },
	} {
		out[id] = hashed{hash(c.RawSubject), hash(key)}
	}
	return out
}

// names tells whether a certID means a certificate of this issuer.
func (i *issuer) names(id certID) bool {
	h, ok := i.hashes[id.algorithm]
	return ok && bytes.Equal(h.name, id.name) && bytes.Equal(h.key, id.key)
}

// serialText is the serial of a request as it is stored.
func serialText(id certID) string { return ca.SerialText(id.serial) }
