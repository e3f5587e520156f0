package portal_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

var digits = regexp.MustCompile(`\d{4} \d{4}`)

// mailed is the code in the newest message to an address.
func (h *house) mailed(to string) string {
	h.T.Helper()
	all := h.Mails(to, "")
	if len(all) == 0 {
		h.T.Fatalf("no mail to %s", to)
	}
	code := digits.FindString(all[len(all)-1].Text)
	if code == "" {
		h.T.Fatalf("no code in %q", all[len(all)-1].Text)
	}
	return code
}

func TestAnAddressCountsOnlyOnceItsCodeCameBack(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/mail/recovery").Submit("コードを送る", "address", "taro@mail.example").Want("メールのコードを入力してください", "taro@mail.example")
	if p := h.PersonOf(a); p.Recovery != "" {
		t.Fatal("an address nobody showed to read is in use:", p.Recovery)
	}
	code := h.mailed("taro@mail.example")
	wide := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r + '０' - '0'
		}
		return r
	}, code)
	b.Submit("アドレスを確認する", "code", wide).Want("アドレスを確認しました", "taro@mail.example", "確認済み")
	if p := h.PersonOf(a); p.Recovery != "taro@mail.example" || p.RecoveryVerified.IsZero() {
		t.Errorf("%+v", p)
	}
	m := h.told("s1234567@example.ac.jp", "パスワードを忘れたときのアドレスが変更されました")
	if !strings.Contains(m.Text, "t***@mail.example") || strings.Contains(m.Text, "taro@") {
		t.Error(m.Text)
	}
	h.told("taro@mail.example", "パスワードを忘れたときのアドレスが変更されました")
	if e := h.Events(a.ID, "address."); len(e) != 1 || e[0].Facts["after"] != "t***@mail.example" || e[0].Facts["before"] != "-" {
		t.Errorf("%+v", e)
	}
	h.Clock.Add(2 * time.Minute)
	b.Get("/portal/mail/recovery").Submit("コードを送る", "address", "hanako@mail.example")
	if p := h.PersonOf(a); p.Recovery != "taro@mail.example" || p.RecoveryVerified.IsZero() {
		t.Error("the address before was given up too early")
	}
	b.Submit("アドレスを確認する", "code", h.mailed("hanako@mail.example"))
	h.told("taro@mail.example", "パスワードを忘れたときのアドレスが変更されました")
	b.Get("/portal/mail/recovery").Submit("アドレスを削除する").Want("アドレスを削除しました")
	if p := h.PersonOf(a); p.Recovery != "" {
		t.Error("not removed")
	}
	if n := len(h.Events(a.ID, "address.")); n != 3 {
		t.Errorf("%d events", n)
	}
}

func TestACodeForAnAddressCannotBeGuessedOrReused(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	send := func() string {
		b.Get("/portal/mail/notify").Submit("コードを送る", "address", "taro@mail.example")
		return h.mailed("taro@mail.example")
	}
	code := send()
	b.Submit("アドレスを確認する", "code", "12").WantStatus(http.StatusUnprocessableEntity)
	wrong := "0000 0000"
	if code == wrong {
		wrong = "1111 1111"
	}
	for range 5 {
		b.Post("/portal/mail/notify", url.Values{"act": {"check"}, "code": {wrong}}).WantStatus(http.StatusUnprocessableEntity)
	}
	b.Post("/portal/mail/notify", url.Values{"act": {"check"}, "code": {code}}).WantStatus(http.StatusUnprocessableEntity)
	if h.PersonOf(a).Notify != "" {
		t.Fatal("the sixth try was taken")
	}
	h.Clock.Add(2 * time.Minute)
	late := send()
	h.Clock.Add(31 * time.Minute)
	b = h.signIn("s1234567", logintest.Campus)
	b.Post("/portal/mail/notify", url.Values{"act": {"check"}, "code": {late}}).WantStatus(http.StatusUnprocessableEntity)
	first := send()
	h.Clock.Add(2 * time.Minute)
	second := send()
	if first != second {
		b.Post("/portal/mail/notify", url.Values{"act": {"check"}, "code": {first}}).WantStatus(http.StatusUnprocessableEntity)
	}
	b.Post("/portal/mail/recovery", url.Values{"act": {"check"}, "code": {second}}).WantStatus(http.StatusUnprocessableEntity)
	b.Post("/portal/mail/notify", url.Values{"act": {"check"}, "code": {second}}).WantStatus(http.StatusOK)
	if h.PersonOf(a).Notify != "taro@mail.example" {
		t.Error("the newest code was not taken")
	}
	b.Post("/portal/mail/notify", url.Values{"act": {"check"}, "code": {second}}).WantStatus(http.StatusUnprocessableEntity)
}

