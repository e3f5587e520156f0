package password

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // read only, to be replaced at the next sign-in
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/md5crypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// schemes are the salted and bare digests of LDAP directories (RFC 2307 and its
// descendants): base64 of digest and salt.
func scheme(name string) func() hash.Hash {
	switch name {
	case "SHA", "SSHA":
		return sha1.New
	case "SHA256", "SSHA256":
		return sha256.New
	case "SHA384", "SSHA384":
		return sha512.New384
	case "SHA512", "SSHA512":
		return sha512.New
	}
	return nil
}

// tidyHash removes the prefixes with which directories wrap other formats.
func tidyHash(h string) string {
	h = strings.TrimSpace(h)
	if name, rest, ok := prefix(h); ok && (name == "CRYPT" || name == "ARGON2" || name == "BCRYPT" || name == "BLF-CRYPT") {
		return rest
	}
	return h
}

// prefix splits "{NAME}rest".
func prefix(h string) (name, rest string, ok bool) {
	if !strings.HasPrefix(h, "{") {
		return "", h, false
	}
	name, rest, ok = strings.Cut(h[1:], "}")
	return strings.ToUpper(name), rest, ok
}

// CheckHash tells whether a hash of another system can be imported: Argon2id, bcrypt,
// crypt(3) with SHA-256, SHA-512 or MD5, {SHA…}, {SSHA…}, and {CRYPT} and {ARGON2} around them.
func CheckHash(h string) error {
	h = tidyHash(h)
	if strings.HasPrefix(h, argonPrefix) {
		_, _, _, err := decode(h)
		return err
	}
	_, err := readForeign(h)
	return err
}

// matchForeign compares a hash of another format with the typed text as it is and
// in its normal form.
func matchForeign(h, typed, plain string) (bool, error) {
	m, err := readForeign(h)
	if err != nil {
		return false, err
	}
	right := m(typed)
	if plain != typed {
		right = m(plain) || right
	}
	return right, nil
}

func readForeign(h string) (func(string) bool, error) {
	if name, rest, ok := prefix(h); ok {
		return readDigest(scheme(name), strings.HasPrefix(name, "SS"), rest)
	}
	var read algorithm.DecodeFunc
	switch id, rest, _ := strings.Cut(strings.TrimPrefix(h, "$"), "$"); {
	case !strings.HasPrefix(h, "$"):
		return nil, errHash
	case id == "1":
		read = md5crypt.Decode
	case (id == "5" || id == "6") && saneRounds(rest):
		read = shacrypt.Decode
	case (id == "2a" || id == "2b" || id == "2x" || id == "2y") && saneCost(rest):
		read = bcrypt.Decode
	default:
		return nil, errHash
	}
	digest, err := read(h)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHash, err)
	}
	return func(password string) bool { return digest.Match(password) }, nil
}

func readDigest(algorithm func() hash.Hash, salted bool, text string) (func(string) bool, error) {
	if algorithm == nil {
		return nil, errHash
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	size := algorithm().Size()
	if err != nil || len(raw) < size || len(raw) > size+64 || salted != (len(raw) > size) {
		return nil, errHash
	}
	want, salt := raw[:size], bytes.Clone(raw[size:])
	return func(password string) bool {
		h := algorithm()
		h.Write([]byte(password))
		h.Write(salt)
		return subtle.ConstantTimeCompare(h.Sum(nil), want) == 1
	}, nil
}

// saneRounds bounds the rounds of crypt(3) SHA to what one sign-in may cost.
func saneRounds(rest string) bool {
	text, given := strings.CutPrefix(rest, "rounds=")
	if !given {
		return true
	}
	text, _, _ = strings.Cut(text, "$")
	n, err := strconv.Atoi(text)
	return err == nil && n >= 1000 && n <= 1_000_000
}

// saneCost bounds the cost of bcrypt in the same way.
func saneCost(rest string) bool {
	text, _, _ := strings.Cut(rest, "$")
	n, err := strconv.Atoi(text)
	return err == nil && n >= 4 && n <= 14
}
