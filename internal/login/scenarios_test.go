package login_test

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/factor/password"
	"seimon/internal/factor/totp"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/mail"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

// tour is one drive into a failure, in one language.
type tour struct {
	*gate
	*webtest.Browser
	tag     lang.Tag
	account directory.Account
}

const student = "s1234567"

// next presses the primary button of a step.
func (v *tour) next(fields ...string) {
	v.Submit(map[lang.Tag]string{lang.JA: "次へ", lang.EN: "Continue"}[v.tag], fields...)
}

func (v *tour) signIn(party, user, password string) {
	v.Get("/enter/" + party)
	v.next("username", user)
	v.next("password", password)
}

// from moves the browser to another network.
func (v *tour) from(address string) *tour {
	v.Address = address + ":40000"
	if strings.Contains(address, ":") {
		v.Address = "[" + address + "]:40000"
	}
	return v
}

func (v *tour) state(s directory.State) {
	v.Write(func(tx *store.Tx) error { return v.People.SetState(tx, v.account.ID, s, "学籍の異動", "desk") })
}

func (v *tour) update(change func(a *directory.Account, p *directory.Person)) {
	v.Write(func(tx *store.Tx) error {
		a, p, err := v.People.ByID(tx, v.account.ID)
		if err != nil {
			return err
		}
		change(&a, &p)
		return v.People.Update(tx, a, p)
	})
}

// awaitMail signs in where a code by mail will do, lets the mail server answer, and
// asks for another mail because none came.
func (v *tour) awaitMail(answer error) {
	v.Write(func(tx *store.Tx) error {
		_, err := v.Bindings.Add(tx, factor.Binding{
			Account: v.account.ID, Kind: "mailcode", Identifier: "taro@home.example.net", State: factor.Active,
			Payload: []byte(`{"v":1,"address":"taro@home.example.net"}`),
		})
		return err
	})
	v.signIn("notices", student, logintest.Password)
	v.Outbox.Break(answer)
	if err := v.Mail.Deliver(v.T.Context()); err != nil {
		v.T.Fatal(err)
	}
	v.Post(v.URL.Path, url.Values{"pass": {v.Field("pass")}, "kind": {"mailcode"}, "again": {"1"}})
}

// scenario is a row of the catalogue of failures: how it comes about, and the
// cause and next step that the page names in each language.
type scenario struct {
	id     string
	code   authn.Code // what the desk sees; empty where nothing is on record
	drive  func(v *tour)
	ja, en []string
}

const zones = `
[[zone]]
name = "guest"
kind = "guest"
ranges = ["192.0.3.0/24"]

[[zone]]
name = "private-relay"
kind = "relay"
ja = "iCloudプライベートリレー"
en = "iCloud Private Relay"
ranges = ["198.51.100.0/24"]

[group.staff]
ja = "職員"
en = "Staff"

[service.payroll]
groups = ["staff"]
`

