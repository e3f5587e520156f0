package factor_test

import (
	"strings"
	"testing"

	"seimon/internal/factor"
)

func TestDigitsInOtherShapesAreNotMistaken(t *testing.T) {
	for typed, want := range map[string]string{
		"１２３４５６": "123456", "123 456": "123456", "1２3-4５6": "123456", "１２３ー４５６": "123456", "　12\t34\u200b56\r\n": "123456",
		"12345x": "", "": "", "--": "", "١٢٣٤٥٦": "", "code 123456": "", strings.Repeat("1", 200): "",
	} {
		if got := factor.Digits(typed); got != want {
			t.Errorf("%q: %q", typed, got)
		}
	}
}

func FuzzDigits(f *testing.F) {
	for _, s := range []string{"123456", "１２３ー４５６", "12 34\t56", "①②③④⑤⑥", "12²345", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got := factor.Digits(typed)
		if strings.Trim(got, "0123456789") != "" {
			t.Errorf("%q is read as %q", typed, got)
		}
		if again := factor.Digits(got); len(got) <= 128 && again != got {
			t.Errorf("%q is read as %q and then as %q", typed, got, again)
		}
	})
}
