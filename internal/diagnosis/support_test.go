package diagnosis_test

import (
	"io"
	"io/fs"
	"strings"
	"testing"

	"seimon/internal/diagnosis"
)

func readLines(t testing.TB, f fs.File) []string {
	t.Helper()
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

func TestNewCode(t *testing.T) {
	seen := map[string]bool{}
	signs := map[rune]int{}
	for range 5000 {
		c := diagnosis.NewCode()
		if len(c) != 9 || c[4] != '-' || seen[c] {
			t.Fatalf("%q", c)
		}
		seen[c] = true
		for _, r := range c {
			signs[r]++
		}
		if got, ok := diagnosis.ParseCode(c); !ok || got != c {
			t.Fatalf("%q was read as %q", c, got)
		}
	}
	for r := range strings.SplitSeq("0 O 1 I L U A E B S Z", " ") {
		if signs[rune(r[0])] > 0 {
			t.Errorf("%s looks like something else, or makes words", r)
		}
	}
	if len(signs) != 26 {
		t.Errorf("%d signs", len(signs))
	}
	for r, n := range signs {
		if r != '-' && (n < 1400 || n > 1800) {
			t.Errorf("%c came %d times of 1600", r, n)
		}
	}
}

func TestParseCode(t *testing.T) {
	for typed, want := range map[string]string{
		"7KQ2-MHXD": "7KQ2-MHXD", "7kq2mhxd": "7KQ2-MHXD", " 7kq2 mhxd\n": "7KQ2-MHXD", "７ｋｑ２－ｍｈｘｄ": "7KQ2-MHXD", "7KQ2ーMHXD": "7KQ2-MHXD",
		"7KQ2—MHXD": "7KQ2-MHXD", "7-K-Q-2-M-H-X-D": "7KQ2-MHXD", "7KQZ-MHXD": "7KQ2-MHXD", "BSZ2-MHXD": "8522-MHXD",
		"": "", "7KQ2-MHX": "", "7KQ2-MHXDD": "", "7KQ2-MHX0": "", "7KQ2-MHXA": "", "7KQ2/MHXD": "",
	} {
		got, ok := diagnosis.ParseCode(typed)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q %v", typed, got, ok)
		}
	}
}

func FuzzParseCode(f *testing.F) {
	f.Add("７ｋｑ２－ｍｈｘｄ")
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := diagnosis.ParseCode(typed)
		if again, same := diagnosis.ParseCode(code); ok && (again != code || !same) {
			t.Fatalf("%q became %q", code, again)
		}
	})
}
