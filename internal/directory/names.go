package directory

import (
	"fmt"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"seimon/internal/lang"
)

// Names are the names of a person in the scripts a university writes them in.
type Names struct {
	Family, Given           string // 正門 花子
	FamilyKana, GivenKana   string // セイモン ハナコ
	FamilyLatin, GivenLatin string // Seimon Hanako
}

// Full is the whole name as it is written for readers of the language: family
// name first in Japanese, given name first in English. A script that is missing
// is replaced by one that is there.
func (n Names) Full(tag lang.Tag) string {
	native := join(n.Family, n.Given)
	latin := join(n.GivenLatin, n.FamilyLatin)
	if tag == lang.JA && native != "" || latin == "" {
		return native
	}
	return latin
}

// Kana is the reading of the whole name, family name first.
func (n Names) Kana() string { return join(n.FamilyKana, n.GivenKana) }

func join(a, b string) string { return strings.TrimSpace(a + " " + b) }

// nameLimit bounds what is looked up or stored as a user name, in bytes.
const nameLimit = 64

// Key gives the form in which a user name is looked up: NFKC, case folded, and
// without surrounding space. Full-width letters and capitals find the same account.
func Key(userName string) string {
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.TrimSpace(userName))))
}

// CheckUserName tells why a text cannot be a user name, or returns its clean form.
// A user name is 1 to 64 letters, digits, dots, hyphens and underscores of ASCII
// and begins with a letter or digit, so that no two names look alike and none
// looks like a mail address.
func CheckUserName(name string) (string, error) {
	clean := norm.NFKC.String(strings.TrimSpace(name))
	switch {
	case clean == "":
		return "", fmt.Errorf("the user name is empty")
	case strings.Contains(clean, "@"):
		return "", fmt.Errorf("the user name %q looks like a mail address", name)
	case len(clean) > nameLimit:
		return "", fmt.Errorf("the user name %q is longer than %d characters", name, nameLimit)
	case !isWord(clean, "._-"):
		return "", fmt.Errorf("the user name %q may hold only letters a-z, digits, dots, hyphens and underscores, and must begin with a letter or digit", name)
	}
	return clean, nil
}

// checkWord is the rule for names of kinds, groups and affiliations.
func checkWord(what, word string) error {
	if len(word) > nameLimit || !isWord(word, "._-:") {
		return fmt.Errorf("the %s %q may hold only letters a-z, digits, dots, colons, hyphens and underscores", what, word)
	}
	return nil
}

func isWord(s, more string) bool {
	for i, c := range s {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune(more, c)) {
			return false
		}
	}
	return s != ""
}

// searchKey is the form in which names and mail addresses are searched: folded,
// without spaces, hiragana as katakana.
func searchKey(parts ...string) []byte {
	s := Key(strings.Join(parts, ""))
	s = strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '\u3000':
			return -1
		case r >= 'ぁ' && r <= 'ゖ':
			return r + ('ァ' - 'ぁ')
		}
		return r
	}, s)
	return []byte(s)
}

// prefixEnd is the first key after all keys that begin with p.
func prefixEnd(p []byte) []byte {
	end := append([]byte(nil), p...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return []byte{0xff, 0xff, 0xff, 0xff}
}
