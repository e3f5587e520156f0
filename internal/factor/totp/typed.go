package totp

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"seimon/internal/factor"
)

// dashes are what keyboards put between groups of digits; the last ones come from a
// Japanese keyboard.
const dashes = "-‐‑‒–—―−ーｰ_.・"

// digitsOf reads a typed code: full-width digits, spaces and dashes are understood.
// It returns "" when anything else is in it.
func digitsOf(typed string) string {
	if len(typed) > 128 {
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

// labelOf tidies the name of a device; "" when nothing is left.
func labelOf(typed string) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, typed)
	runes := []rune(strings.Join(strings.Fields(clean), " "))
	return strings.TrimSpace(string(runes[:min(len(runes), longestLabel)]))
}

const longestLabel = 40

// freeLabel makes a label different from those of other bindings.
func freeLabel(label string, others []factor.Binding) string {
	taken := map[string]bool{}
	for _, b := range others {
		taken[b.Label] = true
	}
	try := label
	for n := 2; taken[try]; n++ {
		try = label + " " + strconv.Itoa(n)
	}
	return try
}

// browserError is how far the browser's clock is ahead of ours, in whole seconds.
func browserError(ans factor.Answer, now time.Time) (seconds string, ok bool) {
	ms, err := strconv.ParseInt(ans.Get(factor.FieldClock), 10, 64)
	if err != nil || ms <= 0 || ms > 1<<45 {
		return "", false
	}
	off := time.UnixMilli(ms).Sub(now).Round(time.Second)
	return strconv.Itoa(int(off / time.Second)), true
}
