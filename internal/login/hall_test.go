package login_test

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

// gate is a house with one door and a browser at some address.
type gate struct {
	*logintest.House
	front *logintest.Front
}

func open(t *testing.T) *gate {
	t.Helper()
	h := logintest.New(t, nil, nil)
	return &gate{h, h.Enter()}
}

func (g *gate) browser(address string) *webtest.Browser {
	b := webtest.New(g.T, logintest.Origin, g.Site.Handler())
	b.Address = address + ":40000"
	if strings.Contains(address, ":") {
		b.Address = "[" + address + "]:40000"
	}
	return b
}

// signIn types user name and password.
func (g *gate) signIn(b *webtest.Browser, party, user, password string) *webtest.Browser {
	return b.Get("/enter/"+party).Submit("次へ", "username", user).Submit("次へ", "password", password)
}

func (g *gate) arrived(b *webtest.Browser, party, user string) {
	g.T.Helper()
	if want := "https://" + party + ".example.ac.jp/?user=" + url.QueryEscape(user); b.Location() != want {
		g.T.Fatalf("at %s instead of %s:\n%s", b.Location(), want, b.Text())
	}
}

func TestUserNameThenPasswordThenService(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.browser(logintest.Campus)
	b.Get("/enter/library").Want("ユーザー名", "library（日本語）")
	b.Submit("次へ", "username", "ｓ1234567").Want("s1234567 としてサインインします。")
	b.Submit("次へ", "password", logintest.Password)
	g.arrived(b, "library", "s1234567")
	o := g.front.Last()
	if o.Assurance.Level != authn.AAL1 || !slices.Equal(o.Assurance.AMR, []string{"pwd"}) || o.Zone.Kind != authn.Campus {
		t.Errorf("outcome %+v", o)
	}
	if got := o.Attributes["mail"]; !slices.Equal(got, []string{"s1234567@example.ac.jp"}) {
		t.Errorf("released %v", o.Attributes)
	}
	b.Get("/enter/webmail")
	g.arrived(b, "webmail", "s1234567")
}

func TestEnglishAndLanguageOfTheService(t *testing.T) {
	g := open(t)
	b := g.browser(logintest.Home)
	b.Accept = "en"
	b.Get("/enter/library").Want("User name", "This is not your mail address.")
	b = g.browser(logintest.Home)
	b.Get("/enter/library?lang=en-GB").Want("User name")
}

func TestWrongPasswordAndUnknownUserLookTheSame(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	known := g.signIn(g.browser(logintest.Home), "library", "s1234567", "wrong")
	unknown := g.signIn(g.browser(logintest.Home), "library", "s7654321", "wrong")
	if known.Status != unknown.Status {
		t.Errorf("status %d and %d", known.Status, unknown.Status)
	}
	same := func(b *webtest.Browser, user string) string {
		text := strings.ReplaceAll(b.Text(), user, "USER")
		return cutSupport(text)
	}
	if a, b := same(known, "s1234567"), same(unknown, "s7654321"); a != b {
		t.Errorf("the pages differ:\n%s\n---\n%s", a, b)
	}
	known.Want("ユーザー名かパスワードがちがいます。")
}

