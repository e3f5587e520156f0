package certificates

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"seimon/internal/session"
)

// systems are those with a guide of their own: words certificates.guide.NAME.
func systems() []string {
	return []string{"windows", "macos", "ios", "android", "linux", "chrome", "firefox", "thunderbird"}
}

// systemOf picks the guide for what a User-Agent header says. Firefox keeps
// certificates of its own on every computer.
func systemOf(agent string) string {
	d := session.Classify(agent)
	switch d.System {
	case "iPhone", "iPad":
		return "ios"
	case "Android":
		return "android"
	}
	if strings.Contains(agent, "Thunderbird/") {
		return "thunderbird"
	}
	if d.Browser == "Firefox" {
		return "firefox"
	}
	switch d.System {
	case "Windows":
		return "windows"
	case "macOS":
		return "macos"
	case "ChromeOS":
		return "chrome"
	}
	return "linux"
}

// formFor is the form of a PKCS#12 file that a system reads: Apple's and many
// Android's know only the old one.
func formFor(system string) string {
	if slices.Contains([]string{"ios", "macos", "android"}, system) {
		return "compatible"
	}
	return "modern"
}

// labelMax is the greatest length of a device's name in characters: it stands in the
// name of the certificate.
const labelMax = 40

// cleanLabel keeps what can be shown on one line.
func cleanLabel(label string) string {
	label = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.ToValidUTF8(label, ""))
	label = strings.Join(strings.Fields(label), " ")
	if runes := []rune(label); len(runes) > labelMax {
		label = strings.TrimSpace(string(runes[:labelMax]))
	}
	return label
}

// wholeDays counts the days that are left, rounded up.
func wholeDays(left time.Duration) int { return int((left + day - 1) / day) }
