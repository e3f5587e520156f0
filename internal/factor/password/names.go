package password

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// fold brings a text into the form in which words are compared: normal, lower case,
// without accents on Latin letters, katakana as hiragana.
func fold(s string) string {
	var out strings.Builder
	for _, r := range norm.NFKC.String(s) {
		switch {
		case r >= 0x30A1 && r <= 0x30F6:
			r -= 0x60
		case r < 0x0250:
			if d := []rune(norm.NFD.String(string(r))); d[0] < 0x80 {
				r = d[0]
			}
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// addPersonal adds what an attacker tries who knows one fact about a person: the
// parts of names and addresses, spellings of Japanese names, the number in a user name.
func addPersonal(into map[string]reason, fact string) {
	if local, domain, ok := strings.Cut(fact, "@"); ok {
		addWord(into, local, person)
		addWord(into, domain, person)
	}
	for _, part := range strings.FieldsFunc(fold(fact), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != 'ー' }) {
		addWord(into, part, person)
		if digits := strings.TrimLeftFunc(part, unicode.IsLetter); len(digits) >= 4 {
			addWord(into, digits, person)
		}
		for _, s := range romanisations(part) {
			addWord(into, s, person)
		}
	}
}

func addWord(into map[string]reason, word string, why reason) {
	word = fold(word)
	if n := len([]rune(word)); n == 0 || n > longestWord || ascii(word) && n < 3 {
		return
	}
	into[word] = why
}

var (
	shortVowels = strings.NewReplacer("ou", "o", "oo", "o", "uu", "u", "oh", "o")
	kunrei      = strings.NewReplacer("sh", "sy", "chi", "ti", "ch", "ty", "tsu", "tu", "ji", "zi", "j", "zy", "fu", "hu")
)

// romanisations gives the other ways to write a Japanese name in Latin letters:
// long vowels (Ota, Oota, Ohta) and the two systems (Shimizu, Simizu).
func romanisations(name string) []string {
	if !ascii(name) {
		return nil
	}
	out := []string{""}
	for _, r := range shortVowels.Replace(name) {
		ways := []string{string(r)}
		if len(out) <= 64 {
			switch r {
			case 'o':
				ways = []string{"o", "ou", "oo", "oh"}
			case 'u':
				ways = []string{"u", "uu"}
			}
		}
		var longer []string
		for _, o := range out {
			for _, w := range ways {
				longer = append(longer, o+w)
			}
		}
		out = longer
	}
	for _, o := range out {
		if k := strings.ReplaceAll(kunrei.Replace(o), "syi", "si"); k != o {
			out = append(out, k)
		}
	}
	return out
}
