package portal_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"seimon/internal/desk/portal"
	"seimon/internal/factor"
	"seimon/internal/factor/totp"
	"seimon/internal/login"
	"seimon/internal/login/logintest"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

// shown is the code of the registration that a set-up page shows.
func (h *house) shown(b *webtest.Browser) string {
	h.T.Helper()
	var key string
	for _, n := range b.Page().All("code") {
		if n.Class("keygroups") {
			key = strings.ReplaceAll(n.Text(), " ", "")
		}
	}
	x, err := totp.Import(totp.Config{}, "acc", "", key, h.Clock.Now())
	if err != nil {
		h.T.Fatalf("no key on the page: %v\n%s", err, b.Text())
	}
	code, _, err := totp.CodeAt(x, h.Clock.Now())
	h.Must(err)
	return code
}

func TestAnAppIsAddedAndTheOwnerIsTold(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal").Want("二段階目の確認の方法がありません", "webmail（日本語）")
	before := b.Cookie("__Host-session")
	b.Get("/portal/factors").Want("登録されていません。")
	b.Get("/portal/add/totp")
	key := h.shown(b)
	if b.Get("/portal/add/totp"); h.shown(b) != key {
		t.Error("a reload shows another key")
	}
	h.signIn("s1234567", logintest.Campus).Get("/portal/factors").Want("設定の途中")
	b.Submit("", "code", "000000", "label", "私の電話").WantStatus(http.StatusUnprocessableEntity)
	if len(h.bindings(a.ID, factor.Active)) != 0 {
		t.Fatal("a wrong code registered the app")
	}
	b.Submit("", "code", h.shown(b), "label", "私の電話").Want("新しい方法が使えるようになりました", "私の電話", "使用中")
	if got := h.bindings(a.ID, factor.Active); len(got) != 1 || got[0].Label != "私の電話" {
		t.Fatalf("%+v", got)
	}
	if b.Cookie("__Host-session") == before {
		t.Error("the session's name did not change although more was proved")
	}
	e := h.Events(a.ID, "factor.added")
	if len(e) != 1 || e[0].Facts["factor"] != "totp" || e[0].Facts["label"] != "私の電話" || e[0].Support == "" || e[0].Address != logintest.Campus {
		t.Errorf("%+v", e)
	}
	m := h.told("s1234567@example.ac.jp", "サインインの方法が追加されました")
	for _, want := range []string{"私の電話", e[0].Support, logintest.Campus, logintest.Origin + "/portal/factors"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("the mail does not say %q:\n%s", want, m.Text)
		}
	}
	b.Get("/portal").Refuse("終わっていません", "二段階目の確認の方法がありません")
}

func TestTheSameAnswerDoesNotCountTwice(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/add/totp")
	form := url.Values{"errand": {b.Field("errand")}, "code": {h.shown(b)}, "label": {"電話"}}
	b.Post("/portal/add/totp", form).WantStatus(http.StatusOK)
	b.Post("/portal/add/totp", form)
	if n := len(h.bindings(a.ID, factor.Active)); n != 1 {
		t.Errorf("%d apps after a replay", n)
	}
	if n := len(h.Events(a.ID, "factor.added")); n != 1 {
		t.Errorf("%d events after a replay", n)
	}
}

func TestASetUpBelongsToItsSession(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.Person("s7654321")
	mine := h.signIn("s1234567", logintest.Campus)
	mine.Get("/portal/add/totp")
	form := url.Values{"errand": {mine.Field("errand")}, "code": {h.shown(mine)}, "label": {"x"}}
	theirs := h.signIn("s7654321", logintest.Campus)
	theirs.Post("/portal/add/totp", form)
	again := h.signIn("s1234567", logintest.Campus)
	again.Stay = true
	again.Post("/portal/add/totp", form)
	if n := len(h.bindings(a.ID, factor.Active)); n != 0 {
		t.Error("another session finished the set-up")
	}
	mine.Post("/portal/add/totp", form)
	if n := len(h.bindings(a.ID, factor.Active)); n != 1 {
		t.Error("its own session could not finish the set-up:", mine.Text())
	}
}

