package password

import (
	"embed"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:embed block/*.txt
var blockFiles embed.FS

// reason is why a password is too easy to guess; also the last part of the fault code.
type reason string

const (
	common     reason = "common"     // a word that everybody tries
	walk       reason = "walk"       // neighbours on the keyboard or in the alphabet
	repeat     reason = "repeat"     // the same again and again
	person     reason = "person"     // names, user name or address of the person
	university reason = "university" // the university's own words
	date       reason = "date"       // a day or a year
	filler     reason = ""           // free of charge, but no reason to refuse
)

// What a guessable password may hold beside guessable pieces and still be refused.
const (
	sparedLetters = 2 // characters that belong to no piece
	sparedWords   = 2 // different words; three or more make a passphrase
	sparedDigits  = 4 // length of a number that adds nothing
	longestWord   = 32
	longestUnit   = 4   // of a password that only repeats itself
	strange       = 100 // cost of a character in no piece, against 1 for a piece
)

// blockList judges new passwords. It looks at the whole password, never at a part:
// a name inside a long sentence does no harm.
type blockList struct {
	words map[string]reason
}

func newBlockList(own []string) *blockList {
	b := &blockList{words: map[string]reason{}}
	files, err := blockFiles.ReadDir("block")
	if err != nil {
		panic(err) // embedded
	}
	for _, f := range files {
		text, err := blockFiles.ReadFile("block/" + f.Name())
		if err != nil {
			panic(err) // embedded
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			for w := range strings.FieldsSeq(line) {
				b.words[fold(w)] = common
			}
		}
	}
	for _, w := range own {
		addWord(b.words, w, university)
	}
	return b
}

// judge returns why a new password is refused, or "".
func (b *blockList) judge(password string, personal []string) reason {
	own := map[string]reason{}
	for _, p := range personal {
		addPersonal(own, p)
	}
	return b.cover([]rune(fold(password)), own)
}

// listed tells whether a password is on every attacker's list, whoever's it is.
func (b *blockList) listed(password string) bool {
	switch b.judge(password, nil) {
	case common, walk, repeat, date:
		return true
	}
	return false
}

// piece is a part of a password that an attacker would guess at once.
type piece struct {
	from, to int
	why      reason
	word     string // for pieces that count as a word
}

// cover finds the cheapest way to build the password from guessable pieces and
// single characters, and judges that.
func (b *blockList) cover(text []rune, own map[string]reason) reason {
	type step struct {
		cost int
		last piece
	}
	best := make([]step, len(text)+1)
	for i := range text {
		best[i+1] = step{best[i].cost + strange, piece{from: i, to: i + 1}}
		if free(text[i]) {
			best[i+1].cost = best[i].cost
		}
		for _, p := range b.endingAt(text, i+1, own) {
			if c := best[p.from].cost + 1; c < best[i+1].cost {
				best[i+1] = step{c, p}
			}
		}
	}
	left, words, why := 0, map[string]bool{}, filler
	for i := len(text); i > 0; i = best[i].last.from {
		p := best[i].last
		switch {
		case p.word != "":
			words[p.word] = true
		case best[i].cost-best[p.from].cost >= strange:
			left++
		}
		if weight(p.why) > weight(why) {
			why = p.why
		}
	}
	if left <= sparedLetters && len(words) <= sparedWords && why != filler {
		return why
	}
	if p := period(text); p <= longestUnit && len(text) >= 2*p {
		return repeat
	}
	return ""
}

// weight orders reasons by how much they help the person to choose better.
func weight(r reason) int {
	return slices.Index([]reason{filler, date, walk, repeat, common, university, person}, r)
}

// endingAt lists the pieces that end before position end.
func (b *blockList) endingAt(text []rune, end int, own map[string]reason) []piece {
	var out []piece
	for from := end - 1; from >= 0 && end-from <= longestWord; from-- {
		part := text[from:end]
		for _, w := range spellings(part) {
			if why, ok := own[w]; ok {
				out = append(out, piece{from, end, why, w})
			} else if why, ok := b.words[w]; ok && (len(part) >= 3 || !ascii(w)) {
				out = append(out, piece{from, end, why, w})
			}
		}
		if why, ok := pattern(text, from, end); ok {
			out = append(out, piece{from: from, to: end, why: why})
		}
	}
	return out
}

// spellings gives a part as it is and with the usual digits and signs read as letters.
func spellings(part []rune) []string {
	plain := string(part)
	if !strings.ContainsAny(plain, "013457@$!|+") {
		return []string{plain}
	}
	return []string{plain, leetI.Replace(plain), leetL.Replace(plain)}
}

var (
	leetI = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i", "|", "l", "+", "t")
	leetL = strings.NewReplacer("0", "o", "1", "l", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i", "|", "l", "+", "t")
)

// free tells whether a character adds nothing: signs, spaces and the words around dates.
func free(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) || r == '年' || r == '月' || r == '日'
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// period is the length of the shortest unit that, repeated, gives the text.
func period(text []rune) int {
	for p := 1; p < len(text); p++ {
		same := true
		for i := p; i < len(text) && same; i++ {
			same = text[i] == text[i-p]
		}
		if same {
			return p
		}
	}
	return len(text)
}