func TestAddressesThatMailCannotOrMustNotGoTo(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	for _, bad := range []string{
		"taro", "taro@", "@example", "a@b.example\r\nBcc: x@evil.example", "a@b.example,x@evil.example", "<a@b.example>", "a b@c.example",
		"Taro <a@b.example>", "a@localhost", strings.Repeat("a", 300) + "@b.example",
	} {
		b.Post("/portal/mail/notify", url.Values{"act": {"send"}, "address": {bad}}).WantStatus(http.StatusUnprocessableEntity)
	}
	b.Post("/portal/mail/recovery", url.Values{"act": {"send"}, "address": {"s1234567@example.ac.jp"}}).
		WantStatus(http.StatusUnprocessableEntity).Want("example.ac.jp")
	for _, m := range h.Mails("", "") {
		if m.To != "s1234567@example.ac.jp" {
			t.Errorf("a mail went to %s", m.To)
		}
	}
	b.Get("/portal/mail/mail").WantStatus(http.StatusNotFound)
}

func TestNobodysMailboxIsFilledFromHere(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	for range 30 {
		b.Post("/portal/mail/notify", url.Values{"act": {"send"}, "address": {"victim@mail.example"}})
		b.Post("/portal/mail/notify", url.Values{"act": {"drop"}})
	}
	if n := len(h.Mails("victim@mail.example", "")); n != 1 {
		t.Errorf("%d mails within a minute", n)
	}
	for i := range 40 {
		h.Clock.Add(15 * time.Second)
		b.Post("/portal/mail/"+[]string{"notify", "recovery"}[i%2], url.Values{"act": {"send"}, "address": {"victim@mail.example"}})
	}
	if n := len(h.Mails("victim@mail.example", "")); n > 15 {
		t.Errorf("%d mails within ten minutes", n)
	}
}

func TestSessionsAreListedAndSignedOut(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	library := h.Enter()
	phone := h.At(logintest.Home)
	phone.Extra.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1")
	phone.Get("/portal")
	h.Prove(phone, "s1234567")
	phone.Get("/enter/library")
	if library.Last().Fault != nil {
		t.Fatal(library.Last().Fault)
	}
	third := h.signIn("s1234567", logintest.Eduroam)
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/sessions").Want("今お使いのもの", "iPhone の Safari", logintest.Home, "library（日本語）", "パスワード", "入ったサービス：1件")
	var phoneSession string
	for _, s := range h.SessionsOf(a.ID) {
		if s.Address == logintest.Home {
			phoneSession = s.ID
		}
	}
	b.Post("/portal/sessions/"+phoneSession+"/end", nil).Want("サインアウトさせました")
	if phone.Get("/portal"); !strings.Contains(phone.Location(), "/login/") {
		t.Error("the phone is still signed in")
	}
	if n := len(h.SessionsOf(a.ID)); n != 2 {
		t.Errorf("%d sessions", n)
	}
	b.Post("/portal/sessions/"+phoneSession+"/end", nil).Want("すでに終わっていました")
	b.Submit("ほかをすべてサインアウトさせる").Want("ほかをすべてサインアウトさせました").Refuse(logintest.Eduroam)
	if third.Get("/portal"); !strings.Contains(third.Location(), "/login/") {
		t.Error("the third browser is still signed in")
	}
	if e := h.Events(a.ID, "session."); len(e) != 2 {
		t.Errorf("%+v", e)
	}
	b.Get("/portal/sessions").Submit("ここでサインアウトする")
	if !strings.HasPrefix(b.Location(), logintest.Origin+"/signout") {
		t.Error(b.Location())
	}
}

