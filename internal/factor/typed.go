package factor

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// dashes are what keyboards put between groups of digits; the last ones come from a
// Japanese keyboard.
const dashes = "-‐‑‒–—―−ーｰ_.・"

// longestCode bounds in bytes what is read as a code at all.
const longestCode = 128

// Digits reads a code as people type it: full-width digits, spaces and dashes are
// understood. It returns "" when anything else is in it.
func Digits(typed string) string {
	if len(typed) > longestCode {
		return ""
	}
	var out strings.Builder
	for _, r := range norm.NFKC.String(typed) {
		switch {
		case r >= '0' && r <= '9':
			out.WriteRune(r)
		case unicode.IsSpace(r), strings.ContainsRune(dashes, r), unicode.Is(unicode.Cf, r):
		default:
			return ""
		}
	}
	return out.String()
}