func scenarios() []scenario {
	return []scenario{
		{"P1", "P1", func(v *tour) { v.signIn("library", student, "wrong") },
			[]string{"ユーザー名かパスワードがちがいます。", "パスワードを忘れた"}, []string{"The user name or the password is not right."}},
		{"P2", "P1", func(v *tour) { v.signIn("library", "taro@example.ac.jp", "wrong") },
			[]string{"ユーザー名かパスワードがちがいます。", "メールアドレス"}, []string{"The user name or the password is not right.", "mail address"}},
		{"P3", "P3", func(v *tour) {
			v.change(logintest.Password, "atarashii-michi-77-hikari")
			v.signIn("library", student, logintest.Password)
		}, []string{"これは前のパスワードです。", "2026年4月6日"}, []string{"This is your old password.", "6 April 2026"}},
		{"P4", "", func(v *tour) { v.signIn("library", student, wide(logintest.Password)) },
			nil, nil},
		{"P5", "P5", func(v *tour) {
			v.Get("/enter/library")
			v.next("username", student)
			for range 12 {
				v.next("password", "wrong")
			}
		}, []string{"試すことができません", "まで"}, []string{"too many wrong tries", "until"}},
		{"P6", "P6", func(v *tour) {
			v.state(directory.Pending)
			v.signIn("library", student, logintest.Password)
		}, []string{"使い始めの手続き"}, []string{"has not been activated yet"}},
		{"P7 suspended", "P7.suspended", func(v *tour) {
			v.state(directory.Suspended)
			v.signIn("library", student, logintest.Password)
		}, []string{"停止しています", "2026年4月6日"}, []string{"suspended since", "6 April 2026"}},
		{"P7 expired", "P7.expired", func(v *tour) {
			v.update(func(a *directory.Account, _ *directory.Person) { a.ValidUntil = v.Clock.Now().Add(-48 * time.Hour) })
			v.signIn("library", student, logintest.Password)
		}, []string{"終わりました", "2026年4月4日"}, []string{"Your account ended on", "4 April 2026"}},
		{"P7 early", "P7.early", func(v *tour) {
			v.update(func(a *directory.Account, _ *directory.Person) { a.ValidFrom = v.Clock.Now().Add(72 * time.Hour) })
			v.signIn("library", student, logintest.Password)
		}, []string{"2026年4月9日", "から使えます"}, []string{"can be used from", "9 April 2026"}},
		{"P8", "", func(v *tour) {
			v.reset("kx9-vurod-7")
			v.signIn("library", student, "kx9-vurod-7")
		}, []string{"短すぎます"}, []string{"too short for this use"}},
		{"P8 known", "", func(v *tour) {
			v.reset("sakurasakurasakura")
			v.signIn("library", student, "sakurasakurasakura")
		}, []string{"知られているパスワード"}, []string{"passwords that other people know"}},
		{"Z1", "Z1", func(v *tour) { v.from(logintest.Home).signIn("webmail", student, logintest.Password) },
			[]string{"学外にいるように見えます", logintest.Home, "登録してください"}, []string{"You are off campus as we see it", logintest.Home, "Register"}},
		{"Z2", "Z2", func(v *tour) { v.from(logintest.Eduroam).signIn("webmail", student, logintest.Password) },
			[]string{"eduroam（エデュローム）につながっています"}, []string{"You are connected to eduroam."}},
		{"Z2 guest", "Z2.guest", func(v *tour) { v.from("192.0.3.4").signIn("webmail", student, logintest.Password) },
			[]string{"ゲスト用のネットワーク"}, []string{"guest network"}},
		{"Z3", "Z3", func(v *tour) { v.from("198.51.100.7").signIn("webmail", student, logintest.Password) },
			[]string{"場所をかくしています", "iCloudプライベートリレー"}, []string{"Your browser hides where you are", "iCloud Private Relay"}},
		{"T1", "T1", func(v *tour) {
			v.App(v.account.ID)
			v.from(logintest.Home).signIn("webmail", student, logintest.Password)
			v.next("code", wrong(v.Code(v.account.ID, 0)))
		}, []string{"コードがちがいます", "電話"}, []string{"This code is not right", "more tries"}},
		{"T2 slow", "T2", func(v *tour) {
			v.App(v.account.ID)
			v.from(logintest.Home).signIn("webmail", student, logintest.Password)
			v.next("code", v.Code(v.account.ID, -5*time.Minute))
		}, []string{"遅れています", "自動設定"}, []string{"slow", "automatic"}},
		{"T2 fast", "T2", func(v *tour) {
			v.App(v.account.ID)
			v.from(logintest.Home).signIn("webmail", student, logintest.Password)
			v.next("code", v.Code(v.account.ID, 5*time.Minute))
		}, []string{"進んでいます", "自動設定"}, []string{"fast", "automatic"}},
		{"T3", "T3", func(v *tour) {
			v.App(v.account.ID)
			code := v.Code(v.account.ID, 0)
			v.from(logintest.Home).signIn("webmail", student, logintest.Password)
			v.next("code", code)
			v.Get("/enter/webmail?force=1")
			v.next("password", logintest.Password)
			v.next("code", code)
		}, []string{"もう使われました", "あと30秒"}, []string{"already used", "30 seconds"}},
		{"T4", "T4", func(v *tour) {
			old := v.replaceApp()
			v.from(logintest.Home).signIn("webmail", student, logintest.Password)
			v.next("code", old)
		}, []string{"古い登録のコード"}, []string{"old registration"}},
		{"T5", "Z1", func(v *tour) {
			v.from(logintest.Campus).signIn("library", student, logintest.Password)
			v.begin()
			v.from(logintest.Home).Get("/enter/webmail")
		}, []string{"登録が終わっていません", "2026年4月6日"}, []string{"was not finished", "6 April 2026"}},
		{"T6", "", func(v *tour) {
			v.App(v.account.ID)
			v.from(logintest.Home).signIn("webmail", student, logintest.Password)
			code := v.Code(v.account.ID, 0)
			v.next("code", wide(code[:3])+" "+wide(code[3:]))
		}, nil, nil},
		{"B1 expired", "", func(v *tour) {
			v.Get("/enter/library")
			v.Clock.Add(time.Hour)
			v.next("username", student)
		}, []string{"長い間開いたまま", "もう一度始める"}, []string{"long", "Start again"}},
		{"B1 cookies", "", func(v *tour) {
			page := v.Get("/enter/library").Location()
			v.ForgetCookies()
			v.Get(page)
		}, []string{"Cookie"}, []string{"cookies"}},
		{"M1 handed", "M1", func(v *tour) { v.awaitMail(nil) },
			[]string{"t***@home.example.net", "相手のメールサーバーが受け取りました", "迷惑メール"}, []string{"t***@home.example.net", "mail server took it", "spam folder"}},
		{"M1 queued", "M1", func(v *tour) { v.awaitMail(errors.New("no route to host")) },
			[]string{"t***@home.example.net", "まだ答えがありません", "別の方法"}, []string{"t***@home.example.net", "has not answered yet", "another second step"}},
		{"M1 refused", "M1.refused", func(v *tour) { v.awaitMail(&mail.Refusal{Code: 550, Final: true, Reply: "no such user"}) },
			[]string{"t***@home.example.net", "550 no such user"}, []string{"t***@home.example.net", "550 no such user"}},
		{"R1", "R1", func(v *tour) {
			v.Apply(logintest.Policy + "\n[[rule]]\nname = \"vault\"\nservice = \"vault\"\nphishing_resistant = true\n")
			v.Party(rp.Party{ID: "vault", Protocol: "test", Names: map[lang.Tag]string{lang.JA: "金庫"}, Consent: rp.ConsentNone})
			v.from(logintest.Campus).signIn("vault", student, logintest.Password)
		}, []string{"金庫"}, []string{"金庫"}},
		{"R2", "R2", func(v *tour) { v.from(logintest.Campus).signIn("payroll", student, logintest.Password) },
			[]string{"職員"}, []string{"Staff"}},
		{"R3", "", func(v *tour) { v.Get("/enter/no-such-service") },
			[]string{"サービス"}, []string{"service"}},
	}
}

