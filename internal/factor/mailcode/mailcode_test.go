package mailcode_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/factor/mailcode"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

const (
	account = authn.AccountID("acc_1")
	home    = "hanako@home.example.net"
)

type bench struct {
	*mailcode.Factor
	t           testing.TB
	db          *store.DB
	clock       *storetest.Clock
	bindings    *factor.Bindings
	queue       *mail.Queue
	box         *mail.Memory
	settings    factor.Settings
	transaction string
	tag         lang.Tag
}

func open(t testing.TB) *bench {
	db, clock := storetest.Open(t, keyring.Schema(), factor.Schema(), mail.Schema(), mailcode.Schema())
	ring := keyringtest.Open(t, db, bytes.Repeat([]byte{7}, 32))
	words, err := lang.New(time.UTC, mail.Words(), mailcode.Words())
	if err != nil {
		t.Fatal(err)
	}
	box := &mail.Memory{}
	queue, err := mail.New(db, words, ring, mail.Config{
		From: "gate@example.ac.jp", Transport: box, University: map[lang.Tag]string{lang.JA: "正門大学", lang.EN: "Seimon University"},
	})
	if err != nil {
		t.Fatal(err)
	}
	b := factor.NewBindings(db, ring)
	f := mailcode.New(mailcode.Config{Behind: []string{"example.ac.jp", "MAIL.example.jp."}}, b, queue, ring)
	return &bench{Factor: f, t: t, db: db, clock: clock, bindings: b, queue: queue, box: box, transaction: "trx_1", tag: lang.EN}
}

func (b *bench) write(fn func(*store.Tx) error) {
	b.t.Helper()
	if err := b.db.Write(b.t.Context(), fn); err != nil {
		b.t.Fatal(err)
	}
}