func TestTrustedBrowsersAreListedNamedAndRemoved(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/sessions").Want("信頼したブラウザーはありません", "7日の間")
	h.trusting(a.ID)
	b.Get("/portal/sessions").Want("このブラウザー").Submit("名前を保存する", "label", "研究室のパソコン").Want("研究室のパソコン")
	h.Apply(rules + "\n# another version\n")
	b.Get("/portal/sessions").Want("今は無効", "大学の規則が変わったため")
	b.Submit("信頼をやめる").Want("ブラウザーの信頼をやめました", "信頼したブラウザーはありません")
	if len(h.trusts(a.ID)) != 0 || len(h.Events(a.ID, "browser.distrusted")) != 1 {
		t.Error("the trust did not end, or is not on record")
	}
}

func TestHistorySpeaksPlainlyAndOnlyOfThisAccount(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.Person("s7654321")
	other := h.At(logintest.Home).Get("/portal")
	other.Submit("次へ", "username", "s1234567").Submit("次へ", "password", "wrong").Submit("次へ", "password", "wrong")
	h.signIn("s7654321", logintest.Eduroam)
	h.Clock.Add(24 * time.Hour)
	library := h.Enter()
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/enter/library")
	_ = library
	b.Get("/portal/history").Want(
		"2026年4月7日(火)", "マイページにサインインしました", "方法：パスワード",
		"2026年4月6日(月)", "入力が受け付けられませんでした：パスワード", "2回", logintest.Home, "サポートコード",
	).Refuse(logintest.Eduroam, "library（日本語）")
	b.Get("/portal/history?all=1").Want("サインイン済みのため、確認なしでlibrary（日本語）に入りました")
	e := h.Events(a.ID, "signin.failed")
	b.Want(e[0].Support)
	b.Get("/portal/history?before=abc").WantStatus(http.StatusOK)
	b.Get("/portal/history?before=-1").WantStatus(http.StatusOK)
	b.Get("/portal/history?lang=en").Want("You signed in to", "An answer was not accepted: Password", "2 times")
}

func TestHistoryGoesOnPageByPageWithoutGapOrRepeat(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	for i := range 75 {
		h.Clock.Add(time.Second)
		b.Post("/portal/settings/notices", url.Values{"notices": {[]string{"every", "new"}[i%2]}})
	}
	seen, pages := 0, 0
	count := func(b *webtest.Browser) int {
		n := 0
		for _, ol := range b.Page().All("ol") {
			if ol.Class("timeline") {
				n += len(ol.All("li"))
			}
		}
		return n
	}
	b.Get("/portal/history")
	for {
		pages++
		n := count(b)
		if n == 0 || n > 30 {
			t.Fatalf("%d entries on page %d", n, pages)
		}
		seen += n
		if !strings.Contains(b.Text(), "前のもの") {
			break
		}
		b.Click("前のもの")
	}
	if seen != 76 || pages != 3 {
		t.Errorf("%d entries on %d pages", seen, pages)
	}
}

func TestNoticesCannotBeSilencedUnnoticed(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/settings").Submit("保存する", "notices", "every")
	h.told("s1234567@example.ac.jp", "サインインのたびにお知らせします")
	b.Submit("保存する", "notices", "new")
	h.told("s1234567@example.ac.jp", "初めてのブラウザーのときだけお知らせします")
	b.Post("/portal/settings/notices", url.Values{"notices": {"never"}})
	if p := h.PersonOf(a); p.Notices != "new" {
		t.Error(p.Notices)
	}
}

