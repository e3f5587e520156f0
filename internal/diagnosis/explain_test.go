package diagnosis_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/lang"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

const campus = `
[[zone]]
name = "lan"
kind = "campus"
ranges = ["10.0.0.0/8"]
[[zone]]
name = "wifi"
kind = "eduroam"
ranges = ["10.9.0.0/16"]
[[rule]]
name = "campus"
zones = ["campus"]
[[rule]]
name = "elsewhere"
classes = 2
`

// office is a house with a policy and a log, in which sign-ins can be put on record.
type office struct {
	t     *testing.T
	db    *store.DB
	clock *storetest.Clock
	log   *audit.Log
	book  *policy.Book
	words *lang.Words
	tag   lang.Tag
	out   bytes.Buffer
}

func newOffice(t *testing.T) *office {
	t.Helper()
	db, clock := storetest.Open(t, audit.Schema(), policy.Schema())
	o := &office{t: t, db: db, clock: clock, book: policy.NewBook(db), tag: lang.EN}
	o.log = audit.New(db, func(b []byte) []byte { h := sha256.Sum256(b); return h[:] })
	names := fstest.MapFS{}
	for tag, text := range map[string]string{"ja": "\"totp.name\" = \"ワンタイムパスワードアプリ\"\n", "en": "\"totp.name\" = \"One-time password app\"\n"} {
		names["words/"+tag+".toml"] = &fstest.MapFile{Data: []byte(text)}
	}
	o.words = words(t, lang.Source{Room: "factor/totp", Files: names})
	o.apply(campus)
	return o
}

