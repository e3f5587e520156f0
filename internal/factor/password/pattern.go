package password

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// pattern tells whether text[from:end] is a walk, a sequence, a repetition, a date
// or a short number.
func pattern(text []rune, from, end int) (reason, bool) {
	part := text[from:end]
	digits := onlyDigits(part)
	switch n := len(part); {
	case n >= 3 && same(part):
		return repeat, true
	case n >= 4 && sequence(part):
		return walk, true
	case n >= 4 && straight(part), n >= 5 && neighbours(part):
		return walk, true
	case digits && (n == 4 || n == 6 || n == 8) && day(string(part)):
		return date, true
	case digits && n <= sparedDigits && !digitAt(text, from-1) && !digitAt(text, end):
		return filler, true
	}
	return filler, false
}

func onlyDigits(part []rune) bool {
	for _, r := range part {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

func digitAt(text []rune, i int) bool {
	return i >= 0 && i < len(text) && unicode.IsDigit(text[i])
}

func same(part []rune) bool {
	for _, r := range part {
		if r != part[0] {
			return false
		}
	}
	return true
}

// sequence: abcd, 4321, 7890.
func sequence(part []rune) bool {
	step := part[1] - part[0]
	if step != 1 && step != -1 {
		return false
	}
	for i := 1; i < len(part); i++ {
		if part[i]-part[i-1] != step && !(step == 1 && part[i-1] == '9' && part[i] == '0') {
			return false
		}
	}
	return true
}

// rows are the keys of a keyboard as they lie, each row half a key further right;
// Japanese and English keyboards agree on all of them.
var rows = [...]string{"1234567890-", "qwertyuiop", "asdfghjkl;", "zxcvbnm,./"}

// key gives the place of a character in quarters of a key; ok is false for others.
func key(r rune) (x, y int, ok bool) {
	for y, row := range rows {
		if i := strings.IndexRune(row, r); i >= 0 {
			return 4*i + [...]int{0, 2, 3, 5}[y], y, true
		}
	}
	return 0, 0, false
}

// neighbours tells whether each key touches the one before.
func neighbours(part []rune) bool {
	for i := 1; i < len(part); i++ {
		x1, y1, ok1 := key(part[i-1])
		x2, y2, ok2 := key(part[i])
		dx, dy := abs(x2-x1), abs(y2-y1)
		if !ok1 || !ok2 || dx > 4 || dy > 1 || dy == 1 && dx > 3 {
			return false
		}
	}
	return true
}

// straight tells whether the keys lie in one line, without standing still.
func straight(part []rune) bool {
	if !neighbours(part) {
		return false
	}
	x0, y0, _ := key(part[0])
	x1, y1, _ := key(part[1])
	for i := 1; i < len(part); i++ {
		xa, ya, _ := key(part[i-1])
		xb, yb, _ := key(part[i])
		if yb-ya != y1-y0 || sign(xb-xa) != sign(x1-x0) {
			return false
		}
	}
	return true
}

func abs(n int) int { return max(n, -n) }

func sign(n int) int {
	switch {
	case n > 0:
		return 1
	case n < 0:
		return -1
	}
	return 0
}

// day tells whether digits are a year, a day of a year, or a whole date.
func day(s string) bool {
	if len(s) == 4 {
		year, err := strconv.Atoi(s)
		return err == nil && (year >= 1900 && year <= 2099 || parses(s, "0102", "0201"))
	}
	return parses(s, "20060102", "02012006", "01022006", "060102", "020106", "010206")
}

func parses(s string, layouts ...string) bool {
	for _, layout := range layouts {
		if len(layout) != len(s) {
			continue
		}
		if t, err := time.Parse(layout, s); err == nil && (t.Year() == 0 || t.Year() >= 1900 && t.Year() < 2100) {
			return true
		}
	}
	return false
}
