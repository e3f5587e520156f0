package welcome_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/login/logintest"
	"seimon/internal/session"
	"seimon/internal/store"
)

func TestAForgottenPasswordIsReplaced(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.App(a.ID)
	h.recovery(a, "taro@mail.example")
	old := h.browser().Get("/portal").Submit("次へ", "username", "s1234567").Submit("次へ", "password", logintest.Password)
	h.Write(func(tx *store.Tx) error {
		s := h.SessionsOf(a.ID)[0]
		return h.Sessions.Trust(tx, session.Trust{Browser: s.Browser, Account: a.ID, Until: tx.Now.Add(time.Hour), At: tx.Now})
	})
	link := h.ask("ｓ１２３４５６７", "taro@mail.example")
	if !strings.HasPrefix(link, logintest.Origin+"/reset/") {
		t.Fatalf("no link: %q", link)
	}
	b := h.browser()
	for range 2 { // mail programs look at links, too
		b.Get(link).WantStatus(http.StatusOK).Want("s1234567 の新しいパスワード")
	}
	b.Submit("", "new", "short", "repeat", "short").WantStatus(http.StatusUnprocessableEntity)
	b.Submit("", "new", fresh, "repeat", fresh).Want("新しいパスワードを設定しました", "二段階目の確認は、前と同じです")
	if len(h.SessionsOf(a.ID)) != 0 {
		t.Error("sessions survive")
	}
	var trusts []session.Trust
	h.Read(func(tx *store.Tx) (err error) { trusts, err = h.Sessions.Trusts(tx, a.ID); return err })
	if len(trusts) != 0 {
		t.Error("trusted browsers survive")
	}
	if b.Cookie("__Host-session") != "" {
		t.Error("the link signed somebody in")
	}
	if old.Get("/portal"); !strings.Contains(old.Location(), "/login/") {
		t.Error("the old session goes on")
	}
	if kinds := h.Kinds(a.ID); len(kinds) != 2 {
		t.Errorf("the second step was touched: %v", kinds)
	}
	if h.enters("s1234567", logintest.Password) || !h.enters("s1234567", fresh) {
		t.Error("the old password works, or the new one does not")
	}
	b.Submit("サインインする")
	if !strings.Contains(b.Location(), "/login/") || b.Field("username") != "s1234567" {
		t.Error("the way on to the sign-in:", b.Location(), b.Text())
	}
	h.Must(h.Mail.Deliver(t.Context()))
	for _, to := range []string{"taro@mail.example", "s1234567@example.ac.jp"} {
		found := false
		for _, m := range h.to(to) {
			found = found || m.Subject == "パスワードが変更されました"
		}
		if !found {
			t.Errorf("%s was not told", to)
		}
	}
	asked, done := h.Events("", "reset.asked"), h.Events("", "password.reset")
	if len(asked) != 1 || len(done) != 1 || asked[0].Support != done[0].Support || done[0].Account != a.ID {
		t.Errorf("%+v %+v", asked, done)
	}
}

func TestALinkWorksOnceForAnHourAndTheNewestOnly(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.recovery(a, "taro@mail.example")
	first := h.ask("s1234567", "taro@mail.example")
	h.Clock.Add(time.Minute)
	second := h.ask("s1234567", "taro@mail.example")
	if first == second {
		t.Fatal("the same link twice")
	}
	h.browser().Get(first).WantStatus(http.StatusGone).Want("このリンクはもう使えません")
	b := h.browser().Get(second)
	form := url.Values{"new": {fresh}, "repeat": {fresh}}
	b.Post(second, form).WantStatus(http.StatusOK)
	b.Post(second, url.Values{"new": {fresh + "x"}, "repeat": {fresh + "x"}}).WantStatus(http.StatusGone)
	if !h.enters("s1234567", fresh) {
		t.Error("the second use changed the password again")
	}
	h.Clock.Add(time.Minute)
	third := h.ask("s1234567", "taro@mail.example")
	h.Clock.Add(61 * time.Minute)
	h.browser().Get(third).WantStatus(http.StatusGone)
	h.browser().Post(third, form).WantStatus(http.StatusGone)
	h.browser().Get("/reset/nothing").WantStatus(http.StatusGone)
	h.browser().Get("/reset/" + strings.Repeat("A", 43)).WantStatus(http.StatusGone)
}