func TestFailuresExplainThemselves(t *testing.T) {
	for _, s := range scenarios() {
		for _, tag := range []lang.Tag{lang.JA, lang.EN} {
			t.Run(s.id+" "+string(tag), func(t *testing.T) { explains(t, s, tag) })
		}
	}
}

// explains drives into one failure and looks at what the page and the desk say.
func explains(t *testing.T, s scenario, tag lang.Tag) {
	g := open(t)
	g.Apply(logintest.Policy + zones)
	v := &tour{gate: g, Browser: g.browser(logintest.Campus), tag: tag, account: g.Person(student)}
	v.Accept = string(tag)
	s.drive(v)
	want := map[lang.Tag][]string{lang.JA: s.ja, lang.EN: s.en}[tag]
	if want == nil {
		if !v.Left() {
			t.Fatalf("it should have been accepted: %s", v.Text())
		}
		return
	}
	if v.Left() {
		t.Fatalf("it should have failed, but the browser is at %s", v.Location())
	}
	v.Want(want...)
	v.desk(s.code)
}

var supportCode = regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}\b`)

// desk opens the support code on the page and compares the cause that the desk sees.
func (v *tour) desk(code authn.Code) {
	v.T.Helper()
	shown := supportCode.FindString(v.Text())
	if code == "" {
		return
	}
	if shown == "" {
		v.T.Fatal("the page shows no support code")
	}
	var r diagnosis.Report
	err := v.DB.Read(v.T.Context(), func(tx *store.Tx) (err error) {
		r, err = diagnosis.Explain(tx, v.Audit, v.Policy, strings.ToLower(shown))
		return err
	})
	if err != nil {
		v.T.Fatal(err)
	}
	if r.Cause != code {
		v.T.Errorf("the desk sees %s instead of %s", r.Cause, code)
	}
	for _, d := range r.Decisions {
		if !d.Same {
			v.T.Errorf("a replayed decision differs: %+v", d)
		}
	}
}

// wide is a text in full-width characters.
func wide(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r + 0xfee0
		}
		return r
	}, s)
}

// wrong is a code with another first digit.
func wrong(code string) string { return string('0'+(code[0]-'0'+5)%10) + code[1:] }

// change lets the account's password be changed as its owner would.
func (v *tour) change(_, to string) {
	v.T.Helper()
	f := v.Factors.Of(password.Kind).(*password.Factor)
	done, err := f.Finish(v.T.Context(), v.attempt(password.Kind), factor.Answer{Form: map[string][]string{"new": {to}, "repeat": {to}}})
	if err != nil {
		v.T.Fatal(err)
	}
	v.Write(done.Commit)
}

// reset gives the account a password without judging it, as an import does.
func (v *tour) reset(to string) {
	v.T.Helper()
	b, err := v.Factors.Of(password.Kind).(*password.Factor).Prepare(v.T.Context(), v.account.ID, to, v.Clock.Now())
	if err != nil {
		v.T.Fatal(err)
	}
	v.Write(func(tx *store.Tx) error {
		all, err := v.Bindings.Of(tx, v.account.ID)
		if err != nil {
			return err
		}
		for _, old := range all {
			if err := v.Bindings.Remove(tx, old.ID); err != nil {
				return err
			}
		}
		_, err = v.Bindings.Add(tx, b)
		return err
	})
}

func (v *tour) attempt(kind authn.Kind) factor.Attempt {
	v.T.Helper()
	a := factor.Attempt{Subject: v.account.Subject(), Transaction: "t_test", Lang: v.tag, Now: v.Clock.Now(), Memory: map[string]string{}}
	err := v.DB.Read(v.T.Context(), func(tx *store.Tx) error {
		all, err := v.Bindings.Of(tx, v.account.ID)
		for _, b := range all {
			if b.Kind == kind {
				a.Bindings = append(a.Bindings, b)
			}
		}
		return err
	})
	if err != nil {
		v.T.Fatal(err)
	}
	return a
}

// begin opens the set-up of an app and leaves it there.
func (v *tour) begin() {
	v.T.Helper()
	if _, err := v.Factors.Of(totp.Kind).(factor.Enroller).Begin(v.T.Context(), v.attempt(totp.Kind)); err != nil {
		v.T.Fatal(err)
	}
}

// replaceApp registers an app, replaces it by another and returns a code of the first.
func (v *tour) replaceApp() string {
	v.T.Helper()
	v.App(v.account.ID)
	v.from(logintest.Home).signIn("webmail", student, logintest.Password)
	v.next("code", v.Code(v.account.ID, 0))
	v.ForgetCookies()
	v.Clock.Add(time.Minute)
	code := v.Code(v.account.ID, 0)
	first := v.attempt(totp.Kind).Bindings[0]
	b, err := totp.Import(totp.Config{}, v.account.ID, "新しい電話", "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU", v.Clock.Now())
	if err != nil {
		v.T.Fatal(err)
	}
	v.Write(func(tx *store.Tx) error {
		if err := v.Bindings.Remove(tx, first.ID); err != nil {
			return err
		}
		_, err := v.Bindings.Add(tx, b)
		return err
	})
	return code
}