func TestGuessingASetUpCodeIsBounded(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/add/totp")
	for range 6 {
		b.Submit("", "code", "000000")
	}
	b.Submit("", "code", h.shown(b)).WantStatus(http.StatusUnprocessableEntity)
	if n := len(h.bindings(a.ID, factor.Active)); n != 0 {
		t.Error("the right code was taken although too many wrong ones came before")
	}
	h.Clock.Add(2 * time.Minute)
	b.Submit("", "code", h.shown(b))
	if n := len(h.bindings(a.ID, factor.Active)); n != 1 {
		t.Error("after the wait the right code was not taken:", b.Text())
	}
}

func TestAddingFollowsTheRulesForEnrolment(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Home)
	b.Get("/portal/factors").Want("今の場所からは設定できません")
	b.Get("/portal/add/totp").WantStatus(http.StatusForbidden).Want("学内のネットワークか、大学のVPNから")
	b.Post("/portal/add/totp", url.Values{"errand": {"x"}, "code": {"1"}}).WantStatus(http.StatusForbidden)
	h.App(a.ID)
	b.Get("/portal/factors").Refuse("今の場所からは設定できません")
	b.Get("/portal/add/mailcode")
	h.code(b, a.ID)
	b.WantStatus(http.StatusOK).Want("メール")
	if b.Location() != logintest.Origin+"/portal/add/mailcode" {
		t.Error(b.Location())
	}
	b.Get("/portal/add/password").WantStatus(http.StatusNotFound)
	b.Get("/portal/add/passkey").WantStatus(http.StatusNotFound)
}

func TestAnOldProofIsAskedAgainAndLeadsBack(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/add/totp")
	form := url.Values{"errand": {b.Field("errand")}, "label": {"x"}}
	h.Clock.Add(11 * time.Minute)
	form.Set("code", h.shown(b))
	b.Post("/portal/add/totp", form)
	if !strings.Contains(b.Location(), "/login/") || len(h.bindings(a.ID, factor.Active)) != 0 {
		t.Fatalf("an old proof was enough: %s", b.Location())
	}
	h.Prove(b, "s1234567")
	if b.Location() != logintest.Origin+"/portal/add/totp" || b.Status != http.StatusOK {
		t.Errorf("the way back: %s", b.Location())
	}
	for _, page := range []string{"/portal/password", "/portal/mail/recovery"} {
		h.Clock.Add(11 * time.Minute)
		b.Get(page)
		if !strings.Contains(b.Location(), "/login/") {
			t.Errorf("%s opens with an old proof", page)
		}
		h.Prove(b, "s1234567")
		if b.Location() != logintest.Origin+page {
			t.Errorf("%s leads back to %s", page, b.Location())
		}
	}
}

func TestWhoHasASecondStepMustGiveIt(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.App(a.ID)
	b := h.signIn("s1234567", logintest.Campus)
	h.trusting(a.ID)
	for _, page := range []string{"/portal/password", "/portal/mail/notify", "/portal/add/mailcode", "/portal/factors/" + h.bindings(a.ID, factor.Active)[0].ID + "/remove"} {
		b.Get(page).Want("ワンタイムパスワード")
		if !strings.Contains(b.Location(), "/login/") {
			t.Errorf("%s opens with the password alone", page)
		}
	}
	form := b.Post("/portal/factors/"+h.bindings(a.ID, factor.Active)[0].ID+"/remove", url.Values{"why": {"unused"}, "understood": {"1"}})
	if !strings.Contains(form.Location(), "/login/") || len(h.bindings(a.ID, factor.Active)) != 1 {
		t.Error("the app was removed with the password alone")
	}
	h.code(b, a.ID)
	if b.Location() != logintest.Origin+"/portal/factors/"+h.bindings(a.ID, factor.Active)[0].ID+"/remove" {
		t.Error(b.Location())
	}
}

// removing opens the page that asks before the app is removed.
func (h *house) removing(user string) (*webtest.Browser, factor.Binding) {
	h.T.Helper()
	a := h.Person(user)
	h.App(a.ID)
	b := h.signIn(user, logintest.Campus)
	app := h.bindings(a.ID, factor.Active)[0]
	b.Get("/portal/factors/" + app.ID + "/remove")
	h.code(b, a.ID)
	return b, app
}