func TestALinkDiesWithTheAddressOrTheAccount(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.recovery(a, "taro@mail.example")
	link := h.ask("s1234567", "taro@mail.example")
	form := url.Values{"new": {fresh}, "repeat": {fresh}}
	h.Write(func(tx *store.Tx) error { return h.People.SetState(tx, a.ID, directory.Suspended, "lost card", "desk") })
	h.browser().Get(link).WantStatus(http.StatusForbidden).Want("止")
	h.browser().Post(link, form).WantStatus(http.StatusForbidden)
	h.Write(func(tx *store.Tx) error { return h.People.SetState(tx, a.ID, directory.Active, "found", "desk") })
	h.recovery(a, "other@mail.example")
	h.browser().Get(link).WantStatus(http.StatusGone)
	h.browser().Post(link, form).WantStatus(http.StatusGone)
	if !h.enters("s1234567", logintest.Password) {
		t.Error("the password was changed all the same")
	}
}

func TestAskingTellsNothingAboutAccounts(t *testing.T) {
	h := open(t)
	full := h.Person("s1234567")
	h.recovery(full, "taro@mail.example")
	h.Person("s2222222")
	closed := h.Person("s3333333")
	h.recovery(closed, "closed@mail.example")
	h.Write(func(tx *store.Tx) error { return h.People.SetState(tx, closed.ID, directory.Suspended, "x", "desk") })
	var page string
	support := regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}`)
	for _, user := range []string{"s1234567", "s2222222", "s3333333", "s9999999", "nobody"} {
		b := h.browser().Get("/reset").Submit("リンクを送る", "username", user).WantStatus(http.StatusOK)
		text := support.ReplaceAllString(b.Text(), "CODE")
		if page == "" {
			page = text
		}
		if text != page {
			t.Errorf("%s is answered otherwise:\n%s\n%s", user, text, page)
		}
	}
	var tasks, accounts int64
	h.Read(func(tx *store.Tx) error {
		if err := tx.QueryRow("SELECT COUNT(*) FROM jobs_task").Scan(&tasks); err != nil {
			return err
		}
		return tx.QueryRow("SELECT COUNT(*) FROM welcome_reset").Scan(&accounts)
	})
	if tasks != 5 || accounts != 0 {
		t.Errorf("the request itself did different work: %d tasks, %d links", tasks, accounts)
	}
	var payload []byte
	h.Read(func(tx *store.Tx) error { return tx.QueryRow("SELECT payload FROM jobs_task LIMIT 1").Scan(&payload) })
	if strings.Contains(string(payload), "s1234567") {
		t.Error("what was typed waits in the open")
	}
	h.work()
	if n := len(h.to("taro@mail.example")); n != 1 {
		t.Errorf("%d mails to the one with an address", n)
	}
	if all := h.to("closed@mail.example"); len(all) != 1 || links.MatchString(all[0].Text) || all[0].Subject != "アカウントは、今は使えません" {
		t.Errorf("%+v", all)
	}
	if n := len(h.to("")); n != 2 {
		t.Errorf("%d mails", n)
	}
	why := map[string]int{}
	for _, e := range h.Events("", "reset.asked") {
		why[e.Facts["why"]]++
	}
	if why["unknown"] != 2 || why["no address"] != 1 || why[""] != 2 {
		t.Errorf("the desk cannot see why: %v", why)
	}
}

func TestAskingTooOftenIsBoundedAlikeForAll(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.recovery(a, "taro@mail.example")
	for _, user := range []string{"s1234567", "s9999999"} {
		b := h.browser()
		for i := range 7 {
			b.Post("/reset", url.Values{"username": {user}})
			want := http.StatusOK
			if i >= 5 {
				want = http.StatusUnprocessableEntity
			}
			if b.Status != want {
				t.Errorf("%s, time %d: %d", user, i+1, b.Status)
			}
		}
	}
	h.work()
	if n := len(h.to("taro@mail.example")); n != 1 {
		t.Errorf("%d mails for one burst", n)
	}
}

func TestHintsComeFromTheTextAlone(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.browser().Get("/reset").Submit("リンクを送る", "username", "s1234567@example.ac.jp").WantStatus(http.StatusUnprocessableEntity).
		Want("ユーザー名はメールアドレスではありません")
	b.Submit("リンクを送る").Want("メールを見てください")
	b.Post("/reset", url.Values{"username": {""}}).Want("ユーザー名を入力してください")
	b.Post("/reset", url.Values{"username": {strings.Repeat("x", 400)}}).Want("ユーザー名を入力してください")
}

func TestAPendingAccountIsToldToActivate(t *testing.T) {
	h := open(t)
	a := h.pending("s4444444")
	h.recovery(a, "taro@mail.example")
	if link := h.ask("s4444444", "taro@mail.example"); link != "" {
		t.Error("a link for an account that was never activated")
	}
	if all := h.to("taro@mail.example"); len(all) != 1 || !strings.Contains(all[0].Text, logintest.Origin+"/activate") {
		t.Errorf("%+v", all)
	}
}

func TestALetterActivatesAnAccount(t *testing.T) {
	h := open(t)
	a := h.pending("s4444444")
	code := h.letter(a)
	b := h.browser().Get("/activate").Submit("次へ", "code", strings.ToLower(strings.ReplaceAll(code, "-", " "))).Want("s4444444", "パスワードを決めてください")
	if h.account(a.ID).State != directory.Pending {
		t.Fatal("active before a password was set")
	}
	b.Submit("", "new", "a", "repeat", "a").WantStatus(http.StatusUnprocessableEntity)
	if h.account(a.ID).State != directory.Pending {
		t.Fatal("active although the password was refused")
	}
	form := url.Values{"letter": {b.Field("letter")}, "new": {fresh}, "repeat": {fresh}}
	b.Submit("", "new", fresh, "repeat", fresh).Want("アカウントが使えるようになりました")
	b.Post("/activate", form).WantStatus(http.StatusUnprocessableEntity)
	b.Get("/activate").Submit("次へ", "code", code).WantStatus(http.StatusUnprocessableEntity).Want("このコードは09:30にもう使われました")
	if !h.enters("s4444444", fresh) {
		t.Error("the new password does not open the account")
	}
	if e := h.Events("", "account.activated"); len(e) != 1 || e[0].Account != a.ID {
		t.Errorf("%+v", e)
	}
	h.Must(h.Mail.Deliver(t.Context()))
	told := false
	for _, m := range h.to("s4444444@example.ac.jp") {
		told = told || m.Subject == "アカウントが使えるようになりました"
	}
	if !told {
		t.Error("the owner was not told")
	}
}

func TestAWrongLetterTellsNothing(t *testing.T) {
	h := open(t)
	a := h.pending("s4444444")
	code := h.letter(a)
	newer := h.letter(a)
	var page string
	for _, wrong := range []string{code, "ABCD-EFGH-JKLM-NPQR", "s4444444", "' OR 1=1 --"} {
		b := h.browser().Get("/activate").Submit("次へ", "code", wrong).WantStatus(http.StatusUnprocessableEntity).Refuse("佐藤")
		if strings.Contains(b.Text(), "s4444444") {
			t.Error("the page names the account")
		}
		if page == "" {
			page = b.Text()
		}
		if b.Text() != page {
			t.Errorf("%q is answered otherwise:\n%s\n%s", wrong, b.Text(), page)
		}
	}
	h.Write(func(tx *store.Tx) error { return h.People.SetState(tx, a.ID, directory.Suspended, "x", "desk") })
	h.browser().Get("/activate").Submit("次へ", "code", newer).WantStatus(http.StatusUnprocessableEntity)
	if h.account(a.ID).State != directory.Suspended {
		t.Error("a letter opened a suspended account")
	}
	h.browser().Post("/activate", url.Values{"letter": {"AAAA"}, "new": {fresh}, "repeat": {fresh}}).WantStatus(http.StatusUnprocessableEntity)
}

func TestTheLettersPageWaitsHalfAnHour(t *testing.T) {
	h := open(t)
	a := h.pending("s4444444")
	b := h.browser().Get("/activate").Submit("次へ", "code", h.letter(a))
	h.Clock.Add(31 * time.Minute)
	b.Submit("", "new", fresh, "repeat", fresh).WantStatus(http.StatusUnprocessableEntity)
	if h.account(a.ID).State != directory.Pending {
		t.Error("activated too late")
	}
}

func TestEveryHelpPageOpensInBothLanguages(t *testing.T) {
	h := open(t)
	b := h.browser().Get("/help").Want("何についてですか")
	var topics []string
	for _, a := range b.Page().All("a") {
		if to := a.Attr["href"]; strings.HasPrefix(to, "/help/") && !strings.Contains(to, "?") {
			topics = append(topics, to)
		}
	}
	for _, name := range diagnosis.Topics() { // what the links of causes lead to
		if !slices.Contains(topics, "/help/"+name) {
			t.Errorf("/help/%s is on no shelf", name)
		}
	}
	for _, to := range append(topics, "/", "/activate", "/reset", "/help") {
		for _, tag := range []string{"ja", "en"} {
			b.Get(to + "?lang=" + tag).WantStatus(http.StatusOK)
			if n := len(b.Page().All("h1")); n != 1 || len(b.Text()) < 100 {
				t.Errorf("%s: %d h1, %d bytes of text", b.Location(), n, len(b.Text()))
			}
		}
	}
	b.Get("/help/nothing").WantStatus(http.StatusNotFound).Want("There is no such help page")
	b.Get("/help/..%2f..%2fetc").WantStatus(http.StatusNotFound)
}

func TestTheGateShowsAnybodyHowItSeesThem(t *testing.T) {
	h := open(t)
	b := h.browser()
	b.Address = logintest.Eduroam + ":1"
	b.Extra.Set("X-Real-Ip", "10.0.0.1")
	b.Get("/help/zone").Want("学外として扱われています", "eduroamです", logintest.Eduroam, "192.0.2.0/24", "X-Real-Ip", "webmail（日本語）",
		"パスワードと、二段階目の確認が必要です", "学内から： パスワードだけで入れます", "特別なグループに入っていない人の場合です")
	b.Address = "[" + logintest.Foreign6 + "]:1"
	b.Get("/help/zone?lang=en").Want("You count as off campus", "IPv6", logintest.Foreign6)
}

func TestALostPhoneShowsWhatThisPersonCanStillUse(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.App(a.ID)
	b := h.browser()
	b.Address = logintest.Home + ":1"
	b.Get("/help/lost-phone").Refuse("s1234567", "あなたがまだ使えるもの")
	b.Get("/portal").Submit("次へ", "username", "s1234567")
	at := b.Location()
	b.Get("/help/lost-phone").Refuse("s1234567", "あなたがまだ使えるもの")
	b.Get(at).Submit("次へ", "password", logintest.Password).Want("ワンタイムパスワード")
	b.Get("/help/lost-phone").Want("あなたがまだ使えるもの", "s1234567", "電話", "library（日本語） 入れます 入れます", "webmail（日本語） 入れません 入れます", "payroll（日本語） 入れません 入れません")
	stranger := h.browser().Get("/help/lost-phone")
	stranger.Refuse("s1234567")
	h.Clock.Add(31 * time.Minute)
	b.Get("/help/lost-phone").Refuse("s1234567")
}

func TestAnInquiryCarriesItsCaseAlong(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.browser().Get("/help/inquiry?code=7kq2mhxd")
	if b.Field("code") != "7KQ2-MHXD" {
		t.Errorf("the code is lost: %q", b.Field("code"))
	}
	b.Submit("送る", "reply", "taro@mail.example", "name", "山田\r\nBcc: x@evil.example", "message", "入れません。\r\n\r\nBcc: y@evil.example\n-- \n偽の署名").
		Want("問い合わせを送りました", "7KQ2-MHXD")
	h.Must(h.Mail.Deliver(t.Context()))
	all := h.to("")
	if len(all) != 1 || all[0].To != "desk@example.ac.jp" || all[0].Header.Get("Bcc") != "" {
		t.Fatalf("%+v", all)
	}
	m := all[0]
	if m.Header.Get("Reply-To") != "<taro@mail.example>" || !strings.Contains(m.Subject, "7KQ2-MHXD") {
		t.Errorf("%v", m.Header)
	}
	for _, want := range []string{"> 入れません。", "> Bcc: y@evil.example", "> --", "山田  Bcc: x@evil.example", logintest.Campus, "main-lan"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("no %q in\n%s", want, m.Text)
		}
	}
	if strings.Contains(m.Text, "返信の必要はありません") {
		t.Error("the help desk is told not to answer")
	}
	if e := h.Events("", "inquiry.sent"); len(e) != 1 || e[0].Support != "7KQ2-MHXD" || e[0].Address != logintest.Campus {
		t.Errorf("%+v", e)
	}
}

func TestInquiriesAreBoundedAndJudged(t *testing.T) {
	h := open(t)
	b := h.browser()
	good := url.Values{"reply": {"taro@mail.example"}, "message": {"help"}, "about": {"signin"}}
	for field, bad := range map[string]string{
		"reply": "taro@mail.example\r\nBcc: x@evil.example", "message": "  \n ", "code": "not a code",
	} {
		form := url.Values{}
		for k, v := range good {
			form[k] = v
		}
		form.Set(field, bad)
		b.Post("/help/inquiry", form).WantStatus(http.StatusUnprocessableEntity)
	}
	long := url.Values{"reply": {"taro@mail.example"}, "message": {strings.Repeat("長", 4001)}}
	b.Post("/help/inquiry", long).WantStatus(http.StatusUnprocessableEntity)
	sent := 0
	for i := range 12 {
		good.Set("reply", string(rune('a'+i))+"@mail.example")
		b.Post("/help/inquiry", good)
		if b.Status == http.StatusOK {
			sent++
		}
	}
	h.Must(h.Mail.Deliver(t.Context()))
	if sent != 5 || len(h.to("desk@example.ac.jp")) != 5 {
		t.Errorf("%d were sent, %d arrived", sent, len(h.to("desk@example.ac.jp")))
	}
	b.ForeignPost("https://evil.example", "/help/inquiry", good).WantStatus(http.StatusForbidden)
	b.ForeignPost("https://evil.example", "/reset", url.Values{"username": {"s1"}}).WantStatus(http.StatusForbidden)
	b.ForeignPost("https://evil.example", "/activate", url.Values{"code": {"x"}}).WantStatus(http.StatusForbidden)
}

func TestPeopleAreToldWhenMailDoesNotGoOut(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.recovery(a, "taro@mail.example")
	h.Outbox.Break(context.DeadlineExceeded)
	h.browser().Get("/reset").Refuse("送れません").Submit("リンクを送る", "username", "s1234567")
	h.work()
	h.Clock.Add(5 * time.Minute)
	h.browser().Get("/reset").Want("メール")
	b := h.browser().Get("/reset")
	found := false
	for _, n := range b.Page().All("div") {
		found = found || n.Class("warn") && strings.Contains(n.Text(), "メール")
	}
	if !found {
		t.Error("the page does not say that mail is out of order:", b.Text())
	}
}

func TestSweepKeepsWhatIsStillGood(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.recovery(a, "taro@mail.example")
	link := h.ask("s1234567", "taro@mail.example")
	h.Write(h.welcome.Sweep)
	h.browser().Get(link).WantStatus(http.StatusOK)
	h.Clock.Add(26 * time.Hour)
	h.Write(h.welcome.Sweep)
	var n int64
	h.Read(func(tx *store.Tx) error { return tx.QueryRow("SELECT COUNT(*) FROM welcome_reset").Scan(&n) })
	if n != 0 {
		t.Errorf("%d links remain", n)
	}
}

func TestTheFirstPageLeadsOn(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.browser().Get("/").Want("大学のサインイン").Click("マイページにサインインする")
	b.Submit("次へ", "username", "s1234567").Submit("次へ", "password", logintest.Password).Want("マイページ")
}
