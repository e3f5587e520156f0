package password

import (
	"strings"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/factor"
)

func somebody() []string {
	return personal(factor.Attempt{
		Subject: authn.Subject{UserName: "s1234567"},
		Person: factor.Profile{
			Names:     []string{"大田", "翔子", "オオタ", "ショウコ", "Ota", "Shoko"},
			Addresses: []factor.Address{{Address: "shoko.ota@stu.example.ac.jp"}},
		},
	})
}

func TestEasyPasswordsAreRefusedWithTheReason(t *testing.T) {
	b := newBlockList([]string{"Toyohashi", "豊橋", "Tempaku", "トヨッキー"})
	for password, want := range map[string]reason{
		"password":                  common,
		"Password1!":                common,
		"P@ssw0rd2026":              common,
		"passwordpassword":          common,
		"passwordpassword1":         common,
		"iloveyou-password":         common,
		"trustno1trustno1":          common,
		"Welcome to University!":    common,
		"pasuwado12345678":          common,
		"daisukisakura2026":         common,
		"ｐａｓｓｗｏｒｄ":                  common,
		"ありがとうございます":                common,
		"サクラサクラサクラさくら":              common,
		"パスワードひみつ2026":              common,
		"平成12年4月1日東京":               common,
		"correcthorsebatterystaple": common,
		"qwertyuiop":                walk,
		"1qaz2wsx3edc4rfv":          walk,
		"zxcvbnm,./":                walk,
		"1q2w3e4r5t6y7u8i":          walk,
		"abcdefghijklmnop":          walk,
		"123456789012345":           walk,
		"987654321987654":           walk,
		"qwertyuiopasdfgh":          walk,
		"aaaaaaaaaaaaaaaa":          repeat,
		"abababababababab":          repeat,
		"x9kqx9kqx9kqx9kq":          repeat,
		"!!!!!!!!!!!!!!!!":          repeat,
		"199904011999":              date,
		"2006-01-02 2006":           date,
		"20060102":                  date,
		"shoko19990401":             person,
		"Syouko_Oota_1999":          person,
		"OhtaShouko!!":              person,
		"s1234567s1234567":          person,
		"1234567-1234567":           person,
		"大田翔子大田翔子":                  person,
		"おおたしょうこ0401":               person,
		"stu.example.ac.jp":         person,
		"Toyohashi2026":             university,
		"t0y0h4sh1-1976":            university,
		"豊橋大学2026":                  university,
		"とよっきー1976!":                university,
	} {
		if got := b.judge(password, somebody()); got != want {
			t.Errorf("%q: %q, want %q", password, got, want)
		}
	}
}

func TestGoodPasswordsPass(t *testing.T) {
	b := newBlockList([]string{"Toyohashi"})
	for _, password := range []string{
		"k9#mXp2Lq!vR",
		"purple elephants sing quietly",
		"dragon monkey sunshine lantern",
		"春は曙やうやう白くなりゆく山際",
		"my cat Toyohashi hates thunderstorms",
		"shoko went diving near Guam",
		"むらさきの象がしずかに歌う",
		"tree were pool free grass",
		"839201746529183",
		"kumo no ue no piano hiki",
		"9d7f3a1c5e2b8064",
		"correct cattle capacitor clamp",
	} {
		if got := b.judge(password, somebody()); got != "" {
			t.Errorf("%q is refused: %s", password, got)
		}
	}
}

func TestListedLooksAtNobodyInParticular(t *testing.T) {
	b := newBlockList([]string{"Toyohashi"})
	for password, want := range map[string]bool{"password1": true, "qwertyuiop": true, "Toyohashi1976": false, "shoko1999": false, "purple elephants sing": false} {
		if b.listed(password) != want {
			t.Errorf("%q: %v", password, !want)
		}
	}
}

func TestTypedFactsComeFromTheTextAlone(t *testing.T) {
	for typed, want := range map[string]string{
		"secret": "", "ＳＥＣＲＥＴ": "full_width caps_lock", "ｓecret": "full_width", "SECRET1": "caps_lock", "AB1": "",
		"ひみつ": "kana", "ﾋﾐﾂ": "kana", "Secret": "", "": "",
	} {
		got := typedFacts(typed)
		n := 0
		for _, name := range []string{"full_width", "kana", "caps_lock"} {
			if got[name] == "yes" {
				n++
				if !strings.Contains(want, name) {
					t.Errorf("%q has %s", typed, name)
				}
			} else if strings.Contains(want, name) {
				t.Errorf("%q lacks %s", typed, name)
			}
		}
		if n != len(got) {
			t.Errorf("%q: %v", typed, got)
		}
	}
}

func FuzzBlockList(f *testing.F) {
	f.Add("P@ssw0rd2026", "Ota")
	f.Add("大田翔子1999", "大田")
	b := newBlockList(nil)
	f.Fuzz(func(t *testing.T, password, name string) {
		if len(password) > MaxBytes || len(name) > 64 {
			return
		}
		if alone := b.judge(password, nil); alone != "" && b.judge(password, []string{name}) == "" {
			t.Errorf("%q: %s, but not for %q", password, alone, name)
		}
	})
}