func TestARemovalSaysWhatItMeansAndCanBeUndone(t *testing.T) {
	h := open(t)
	b, app := h.removing("s1234567")
	h.trusting(app.Account)
	b.Want("二段階目の方法は、これが最後です", "webmail（日本語） 学外から", "payroll（日本語） どこからも").Refuse("library（日本語）")
	b.Submit("削除する", "why", "unused").WantStatus(http.StatusUnprocessableEntity).Want("どうなるかを読んで")
	b.Submit("削除する", "understood", "1", "why", "").WantStatus(http.StatusUnprocessableEntity).Want("削除する理由を選んでください")
	if len(h.bindings(app.Account, factor.Active)) != 1 {
		t.Fatal("removed although nothing was understood")
	}
	b.Submit("削除する", "why", "unused", "understood", "1").Want("削除しました。メールでもお知らせしました", "元に戻せます")
	if len(h.bindings(app.Account, factor.Active)) != 0 || len(h.trusts(app.Account)) != 0 {
		t.Error("the app or the trust that stood on it is still there")
	}
	m := h.told("s1234567@example.ac.jp", "サインインの方法が削除されました")
	if !strings.Contains(m.Text, "2026年4月13日(月)まで") || !strings.Contains(m.Text, h.Events(app.Account, "factor.removed")[0].Support) {
		t.Error(m.Text)
	}
	b.Submit("元に戻す").Want("元に戻しました")
	if got := h.bindings(app.Account, factor.Active); len(got) != 1 || got[0].ID != app.ID {
		t.Error("it did not come back", got)
	}
	h.told("s1234567@example.ac.jp", "削除したサインインの方法が元に戻りました")
	b.Post("/portal/factors/"+app.ID+"/restore", nil)
	if n := len(h.Events(app.Account, "factor.restored")); n != 1 {
		t.Errorf("restored %d times", n)
	}
}

func TestTheTimeToUndoEnds(t *testing.T) {
	h := open(t)
	b, app := h.removing("s1234567")
	b.Submit("削除する", "why", "unused", "understood", "1")
	h.Clock.Add(7*24*time.Hour + time.Minute)
	b = h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/factors").Refuse("元に戻す")
	b.Post("/portal/factors/"+app.ID+"/restore", nil).WantStatus(http.StatusNotFound)
	if len(h.bindings(app.Account, factor.Active)) != 0 {
		t.Error("it came back too late")
	}
}

func TestUndoingIsAddingUnderTheSameRules(t *testing.T) {
	h := open(t)
	b, app := h.removing("s1234567")
	b.Submit("削除する", "why", "unused", "understood", "1")
	thief := h.signIn("s1234567", logintest.Home)
	thief.Get("/portal/factors").Refuse("元に戻す</button>")
	thief.Post("/portal/factors/"+app.ID+"/restore", nil).WantStatus(http.StatusForbidden)
	if len(h.bindings(app.Account, factor.Active)) != 0 {
		t.Error("somebody off campus with the password alone put the app back")
	}
}

func TestWhatIsLostNeverComesBack(t *testing.T) {
	h := open(t)
	b, app := h.removing("s1234567")
	thief := h.signIn("s1234567", logintest.Eduroam)
	h.trusting(app.Account)
	b.Submit("削除する", "why", "lost", "understood", "1").Want("削除しました").Refuse("元に戻す")
	if len(h.trusts(app.Account)) != 0 || len(h.SessionsOf(app.Account)) != 1 {
		t.Error("trust or other sessions survive the loss")
	}
	if thief.Get("/portal"); !strings.Contains(thief.Location(), "/login/") {
		t.Error("the other session is still alive")
	}
	h.told("s1234567@example.ac.jp", "サインインの方法の紛失が届けられました")
	b.Post("/portal/factors/"+app.ID+"/restore", nil).WantStatus(http.StatusNotFound)
	if len(h.bindings(app.Account, factor.Active)) != 0 {
		t.Error("a lost app came back")
	}
}