func (o *office) apply(text string) {
	o.t.Helper()
	err := o.db.Write(o.t.Context(), func(tx *store.Tx) error {
		_, err := o.book.Apply(tx, "admin", "campus.toml", []byte(text), func(string) bool { return true })
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// sign is one sign-in on record.
type sign struct {
	*office
	support string
	addr    netip.Addr
	kase    policy.Case
}

func (o *office) begin(addr string) *sign {
	s := &sign{office: o, support: diagnosis.NewCode(), addr: netip.MustParseAddr(addr)}
	s.decide("signin.begun", map[string]string{"ignored_headers": ""})
	return s
}

func (s *sign) event(kind string, facts map[string]string) {
	s.t.Helper()
	s.clock.Add(time.Second)
	err := s.db.Write(s.t.Context(), func(tx *store.Tx) error {
		return s.log.Append(tx, audit.Event{Type: kind, Account: "acc_1", Actor: "acc_1", Support: s.support, Party: "payroll", Address: s.addr.String(), Facts: facts})
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// decide records a decision as the hall does.
func (s *sign) decide(kind string, more map[string]string) policy.Verdict {
	s.t.Helper()
	facts := map[string]string{}
	var v policy.Verdict
	err := s.db.Read(s.t.Context(), func(tx *store.Tx) error {
		doc, version, err := s.book.Active(tx)
		if err != nil {
			return err
		}
		z := doc.Zone(s.addr)
		ruling := doc.Rule(policy.Question{Service: "payroll", Zone: z, Addr: s.addr})
		s.kase.Requirement, s.kase.Place, s.kase.Now = ruling.Requirement, ruling.Place, tx.Now
		v = policy.Decide(s.kase)
		kase, _ := json.Marshal(s.kase)
		verdict, _ := json.Marshal(v)
		facts = map[string]string{"case": string(kase), "verdict": string(verdict), "rule": ruling.Name, "zone": z.Name,
			"kind": string(z.Kind), "prefix": z.Prefix, "policy": strconv.FormatInt(version, 10)}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for k, v := range more {
		facts[k] = v
	}
	s.event(kind, facts)
	return v
}

func (s *sign) proved(kind authn.Kind, traits authn.Traits) {
	s.kase.Evidence = append(s.kase.Evidence, authn.Evidence{Kind: kind, Traits: traits, At: s.clock.Now()})
	s.event("signin.proved", map[string]string{"factor": string(kind), "zone": "lan", "kind": "campus"})
}

var password = authn.Traits{Class: authn.Know, First: true}
var app = authn.Traits{Class: authn.Have, SingleUse: true}

func (o *office) explain(code string) (diagnosis.Report, error) {
	var r diagnosis.Report
	err := o.db.Read(o.t.Context(), func(tx *store.Tx) (err error) {
		r, err = diagnosis.Explain(tx, o.log, o.book, code)
		return err
	})
	return r, err
}

func (o *office) must(code string) diagnosis.Report {
	o.t.Helper()
	r, err := o.explain(code)
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

func TestExplainADenialOnEduroam(t *testing.T) {
	o := newOffice(t)
	s := o.begin("10.9.1.2")
	s.kase.Known = true
	s.kase.Has = []authn.Authenticator{{Kind: "password", Traits: password}}
	s.decide("signin.decided", nil)
	s.proved("password", password)
	if v := s.decide("signin.decided", nil); v.Cause != "Z2" {
		t.Fatalf("%+v", v)
	}
	s.decide("signin.denied", map[string]string{"code": "cancelled"})

	r := o.must(strings.ToLower(strings.ReplaceAll(s.support, "-", " ")))
	if r.Support != s.support || r.Outcome != diagnosis.Denied || r.Cause != "Z2" || r.Account != "acc_1" || r.Party != "payroll" || r.Address != "10.9.1.2" {
		t.Errorf("%+v", r)
	}
	if r.Zone.Then.Name != "wifi" || r.Zone.Then.Prefix != "10.9.0.0/16" || r.Zone.Rule != "elsewhere" || r.Zone.Policy != 1 || r.Zone.Gap {
		t.Errorf("%+v", r.Zone)
	}
	if len(r.Timeline) != 5 || len(r.Decisions) != 4 {
		t.Errorf("%d events, %d decisions", len(r.Timeline), len(r.Decisions))
	}
	for _, d := range r.Decisions {
		if !d.Same {
			t.Errorf("replayed differently: %+v", d)
		}
	}
	en, ja := r.Speak(o.words.In(lang.EN)), r.Speak(o.words.In(lang.JA))
	for _, c := range []struct{ got, want string }{
		{en.Cause, "eduroam counts as off campus"}, {ja.Cause, "eduroamは、大学の建物の中でも学外として扱います"},
		{en.Told, "Change the Wi-Fi"}, {ja.Told, "切りかえ"},
		{en.Desk, "register a second step"}, {ja.Desk, "学内のWi-FiかVPN"},
		{en.Outcome, "refused"}, {ja.Outcome, "できなかった"},
		{strings.Join(en.Zone, " "), "Zone wifi (eduroam), range 10.9.0.0/16. Rule “elsewhere” of policy version 1."},
		{strings.Join(ja.Zone, " "), "ゾーン wifi（eduroam）、範囲 10.9.0.0/16。 方針の第1版の規則「elsewhere」。"},
		{strings.Join(en.Replay, " "), "The same case gives the same decision today."},
		{strings.Join(en.Replay, " "), "need classes 2 of 1"},
		{en.Timeline[2].Text, "The answer was right. Factor: password."},
		{en.Timeline[3].Text, "Decision: it ends here. Code: Z2."},
	} {
		if !strings.Contains(c.got, c.want) {
			t.Errorf("%q is not in %q", c.want, c.got)
		}
	}
}

func TestExplainFollowsTheLastThingThatCounts(t *testing.T) {
	o := newOffice(t)
	s := o.begin("192.0.2.1")
	s.kase.Known = true
	s.kase.Has = []authn.Authenticator{{Kind: "password", Traits: password}, {Kind: "totp", Traits: app}}
	outcome := func(want string, code authn.Code) {
		t.Helper()
		if r := o.must(s.support); r.Outcome != want || r.Cause != code {
			t.Errorf("%s %s, want %s %s", r.Outcome, r.Cause, want, code)
		}
	}
	outcome(diagnosis.Open, "")
	s.event("signin.failed", map[string]string{"factor": "password", "code": "P1", "tries": "9"})
	outcome(diagnosis.Failed, "P1")
	s.proved("password", password)
	outcome(diagnosis.Open, "")
	s.event("signin.failed", map[string]string{"factor": "totp", "code": "T2", "device": "iPhone", "seconds": "95", "direction": "slow", "tries": "4"})
	outcome(diagnosis.Failed, "T2")
	r := o.must(s.support)
	en, ja := r.Speak(o.words.In(lang.EN)), r.Speak(o.words.In(lang.JA))
	if !strings.Contains(en.Cause, "“iPhone” is about 1 minute 35 seconds slow") || !strings.Contains(en.Desk, "no need to register again") || !strings.Contains(ja.Cause, "1分35秒遅れて") {
		t.Errorf("%+v", en)
	}
	if last := en.Timeline[len(en.Timeline)-1].Text; !strings.Contains(last, "One-time password app") || !strings.Contains(last, "(T2)") {
		t.Error(last)
	}
	s.proved("totp", app)
	s.decide("signin.done", map[string]string{"level": "aal2"})
	outcome(diagnosis.Done, "")
	if r := o.must(s.support); r.Speak(o.words.In(lang.JA)).Cause != "" {
		t.Error("a success has a cause")
	}
}

func TestExplainNamesAnEnrolmentThatWaits(t *testing.T) {
	o := newOffice(t)
	s := o.begin("192.0.2.1")
	s.kase.Known = true
	s.kase.MayEnroll = []authn.Authenticator{{Kind: "totp", Traits: app}}
	s.proved("password", password)
	s.decide("signin.decided", nil)
	if r := o.must(s.support); r.Outcome != diagnosis.Open || r.Cause != "R1.enroll" {
		t.Errorf("%+v", r)
	}
}

func TestExplainSeesTheGapInTheZones(t *testing.T) {
	o := newOffice(t)
	s := o.begin("2001:db8::7")
	s.kase.Known = true
	s.proved("password", password)
	s.decide("signin.decided", nil)
	r := o.must(s.support)
	en := r.Speak(o.words.In(lang.EN))
	if r.Cause != "Z4" || !r.Zone.Gap || !strings.Contains(en.Cause, "2001:db8::7") || !strings.Contains(strings.Join(en.Zone, " "), "A range may be missing") || !strings.Contains(en.Desk, "tell the administrators") {
		t.Errorf("%+v %+v", r.Zone, en)
	}
}

func TestExplainComparesWithThePolicyOfToday(t *testing.T) {
	o := newOffice(t)
	s := o.begin("203.0.113.5")
	s.kase.Known = true
	s.proved("password", password)
	s.decide("signin.decided", nil)
	o.apply(strings.Replace(campus, `"10.0.0.0/8"`, `"10.0.0.0/8", "203.0.113.0/24"`, 1))
	r := o.must(s.support)
	en := strings.Join(append(r.Speak(o.words.In(lang.EN)).Zone, r.Speak(o.words.In(lang.EN)).Replay...), " ")
	if r.Zone.Now.Name != "lan" || r.Zone.Latest != 2 || !strings.Contains(en, "in force now it would be zone lan (campus)") || !strings.Contains(en, "then it was version 1, now it is version 2") {
		t.Errorf("%+v %s", r.Zone, en)
	}
}

func TestExplainShowsADecisionThatWouldDifferToday(t *testing.T) {
	o := newOffice(t)
	s := o.begin("192.0.2.1")
	s.kase.Known = true
	s.proved("password", password)
	s.decide("signin.decided", map[string]string{"verdict": `{"step":"done"}`})
	r := o.must(s.support)
	last := r.Decisions[len(r.Decisions)-1]
	if last.Same || last.Then.Step != policy.StepDone || last.Now.Step != policy.StepDenied {
		t.Errorf("%+v", last)
	}
	if en := strings.Join(r.Speak(o.words.In(lang.EN)).Replay, " "); !strings.Contains(en, "gives another decision today") {
		t.Error(en)
	}
}

// The owner of a service reads which field did not fit; what was sent there is foreign.
func TestExplainNamesTheField(t *testing.T) {
	o := newOffice(t)
	s := o.begin("192.0.2.1")
	s.event("request.refused", map[string]string{"code": "R3.redirect", "field": "redirect_uri", "sent": "https://evil.example/\x1b[31m\n", "registered": "https://ok.example/"})
	r := o.must(s.support)
	for tag, want := range map[lang.Tag]string{
		lang.EN: `Field: "redirect_uri". Sent: "https://evil.example/\x1b[31m\n". Registered: "https://ok.example/".`,
		lang.JA: `項目: "redirect_uri"。 送られた値: "https://evil.example/\x1b[31m\n"。 登録の値: "https://ok.example/"。`,
	} {
		lines := r.Speak(o.words.In(tag)).Timeline
		if last := lines[len(lines)-1].Text; !strings.Contains(last, want) {
			t.Errorf("%q", last)
		}
	}
}

func TestExplainSurvivesStrangeRecords(t *testing.T) {
	o := newOffice(t)
	s := o.begin("192.0.2.1")
	s.event("signin.decided", map[string]string{"case": "{", "verdict": "?"})
	s.event("oidc.request.refused", map[string]string{"code": "R3.redirect", "field": "redirect_uri"})
	s.event("something.new", map[string]string{"b": "2", "a": "1"})
	r := o.must(s.support)
	if r.Outcome != diagnosis.Denied || r.Cause != "R3.redirect" || len(r.Decisions) != 1 {
		t.Errorf("%+v", r)
	}
	en := r.Speak(o.words.In(lang.EN))
	if last := en.Timeline[len(en.Timeline)-1].Text; last != "Event: something.new. a=1 b=2" || !strings.Contains(en.Cause, "not set up correctly") {
		t.Errorf("%q %q", last, en.Cause)
	}
}

func TestExplainNothing(t *testing.T) {
	o := newOffice(t)
	if _, err := o.explain("hello"); !errors.Is(err, diagnosis.ErrMalformed) {
		t.Error(err)
	}
	if _, err := o.explain("2222-2222"); !errors.Is(err, diagnosis.ErrNone) {
		t.Error(err)
	}
}

func (o *office) Context() context.Context { return o.t.Context() }
func (o *office) Out() io.Writer           { return &o.out }
func (o *office) Records() (diagnosis.Records, error) {
	return diagnosis.Records{DB: o.db, Log: o.log, Book: o.book, Words: o.words, Tag: o.tag}, nil
}

func TestExplainCommand(t *testing.T) {
	o := newOffice(t)
	s := o.begin("10.9.1.2")
	s.kase.Known = true
	s.proved("password", password)
	s.decide("signin.decided", nil)
	for tag, want := range map[lang.Tag][]string{
		lang.EN: {"Support code " + s.support, "Service: payroll", "Address: 10.9.1.2", "Outcome: refused", "Cause (Z2)", "What to do", "What the person was told", "Where the gate saw the person", "What happened", "Mon, 6 April 2026, 09:30:02  The answer was right.", "The decision, taken again"},
		lang.JA: {"サポートコード " + s.support, "サービス: payroll", "結果: できなかった", "原因 (Z2)", "窓口ですること", "時系列", "2026年4月6日(月) 09:30:02  正しく確認できました。"},
	} {
		o.tag = tag
		o.out.Reset()
		if err := (&diagnosis.Command{Code: s.support}).Run(o); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(o.out.String(), w) {
				t.Errorf("%q is not in\n%s", w, o.out.String())
			}
		}
	}
	o.out.Reset()
	if err := (&diagnosis.Command{Code: s.support, JSON: true}).Run(o); err != nil {
		t.Fatal(err)
	}
	var out struct {
		Support, Outcome, Cause string
		Decisions               []struct{ Same bool }
		JA, EN                  diagnosis.Spoken
	}
	if err := json.Unmarshal(o.out.Bytes(), &out); err != nil || out.Cause != "Z2" || len(out.Decisions) != 2 || out.JA.Cause == out.EN.Cause || out.EN.Desk == "" {
		t.Errorf("%v %+v", err, out)
	}
	if strings.Count(o.out.String(), `"case"`) != 2 {
		t.Error("the case is told more than once for each decision")
	}
	for code, want := range map[string]string{"0000-0000": "This is not a support code", "3333-3333": "Nothing is recorded"} {
		o.tag = lang.EN
		if err := (&diagnosis.Command{Code: code}).Run(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// TestDeskSeesTheSameCause: for every code the desk's view names the cause that the person was told.
func TestDeskSeesTheSameCause(t *testing.T) {
	o := newOffice(t)
	for _, code := range diagnosis.Codes() {
		if slices.Contains([]string{"P1.caps", "P1.kana", "P1.wide", "cancelled"}, string(code)) {
			continue
		}
		s := o.begin("192.0.2.1")
		facts := allFacts()
		facts["code"], facts["factor"] = string(code), "totp"
		s.event("signin.failed", facts)
		r := o.must(s.support)
		for _, tag := range o.words.Tags() {
			told := diagnosis.Advise(o.words.In(tag), &authn.Fault{Code: code, Facts: facts}, diagnosis.Context{Proved: true, Operator: true, Now: o.clock.Now(), Facts: map[string]string{}})
			got := r.Speak(o.words.In(tag))
			if code.Family() != "Z3" && code.Family() != "Z4" && code.Family() != "Z1" && (got.Cause != told.Cause || got.Told != told.Next) || got.Desk == "" {
				t.Errorf("%s in %s: desk %q, person %q", code, tag, got.Cause, told.Cause)
			}
		}
	}
}

// The desk sees that the service's people know already.
func TestExplainSaysWhoWasWrittenTo(t *testing.T) {
	o := newOffice(t)
	s := o.begin("192.0.2.1")
	s.event("request.refused", map[string]string{"code": "R3.redirect", "field": "AssertionConsumerServiceURL", "sent": "https://evil.example/"})
	s.event("service.contact.told", map[string]string{"code": "R3.redirect", "field": "AssertionConsumerServiceURL", "to": "w***@example.org"})
	for tag, want := range map[lang.Tag]string{lang.EN: "written to, at w***@example.org", lang.JA: "w***@example.org）にメールで知らせました"} {
		r := o.must(s.support)
		lines := r.Speak(o.words.In(tag)).Timeline
		if last := lines[len(lines)-1].Text; !strings.Contains(last, want) || !strings.Contains(last, "AssertionConsumerServiceURL") {
			t.Errorf("%q", last)
		}
	}
}
