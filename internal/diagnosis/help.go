package diagnosis

import (
	"slices"
	"strings"

	"seimon/internal/lang"
)

// Topic is one help page: what the quiet links of advice lead to.
type Topic struct {
	Name       string // the last part of its path, /help/NAME
	Title      string
	Paragraphs []string
}

// Topics lists the names of the help pages.
func Topics() []string {
	return []string{"lost-phone", "zone", "relay", "clock", "register", "username", "saved-password", "mail", "cookies", "certificate", "card", "contact"}
}

// Help gives a help page in the language of p; false when there is none of that name.
func Help(p lang.Printer, name string) (Topic, bool) {
	if !slices.Contains(Topics(), name) {
		return Topic{}, false
	}
	id := "diagnosis.help." + name
	return Topic{name, p.T(id + ".title"), strings.Split(strings.TrimSpace(p.T(id+".body")), "\n\n")}, true
}

// Hints says what looks wrong in a user name, from the typed text alone: it is
// the same whether the account exists or not. Empty means that nothing does.
func Hints(p lang.Printer, typed string) []string {
	typed = strings.TrimSpace(typed)
	var out []string
	hint := func(name string) { out = append(out, p.T("diagnosis.hint."+name)) }
	digits := strings.IndexFunc(typed, func(r rune) bool { return r < '0' || r > '9' && r < '０' || r > '９' }) < 0
	switch {
	case typed == "":
	case strings.ContainsAny(typed, "@＠"):
		hint("mail")
	case strings.ContainsAny(typed, " \t　"):
		hint("space")
	case strings.ContainsFunc(typed, japanese):
		hint("kana")
	case digits:
		hint("digits")
	}
	return out
}

// japanese tells kana (also half-width) and kanji.
func japanese(r rune) bool {
	return r >= 0x3040 && r <= 0x30ff || r >= 0xff66 && r <= 0xff9f || r >= 0x4e00 && r <= 0x9fff
}