// cutSupport removes what differs between any two sign-ins: the support code.
func cutSupport(text string) string {
	var out []string
	for _, w := range strings.Fields(text) {
		if len(w) == 9 && w[4] == '-' {
			w = "CODE"
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

func TestRightPasswordAfterAWrongOne(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.signIn(g.browser(logintest.Home), "library", "s1234567", "wrong")
	b.Submit("次へ", "password", logintest.Password)
	g.arrived(b, "library", "s1234567")
}

func TestTabsBackReloadAndDoubleClick(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	one := g.browser(logintest.Campus)
	one.Get("/enter/library").Submit("次へ", "username", "s1234567")
	two := one.Tab()
	two.Get("/enter/webmail").Submit("次へ", "username", "s1234567")
	page, pass, kind := one.Location(), one.Field("pass"), one.Field("kind")
	form := url.Values{"pass": {pass}, "kind": {kind}, "password": {logintest.Password}}
	one.Post(page, form)
	g.arrived(one, "library", "s1234567")
	one.Post(page, form) // the double click
	g.arrived(one, "library", "s1234567")
	one.Get(page) // back, reload
	g.arrived(one, "library", "s1234567")
	two.Submit("次へ", "password", logintest.Password)
	g.arrived(two, "webmail", "s1234567")

	g.Clock.Add(2 * time.Minute)
	one.Get(page).WantStatus(410).Want("library（日本語）")
	if !one.Has("library（日本語）へ進む") && !strings.Contains(one.Body, "https://library.example.ac.jp/") {
		t.Error("the page about a finished sign-in does not lead to the service")
	}
}

func TestAPageThatWaitedTooLongGoesOn(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.browser(logintest.Campus)
	b.Get("/enter/library").Submit("次へ", "username", "s1234567")
	g.Clock.Add(time.Hour)
	b.Submit("次へ", "password", logintest.Password).WantStatus(410)
	b.Click("もう一度始める").Submit("次へ", "username", "s1234567").Submit("次へ", "password", logintest.Password)
	g.arrived(b, "library", "s1234567")
}

// A sign-in that gave way to a flood, or was swept, is gone; what the browser kept of it
// still leads to the service, and no other browser learns anything.
func TestASignInThatIsGoneLeadsBackToTheService(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.browser(logintest.Campus)
	b.Get("/enter/library")
	other := b.Tab()
	other.Get("/enter/webmail")
	b.Submit("次へ", "username", "s1234567")
	page := b.Location()
	g.Clock.Add(2 * time.Hour)
	g.Must(g.Hall.Sweep(t.Context()))
	b.Submit("次へ", "password", logintest.Password).WantStatus(410).Want("library（日本語）")
	other.Get(other.Location()).WantStatus(410).Want("webmail（日本語）")
	g.browser(logintest.Home).Get(page).WantStatus(410).Refuse("library")
	b.Click("もう一度始める").Submit("次へ", "username", "s1234567").Submit("次へ", "password", logintest.Password)
	g.arrived(b, "library", "s1234567")
	b.Get(page).WantStatus(410).Want("もう一度始める")
	g.Clock.Add(25 * time.Hour)
	b.Get(page).WantStatus(410).Refuse("もう一度始める")
}

func TestCookiesOffIsNamed(t *testing.T) {
	g := open(t)
	b := g.browser(logintest.Campus)
	b.Get("/enter/library")
	page := b.Location()
	b.ForgetCookies()
	b.Get(page).WantStatus(400).Want("Cookie")
}

func TestAnotherBrowserCannotGoOn(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	mine := g.browser(logintest.Home)
	mine.Get("/enter/library").Submit("次へ", "username", "s1234567")
	theirs := g.browser(logintest.Home)
	theirs.Get("/enter/library")
	theirs.Get(mine.Location()).WantStatus(400)
	theirs.Post(mine.Location(), url.Values{"pass": {mine.Field("pass")}, "kind": {"password"}, "password": {logintest.Password}})
	if len(g.front.Outcomes()) != 0 {
		t.Fatal("a transaction was finished by another browser")
	}
}

func TestPassesBelongToOneStepOfOneTransaction(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.browser(logintest.Home)
	b.Get("/enter/library")
	first := b.Field("pass")
	b.Submit("次へ", "username", "s1234567")
	page := b.Location()
	for name, pass := range map[string]string{
		"of an earlier step": first, "empty": "", "nonsense": "a.b.c", "of the future": strings.Replace(first, "0.", "9.", 1),
	} {
		b.Post(page, url.Values{"pass": {pass}, "kind": {"password"}, "password": {logintest.Password}})
		if len(g.front.Outcomes()) != 0 {
			t.Fatalf("a pass %s was taken", name)
		}
	}
	other := b.Tab()
	other.Get("/enter/payroll").Submit("次へ", "username", "s1234567")
	b.Post(page, url.Values{"pass": {other.Field("pass")}, "kind": {"password"}, "password": {logintest.Password}})
	if len(g.front.Outcomes()) != 0 {
		t.Fatal("a pass of another transaction was taken")
	}
}

func TestForeignSitesCannotPost(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.browser(logintest.Home)
	b.Get("/enter/library").Submit("次へ", "username", "s1234567")
	page, form := b.Location(), url.Values{"pass": {b.Field("pass")}, "kind": {"password"}, "password": {logintest.Password}}
	b.ForeignPost("https://evil.example", page, form)
	if b.Status < 400 || len(g.front.Outcomes()) != 0 {
		t.Fatalf("status %d, outcomes %d", b.Status, len(g.front.Outcomes()))
	}
}

func TestOffCampusWithoutSecondStepIsExplained(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.signIn(g.browser(logintest.Eduroam), "webmail", "s1234567", logintest.Password)
	b.WantStatus(403).Want("eduroam")
	b = g.signIn(g.browser(logintest.Home), "webmail", "s1234567", logintest.Password)
	b.WantStatus(403).Want("学外")
	b.Submit("webmail（日本語）に戻る")
	if b.Location() != "https://webmail.example.ac.jp/?error=Z1" {
		t.Errorf("at %s", b.Location())
	}
}

func TestStatesAreToldOnlyAfterTheProof(t *testing.T) {
	g := open(t)
	a := g.Person("s1234567")
	g.Write(func(tx *store.Tx) error {
		return g.People.SetState(tx, a.ID, directory.Suspended, "学籍異動", "desk")
	})
	b := g.signIn(g.browser(logintest.Campus), "library", "s1234567", "wrong")
	b.Refuse("停止").Want("ユーザー名かパスワードがちがいます。")
	b.Submit("次へ", "password", logintest.Password).WantStatus(403).Want("止")
	if len(g.front.Outcomes()) != 0 {
		t.Error("a suspended account got in")
	}
}

func TestSuspensionActsOnALiveSession(t *testing.T) {
	g := open(t)
	a := g.Person("s1234567")
	b := g.signIn(g.browser(logintest.Campus), "library", "s1234567", logintest.Password)
	g.arrived(b, "library", "s1234567")
	g.Write(func(tx *store.Tx) error {
		return g.People.SetState(tx, a.ID, directory.Suspended, "学籍異動", "desk")
	})
	b.Get("/enter/webmail").WantStatus(403)
	if n := len(g.front.Outcomes()); n != 1 {
		t.Errorf("%d outcomes", n)
	}
}

func TestPassiveNeverShowsAPage(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.browser(logintest.Campus)
	b.Get("/enter/library?passive=1")
	if b.Location() != "https://library.example.ac.jp/?error=passive.login" {
		t.Fatalf("at %s", b.Location())
	}
	g.signIn(b, "library", "s1234567", logintest.Password)
	b.Get("/enter/library?passive=1")
	g.arrived(b, "library", "s1234567")
	b.Get("/enter/payroll?passive=1")
	if !strings.HasPrefix(b.Location(), "https://payroll.example.ac.jp/?error=") {
		t.Fatalf("at %s", b.Location())
	}
}

func TestForceAndMaxAgeAskAgain(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.signIn(g.browser(logintest.Campus), "library", "s1234567", logintest.Password)
	first := g.front.Last().Assurance.AuthTime
	g.Clock.Add(10 * time.Second)
	b.Get("/enter/library?force=1").Submit("次へ", "password", logintest.Password)
	g.arrived(b, "library", "s1234567")
	second := g.front.Last().Assurance.AuthTime
	if !second.After(first) {
		t.Errorf("auth_time %v after %v", second, first)
	}
	g.Clock.Add(10 * time.Second)
	b.Get("/enter/library?max_age=1h")
	g.arrived(b, "library", "s1234567")
	b.Get("/enter/library?max_age=5s").Submit("次へ", "password", logintest.Password)
	g.arrived(b, "library", "s1234567")
	if third := g.front.Last().Assurance.AuthTime; !third.After(second) {
		t.Errorf("auth_time %v after %v", third, second)
	}
}

func TestTheSessionTokenChangesWhenAssuranceRises(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.signIn(g.browser(logintest.Campus), "library", "s1234567", logintest.Password)
	before := b.Cookie("__Host-session")
	b.Get("/enter/library?force=1").Submit("次へ", "password", logintest.Password)
	if after := b.Cookie("__Host-session"); after == before || after == "" {
		t.Fatal("the token stayed")
	}
	b.SetCookie("__Host-session", before)
	b.Get("/enter/library").Want("ユーザー名")
}

func TestAFixedSessionCookieIsNotAdopted(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.browser(logintest.Campus)
	b.SetCookie("__Host-session", "planted-by-somebody-else")
	g.signIn(b, "library", "s1234567", logintest.Password)
	if b.Cookie("__Host-session") == "planted-by-somebody-else" {
		t.Fatal("the planted token became a session")
	}
}

func TestAnotherPersonInTheSameBrowserEndsTheSession(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	g.Person("s7654321")
	b := g.signIn(g.browser(logintest.Campus), "library", "s1234567", logintest.Password)
	old := g.front.Last().Session.ID
	b.Get("/enter/library?pick=1").Submit("次へ", "username", "s7654321").Submit("次へ", "password", logintest.Password)
	g.arrived(b, "library", "s7654321")
	_ = g.DB.Read(t.Context(), func(tx *store.Tx) error {
		visits, err := g.Sessions.Visits(tx, old)
		if err != nil || len(visits) != 0 {
			t.Errorf("the old session still has visits %v (%v)", visits, err)
		}
		return nil
	})
}

func TestGuessingIsSlowedAndTheOwnerIsNotLockedOut(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	mine := g.signIn(g.browser(logintest.Campus), "library", "s1234567", logintest.Password)
	g.arrived(mine, "library", "s1234567")
	thief := g.browser(logintest.Foreign6)
	thief.Get("/enter/library").Submit("次へ", "username", "s1234567")
	for range 12 {
		thief.Submit("次へ", "password", "wrong")
	}
	thief.Submit("次へ", "password", logintest.Password)
	if thief.Left() {
		t.Fatal("the right password got in during the lock")
	}
	mine.Get("/enter/library?force=1").Submit("次へ", "password", logintest.Password)
	g.arrived(mine, "library", "s1234567")
}

func TestConcurrentRightAnswersOpenOneSession(t *testing.T) {
	g := open(t)
	a := g.Person("s1234567")
	b := g.browser(logintest.Campus)
	b.Get("/enter/library").Submit("次へ", "username", "s1234567")
	page, form := b.Location(), url.Values{"pass": {b.Field("pass")}, "kind": {"password"}, "password": {logintest.Password}}
	var wg sync.WaitGroup
	for range 6 {
		tab := b.Tab()
		tab.Stay = true
		wg.Go(func() { tab.Post(page, form) })
	}
	wg.Wait()
	var sessions []session.Session
	err := g.DB.Read(t.Context(), func(tx *store.Tx) (err error) {
		sessions, err = g.Sessions.Of(tx, a.ID)
		return err
	})
	if err != nil || len(sessions) != 1 {
		t.Fatalf("%d sessions (%v)", len(sessions), err)
	}
}

func TestAgreementAndConsentAreSteps(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	g.Apply(logintest.Policy + "\n[agreement]\nversion = \"2026-1\"\nja = \"利用規約の本文\"\nen = \"The terms\"\n")
	g.Party(rp.Party{ID: "library", Protocol: "test", Names: map[lang.Tag]string{lang.JA: "図書館"}, Consent: rp.ConsentAsk, Release: []rp.Release{
		{Attribute: "displayName", Required: true}, {Attribute: "mail"},
	}})
	b := g.signIn(g.browser(logintest.Campus), "library", "s1234567", logintest.Password)
	b.Want("利用規約の本文").Submit("同意して進む", "agree", "1")
	b.Want("s1234567@example.ac.jp")
	page := b.Location()
	b.Post(page, url.Values{"pass": {b.Field("pass")}, "shown": {b.Field("shown")}, "attribute": {"displayName"}})
	o := g.front.Last()
	if o.Fault != nil || o.Attributes["mail"] != nil || len(o.Attributes["displayName"]) == 0 {
		t.Fatalf("outcome %+v", o)
	}
	b.Get("/enter/library")
	if n := len(g.front.Outcomes()); n != 2 {
		t.Errorf("asked again: %d outcomes, %s", n, b.Text())
	}
}

// What was agreed to is what was shown: when values or wishes change under an open page, or
// an answer names nothing or something else, nothing is sent and the page says so.
func TestAgreeingCountsForWhatWasShown(t *testing.T) {
	g := open(t)
	a := g.Person("s1234567")
	wish := func(release ...rp.Release) {
		g.Party(rp.Party{ID: "library", Protocol: "test", Names: map[lang.Tag]string{lang.JA: "図書館"}, Consent: rp.ConsentAsk, Release: release})
	}
	name, mail := rp.Release{Attribute: "displayName", Required: true}, rp.Release{Attribute: "mail"}
	wish(name, mail)
	b := g.signIn(g.browser(logintest.Campus), "library", "s1234567", logintest.Password)
	first := b.Field("shown")
	again := func(why string) {
		t.Helper()
		if len(g.front.Outcomes()) != 0 {
			t.Fatalf("%s: %+v", why, g.front.Last())
		}
		b.Want("変わりました", "まだ何も送っていません")
	}
	g.Write(func(tx *store.Tx) error {
		return g.People.SetMail(tx, a.Person, directory.UseMail, "other@example.ac.jp")
	})
	b.Submit("送って進む", "attribute", "mail")
	again("another address")
	b.Want("other@example.ac.jp")
	mail.Required = true
	wish(name, mail)
	b.Submit("送って進む")
	again("what could be left out is sent to everybody")
	wish(name, mail, rp.Release{Attribute: "userName", Required: true})
	b.Submit("送って進む")
	again("one attribute more")
	for _, forged := range []string{"", first, "x"} {
		b.Post(b.Location(), url.Values{"pass": {b.Field("pass")}, "shown": {forged}, "attribute": {"displayName", "mail", "userName"}})
		again("an answer for something else")
	}
	b.Submit("送って進む")
	if o := g.front.Last(); o.Fault != nil || o.Attributes["mail"][0] != "other@example.ac.jp" || len(o.Attributes["userName"]) == 0 {
		t.Errorf("%+v", o)
	}
}

func TestEverySignInIsOnRecordAndExplained(t *testing.T) {
	g := open(t)
	a := g.Person("s1234567")
	g.signIn(g.browser(logintest.Home), "webmail", "s1234567", logintest.Password)
	err := g.DB.Read(t.Context(), func(tx *store.Tx) error {
		events, err := g.Audit.Find(tx, audit.Query{Account: a.ID, TypePrefix: "signin."})
		types := map[string]bool{}
		for _, e := range events {
			types[e.Type] = true
			for k, v := range e.Facts {
				if strings.Contains(v, logintest.Password) {
					t.Errorf("%s: fact %s holds the password", e.Type, k)
				}
			}
		}
		if !types["signin.proved"] || !types["signin.decided"] {
			t.Errorf("on record: %v", types)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// second signs in with the password off campus and stands before the second step.
func (g *gate) second(user, party string) *webtest.Browser {
	return g.signIn(g.browser(logintest.Home), party, user, logintest.Password)
}

func TestSecondStepOffCampus(t *testing.T) {
	g := open(t)
	a := g.Person("s1234567")
	g.App(a.ID)
	b := g.second("s1234567", "webmail")
	b.Want("アプリに表示されている数字", "このブラウザーを7日").Submit("次へ", "code", g.Code(a.ID, 0))
	g.arrived(b, "webmail", "s1234567")
	o := g.front.Last()
	if o.Assurance.Level != authn.AAL2 || !slices.Equal(o.Assurance.AMR, []string{"mfa", "otp", "pwd"}) {
		t.Errorf("assurance %+v", o.Assurance)
	}
}

func TestACodeIsAcceptedOnce(t *testing.T) {
	g := open(t)
	a := g.Person("s1234567")
	g.App(a.ID)
	code := g.Code(a.ID, 0)
	b := g.second("s1234567", "webmail").Submit("次へ", "code", code)
	g.arrived(b, "webmail", "s1234567")
	thief := g.second("s1234567", "webmail").Submit("次へ", "code", code)
	thief.WantStatus(422).Want("もう使われました", "あと30秒")
	if n := len(g.front.Outcomes()); n != 1 {
		t.Fatalf("%d outcomes", n)
	}
}

func TestAClockThatIsOffIsNamed(t *testing.T) {
	g := open(t)
	a := g.Person("s1234567")
	g.App(a.ID)
	b := g.second("s1234567", "webmail").Submit("次へ", "code", g.Code(a.ID, -4*time.Minute))
	b.WantStatus(422).Want("約3分45秒遅れています")
	b.Accept = "en"
	b = g.browser(logintest.Home)
	b.Accept = "en"
	b.Get("/enter/webmail").Submit("Continue", "username", "s1234567").Submit("Continue", "password", logintest.Password)
	b.Submit("Continue", "code", g.Code(a.ID, 5*time.Minute)).Want("fast")
}

func TestTrustedBrowserStandsInButAddsNothing(t *testing.T) {
	g := open(t)
	a := g.Person("s1234567")
	g.App(a.ID)
	b := g.second("s1234567", "webmail").Submit("次へ", "code", g.Code(a.ID, 0), "trust", "1")
	g.arrived(b, "webmail", "s1234567")
	g.Clock.Add(25 * time.Hour) // the session is over, the trust is not
	b.Get("/enter/webmail").Submit("次へ", "username", "s1234567").Submit("次へ", "password", logintest.Password)
	g.arrived(b, "webmail", "s1234567")
	if o := g.front.Last(); o.Assurance.Level != authn.AAL1 {
		t.Errorf("a trusted browser raised the level to %v", o.Assurance.Level)
	}
	b.Get("/enter/payroll").Want("アプリに表示されている数字")
	g.Clock.Add(7 * 24 * time.Hour)
	b.Get("/enter/webmail").Submit("次へ", "username", "s1234567").Submit("次へ", "password", logintest.Password)
	if b.Left() {
		t.Error("trust outlived its seven days")
	}
}

func TestEnrolmentIsAStepOnCampusOnly(t *testing.T) {
	g := open(t)
	a := g.Person("s1234567")
	b := g.signIn(g.browser(logintest.Campus), "payroll", "s1234567", logintest.Password)
	b.WantStatus(200).Want("QR")
	if got := g.Kinds(a.ID); len(got) != 1 {
		t.Fatalf("active before it was confirmed: %v", got)
	}
	home := g.signIn(g.browser(logintest.Home), "payroll", "s1234567", logintest.Password)
	home.WantStatus(403).Refuse("QR")
}

// Codes of an app that is set up on the way in are counted as those of a sign-in are:
// nobody may try them all.
func TestTriesOfAnEnrolmentAreCounted(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	b := g.signIn(g.browser(logintest.Campus), "payroll", "s1234567", logintest.Password)
	b.Want("QR")
	seen := map[string]bool{}
	for range 12 {
		b.Post(b.URL.Path, map[string][]string{"pass": {b.Field("pass")}, "kind": {"totp"}, "code": {"000000"}})
		err := g.DB.Read(t.Context(), func(tx *store.Tx) error {
			events, err := g.Audit.Find(tx, audit.Query{TypePrefix: "signin.failed"})
			for _, e := range events {
				seen[e.Facts["code"]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !seen["P5"] || !seen["T1.enroll"] {
		t.Errorf("twelve wrong codes: %v\n%s", seen, b.Text())
	}
}

// TestAnAddressGivesNoConsent: the way in an address chooses a factor and says nothing else.
func TestAnAddressGivesNoConsent(t *testing.T) {
	g := open(t)
	g.Person("s1234567")
	g.Party(rp.Party{ID: "library", Protocol: "test", Names: map[lang.Tag]string{lang.JA: "図書館"}, Consent: rp.ConsentAsk, Release: []rp.Release{{Attribute: "displayName", Required: true}}})
	b := g.signIn(g.browser(logintest.Campus), "library", "s1234567", logintest.Password)
	b.Submit("送って進む")
	if !b.Left() {
		t.Fatal(b.Text())
	}
	b.Get("/enter/library?consent=1").Want("送って進む")
	page := b.Location()
	for _, way := range []string{"consented", "agreed", "password", "x"} {
		if b.Get(page + "?way=" + way); b.Left() {
			t.Errorf("way=%s gave consent: %s", way, b.Location())
		}
		b.Want("送って進む")
	}
}
