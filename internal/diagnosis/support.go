package diagnosis

import (
	"crypto/rand"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// alphabet has neither vowels, so that no code is a word, nor signs that look
// alike on paper or sound alike on the phone when another of them is in use.
const alphabet = "23456789CDFGHJKMNPQRTVWXY"

// codeLength is the number of signs in a support code; 25^8 codes leave guessing hopeless.
const codeLength = 8

// NewCode makes a support code, such as "7KQ2-MHXD". It names one sign-in to the
// help desk; it opens nothing.
func NewCode() string {
	code := make([]byte, 0, codeLength)
	var raw [32]byte
	for len(code) < codeLength {
		rand.Read(raw[:]) //nolint:errcheck // never fails (crypto/rand.Read)
		for _, b := range raw {
			// 250 is the greatest multiple of 25 in a byte: every sign is equally likely.
			if b < 250 && len(code) < codeLength {
				code = append(code, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return group(string(code))
}

// ParseCode reads a support code as people type it: small letters, full-width
// signs, spaces, any hyphen, and B, S, Z read for 8, 5, 2. It returns the form
// that NewCode makes, and whether it can be a code at all.
func ParseCode(typed string) (string, bool) {
	if len(typed) > 200 {
		return "", false
	}
	var code strings.Builder
	for _, r := range strings.ToUpper(norm.NFKC.String(typed)) {
		switch r {
		case 'B':
			r = '8'
		case 'S':
			r = '5'
		case 'Z':
			r = '2'
		case ' ', '\t', '\r', '\n', '-', '_', '.', '‐', '‑', '‒', '–', '—', '―', '−', 'ー', '・':
			continue
		}
		if !strings.ContainsRune(alphabet, r) {
			return "", false
		}
		code.WriteRune(r)
	}
	if code.Len() != codeLength {
		return "", false
	}
	return group(code.String()), true
}

func group(code string) string { return code[:codeLength/2] + "-" + code[codeLength/2:] }