func TestNobodyTouchesWhatBelongsToSomebodyElse(t *testing.T) {
	h := open(t)
	theirs := h.Person("s7654321")
	h.App(theirs.ID)
	app := h.bindings(theirs.ID, factor.Active)[0]
	victim := h.signIn("s7654321", logintest.Campus)
	h.trusting(theirs.ID)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	trust, session := h.trusts(theirs.ID)[0].ID, h.SessionsOf(theirs.ID)[0].ID
	for path, form := range map[string]url.Values{
		"/portal/factors/" + app.ID + "/name":    {"label": {"mine"}},
		"/portal/factors/" + app.ID + "/remove":  {"why": {"unused"}, "understood": {"1"}},
		"/portal/factors/" + app.ID + "/restore": {},
		"/portal/sessions/" + session + "/end":   {},
		"/portal/browsers/" + trust + "/name":    {"label": {"mine"}},
		"/portal/browsers/" + trust + "/remove":  {},
	} {
		b.Post(path, form)
		if b.Status >= http.StatusInternalServerError {
			t.Errorf("%s: %d", path, b.Status)
		}
	}
	b.Get("/portal/factors/" + app.ID + "/remove").WantStatus(http.StatusNotFound).Refuse("電話")
	got := h.bindings(theirs.ID, factor.Active)
	if len(got) != 1 || got[0].Label != app.Label || len(h.trusts(theirs.ID)) != 1 || h.trusts(theirs.ID)[0].Label == "mine" || len(h.SessionsOf(theirs.ID)) != 1 {
		t.Error("something of the other account was changed")
	}
	victim.Get("/portal").WantStatus(http.StatusOK).Want("s7654321")
	for _, kind := range []string{"factor.", "browser.", "session."} {
		if n := len(h.Events(theirs.ID, kind)); n != 0 {
			t.Errorf("%d events %s", n, kind)
		}
	}
}

func TestNamesAreKeptOnOneLine(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.App(a.ID)
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/factors").Submit("名前を保存する", "label", "  わたしの\r\nBcc: x@evil.example\u202e 電話 ").Want("名前を保存しました")
	if got := h.bindings(a.ID, factor.Active)[0].Label; got != "わたしの Bcc: x@evil.example 電話" {
		t.Errorf("%q", got)
	}
	b.Submit("名前を保存する", "label", strings.Repeat("長", 100))
	if got := []rune(h.bindings(a.ID, factor.Active)[0].Label); len(got) != 60 {
		t.Errorf("%d characters", len(got))
	}
	b.Submit("名前を保存する", "label", "<script>alert(1)</script>").Want("<script>alert(1)</script>")
	if strings.Contains(b.Body, "<script>alert") {
		t.Error("a label is written into the page as it is")
	}
}

func TestAnUnfinishedSetUpIsShownAndCanBeDropped(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/add/totp")
	b.Get("/portal").Want("始めた「ワンタイムパスワードアプリ」の設定が、終わっていません")
	b.Get("/portal/factors").Click("途中の設定を削除する").Submit("途中の設定を削除する").Want("途中の設定を削除しました", "登録されていません。")
	if len(h.bindings(a.ID, factor.Pending)) != 0 || len(h.Mails("s1234567@example.ac.jp", "")) != 1 {
		t.Error("the set-up is still there, or its owner was bothered")
	}
}

func TestThePasswordIsChangedAndOthersAreSignedOut(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	other := h.signIn("s1234567", logintest.Home)
	b := h.signIn("s1234567", logintest.Campus)
	h.trusting(a.ID)
	const fresh = "mizuumi-to-yama-no-asa-7"
	b.Get("/portal/password").Submit("", "new", fresh, "repeat", "other").WantStatus(http.StatusUnprocessableEntity)
	if b.Has(fresh) || strings.Contains(b.Body, fresh) {
		t.Error("the page repeats the password")
	}
	b.Submit("", "new", fresh, "repeat", fresh).Want("新しいパスワードを設定しました")
	if n := len(h.SessionsOf(a.ID)); n != 1 || len(h.trusts(a.ID)) != 0 {
		t.Errorf("%d sessions, %d trusts", n, len(h.trusts(a.ID)))
	}
	if other.Get("/portal"); !strings.Contains(other.Location(), "/login/") {
		t.Error("the other session goes on")
	}
	h.told("s1234567@example.ac.jp", "パスワードが変更されました")
	if e := h.Events(a.ID, "password.changed"); len(e) != 1 || strings.Contains(e[0].Facts["label"]+e[0].Facts["binding"], fresh) {
		t.Errorf("%+v", e)
	}
	again := h.At(logintest.Campus).Get("/portal").Submit("次へ", "username", "s1234567")
	again.Submit("次へ", "password", logintest.Password).WantStatus(http.StatusUnprocessableEntity)
	again.Submit("次へ", "password", fresh).Want("マイページ")
}

func TestTheUsedAppIsNamedTruly(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.App(a.ID)
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/factors").Want("電話", "まだ使っていません")
	b.Get("/portal/password")
	h.code(b, a.ID)
	b.Get("/portal/factors").Refuse("まだ使っていません")
	h.Write(func(tx *store.Tx) error { return h.Bindings.Remove(tx, h.bindings(a.ID, factor.Active)[0].ID) })
	b.Get("/portal/factors").Want("登録されていません。").Refuse("使用中")
}