func TestTheLanguageIsKeptWithThePerson(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/settings").Submit("言語を保存する", "lang", "en").Want("The language was saved", "Settings")
	if p := h.PersonOf(a); p.Lang != lang.EN {
		t.Error(p.Lang)
	}
	other := h.signIn("s1234567", logintest.Campus)
	other.Get("/portal").Want("My page")
	b.Post("/portal/settings/language", url.Values{"lang": {"xx"}})
	if p := h.PersonOf(a); p.Lang != lang.EN {
		t.Error(p.Lang)
	}
}

func TestConsentIsListedAndWithdrawn(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	party := rp.Party{
		ID: "survey", Protocol: "test", Names: map[lang.Tag]string{lang.JA: "調査", lang.EN: "Survey"}, Consent: rp.ConsentAsk,
		Release: []rp.Release{{Attribute: "mail"}, {Attribute: "displayName", Required: true}},
	}
	h.Party(party)
	h.Write(func(tx *store.Tx) error {
		return h.Parties.Consent(tx, party, a.ID, []string{"mail"}, []rp.Item{{Attribute: "mail", Values: []string{"x"}}, {Attribute: "displayName", Values: []string{"y"}, Required: true}})
	})
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/consents").Want("調査", "名前、メールアドレス").Submit("取り消す").Want("同意を取り消しました", "まだ同意したものはありません")
	if e := h.Events(a.ID, "consent.withdrawn"); len(e) != 1 || e[0].Party != "survey" {
		t.Errorf("%+v", e)
	}
	b.Post("/portal/consents/withdraw", url.Values{"party": {"nothing"}})
	if n := len(h.Events(a.ID, "consent.withdrawn")); n != 1 {
		t.Error("a withdrawal of nothing is on record")
	}
}

func TestHowTheGateSeesMe(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Home)
	b.Extra.Set("X-Forwarded-For", logintest.Campus)
	b.Get("/portal/zone").Want("学外として扱われています", logintest.Home, "IPv4", "X-Forwarded-For", "誰でも書けるものなので、使っていません",
		"どの範囲にもありません", "library（日本語）", "そのまま入れます", "今の設定では、ここからは入れません", "everything off campus")
	b.Extra.Del("X-Forwarded-For")
	b.Address = logintest.Eduroam + ":1"
	b.Get("/portal/zone").Want("eduroamです", "192.0.2.0/24", "大学のWi-Fiに切り替えるか")
	b.Address = logintest.Campus + ":1"
	b.Get("/portal/zone").Want("学内として扱われています", "10.0.0.0/8", "main-lan").Refuse("学内から：")
	b.Address = "[" + logintest.Foreign6 + "]:1"
	b.Get("/portal/zone").Want("IPv6")
	h.App(a.ID)
	b.Get("/portal/zone").Want("次の確認があります：ワンタイムパスワードアプリ")
}

