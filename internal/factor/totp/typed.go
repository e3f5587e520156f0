package totp

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"seimon/internal/factor"
)

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