func TestAsManyDevicesAsTheRuleAllows(t *testing.T) {
	h := open(t)
	h.Apply(rules + "\n[totp]\ndevices = 1\n")
	b, app := h.removing("s1234567")
	b.Get("/portal/add/totp").WantStatus(http.StatusConflict).Want("1台")
	b.Get("/portal/factors/"+app.ID+"/remove").Submit("削除する", "why", "unused", "understood", "1")
	b.Get("/portal/add/totp")
	b.Submit("", "code", h.shown(b), "label", "新しい電話").Want("新しい電話", "使用中")
	b.Submit("元に戻す").Want("これ以上は登録できないため、元に戻せませんでした")
	if got := h.bindings(app.Account, factor.Active); len(got) != 1 || got[0].Label != "新しい電話" {
		t.Errorf("%+v", got)
	}
}

func TestTheLastOneWinsWhereTheRuleSaysSo(t *testing.T) {
	h := open(t)
	h.Apply(rules + "\n[totp]\ndevices = 1\nlast_wins = true\n")
	b, app := h.removing("s1234567")
	b.Get("/portal/add/totp")
	b.Submit("", "code", h.shown(b), "label", "新しい電話").Want("新しい電話").Refuse("「電話」")
	m := h.told("s1234567@example.ac.jp", "サインインの方法が入れ替わりました")
	if !strings.Contains(m.Text, "使えなくなったもの：電話") || !strings.Contains(m.Text, "新しい電話") {
		t.Error(m.Text)
	}
	if got := h.bindings(app.Account, factor.Active); len(got) != 1 || got[0].ID == app.ID {
		t.Errorf("%+v", got)
	}
}

func TestAMailboxBecomesASecondStep(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	b.Get("/portal/add/mailcode").Submit("", "address", "s1234567@example.ac.jp").WantStatus(http.StatusUnprocessableEntity)
	b.Submit("", "address", "taro@mail.example")
	if b.Location() != logintest.Origin+"/portal/add/mailcode" || len(h.bindings(a.ID, factor.Active)) != 0 {
		t.Fatal("the address counts before its code came back:", b.Text())
	}
	var code string
	for _, m := range h.Mails("taro@mail.example", "") {
		code = mailCode.FindString(m.Text)
	}
	b.Submit("", "code", "00000000").WantStatus(http.StatusUnprocessableEntity)
	b.Submit("", "code", code).Want("新しい方法が使えるようになりました")
	if got := h.bindings(a.ID, factor.Active); len(got) != 1 || got[0].Kind != "mailcode" {
		t.Errorf("%+v", got)
	}
	h.told("s1234567@example.ac.jp", "サインインの方法が追加されました")
	h.Clock.Add(11 * time.Minute)
	b.Get("/portal/password").Submit("次へ", "password", logintest.Password).Want("メール")
	if !strings.Contains(b.Location(), "/login/") {
		t.Error("the password alone changes credentials although a mailbox is registered:", b.Location())
	}
}

var mailCode = regexp.MustCompile(`\d{4}[ -]?\d{4}`)

func FuzzTheWayBack(f *testing.F) {
	for _, seed := range []string{"/portal", "//evil.example", "/portal/../x", "/portal?a=b", "/portal/%2e%2e/x", "/portal\t", "https:/portal", "/portal/factors/bnd_x/remove"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		raw, err := json.Marshal(map[string]string{"path": path})
		if err != nil {
			t.Fatal(err)
		}
		respond, err := (&portal.Portal{}).Complete(nil, login.Outcome{Request: raw})
		if err != nil {
			t.Fatal(err)
		}
		w := &recorder{header: http.Header{}}
		r, err := http.NewRequest(http.MethodGet, "https://sso.example.ac.jp/login/t_x", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := respond(w, r); err != nil {
			t.Fatal(err)
		}
		to, err := r.URL.Parse(w.header.Get("Location"))
		if err != nil || to.Host != "sso.example.ac.jp" || to.Scheme != "https" || to.Path != "/portal" && !strings.HasPrefix(to.Path, "/portal/") {
			t.Errorf("%q leads to %q", path, w.header.Get("Location"))
		}
	})
}
