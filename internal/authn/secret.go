package authn

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"
)

// Secret is a text that must not be printed, logged or put into JSON.
type Secret string

const redacted = "[redacted]"

// Reveal gives the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string { return redacted }

// GoString hides the secret.
func (s Secret) GoString() string { return redacted }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret in JSON and every other text form.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// NewID returns a random name of 130 bits for a row: prefix, underscore, lower-case base32.
func NewID(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()) }

// NewToken returns a random token of 256 bits and the hash under which it is stored.
func NewToken() (token string, hash []byte) {
	raw := make([]byte, 32)
	rand.Read(raw) //nolint:errcheck // never fails (crypto/rand.Read)
	token = base64.RawURLEncoding.EncodeToString(raw)
	return token, HashToken(token)
}

// HashToken gives the form in which a token is stored and looked up.
func HashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
