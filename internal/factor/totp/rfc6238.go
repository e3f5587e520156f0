package totp

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238, 1.2: the default, and the only one all apps know
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
	"time"
)

// Algorithm is the hash under the codes, named as in otpauth addresses.
type Algorithm string

// The algorithms of RFC 6238, 1.2.
const (
	SHA1   Algorithm = "SHA1"
	SHA256 Algorithm = "SHA256"
	SHA512 Algorithm = "SHA512"
)

func (a Algorithm) hash() func() hash.Hash {
	switch a {
	case SHA1:
		return sha1.New
	case SHA256:
		return sha256.New
	case SHA512:
		return sha512.New
	}
	return nil
}

// shape is everything about codes but the secret.
type shape struct {
	Algorithm Algorithm `json:"algorithm"`
	Digits    int       `json:"digits"`
	Period    int       `json:"period"` // seconds
}

func (s shape) check() error {
	if s.Algorithm.hash() == nil {
		return fmt.Errorf("totp: unknown algorithm %q", s.Algorithm)
	}
	if s.Digits < 6 || s.Digits > 8 {
		return fmt.Errorf("totp: codes of %d digits", s.Digits)
	}
	if s.Period < 15 || s.Period > 120 {
		return fmt.Errorf("totp: codes that last %d seconds", s.Period)
	}
	return nil
}

// step is the number of the period in which t lies (RFC 6238, 4.2).
func (s shape) step(t time.Time) int64 { return t.Unix() / int64(s.Period) }

// begin is the moment at which a step begins.
func (s shape) begin(step int64) time.Time { return time.Unix(step*int64(s.Period), 0) }

// code is the HOTP value of a step (RFC 4226, 5.3).
func (s shape) code(secret []byte, step int64) string {
	h := hmac.New(s.Algorithm.hash(), secret)
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step))
	h.Write(counter[:])
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 15
	value := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	modulus := uint32(1)
	for range s.Digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", s.Digits, value%modulus)
}

// matches tells whether code is the one of a step, in constant time.
func (s shape) matches(secret []byte, step int64, code string) bool {
	return subtle.ConstantTimeCompare([]byte(s.code(secret, step)), []byte(code)) == 1
}
