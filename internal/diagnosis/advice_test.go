package diagnosis_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/lang"
)

var now = time.Date(2026, 4, 6, 0, 30, 0, 0, time.UTC)

func words(t testing.TB, more ...lang.Source) *lang.Words {
	t.Helper()
	tokyo := time.FixedZone("JST", 9*3600)
	w, err := lang.New(tokyo, append(more, diagnosis.Words())...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestScenarioFamiliesHaveWords: every row of the list of failures that ends on a page
// has words. The others do not fail: P2 reads as P1, P4 and T6 are accepted, T7 is a
// help page, Z5 a finding of the doctor.
func TestScenarioFamiliesHaveWords(t *testing.T) {
	have := map[authn.Code]bool{}
	for _, c := range diagnosis.Codes() {
		have[c] = true
		have[c.Family()] = true
	}
	for c := range strings.FieldsSeq("P1 P3 P5 P6 P7 P8 Z1 Z2 Z3 Z4 T1 T2 T3 T4 T5 M1 M2 M3 B1 B2 B3 R1 R2 R3 O1 O2 C1 C2 C3 C4 C5 C6 C7 C8 K1 K2 K3 K4") {
		if !have[authn.Code(c)] {
			t.Errorf("%s has no words", c)
		}
	}
	for c := range strings.FieldsSeq(`P1 P3 P5 P6 P6.code P6.used P6.expired P7.suspended P7.expired P7.early P8.short P8.breached P8.expired
		P9.empty P9.mismatch P9.characters P9.same P9.race P9.short P9.long P9.common P9.walk P9.repeat P9.person P9.university P9.date
		O1.busy T1 T1.form T1.enroll T2.slow T2.fast T3 T4 T5 T5.lost T8 M1.wait M1.none M2.wrong M2.form M2.expired M2.older M2.used M3 M3.form M3.taken
		B1.expired B1.cookies B2 B2.done B2.browser R1 R1.none R1.enroll R2 R3.unknown Z1 Z2 Z2.guest Z3 Z4 internal hidden
		C1.late C2.own C2.none C3.early C4.removed C7.unknown C7.self C7.server C7.usage C7.chain C7.weak C7.status C7.mapping K1.card
		K4.suspended K4.lost K4.replaced K4.returned`) {
		if !slices.Contains(diagnosis.Codes(), authn.Code(c)) {
			t.Errorf("%s, which a room raises, has no words of its own", c)
		}
	}
}

// TestEveryAdvice gives every code, in both languages, with all facts and with none.
func TestEveryAdvice(t *testing.T) {
	w := words(t)
	latin, kana := regexp.MustCompile(`[A-Za-z]{3}`), regexp.MustCompile(`[ぁ-ん]`)
	for _, code := range diagnosis.Codes() {
		for _, tag := range w.Tags() {
			for _, facts := range []map[string]string{nil, allFacts()} {
				p := w.In(tag)
				a := diagnosis.Advise(p, &authn.Fault{Code: code, Facts: facts}, diagnosis.Context{Proved: true, Operator: true, Now: now})
				if a.Code.Family() != code.Family() && code != "T2" {
					t.Errorf("%s became %s", code, a.Code)
				}
				for _, s := range []string{a.Cause, a.Next, diagnosis.Desk(p, code)} {
					end := strings.HasSuffix(s, ".") || strings.HasSuffix(s, "。") || strings.HasSuffix(s, "550 no such user")
					if !end || strings.Contains(s, "{{") || strings.Contains(s, "<no value>") {
						t.Errorf("%s in %s: %q is no whole sentence", code, tag, s)
					}
					if tag == lang.JA && !kana.MatchString(s) || tag == lang.EN && (!latin.MatchString(s) || kana.MatchString(s)) {
						t.Errorf("%s in %s: %q", code, tag, s)
					}
				}
				if len(a.Actions) > 3 {
					t.Errorf("%s offers %d ways", code, len(a.Actions))
				}
				for _, x := range a.Actions {
					if x.Label == "" || !strings.HasPrefix(x.Path, "/") {
						t.Errorf("%s: %+v", code, x)
					}
				}
			}
		}
	}
}

// allFacts has a value for every fact that any room documents.
func allFacts() map[string]string {
	const at = "2026-04-06T00:12:00Z"
	return map[string]string{
		"until": at, "changed": at, "when": at, "since": at, "registered": at, "begun": at, "sent": at, "handed": at, "expired": at, "used": at,
		"tries": "4", "digits": "6", "maximum": "5", "minimum": "15", "length": "9", "seconds": "95",
		"device": "my phone", "current": "new phone", "to": "t***@example.ac.jp", "reply": "550 no such user", "domain": "example.ac.jp",
		"address": "192.0.2.1", "zone": "relay", "groups": "staff",
		"name": "Yamada Hanako - laptop 2026", "tail": "9D:86", "issuer": "Example University User CA G1", "day": at,
		"mail": "hanako@example.ac.jp", "right": "Yamada Hanako - card 2026", "right_tail": "11:F0",
	}
}

// TestWordsUseOnlyDeclaredFacts: a sentence that uses a fact which its code does
// not declare would show a dash to somebody in need.
func TestWordsUseOnlyDeclaredFacts(t *testing.T) {
	hole := regexp.MustCompile(`\{\{\.(\w+)\}\}`)
	for _, file := range []string{"words/ja.toml", "words/en.toml"} {
		text, err := diagnosis.Words().Files.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := readLines(t, text)
		checked := 0
		for _, line := range lines {
			id, rest, ok := strings.Cut(line, " = ")
			id = strings.Trim(id, `"`)
			code, part, isAdvice := cutPart(id)
			if !ok || !isAdvice {
				continue
			}
			checked++
			declared := diagnosis.FactsOf(authn.Code(code))
			for _, m := range hole.FindAllStringSubmatch(rest, -1) {
				if !slices.Contains(declared, m[1]) || strings.HasPrefix(part, "plain") || part == "desk" {
					t.Errorf("%s: %s uses %s", file, id, m[1])
				}
			}
			if part == "cause" && len(declared) > 0 && !slices.ContainsFunc(lines, func(l string) bool {
				return strings.HasPrefix(l, `"diagnosis.`+code+`.plain.cause"`)
			}) {
				t.Errorf("%s: %s has facts but no plain words for when they are missing", file, code)
			}
		}
		if checked < 200 {
			t.Errorf("%s: only %d sentences", file, checked)
		}
	}
}

// TestDeclaredFactsAreShown: a fact that is declared but used nowhere hides a mistake.
func TestDeclaredFactsAreShown(t *testing.T) {
	text, err := diagnosis.Words().Files.Open("words/en.toml")
	if err != nil {
		t.Fatal(err)
	}
	lines := readLines(t, text)
	for _, code := range diagnosis.Codes() {
		for _, f := range diagnosis.FactsOf(code) {
			if !slices.ContainsFunc(lines, func(l string) bool {
				return strings.HasPrefix(l, `"diagnosis.`+string(code)+`.`) && strings.Contains(l, "{{."+f+"}}")
			}) {
				t.Errorf("%s declares %s and does not use it", code, f)
			}
		}
	}
}

// TestNothingIsToldBeforeProof: before proof every code that is about an account
// reads like a wrong password or says nothing at all.
func TestNothingIsToldBeforeProof(t *testing.T) {
	p := words(t).In(lang.EN)
	say := func(code authn.Code) diagnosis.Advice {
		return diagnosis.Advise(p, &authn.Fault{Code: code, Facts: allFacts()}, diagnosis.Context{Now: now, Facts: map[string]string{"user": "s1234567"}})
	}
	wrong := say("P1")
	open := strings.Fields("P1 P1.caps P1.kana P1.wide P2 P3 P4 P5 P6.code P6.used P6.expired P9 B1 B2 O1 O2 R3 T7 hidden internal C1 C2 C3 C4 C5 C6 C7 C8 K1 K2 K3 K4")
	for _, code := range diagnosis.Codes() {
		a := say(code)
		switch {
		case slices.Contains(open, string(code)), slices.Contains(open, string(code.Family())) && code.Family() != "P6":
			if a.Code != code && a.Code.Family() != code {
				t.Errorf("%s may be told before proof, but became %s", code, a.Code)
			}
		case code.Family()[0] == 'P':
			if a.Cause != wrong.Cause || a.Next != wrong.Next || len(a.Actions) != len(wrong.Actions) {
				t.Errorf("%s differs from a wrong password: %q", code, a.Cause)
			}
		case a.Code != "hidden" || strings.Contains(a.Cause, "phone"):
			t.Errorf("%s is told before proof: %q", code, a.Cause)
		}
	}
}

func TestAdviceFillsFacts(t *testing.T) {
	w := words(t)
	for _, c := range []struct {
		f      *authn.Fault
		ctx    diagnosis.Context
		en, ja []string
	}{
		{authn.NewFault("P5", "until", "2026-04-06T00:34:00Z"), diagnosis.Context{}, []string{"until 09:34."}, []string{"09:34まで"}},
		{authn.NewFault("P5", "until", "2026-04-06T15:34:00Z"), diagnosis.Context{}, []string{"until Tue, 7 April 2026, 00:34"}, []string{"2026年4月7日(火) 00:34まで"}},
		{authn.NewFault("P5", "until", "soon"), diagnosis.Context{}, []string{"for a while"}, []string{"しばらくの間"}},
		{authn.NewFault("P3", "changed", "2026-03-30T10:00:00Z"), diagnosis.Context{}, []string{"changed on Mon, 30 March 2026"}, []string{"2026年3月30日(月)"}},
		{authn.NewFault("P1", "caps_lock", "yes"), diagnosis.Context{}, []string{"Caps Lock"}, []string{"Caps Lock"}},
		{authn.NewFault("T2", "device", "iPhone", "seconds", "95", "direction", "slow"), diagnosis.Context{Proved: true}, []string{"“iPhone” is about 1 minute 35 seconds slow", "automatic"}, []string{"約1分35秒遅れています", "自動設定"}},
		{authn.NewFault("T2", "device", "iPhone", "seconds", "40", "direction", "fast"), diagnosis.Context{Proved: true}, []string{"40 seconds fast"}, []string{"40秒進んでいます"}},
		{authn.NewFault("T2", "device", "PC", "seconds", "40", "direction", "fast", "browser", "-41"), diagnosis.Context{Proved: true}, []string{"clock of this computer is wrong"}, []string{"このコンピューターの時計"}},
		{authn.NewFault("T2"), diagnosis.Context{Proved: true}, []string{"is wrong"}, []string{"ずれています"}},
		{authn.NewFault("T1", "device", "iPhone", "registered", "2026-01-01T00:00:00Z", "tries", "3"), diagnosis.Context{Proved: true}, []string{"3 more tries", "“iPhone”", "Thu, 1 January 2026"}, []string{"あと3回", "「iPhone」"}},
		{authn.NewFault("T3", "device", "iPhone", "seconds", "12"), diagnosis.Context{Proved: true}, []string{"in 12 seconds"}, []string{"あと12秒で"}},
		{authn.NewFault("Z1"), diagnosis.Context{Proved: true, Facts: map[string]string{"address": "192.0.2.7"}}, []string{"off campus", "192.0.2.7", "second step"}, []string{"学外", "192.0.2.7", "二段階目の確認"}},
		{authn.NewFault("Z1"), diagnosis.Context{Proved: true}, []string{"off campus"}, []string{"学外"}},
		{authn.NewFault("R2"), diagnosis.Context{Proved: true, Facts: map[string]string{"groups": "staff, faculty"}}, []string{"only for: staff, faculty"}, []string{"staff, faculty"}},
		{authn.NewFault("M2.wrong", "to", "t***@example.jp", "sent", "2026-04-06T00:12:00Z", "state", "refused", "reply", "550 no such user"), diagnosis.Context{Proved: true}, []string{"refused", "550"}, []string{"断られました", "550"}},
		{authn.NewFault("P7.nobody-knows"), diagnosis.Context{Proved: true}, []string{"cannot be used now"}, []string{"今は使えません"}},
		{authn.NewFault("X9"), diagnosis.Context{Proved: true}, []string{"inside the sign-in system"}, []string{"あなたのせいではありません"}},
		{nil, diagnosis.Context{}, []string{"inside the sign-in system"}, []string{"あなたのせいではありません"}},
	} {
		c.ctx.Now = now
		for tag, want := range map[lang.Tag][]string{lang.EN: c.en, lang.JA: c.ja} {
			a := diagnosis.Advise(w.In(tag), c.f, c.ctx)
			for _, s := range want {
				if !strings.Contains(a.Cause+" "+a.Next, s) {
					t.Errorf("%v in %s: %q is not in %q / %q", c.f, tag, s, a.Cause, a.Next)
				}
			}
		}
	}
}

func TestContactLeadsToTheUniversitysOwnPage(t *testing.T) {
	p := words(t).In(lang.EN)
	a := diagnosis.Advise(p, authn.NewFault("P1"), diagnosis.Context{HelpURL: "https://help.example.ac.jp/"})
	if last := a.Actions[len(a.Actions)-1]; last.Path != "https://help.example.ac.jp/" || last.Label != "Ask the help desk" {
		t.Errorf("%+v", a.Actions)
	}
}

func TestEveryHelpLinkHasItsTopic(t *testing.T) {
	w := words(t)
	for _, tag := range w.Tags() {
		p := w.In(tag)
		linked := map[string]bool{}
		for _, code := range diagnosis.Codes() {
			for _, x := range diagnosis.Advise(p, authn.NewFault(code), diagnosis.Context{Proved: true, Operator: true}).Actions {
				if name, ok := strings.CutPrefix(x.Path, "/help/"); ok {
					linked[name] = true
				}
			}
		}
		for _, name := range diagnosis.Topics() {
			topic, ok := diagnosis.Help(p, name)
			if !ok || topic.Title == "" || len(topic.Paragraphs) < 3 || !linked[name] {
				t.Errorf("%s: %v, linked %v", name, ok, linked[name])
			}
			delete(linked, name)
		}
		delete(linked, "certificates") // the desk for certificates has a guide for each system
		if len(linked) > 0 {
			t.Errorf("no topics for %v", linked)
		}
	}
	if _, ok := diagnosis.Help(w.In(lang.EN), "../../etc"); ok {
		t.Error("a topic out of nothing")
	}
}

func TestHintsComeFromTheTextAlone(t *testing.T) {
	p := words(t).In(lang.EN)
	for typed, want := range map[string]string{
		"": "", "s1234567": "", "ｓ１２３４５６７": "", "s1234567@example.ac.jp": "mail address", "１２３４５６７": "only digits", "1234567": "only digits",
		"s123 4567": "space", "やまだ": "kana", "ﾔﾏﾀﾞ": "kana", "山田": "kana", " s1234567 ": "",
	} {
		got := strings.Join(diagnosis.Hints(p, typed), " ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q", typed, got)
		}
	}
}

func cutPart(id string) (code, part string, ok bool) {
	rest, ok := strings.CutPrefix(id, "diagnosis.")
	if !ok {
		return "", "", false
	}
	for _, part := range []string{"plain.cause", "plain.next", "cause", "next", "desk"} {
		if code, ok := strings.CutSuffix(rest, "."+part); ok && slices.Contains(diagnosis.Codes(), authn.Code(code)) {
			return code, part, true
		}
	}
	return "", "", false
}
