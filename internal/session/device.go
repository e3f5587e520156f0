package session

import (
	"slices"
	"strings"

	"seimon/internal/lang"
)

// Device is what a User-Agent header says a browser is, from closed lists: what a
// person recognises, nothing that tells one person from another.
type Device struct {
	Browser string // empty when unknown
	System  string // empty when unknown
}

// mark is a word in a User-Agent header and the name that it stands for.
type mark struct{ word, name string }

// browserMarks lists browsers so that those which also name another come first.
func browserMarks() []mark {
	return []mark{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"Edge/", "Edge"},
		{"OPR/", "Opera"}, {"OPT/", "Opera"}, {"Vivaldi/", "Vivaldi"},
		{"SamsungBrowser/", "Samsung Internet"}, {"Line/", "LINE"}, {"YJApp", "Yahoo! JAPAN"},
		{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Chromium/", "Chrome"},
		{"Trident/", "Internet Explorer"}, {"MSIE ", "Internet Explorer"},
		{"Safari/", "Safari"},
	}
}

// systemMarks lists systems so that those which also name another come first.
func systemMarks() []mark {
	return []mark{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"iPod", "iPhone"}, {"Android", "Android"},
		{"Windows", "Windows"}, {"CrOS", "ChromeOS"}, {"Macintosh", "macOS"}, {"Linux", "Linux"},
	}
}

// agentMax is how much of a User-Agent header is read, in bytes.
const agentMax = 1024

// Classify reads a User-Agent header, or what Device.String made of one.
func Classify(agent string) Device {
	if d, ok := described(agent); ok {
		return d
	}
	agent = agent[:min(len(agent), agentMax)]
	return Device{first(agent, browserMarks()), first(agent, systemMarks())}
}

func first(agent string, marks []mark) string {
	for _, m := range marks {
		if strings.Contains(agent, m.word) {
			return m.name
		}
	}
	return ""
}

// described reads a description back.
func described(text string) (Device, bool) {
	named := func(name string, marks []mark) bool {
		return slices.ContainsFunc(marks, func(m mark) bool { return m.name == name })
	}
	if browser, system, ok := strings.Cut(text, " on "); ok {
		return Device{browser, system}, named(browser, browserMarks()) && named(system, systemMarks())
	}
	switch {
	case named(text, browserMarks()):
		return Device{Browser: text}, true
	case named(text, systemMarks()):
		return Device{System: text}, true
	}
	return Device{}, text == ""
}

// String gives the form that is stored: "Chrome on Windows", "Chrome", "Windows"
// or nothing.
func (d Device) String() string {
	if d.Browser != "" && d.System != "" {
		return d.Browser + " on " + d.System
	}
	return d.Browser + d.System
}

// In gives the description in the reader's language.
func (d Device) In(p lang.Printer) string {
	switch {
	case d.Browser != "" && d.System != "":
		return p.T("session.device.both", "Browser", d.Browser, "System", d.System)
	case d.Browser != "":
		return p.T("session.device.browser", "Browser", d.Browser)
	case d.System != "":
		return p.T("session.device.system", "System", d.System)
	}
	return p.T("session.device.unknown")
}