// has gives the account a verified address.
func (b *bench) has(address string) factor.Binding {
	b.t.Helper()
	row, err := b.Prepare(account, address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(func(tx *store.Tx) error {
		row, err = b.bindings.Add(tx, row)
		return err
	})
	return row
}

func (b *bench) attempt() factor.Attempt {
	b.t.Helper()
	a := factor.Attempt{
		Subject: authn.Subject{Account: account, UserName: "s1234567"}, Lang: b.tag,
		Settings: b.settings, Transaction: b.transaction, Now: b.clock.Now(),
		Person: factor.Profile{Addresses: []factor.Address{{Use: "mail", Address: "hanako@stu.example.ac.jp"}, {Use: "recovery", Address: home}}},
	}
	if err := b.db.Read(b.t.Context(), func(tx *store.Tx) (err error) {
		a.Bindings, err = b.bindings.Of(tx, account)
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return a
}

// challenge asks for a code in a transaction and returns the newest mail's code.
func (b *bench) challenge(transaction string) string {
	b.t.Helper()
	b.transaction = transaction
	if _, err := b.Challenge(b.t.Context(), b.attempt()); err != nil {
		b.t.Fatal(err)
	}
	return b.read()
}

var eight = regexp.MustCompile(`(?m)^\s+(\d{4} \d{4})$`)

// read delivers the mails and returns the code in the newest one.
func (b *bench) read() string {
	b.t.Helper()
	if err := b.queue.Deliver(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	all := b.box.Messages("")
	if len(all) == 0 {
		b.t.Fatal("no mail")
	}
	found := eight.FindStringSubmatch(all[len(all)-1].Text)
	if found == nil {
		b.t.Fatalf("no code in %q", all[len(all)-1].Text)
	}
	return found[1]
}

func (b *bench) mails() int {
	b.t.Helper()
	if err := b.queue.Deliver(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return len(b.box.Messages(""))
}

func typed(pairs ...string) factor.Answer {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return factor.Answer{Form: v}
}

func (b *bench) try(code string) (factor.Verified, error) {
	v, err := b.Verify(b.t.Context(), b.attempt(), typed("code", code))
	if err == nil {
		err = b.db.Write(b.t.Context(), v.Commit)
	}
	return v, err
}

func (b *bench) again(where string) error {
	_, err := b.Verify(b.t.Context(), b.attempt(), typed("again", where))
	return err
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

func second[T any](_ T, err error) error { return err }

func TestCodeProvesOnce(t *testing.T) {
	b := open(t)
	row := b.has(home)
	code := b.challenge("trx_1")
	v, err := b.try(code)
	if err != nil {
		t.Fatal(err)
	}
	if e := v.Evidence; e.Kind != "mailcode" || e.Traits.Class != 0 || e.Binding != row.ID || e.Label != "h***@home.example.net" {
		t.Errorf("%+v", e)
	}
	if got := authn.Assess([]authn.Evidence{v.Evidence}); got.Level != authn.LevelNone {
		t.Errorf("counts as %v", got.Level)
	}
	b.clock.Add(time.Second)
	fault(t, second(b.try(code)), "M2.used", "used", factor.TimeFact(b.clock.Now().Add(-time.Second)))
}

func TestMailSaysWhatItIsFor(t *testing.T) {
	b := open(t)
	b.has(home)
	b.challenge("trx_1")
	b.tag, b.settings = lang.JA, factor.Settings{"lifetime": "24h"}
	b.challenge("trx_2")
	all := b.box.Messages(home)
	if len(all) != 2 {
		t.Fatalf("%d mails", len(all))
	}
	for i, parts := range [][]string{{"s1234567", "for 10 minutes", "Seimon University"}, {"s1234567", "24時間", "正門大学"}} {
		for _, part := range parts {
			if !strings.Contains(all[i].Text, part) {
				t.Errorf("mail %d lacks %q:\n%s", i+1, part, all[i].Text)
			}
		}
		if strings.ContainsAny(all[i].Subject, "0123456789") {
			t.Errorf("the subject shows the code: %s", all[i].Subject)
		}
	}
}

func TestReloadSendsNoSecondMail(t *testing.T) {
	b := open(t)
	b.has(home)
	var wg sync.WaitGroup
	a := b.attempt()
	for range 8 {
		wg.Go(func() {
			if _, err := b.Challenge(t.Context(), a); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := b.mails(); n != 1 {
		t.Errorf("%d mails", n)
	}
	b.clock.Add(time.Hour)
	b.challenge("trx_1")
	if n := b.mails(); n != 1 {
		t.Errorf("%d mails after the code expired and nobody asked", n)
	}
}

func TestOnlyTheNewestCodeCounts(t *testing.T) {
	b := open(t)
	b.has(home)
	old := b.challenge("trx_1")
	fault(t, b.again("1"), "M1", "seconds", "60", "to", "h***@home.example.net", "state", "handed")
	b.clock.Add(time.Minute)
	if err := b.again("1"); !errors.Is(err, factor.ErrMore) {
		t.Fatal(err)
	}
	sent := b.clock.Now()
	code := b.read()
	b.clock.Add(time.Second)
	fault(t, second(b.try(old)), "M2.older", "to", "h***@home.example.net", "sent", factor.TimeFact(sent), "state", "handed")
	if _, err := b.try(code); err != nil {
		t.Error(err)
	}
}

func TestCodeBelongsToItsTransaction(t *testing.T) {
	b := open(t)
	b.has(home)
	one := b.challenge("trx_1")
	two := b.challenge("trx_2")
	fault(t, second(b.try(one)), "M2.older")
	b.transaction = "trx_1"
	fault(t, second(b.try(two)), "M2")
	b.transaction = "trx_3"
	fault(t, second(b.try(two)), "M2")
	b.transaction = "trx_1"
	if _, err := b.try(one); err != nil {
		t.Errorf("another window took the code of this one away: %v", err)
	}
}

func TestCodeExpires(t *testing.T) {
	b := open(t)
	b.has(home)
	b.settings = factor.Settings{"lifetime": "5m"}
	sent := b.clock.Now()
	code := b.challenge("trx_1")
	b.clock.Add(4*time.Minute + 59*time.Second)
	late, err := b.Verify(t.Context(), b.attempt(), typed("code", code))
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Add(time.Second)
	fault(t, second(b.try(code)), "M2.expired", "sent", factor.TimeFact(sent), "expired", factor.TimeFact(sent.Add(5*time.Minute)))
	if err := b.db.Write(t.Context(), late.Commit); authn.AsFault(err) == nil {
		t.Errorf("a code that expired before the end: %v", err)
	}
	b.settings["lifetime"] = "1000h"
	b.clock.Add(time.Hour)
	code = b.challenge("trx_2")
	b.clock.Add(24 * time.Hour)
	fault(t, second(b.try(code)), "M2.expired")
}

func TestWrongCodeTellsWhatBecameOfTheMail(t *testing.T) {
	b := open(t)
	b.has(home)
	code := strings.ReplaceAll(b.challenge("trx_1"), " ", "")
	wrong := strings.Map(func(r rune) rune { return '0' + (r-'0'+1)%10 }, code)
	fault(t, second(b.try(wrong)), "M2.wrong", "to", "h***@home.example.net", "state", "handed", "handed", factor.TimeFact(b.clock.Now()), "reply", "250 kept in memory")
	for _, text := range []string{"", code[:7], code + "0", "abcdefgh", strings.Repeat("1", 4000)} {
		fault(t, second(b.try(text)), "M2.form", "digits", "8")
	}
	wide := strings.NewReplacer("0", "０", "1", "１", "2", "２", "3", "３", "4", "４", "5", "５", "6", "６", "7", "７", "8", "８", "9", "９")
	if _, err := b.try(wide.Replace(code[:4]) + "ー" + code[4:]); err != nil {
		t.Errorf("as people type it: %v", err)
	}
}

func TestRefusedMailIsNamed(t *testing.T) {
	b := open(t)
	first := b.has(home)
	second := b.has("other@mail.example.net")
	b.box.Break(&mail.Refusal{Code: 550, Final: true, Reply: "5.1.1 no such user"})
	if _, err := b.Challenge(t.Context(), b.attempt()); err != nil {
		t.Fatal(err)
	}
	if err := b.queue.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := authn.AsFault(b.again("1"))
	if f == nil || f.Code != "M1.refused" || !strings.Contains(f.Facts["reply"], "550 5.1.1") {
		t.Fatalf("%+v", f)
	}
	b.box.Break(nil)
	to := "other@mail.example.net"
	where := second.ID
	if f.Facts["to"] == mail.MaskAddress(to) { // the first mail went to the newer address
		to, where = home, first.ID
	}
	if err := b.again(where); !errors.Is(err, factor.ErrMore) {
		t.Fatalf("another address, at once: %v", err)
	}
	code := b.read()
	if n := len(b.box.Messages(to)); n != 1 {
		t.Fatalf("%d mails to %s", n, to)
	}
	if v, err := b.try(code); err != nil || v.Evidence.Binding != where {
		t.Errorf("%+v, %v", v.Evidence, err)
	}
}

func TestMailsAreBounded(t *testing.T) {
	b := open(t)
	b.has(home)
	for range 10 {
		b.challenge(authn.NewID("trx"))
		b.clock.Add(time.Minute)
	}
	b.transaction = "trx_one_too_many"
	_, err := b.Challenge(t.Context(), b.attempt())
	fault(t, err, "M1.wait", "seconds", "3000")
	b.clock.Add(50 * time.Minute)
	b.challenge("trx_later")
}

func TestConcurrentAnswersAreWonByOne(t *testing.T) {
	b := open(t)
	b.has(home)
	code := b.challenge("trx_1")
	a := b.attempt()
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			v, err := b.Verify(context.Background(), a, typed("code", code))
			if err == nil {
				err = b.db.Write(context.Background(), v.Commit)
			}
			switch f := authn.AsFault(err); {
			case err == nil:
				won.Add(1)
			case f == nil || f.Code != "M2.used":
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d requests were let in by one code", won.Load())
	}
}

func TestNewerCodeTakesTheOlderAwayEvenWhileItIsJudged(t *testing.T) {
	b := open(t)
	b.has(home)
	code := b.challenge("trx_1")
	v, err := b.Verify(t.Context(), b.attempt(), typed("code", code))
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Add(time.Minute)
	if err := b.again("1"); !errors.Is(err, factor.ErrMore) {
		t.Fatal(err)
	}
	fault(t, b.db.Write(t.Context(), v.Commit), "M2")
}

func TestRemovedAddressNoLongerProves(t *testing.T) {
	b := open(t)
	row := b.has(home)
	code := b.challenge("trx_1")
	v, err := b.Verify(t.Context(), b.attempt(), typed("code", code))
	if err != nil {
		t.Fatal(err)
	}
	b.write(func(tx *store.Tx) error { return b.bindings.Remove(tx, row.ID) })
	fault(t, b.db.Write(t.Context(), v.Commit), "M2")
	fault(t, second(b.try(code)), "M1.none")
	fault(t, second(b.Challenge(t.Context(), b.attempt())), "M1.none")
}

func TestAddressIsVerifiedByACode(t *testing.T) {
	b := open(t)
	p, err := b.Begin(t.Context(), b.attempt())
	if err != nil || p.Template != "mailcode.address" {
		t.Fatal(p.Template, err)
	}
	_, err = b.Finish(t.Context(), b.attempt(), typed("address", " Hanako@Home.Example.net "))
	if !errors.Is(err, factor.ErrMore) {
		t.Fatal(err)
	}
	if p, err = b.Begin(t.Context(), b.attempt()); err != nil || p.Template != "mailcode.confirm" {
		t.Fatal(p.Template, err)
	}
	fault(t, second(b.Challenge(t.Context(), b.attempt())), "M1.none") // nothing is sent to an address not verified
	code := b.read()
	if got := b.box.Messages("Hanako@home.example.net"); len(got) != 1 || !strings.Contains(got[0].Text, "s1234567") {
		t.Fatalf("%+v", got)
	}
	fault(t, second(b.Finish(t.Context(), b.attempt(), typed("code", "0000 0000"))), "M2.wrong")
	stranger := b.attempt()
	stranger.Transaction = "trx_stranger"
	if _, err := b.Finish(t.Context(), stranger, typed("code", code)); err == nil || errors.Is(err, factor.ErrMore) {
		t.Errorf("another transaction finished it: %v", err)
	}
	e, err := b.Finish(t.Context(), b.attempt(), typed("code", code))
	if err != nil {
		t.Fatal(err)
	}
	if e.Evidence == nil || e.Evidence.Kind != "mailcode" || mailcode.AddressOf(e.Binding) != "Hanako@home.example.net" || e.Binding.Label != "H***@home.example.net" {
		t.Errorf("%+v", e)
	}
	b.write(e.Commit)
	if err := b.db.Write(t.Context(), e.Commit); authn.AsFault(err) == nil {
		t.Errorf("finished twice: %v", err)
	}
	if got := b.attempt().Active(); len(got) != 1 || mailcode.AddressOf(got[0]) != "Hanako@home.example.net" {
		t.Errorf("%+v", got)
	}
	if _, err := b.try(b.challenge("trx_2")); err != nil {
		t.Error(err)
	}
	fault(t, second(b.Finish(t.Context(), b.attempt(), typed("address", "hanako@home.example.net"))), "M3.taken", "to", "h***@home.example.net")
}

func TestUnsuitableAddressesAreRefused(t *testing.T) {
	b := open(t)
	for address, want := range map[string]authn.Code{
		"hanako@stu.example.ac.jp": "M3", "x@EXAMPLE.AC.JP": "M3", "x@example.ac.jp.": "M3", "ｘ＠ｅｘａｍｐｌｅ．ａｃ．ｊｐ": "M3", "x@mail.example.jp": "M3",
		"": "M3.form", "hanako": "M3.form", "@example.net": "M3.form", "a@": "M3.form", "a b@example.net": "M3.form", "a@b": "M3.form",
		"a@example.net\r\nBcc: x@example.org": "M3.form", "<a@example.net>": "M3.form", "a@example.net,b@example.net": "M3.form",
		strings.Repeat("a", 300) + "@example.net": "M3.form",
	} {
		fault(t, second(b.Finish(t.Context(), b.attempt(), typed("address", address))), want)
	}
	fault(t, second(b.Finish(t.Context(), b.attempt(), typed("address", "x@deep.stu.example.ac.jp"))), "M3", "domain", "example.ac.jp")
	if n := b.mails(); n != 0 {
		t.Errorf("%d mails were sent", n)
	}
	if got := b.attempt().Bindings; len(got) != 0 {
		t.Errorf("left behind: %+v", got)
	}
	if err := second(b.Finish(t.Context(), b.attempt(), typed("address", "x@notexample.ac.jp"))); !errors.Is(err, factor.ErrMore) {
		t.Errorf("a domain that only ends alike: %v", err)
	}
}

func TestAnotherAddressOrAnotherMailWhileVerifying(t *testing.T) {
	b := open(t)
	for _, address := range []string{"one@example.net", "two@example.net"} {
		if _, err := b.Finish(t.Context(), b.attempt(), typed("address", address)); !errors.Is(err, factor.ErrMore) {
			t.Fatal(err)
		}
		b.mails()
		fault(t, second(b.Finish(t.Context(), b.attempt(), typed("again", "1"))), "M1", "state", "handed")
		b.clock.Add(time.Minute)
		if _, err := b.Finish(t.Context(), b.attempt(), typed("again", "1")); !errors.Is(err, factor.ErrMore) {
			t.Fatal(err)
		}
		if got := len(b.attempt().Pending()); got != 1 {
			t.Errorf("%d unfinished", got)
		}
		if address == "one@example.net" {
			if _, err := b.Finish(t.Context(), b.attempt(), typed("again", "other")); !errors.Is(err, factor.ErrMore) {
				t.Fatal(err)
			}
			if p, err := b.Begin(t.Context(), b.attempt()); err != nil || p.Template != "mailcode.address" {
				t.Fatal(p.Template, err)
			}
		}
	}
	if n := b.mails(); n != 4 {
		t.Errorf("%d mails", n)
	}
	e, err := b.Finish(t.Context(), b.attempt(), typed("code", b.read()))
	if err != nil || mailcode.AddressOf(e.Binding) != "two@example.net" {
		t.Errorf("%+v, %v", e.Binding, err)
	}
}

func TestAddressThatMovedBehindTheGateIsNotUsed(t *testing.T) {
	b := open(t)
	row, err := b.Prepare(account, home)
	if err != nil {
		t.Fatal(err)
	}
	row.Payload = bytes.ReplaceAll(row.Payload, []byte("home.example.net"), []byte("new.example.ac.jp"))
	b.write(func(tx *store.Tx) error {
		_, err := b.bindings.Add(tx, row)
		return err
	})
	fault(t, second(b.Challenge(t.Context(), b.attempt())), "M3", "domain", "example.ac.jp")
	_, err = b.Prepare(account, "x@example.ac.jp")
	fault(t, err, "M3")
}

func TestTheDatabaseHoldsNoCode(t *testing.T) {
	b := open(t)
	b.has(home)
	code := strings.ReplaceAll(b.challenge("trx_1"), " ", "")
	if err := b.db.Read(t.Context(), func(tx *store.Tx) error {
		var hash []byte
		if err := tx.QueryRow("SELECT hash FROM mailcode_code").Scan(&hash); err != nil {
			return err
		}
		if len(hash) != 32 || bytes.Contains(hash, []byte(code)) {
			t.Errorf("hash %x", hash)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestSweepErasesWhatIsLongOver(t *testing.T) {
	b := open(t)
	b.has(home)
	b.challenge("trx_1")
	b.clock.Add(6 * 24 * time.Hour)
	b.challenge("trx_2")
	b.clock.Add(2 * 24 * time.Hour)
	b.write(b.Sweep)
	var left string
	if err := b.db.Read(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow("SELECT trx FROM mailcode_code").Scan(&left)
	}); err != nil || left != "trx_2" {
		t.Errorf("left %q, %v", left, err)
	}
}

func TestConfigIsJudged(t *testing.T) {
	for _, d := range []string{"", "@example.ac.jp", "example", "a b.example", "https://example.ac.jp", "*.example.ac.jp"} {
		if (mailcode.Config{Behind: []string{d}}).Check() == nil {
			t.Errorf("accepted %q", d)
		}
	}
	b := open(t)
	if got := b.Check(t.Context()); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if got := mailcode.New(mailcode.Config{}, nil, nil, noRing{}).Check(t.Context()); len(got) != 1 || got[0].Code != "MAILCODE001" {
		t.Errorf("%+v", got)
	}
}

type noRing struct{}

func (noRing) MAC(string, []byte) []byte { return nil }
