package lang

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func source(room, ja, en string) Source {
	return Source{Room: room, Files: fstest.MapFS{
		"words/ja.toml": {Data: []byte(ja)},
		"words/en.toml": {Data: []byte(en)},
	}}
}

func mustNew(t *testing.T, sources ...Source) *Words {
	t.Helper()
	w, err := New(time.FixedZone("JST", 9*3600), sources...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestSentencesAreFilledInBothLanguages(t *testing.T) {
	w := mustNew(t, source("factor/totp",
		"\"totp.hello\" = \"{{.Name}}さん、こんにちは。\"\n\"totp.left\" = { other = \"あと{{.Count}}回です。\" }\n\"totp.plain\" = \"平文 < & >\"",
		"\"totp.hello\" = \"Hello, {{.Name}}.\"\n\"totp.left\" = { one = \"{{.Count}} try left.\", other = \"{{.Count}} tries left.\" }\n\"totp.plain\" = \"plain < & >\""))
	ja, en := w.In(JA), w.In(EN)
	for _, c := range []struct{ got, want string }{
		{ja.T("totp.hello", "Name", "花子"), "花子さん、こんにちは。"},
		{en.T("totp.hello", "Name", "<b>"), "Hello, <b>."},
		{en.T("totp.left", "Count", 1), "1 try left."},
		{en.T("totp.left", "Count", 0), "0 tries left."},
		{en.Text("totp.left", map[string]string{"Count": "1"}), "1 try left."},
		{en.Text("totp.left", map[string]string{"Count": "many"}), "many tries left."},
		{ja.T("totp.left", "Count", 3), "あと3回です。"},
		{en.T("totp.plain"), "plain < & >"},
		{w.In("fr").T("totp.plain"), "平文 < & >"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if !ja.Has("totp.plain") || ja.Has("totp.absent") {
		t.Error("Has is wrong")
	}
}

func TestMistakesStopATest(t *testing.T) {
	p := mustNew(t, source("a", `"a.x" = "{{.Y}}"`, `"a.x" = "{{.Y}}"`)).In(JA)
	for name, call := range map[string]func(){
		"unknown id":   func() { p.T("a.unknown") },
		"missing fact": func() { p.T("a.x", "Z", 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was accepted", name)
				}
			}()
			call()
		}()
	}
}

func TestIncompleteWordsAreRefused(t *testing.T) {
	for _, c := range []struct{ name, room, ja, en, want string }{
		{"missing in en", "a", `"a.x" = "あ"`, ``, `"a.x" is missing in "en"`},
		{"missing in ja", "a", ``, `"a.x" = "x"`, `"a.x" is missing in "ja"`},
		{"foreign room", "a", `"b.x" = "あ"`, `"b.x" = "x"`, `"b.x" does not begin with "a."`},
		{"own id again", "lang", `"lang.name" = "あ"`, `"lang.name" = "x"`, `"lang.name" is defined twice`},
		{"empty", "a", `"a.x" = " "`, `"a.x" = "x"`, `"a.x" says nothing`},
		{"other facts", "a", `"a.x" = "{{.A}}"`, `"a.x" = "{{.B}}"`, `"a.x" uses [A] in ja and [B] in en`},
		{"code", "a", `"a.x" = "{{if .A}}あ{{end}}"`, `"a.x" = "x"`, `a placeholder must be {{.Name}}`},
		{"not toml", "a", "\n\"a.x\" = ", `"a.x" = "x"`, `line 2`},
		{"number", "a", `"a.x" = 3`, `"a.x" = "x"`, `words/ja.toml`},
	} {
		_, err := New(nil, source(c.room, c.ja, c.en))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := New(nil, Source{Room: "a", Files: fstest.MapFS{}}); err == nil {
		t.Error("a room without words was accepted")
	}
}

func TestOwnWordsLieOverOurs(t *testing.T) {
	w := mustNew(t, source("a", `"a.x" = "{{.N}}を開く"`, `"a.x" = "Open {{.N}}"`))
	before := w.In(EN)
	if err := w.Override(EN, []byte(`"a.x" = "Walk through {{.N}}"`)); err != nil {
		t.Fatal(err)
	}
	if got := before.T("a.x", "N", "it"); got != "Walk through it" {
		t.Errorf("got %q", got)
	}
	if got := w.In(JA).T("a.x", "N", "門"); got != "門を開く" {
		t.Errorf("the other language changed: %q", got)
	}
	for toml, want := range map[string]string{
		`"a.y" = "y"`:           "not a message",
		`"a.x" = "{{.Secret}}"`: `no fact "Secret"`,
		`"a.x" = `:              "line 1",
		"\"a.x\" = \"fine {{.N}}\"\n\"b.b\"=\"\"": "says nothing",
	} {
		if err := w.Override(EN, []byte(toml)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", toml, err)
		}
	}
	if err := w.Override("fr", []byte(`"a.x" = "x"`)); err == nil {
		t.Error("an unknown language was accepted")
	}
	if got := before.T("a.x", "N", "it"); got != "Walk through it" {
		t.Errorf("a refused text changed something: %q", got)
	}
}

func TestLanguageIsChosen(t *testing.T) {
	w := mustNew(t)
	for accept, want := range map[string]Tag{
		"": JA, "ja": JA, "ja-JP,ja;q=0.9,en-US;q=0.8": JA, "en-US,en;q=0.9,ja;q=0.8": EN,
		"en;q=0.1, ja;q=0.9": JA, "fr-FR,fr;q=0.9": EN, "de zh ja": JA, "en ja": EN,
		"fr, ja; q=0.5": JA, "*": EN, ";;;": JA, "q=1": JA, "zh-CN": EN, ",": JA, "ja-JP en-US": JA,
		strings.Repeat("x-", 5000): JA,
	} {
		if got := w.Match(accept); got != want {
			t.Errorf("%.40q: got %s, want %s", accept, got, want)
		}
	}
}

func TestTimesAreShownInTheZoneOfTheUniversity(t *testing.T) {
	w := mustNew(t)
	at := time.Date(2026, 4, 5, 20, 5, 0, 0, time.UTC) // 6 April in Tokyo
	for _, c := range []struct{ got, want string }{
		{w.In(JA).Day(at), "2026年4月6日(月)"},
		{w.In(EN).Day(at), "Mon, 6 April 2026"},
		{w.In(JA).Moment(at), "2026年4月6日(月) 05:05"},
		{w.In(EN).Moment(at), "Mon, 6 April 2026, 05:05"},
		{w.In(EN).Clock(at), "05:05"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestSpans(t *testing.T) {
	w := mustNew(t)
	for d, want := range map[time.Duration][2]string{
		7 * 24 * time.Hour:                    {"7日", "7 days"},
		10 * time.Minute:                      {"10分", "10 minutes"},
		90 * time.Minute:                      {"1時間30分", "1 hour 30 minutes"},
		0:                                     {"0秒", "0 seconds"},
		400 * time.Millisecond:                {"0秒", "0 seconds"},
		-95 * time.Second:                     {"1分35秒", "1 minute 35 seconds"},
		time.Second:                           {"1秒", "1 second"},
		25*time.Hour + 3*time.Minute:          {"1日1時間", "1 day 1 hour"},
		26*time.Hour + 3*time.Minute:          {"1日2時間", "1 day 2 hours"},
		59*time.Minute + 59*time.Second + 6e8: {"1時間", "1 hour"},
		time.Hour + 5*time.Second:             {"1時間", "1 hour"},
	} {
		if got := [2]string{w.In(JA).Span(d), w.In(EN).Span(d)}; got != want {
			t.Errorf("%v: got %v, want %v", d, got, want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("ja,en;q=0.8")
	f.Add("ja en fr")
	f.Add(";q=-1,\x00")
	w, err := New(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		if got := w.Match(accept); got != JA && got != EN {
			t.Errorf("%q gave %q", accept, got)
		}
	})
}
