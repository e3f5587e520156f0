package totp_test

import (
	"bytes"
	"encoding/base32"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/factor/totp"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

const account = authn.AccountID("acc_1")

type bench struct {
	*totp.Factor
	t           testing.TB
	db          *store.DB
	clock       *storetest.Clock
	bindings    *factor.Bindings
	settings    factor.Settings
	transaction string
}

func open(t testing.TB, cfg totp.Config) *bench {
	db, clock := storetest.Open(t, keyring.Schema(), factor.Schema())
	ring := keyringtest.Open(t, db, bytes.Repeat([]byte{7}, 32))
	b := factor.NewBindings(db, ring)
	return &bench{Factor: totp.New(cfg, b), t: t, db: db, clock: clock, bindings: b, transaction: "trx_1"}
}

func (b *bench) attempt() factor.Attempt {
	b.t.Helper()
	a := factor.Attempt{
		Subject:  authn.Subject{Account: account, UserName: "s1234567"},
		Settings: b.settings, Transaction: b.transaction, Now: b.clock.Now(),
	}
	if err := b.db.Read(b.t.Context(), func(tx *store.Tx) (err error) {
		a.Bindings, err = b.bindings.Of(tx, account)
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return a
}

// phone is an app with one entry, and a clock that may be wrong.
type phone struct {
	b     *bench
	entry factor.Binding
	ahead time.Duration
}

func (p phone) code() string {
	p.b.t.Helper()
	code, _, err := totp.CodeAt(p.entry, p.b.clock.Now().Add(p.ahead))
	if err != nil {
		p.b.t.Fatal(err)
	}
	return code
}

func typed(code string, more ...string) factor.Answer {
	v := url.Values{"code": {code}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return factor.Answer{Form: v}
}

func (b *bench) commit(fn func(*store.Tx) error) error { return b.db.Write(b.t.Context(), fn) }

// scan begins a registration in a transaction of its own and returns the phone.
func (b *bench) scan(transaction string) phone {
	b.t.Helper()
	b.transaction = transaction
	if _, err := b.Begin(b.t.Context(), b.attempt()); err != nil {
		b.t.Fatal(err)
	}
	pending := b.attempt().Pending()
	if len(pending) != 1 {
		b.t.Fatalf("%d registrations in progress", len(pending))
	}
	return phone{b: b, entry: pending[0]}
}

func (b *bench) finish(p phone, label string) (factor.Enrolled, error) {
	e, err := b.Finish(b.t.Context(), b.attempt(), typed(p.code(), "label", label))
	if err == nil {
		err = b.commit(e.Commit)
	}
	return e, err
}

// register gives the account an app.
func (b *bench) register(transaction, label string, ahead time.Duration) phone {
	b.t.Helper()
	p := b.scan(transaction)
	p.ahead = ahead
	if _, err := b.finish(p, label); err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) try(code string, more ...string) (factor.Verified, error) {
	v, err := b.Verify(b.t.Context(), b.attempt(), typed(code, more...))
	if err == nil {
		err = b.commit(v.Commit)
	}
	return v, err
}

func fault(t testing.TB, err error, code authn.Code, facts ...string) {
	t.Helper()
	f := authn.AsFault(err)
	if f == nil || f.Code != code {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	for i := 0; i+1 < len(facts); i += 2 {
		if f.Facts[facts[i]] != facts[i+1] {
			t.Errorf("%s: %s is %q, want %q", code, facts[i], f.Facts[facts[i]], facts[i+1])
		}
	}
}

func TestRegisterAndSignIn(t *testing.T) {
	b := open(t, totp.Config{})
	p := b.scan("trx_1")
	e, err := b.finish(p, "  My   phone ")
	if err != nil {
		t.Fatal(err)
	}
	if e.Binding.Label != "My phone" || e.Evidence == nil || e.Evidence.Traits.Class != authn.Have || e.Evidence.Label != "My phone" {
		t.Errorf("%+v %+v", e.Binding, e.Evidence)
	}
	fault(t, second(b.try(p.code())), "T3") // the code of the registration itself
	b.clock.Add(30 * time.Second)
	v, err := b.try(p.code())
	if err != nil {
		t.Fatal(err)
	}
	if v.Evidence.Kind != "totp" || v.Evidence.Binding != p.entry.ID || v.Evidence.Label != "My phone" || !v.Evidence.At.Equal(b.clock.Now()) || v.Facts["device"] != "My phone" {
		t.Errorf("%+v", v)
	}
}

func second(_ factor.Verified, err error) error { return err }

func TestCodesAreReadAsPeopleTypeThem(t *testing.T) {
	b := open(t, totp.Config{})
	p := b.register("trx_1", "phone", 0)
	wide := strings.NewReplacer("0", "０", "1", "１", "2", "２", "3", "３", "4", "４", "5", "５", "6", "６", "7", "７", "8", "８", "9", "９")
	for _, form := range []func(string) string{
		func(c string) string { return c[:3] + " " + c[3:] },
		func(c string) string { return c[:3] + "-" + c[3:] },
		func(c string) string { return wide.Replace(c) },
		func(c string) string { return wide.Replace(c[:3]) + "ー" + wide.Replace(c[3:]) },
		func(c string) string { return "　" + wide.Replace(c[:2]) + "　" + c[2:] + "\u200b\r\n" },
	} {
		b.clock.Add(30 * time.Second)
		if _, err := b.try(form(p.code())); err != nil {
			t.Errorf("%q: %v", form(p.code()), err)
		}
	}
	for _, text := range []string{"", "12345", "1234567", "12345a", "１２３４５", "one two", strings.Repeat("1", 4000), "-------", "１２３４５６７"} {
		fault(t, second(b.try(text)), "T1.form", "digits", "6")
	}
}

func TestClockErrorIsNamedAndNeverAccepted(t *testing.T) {
	b := open(t, totp.Config{})
	p := b.register("trx_1", "phone", 0)
	b.clock.Add(30 * time.Minute)
	for _, c := range []struct {
		ahead     time.Duration
		direction string
	}{{-2 * time.Minute, "slow"}, {-9 * time.Minute, "slow"}, {2 * time.Minute, "fast"}, {9*time.Minute + 30*time.Second, "fast"}} {
		p.ahead = c.ahead
		_, err := b.try(p.code(), "clock", strconv.FormatInt(b.clock.Now().Add(-3*time.Second).UnixMilli(), 10))
		fault(t, err, "T2", "device", "phone", "direction", c.direction, "browser", "-3")
		if f := authn.AsFault(err); f != nil {
			n, err := strconv.Atoi(f.Facts["seconds"])
			if want := int(c.ahead.Abs() / time.Second); err != nil || n < want-30 || n > want+30 {
				t.Errorf("%v ahead is named as %s seconds", c.ahead, f.Facts["seconds"])
			}
		}
	}
	for _, far := range []time.Duration{-15 * time.Minute, 15 * time.Minute, 48 * time.Hour} {
		p.ahead = far
		fault(t, second(b.try(p.code())), "T1", "device", "phone", "registered", factor.TimeFact(p.entry.Created))
	}
	p.ahead = 0
	if _, err := b.try(p.code()); err != nil {
		t.Errorf("with the right time: %v", err)
	}
}

func TestCodeNamedAsOfTheFutureIsStruckOut(t *testing.T) {
	b := open(t, totp.Config{})
	p := b.register("trx_1", "phone", 0)
	b.clock.Add(time.Hour)
	p.ahead = 3 * time.Minute
	early := p.code()
	fault(t, second(b.try(early)), "T2", "direction", "fast")
	b.clock.Add(3 * time.Minute)
	fault(t, second(b.try(early)), "T3")
	p.ahead = 30 * time.Second
	if _, err := b.try(p.code()); err != nil {
		t.Errorf("the code after it: %v", err)
	}
	b.clock.Add(time.Hour)
	p.ahead = 0
	if _, err := b.try(p.code()); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

func TestDriftIsLearntStepByStep(t *testing.T) {
	b := open(t, totp.Config{})
	p := b.register("trx_1", "phone", 0)
	for drift := range 7 { // a clock that gains half a minute a month
		p.ahead = time.Duration(drift) * 30 * time.Second
		b.clock.Add(30 * 24 * time.Hour)
		if _, err := b.try(p.code()); err != nil {
			t.Fatalf("%v ahead: %v", p.ahead, err)
		}
	}
	p.ahead += 90 * time.Second
	b.clock.Add(time.Hour)
	fault(t, second(b.try(p.code())), "T2", "direction", "fast")
	p.ahead = 0 // the phone has fetched the right time
	b.clock.Add(time.Hour)
	if _, err := b.try(p.code()); err != nil {
		t.Errorf("after the clock was set right: %v", err)
	}
	p.ahead = 3 * time.Minute
	b.clock.Add(time.Hour)
	fault(t, second(b.try(p.code())), "T2")
}

func TestRegistrationLearnsTheDrift(t *testing.T) {
	b := open(t, totp.Config{})
	p := b.scan("trx_1")
	p.ahead = 8 * time.Minute
	fault(t, second2(b.finish(p, "")), "T2", "direction", "fast")
	p.ahead = -4 * time.Minute
	e, err := b.finish(p, "")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := strconv.Atoi(e.Facts["drift"]); err != nil || n > -210 || n < -270 {
		t.Errorf("drift %q", e.Facts["drift"])
	}
	b.clock.Add(10 * time.Minute)
	if _, err := b.try(p.code()); err != nil {
		t.Errorf("the same slow phone: %v", err)
	}
}

func second2(_ factor.Enrolled, err error) error { return err }

func TestUsedCodeSaysWhenTheNextOneComes(t *testing.T) {
	b := open(t, totp.Config{})
	p := b.register("trx_1", "phone", 0)
	b.clock.Add(10*time.Minute + 10*time.Second) // ten seconds into a step
	code := p.code()
	if _, err := b.try(code); err != nil {
		t.Fatal(err)
	}
	fault(t, second(b.try(code)), "T3", "device", "phone", "seconds", "20")
	b.clock.Add(5 * time.Second)
	fault(t, second(b.try(code)), "T3", "seconds", "15")
	b.clock.Add(25 * time.Second) // the app shows the next one by now
	fault(t, second(b.try(code)), "T3", "seconds", "20")
	p.ahead = -30 * time.Second
	fault(t, second(b.try(p.code())), "T3")
	b.clock.Add(4 * time.Minute)
	fault(t, second(b.try(code)), "T3")
}

func TestCodeOfAnOlderRegistrationIsNamed(t *testing.T) {
	b := open(t, totp.Config{})
	b.settings = factor.Settings{"lastWins": "true"}
	old := b.register("trx_1", "old phone", 0)
	registered := b.attempt().Bindings[0].Created
	b.clock.Add(48 * time.Hour)
	current := b.register("trx_2", "new phone", 0)
	if got := b.attempt().Active(); len(got) != 1 || got[0].Label != "new phone" {
		t.Fatalf("active: %+v", got)
	}
	b.clock.Add(time.Minute)
	fault(t, second(b.try(old.code())), "T4", "device", "old phone", "registered", factor.TimeFact(registered), "current", "new phone")
	if _, err := b.try(current.code()); err != nil {
		t.Error(err)
	}
}

func TestUnfinishedRegistrationIsNamed(t *testing.T) {
	b := open(t, totp.Config{})
	b.register("trx_1", "phone", 0)
	b.clock.Add(time.Hour)
	begun := b.clock.Now()
	half := b.scan("trx_2")
	b.clock.Add(time.Hour)
	fault(t, second(b.try(half.code())), "T5", "begun", factor.TimeFact(begun))
	b.scan("trx_3") // thrown away by beginning anew
	b.clock.Add(time.Minute)
	fault(t, second(b.try(half.code())), "T5", "begun", factor.TimeFact(begun))
	a := b.attempt()
	a.Bindings = a.Pending()
	_, err := b.Verify(t.Context(), a, typed("000000"))
	fault(t, err, "T5")
}

func TestRegistrationBelongsToItsTransaction(t *testing.T) {
	b := open(t, totp.Config{})
	stranger := b.scan("trx_stranger")
	b.transaction = "trx_owner"
	fault(t, second2(b.finish(stranger, "")), "T5.lost")
	owner := b.scan("trx_owner")
	again := b.scan("trx_owner")
	if owner.entry.ID != again.entry.ID || owner.code() != again.code() {
		t.Error("reloading the page shows another secret")
	}
	if owner.code() == stranger.code() {
		t.Error("a secret that was shown elsewhere is shown again")
	}
	b.transaction = "trx_stranger"
	fault(t, second2(b.finish(stranger, "")), "T5.lost")
	b.transaction = "trx_owner"
	if _, err := b.finish(owner, ""); err != nil {
		t.Error(err)
	}
}

func TestRegistrationIsFinishedOnce(t *testing.T) {
	b := open(t, totp.Config{})
	p := b.scan("trx_1")
	var commits []func(*store.Tx) error
	for range 2 {
		e, err := b.Finish(t.Context(), b.attempt(), typed(p.code()))
		if err != nil {
			t.Fatal(err)
		}
		commits = append(commits, e.Commit)
	}
	if err := b.commit(commits[0]); err != nil {
		t.Fatal(err)
	}
	fault(t, b.commit(commits[1]), "T5.lost")
}

func TestWrongCodeWhileRegistering(t *testing.T) {
	b := open(t, totp.Config{})
	old := b.register("trx_1", "old phone", 0)
	b.clock.Add(time.Hour)
	p := b.scan("trx_2")
	fault(t, second2(b.finish(phone{b: b, entry: old.entry}, "new phone")), "T1.enroll", "device", "new phone")
	given := b.scan("trx_given_up")
	p = b.scan("trx_2")
	fault(t, second2(b.finish(phone{b: b, entry: given.entry}, "")), "T5")
	p.ahead = 100 * time.Hour
	fault(t, second2(b.finish(p, "")), "T1.enroll")
	fault(t, second2(b.Finish(t.Context(), b.attempt(), typed("12"))), "T1.form")
	p.ahead = 0
	if _, err := b.finish(p, "old phone"); err != nil {
		t.Fatal(err)
	}
	if got := b.attempt().Active(); len(got) != 2 || got[1].Label != "old phone 2" {
		t.Errorf("%+v", got)
	}
}

func TestSeveralDevicesUpToTheRule(t *testing.T) {
	b := open(t, totp.Config{})
	b.settings = factor.Settings{"devices": "2"}
	one := b.register("trx_1", "phone", 0)
	two := b.register("trx_2", "tablet", 0)
	b.transaction = "trx_3"
	_, err := b.Begin(t.Context(), b.attempt())
	fault(t, err, "T8", "maximum", "2")
	b.clock.Add(time.Minute)
	for want, p := range map[string]phone{"phone": one, "tablet": two} {
		if v, err := b.try(p.code()); err != nil || v.Evidence.Label != want {
			t.Errorf("%s: %+v, %v", want, v.Evidence, err)
		}
	}
}

func TestDevicesAreCountedWhenItIsFinal(t *testing.T) {
	b := open(t, totp.Config{})
	p := b.scan("trx_1")
	a := b.attempt()
	e, err := b.Finish(t.Context(), a, typed(p.code()))
	if err != nil {
		t.Fatal(err)
	}
	other, err := totp.Import(totp.Config{}, account, "imported", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", b.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	b.settings = factor.Settings{"devices": "1"}
	a.Settings = b.settings
	if e, err = b.Finish(t.Context(), a, typed(p.code())); err != nil {
		t.Fatal(err)
	}
	if err := b.commit(func(tx *store.Tx) error {
		_, err := b.bindings.Add(tx, other)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	fault(t, b.commit(e.Commit), "T8")
}

func TestEnrolmentPageHoldsWhatAnAppNeeds(t *testing.T) {
	b := open(t, totp.Config{Issuer: "正門大学 認証基盤"})
	prompt, err := b.Begin(t.Context(), b.attempt())
	if err != nil {
		t.Fatal(err)
	}
	page := render(t, prompt)
	_, link, _ := strings.Cut(page, `href="`)
	link, _, _ = strings.Cut(link, `"`)
	u, err := url.Parse(strings.ReplaceAll(link, "&amp;", "&"))
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" {
		t.Fatalf("%q: %v", link, err)
	}
	q := u.Query()
	if u.Path != "/正門大学 認証基盤:s1234567" || q.Get("issuer") != "正門大学 認証基盤" || q.Get("digits") != "6" || q.Get("period") != "30" || q.Get("algorithm") != "SHA1" {
		t.Errorf("%s", u)
	}
	if strings.Contains(link, "+") {
		t.Errorf("apps show this plus sign: %s", link)
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(q.Get("secret"))
	if err != nil || len(raw) != 20 {
		t.Errorf("secret of %d bytes, %v", len(raw), err)
	}
	var groups []string
	for _, g := range strings.Split(page, "<span>")[1:] {
		groups = append(groups, g[:strings.Index(g, "<")])
	}
	if strings.Join(groups, "") != q.Get("secret") || len(groups[0]) != 4 {
		t.Errorf("groups %v", groups)
	}
	if !strings.Contains(page, `<path d="M4 4h7v1h-7z`) {
		t.Error("no QR code with a quiet zone of four modules")
	}
	b.clock.Add(24 * time.Hour)
	b.transaction = "trx_2"
	if prompt, err = b.Begin(t.Context(), b.attempt()); err != nil {
		t.Fatal(err)
	}
	if page := render(t, prompt); !strings.Contains(page, "s1234567%202026-04-07") {
		t.Error("the second entry in the app looks like the first")
	}
}

func render(t *testing.T, p factor.Prompt) string {
	t.Helper()
	say := func(id string, _ ...any) string { return id }
	funcs := template.FuncMap{"t": say, "text": say, "day": func(t time.Time) string { return t.String() }, "moment": func(t time.Time) string { return t.String() }, "span": func(d time.Duration) string { return d.String() }}
	tmpl, err := template.New("").Funcs(funcs).ParseFS(totp.Templates(), "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := tmpl.ExecuteTemplate(&out, p.Template, p.Data); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestImportedSecretWorks(t *testing.T) {
	b := open(t, totp.Config{})
	row, err := totp.Import(totp.Config{}, account, "phone", "gezd gnbv gy3t qojq gezd gnbv gy3t qojq", b.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.commit(func(tx *store.Tx) error {
		_, err := b.bindings.Add(tx, row)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	code, secret, err := totp.CodeAt(row, b.clock.Now())
	if err != nil || secret.Reveal() != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" {
		t.Fatal(secret.Reveal(), err)
	}
	if _, err := b.try(code); err != nil {
		t.Error(err)
	}
	for _, s := range []string{"", "0189", "GEZDGNBV", strings.Repeat("A", 400)} {
		if _, err := totp.Import(totp.Config{}, account, "", s, b.clock.Now()); err == nil {
			t.Errorf("imported %q", s)
		}
	}
}

func TestConfigIsJudged(t *testing.T) {
	for _, c := range []totp.Config{{Algorithm: "MD5"}, {Digits: 5}, {Digits: 9}, {Period: time.Second}, {Period: time.Hour}} {
		if c.Check() == nil {
			t.Errorf("accepted %+v", c)
		}
	}
	b := open(t, totp.Config{Algorithm: totp.SHA512, Digits: 8, Period: time.Minute})
	p := b.register("trx_1", "phone", 0)
	b.clock.Add(time.Minute)
	if code := p.code(); len(code) != 8 {
		t.Errorf("code %s", code)
	}
	if _, err := b.try(p.code()); err != nil {
		t.Error(err)
	}
}
