package password

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	saltLength = 16
	tagLength  = 32
)

// params are the costs of Argon2id (RFC 9106, 3.1).
type params struct {
	memory, time uint32
	threads      uint8
}

// sane bounds what a hash from outside may cost us: 1 GiB, 64 passes, 16 lanes.
func (p params) sane() bool {
	return p.time >= 1 && p.time <= 64 && p.threads >= 1 && p.threads <= 16 && p.memory >= 8*uint32(p.threads) && p.memory <= 1<<20
}

func (p params) tag(password string, salt []byte, size int) []byte {
	return argon2.IDKey([]byte(password), salt, p.time, p.memory, p.threads, uint32(size))
}

// encode writes the PHC string of an Argon2id hash.
func encode(p params, salt, tag []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads, b64.EncodeToString(salt), b64.EncodeToString(tag))
}

const argonPrefix = "$argon2id$"

var errHash = errors.New("password: not a hash that can be read")

// decode reads what encode writes, with any sane costs and lengths.
func decode(hash string) (p params, salt, tag []byte, err error) {
	part := strings.Split(hash, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, errHash
	}
	if _, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil ||
		part[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.time, p.threads) || !p.sane() {
		return p, nil, nil, errHash
	}
	b64 := base64.RawStdEncoding.Strict()
	salt, errSalt := b64.DecodeString(part[4])
	tag, errTag := b64.DecodeString(part[5])
	if errSalt != nil || errTag != nil || len(salt) < 8 || len(salt) > 64 || len(tag) < 16 || len(tag) > 64 {
		return p, nil, nil, errHash
	}
	return p, salt, tag, nil
}

// judgement is what one round of work found out.
type judgement struct {
	right    bool
	previous int    // which of the previous passwords it was, or -1
	better   string // the hash to keep from now on, when the stored one is of older parameters or format
}

// judge compares what was typed with a stored hash. It takes the same work whether
// the answer is right, wrong or one of before.
func (f *Factor) judge(typed, hash string, previous []past) (judgement, error) {
	j := judgement{previous: -1}
	plain, fits := normal(typed), len(typed) <= MaxBytes
	if !fits {
		typed, plain = "", ""
	}
	if !strings.HasPrefix(hash, argonPrefix) {
		right, err := matchForeign(hash, typed, plain)
		j.right = right && fits
		salt := randomBytes(saltLength)
		j.better = encode(f.params, salt, f.params.tag(plain, salt, tagLength))
		return j, err
	}
	p, salt, want, err := decode(hash)
	if err != nil {
		return j, err
	}
	tag := p.tag(plain, salt, len(want))
	j.right = subtle.ConstantTimeCompare(tag, want) == 1 && fits
	for i, old := range previous {
		if hmac.Equal(old.Tag, mark(tag)) && fits {
			j.previous = i
		}
	}
	if p != f.params || len(want) != tagLength {
		salt = randomBytes(saltLength)
		j.better = encode(f.params, salt, f.params.tag(plain, salt, tagLength))
	}
	return j, nil
}

// mark is what is remembered of a password that was replaced: enough to recognise
// it by a full Argon2id computation, nothing that could be used as a hash.
func mark(tag []byte) []byte {
	sum := sha256.Sum256(append([]byte("seimon previous password\x00"), tag...))
	return sum[:16]
}

// decoy gives the hash that stands in for the one an account does not have; the
// same account gets the same one.
func (f *Factor) decoy(account string) string {
	m := hmac.New(sha256.New, f.secret)
	m.Write([]byte(account))
	return f.decoys[binary.BigEndian.Uint64(m.Sum(nil))%uint64(len(f.decoys))]
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) //nolint:errcheck // never fails (crypto/rand.Read)
	return b
}
