package password

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normal is the form in which passwords are hashed: NFKC, so that full-width
// letters, half-width katakana and composed accents are the same on every keyboard
// (NIST SP 800-63B-4, 3.1.1.2).
func normal(s string) string { return norm.NFKC.String(s) }

// length counts characters the way people do not see: code points of the normal form.
func length(s string) int { return utf8.RuneCountInString(normal(s)) }

// typedFacts are the hints that the typed text alone gives; nil when there are none.
func typedFacts(typed string) map[string]string {
	var wide, kana bool
	upper, lower := 0, 0
	for _, r := range typed {
		switch {
		case r >= 0xFF01 && r <= 0xFF60, r >= 0xFFE0 && r <= 0xFFE6, r == 0x3000:
			wide = true
		case unicode.In(r, unicode.Hiragana, unicode.Katakana):
			kana = true
		}
		if unicode.IsUpper(r) {
			upper++
		}
		if unicode.IsLower(r) {
			lower++
		}
	}
	facts := map[string]string{}
	for name, is := range map[string]bool{"full_width": wide, "kana": kana, "caps_lock": upper >= 3 && lower == 0} {
		if is {
			facts[name] = "yes"
		}
	}
	if len(facts) == 0 {
		return nil
	}
	return facts
}

// writable tells whether a new password can be typed again: valid text without
// control characters.
func writable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Co, r)
	})
}