func TestTheConnectionTestTellsWhatReallyHappens(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.Party(rp.Party{
		ID: "journal", Protocol: "test", Names: map[lang.Tag]string{lang.JA: "電子ジャーナル"}, HomeURL: "https://journal.example.ac.jp/", Consent: rp.ConsentNone,
		Pairwise: true, Release: []rp.Release{{Attribute: "mail", Required: true}, {Attribute: "employeeNumber", Required: true}},
	})
	front := h.Enter()
	h.App(a.ID)
	b := h.signIn("s1234567", logintest.Home)
	b.Get("/portal/test").Submit("表示する", "service", "journal").Want(
		"電子ジャーナル", "次の確認があります：ワンタイムパスワードアプリ", "照らし合わせることはできません", "s1234567@example.ac.jp", "送ります",
		"サービスに必要な次の情報が、登録されていません：", "一種類の確認をしました", "pwd",
	)
	var subject string
	h.Read(func(tx *store.Tx) error {
		p, err := h.Parties.Get(tx, "journal")
		subject = h.Parties.SubjectFor(p, a.ID)
		return err
	})
	b.Want(subject)
	for _, c := range []struct{ address, service string }{
		{logintest.Home, "library"}, {logintest.Home, "webmail"}, {logintest.Home, "payroll"}, {logintest.Home, "notices"},
		{logintest.Campus, "webmail"}, {logintest.Campus, "payroll"}, {logintest.Eduroam, "webmail"},
	} {
		v := h.signIn("s1234567", c.address)
		v.Get("/portal/test?service=" + c.service)
		straight := strings.Contains(v.Text(), "そのまま入れます")
		before := len(front.Outcomes())
		v.Get("/enter/" + c.service)
		if entered := len(front.Outcomes()) > before; entered != straight {
			t.Errorf("%s from %s: the test says %v, the hall %v", c.service, c.address, straight, entered)
		}
	}
	b.Get("/portal/test?service=" + policy.Portal).Refuse("識別番号")
	b.Get("/portal/test?service=nothing").WantStatus(http.StatusOK)
}

func TestTheFirstPageKnowsWhatNeedsAttention(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.Write(func(tx *store.Tx) error {
		acc, p, err := h.People.ByID(tx, a.ID)
		if err != nil {
			return err
		}
		acc.ValidUntil = tx.Now.Add(20 * 24 * time.Hour)
		return h.People.Update(tx, acc, p)
	})
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal").Want("アカウントの有効期限は2026年4月26日(日)です", "パスワードを忘れたときのアドレスが、登録されていません", "山田 太郎", "学生")
	b.Get("/portal/password").Submit("", "new", "mizuumi-to-yama-no-asa-7", "repeat", "mizuumi-to-yama-no-asa-7")
	b.Get("/portal").Refuse("サインインの方法が1回変わりました")
	other := h.At(logintest.Campus).Get("/portal").Submit("次へ", "username", "s1234567")
	other.Submit("次へ", "password", "mizuumi-to-yama-no-asa-7").Want("サインインの方法が1回変わりました")
	h.Clock.Add(8 * 24 * time.Hour)
	late := h.At(logintest.Campus).Get("/portal").Submit("次へ", "username", "s1234567")
	late.Submit("次へ", "password", "mizuumi-to-yama-no-asa-7").Refuse("回変わりました")
}

func TestASuspendedAccountLosesItsPagesAtOnce(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	h.Write(func(tx *store.Tx) error { return h.People.SetState(tx, a.ID, "suspended", "lost card", "desk") })
	b.Post("/portal/settings/notices", url.Values{"notices": {"every"}})
	if p := h.PersonOf(a); p.Notices != "new" {
		t.Error("a suspended account changed something")
	}
	if b.Get("/portal/sessions"); !strings.Contains(b.Location(), "/login/") {
		t.Error(b.Location())
	}
}

func TestSweepRemovesWhatIsOver(t *testing.T) {
	h := open(t)
	b, _ := h.removing("s1234567")
	b.Submit("削除する", "why", "unused", "understood", "1")
	b.Get("/portal/add/totp")
	b.Get("/portal/mail/notify").Submit("コードを送る", "address", "taro@mail.example")
	count := func() (n int64) {
		h.Read(func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT (SELECT COUNT(*) FROM portal_errand) + (SELECT COUNT(*) FROM portal_address) + (SELECT COUNT(*) FROM portal_removal)`).Scan(&n)
		})
		return n
	}
	h.Write(h.portal.Sweep)
	if n := count(); n != 3 {
		t.Errorf("%d rows before their time", n)
	}
	h.Clock.Add(8 * 24 * time.Hour)
	h.Write(h.portal.Sweep)
	if n := count(); n != 0 {
		t.Errorf("%d rows remain", n)
	}
}
