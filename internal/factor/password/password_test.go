package password_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/factor/password"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

const (
	account = authn.AccountID("acc_1")
	secret  = "purple elephants sing"
)

type bench struct {
	*password.Factor
	t        testing.TB
	db       *store.DB
	clock    *storetest.Clock
	bindings *factor.Bindings
}

func open(t testing.TB, cfg password.Config) bench {
	db, clock := storetest.Open(t, keyring.Schema(), factor.Schema())
	ring := keyringtest.Open(t, db, bytes.Repeat([]byte{7}, 32))
	if cfg.Memory == 0 {
		cfg.Memory, cfg.Time = 64, 1
	}
	b := factor.NewBindings(db, ring)
	return bench{password.New(cfg, b), t, db, clock, b}
}

// with returns the same database seen through other parameters.
func (b bench) with(cfg password.Config) bench {
	b.Factor = password.New(cfg, b.bindings)
	return b
}

func (b bench) set(text string) {
	b.t.Helper()
	row, err := b.Prepare(b.t.Context(), account, text, b.clock.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	b.store(row)
}

func (b bench) store(row factor.Binding) {
	b.t.Helper()
	if err := b.db.Write(b.t.Context(), func(tx *store.Tx) error {
		_, err := b.bindings.Add(tx, row)
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
}

func (b bench) attempt() factor.Attempt {
	b.t.Helper()
	a := factor.Attempt{
		Subject:     authn.Subject{Account: account, UserName: "s1234567"},
		Requirement: authn.Requirement{Classes: 2},
		Now:         b.clock.Now(),
	}
	if err := b.db.Read(b.t.Context(), func(tx *store.Tx) (err error) {
		a.Bindings, err = b.bindings.Of(tx, account)
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return a
}

func answer(text string) factor.Answer {
	return factor.Answer{Form: url.Values{"password": {text}}}
}

func twice(text string) factor.Answer {
	return factor.Answer{Form: url.Values{"new": {text}, "repeat": {text}}}
}

func (b bench) commit(fn func(*store.Tx) error) error { return b.db.Write(b.t.Context(), fn) }

func (b bench) change(text string) error {
	e, err := b.Finish(b.t.Context(), b.attempt(), twice(text))
	if err != nil {
		return err
	}
	return b.commit(e.Commit)
}

func code(err error) authn.Code {
	if f := authn.AsFault(err); f != nil {
		return f.Code
	}
	return ""
}

func (b bench) signIn(text string) (factor.Verified, error) {
	v, err := b.Verify(b.t.Context(), b.attempt(), answer(text))
	if err == nil {
		err = b.commit(v.Commit)
	}
	return v, err
}

func TestRightPasswordIsEvidence(t *testing.T) {
	b := open(t, password.Config{})
	b.set(secret)
	for _, typed := range []string{secret, "ｐｕｒｐｌｅ　elephants sing"} {
		v, err := b.signIn(typed)
		if err != nil {
			t.Fatalf("%q: %v", typed, err)
		}
		if v.Evidence.Kind != "password" || v.Evidence.Traits.Class != authn.Know || !v.Evidence.At.Equal(b.clock.Now()) ||
			v.Evidence.Binding != b.attempt().Bindings[0].ID || v.MustChange != "" {
			t.Errorf("%+v", v)
		}
		if (v.Facts["full_width"] == "yes") != (typed != secret) {
			t.Errorf("facts %v", v.Facts)
		}
	}
	if used := b.attempt().Bindings[0].Used; !used.Equal(b.clock.Now()) {
		t.Errorf("last use %v", used)
	}
}

func TestWrongUnknownAndMissingLookTheSame(t *testing.T) {
	b := open(t, password.Config{})
	b.set(secret)
	unknown, without := b.attempt(), b.attempt()
	unknown.Subject, unknown.Bindings = authn.Subject{}, nil
	without.Bindings = nil
	for who, a := range map[string]factor.Attempt{"wrong": b.attempt(), "unknown": unknown, "no password": without} {
		for typed, fact := range map[string]string{"WRONG PASSWORD": "caps_lock", "ｗrong": "full_width", "まちがい": "kana", "wrong": "", strings.Repeat("a", 5000): "", "": ""} {
			_, err := b.Verify(t.Context(), a, answer(typed))
			f := authn.AsFault(err)
			if f == nil || f.Code != "P1" || f.Cause != nil {
				t.Fatalf("%s, %.20q: %v", who, typed, err)
			}
			if (fact == "" && len(f.Facts) > 0) || (fact != "" && f.Facts[fact] != "yes") {
				t.Errorf("%s, %.20q: facts %v", who, typed, f.Facts)
			}
		}
	}
	if _, err := b.Verify(t.Context(), unknown, answer(secret)); code(err) != "P1" {
		t.Errorf("somebody's password without an account: %v", err)
	}
}

// spent is the processor time of this program so far: a busy machine is not what is
// measured.
func spent(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestWrongUnknownAndPreviousTakeTheSameTime(t *testing.T) {
	b := open(t, password.Config{Memory: 8 << 10, Time: 2, Parallel: 1})
	b.set("the password of before")
	if err := b.change(secret); err != nil {
		t.Fatal(err)
	}
	known, unknown := b.attempt(), b.attempt()
	unknown.Subject, unknown.Bindings = authn.Subject{}, nil
	best := map[string]time.Duration{}
	for range 40 {
		for who, try := range map[string]struct {
			a     factor.Attempt
			typed string
		}{"wrong": {known, "wrong"}, "unknown": {unknown, "wrong"}, "previous": {known, "the password of before"}, "right": {known, secret}} {
			began := spent(t)
			_, err := b.Verify(t.Context(), try.a, answer(try.typed))
			took := spent(t) - began
			if (err == nil) != (who == "right") {
				t.Fatal(who, err)
			}
			if best[who] == 0 || took < best[who] {
				best[who] = took
			}
		}
	}
	for who, d := range best {
		if ratio := float64(d) / float64(best["unknown"]); ratio < 0.8 || ratio > 1.25 {
			t.Errorf("%s takes %v, an unknown name %v", who, d, best["unknown"])
		}
	}
}

func TestPreviousPasswordIsNamedWithItsDay(t *testing.T) {
	b := open(t, password.Config{})
	b.set("the first password of all")
	var changed []time.Time
	for _, next := range []string{"second password of yours", "third password of hers", "fourth password of his", "fifth password of ours"} {
		b.clock.Add(24 * time.Hour)
		if err := b.change(next + " x7"); err != nil {
			t.Fatal(next, err)
		}
		changed = append(changed, b.clock.Now())
	}
	b.clock.Add(time.Hour)
	for typed, want := range map[string]time.Time{"fourth password of his x7": changed[3], "third password of hers x7": changed[2], "second password of yours x7": changed[1]} {
		_, err := b.Verify(t.Context(), b.attempt(), answer(typed))
		if f := authn.AsFault(err); f == nil || f.Code != "P3" || f.Facts["changed"] != factor.TimeFact(want) {
			t.Errorf("%q: %v", typed, err)
		}
	}
	if _, err := b.Verify(t.Context(), b.attempt(), answer("the first password of all")); code(err) != "P1" {
		t.Errorf("forgotten one: %v", err)
	}
	if _, err := b.signIn("fifth password of ours x7"); err != nil {
		t.Error(err)
	}
	if got := password.SetOn(b.attempt().Bindings[0]); !got.Equal(changed[3]) {
		t.Errorf("set on %v", got)
	}
}

func TestImportedHashIsReplacedAtSignIn(t *testing.T) {
	b := open(t, password.Config{})
	row, err := password.Import(account, "{SSHA}WsOLLgG1Q5zqWiRvrXIOScePoQ0BAgMEBQYHCA==", b.clock.Now().AddDate(-3, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	b.store(row)
	if _, err := b.signIn("hello world!"); code(err) != "P1" {
		t.Fatalf("wrong: %v", err)
	}
	if _, err := b.signIn("Hello world!"); err != nil {
		t.Fatal(err)
	}
	after := b.attempt().Bindings[0]
	if !bytes.Contains(after.Payload, []byte("$argon2id$v=19$m=64,t=1,p=1$")) || bytes.Contains(after.Payload, []byte("SSHA")) {
		t.Errorf("payload %s", after.Payload)
	}
	if got := password.SetOn(after); got.Year() != b.clock.Now().Year()-3 {
		t.Errorf("the upgrade counts as a change: %v", got)
	}
	if _, err := b.signIn("Hello world!"); err != nil {
		t.Errorf("after the upgrade: %v", err)
	}
	stronger := b.with(password.Config{Memory: 128, Time: 2})
	if _, err := stronger.signIn("Hello world!"); err != nil {
		t.Fatal(err)
	}
	if p := b.attempt().Bindings[0].Payload; !bytes.Contains(p, []byte("m=128,t=2,p=1")) {
		t.Errorf("stronger parameters were not taken: %s", p)
	}
}

func TestUpgradeNeverUndoesAChange(t *testing.T) {
	b := open(t, password.Config{})
	b.set(secret)
	weak, strong := b, b.with(password.Config{Memory: 128, Time: 1})
	first, err := strong.Verify(t.Context(), b.attempt(), answer(secret))
	if err != nil {
		t.Fatal(err)
	}
	second, err := strong.Verify(t.Context(), b.attempt(), answer(secret))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.commit(first.Commit); err != nil {
		t.Fatal(err)
	}
	if err := weak.change("another long enough secret"); err != nil {
		t.Fatal(err)
	}
	if err := b.commit(second.Commit); code(err) != "P1" {
		t.Errorf("a sign-in that began before the change: %v", err)
	}
	if _, err := b.signIn("another long enough secret"); err != nil {
		t.Errorf("the new password was lost: %v", err)
	}
	if _, err := b.signIn(secret); code(err) == "" {
		t.Error("the old password still opens")
	}
}

func TestTwoSignInsMayUpgradeTogether(t *testing.T) {
	b := open(t, password.Config{})
	b.set(secret)
	strong := b.with(password.Config{Memory: 128, Time: 1})
	var commits []func(*store.Tx) error
	for range 4 {
		v, err := strong.Verify(t.Context(), b.attempt(), answer(secret))
		if err != nil {
			t.Fatal(err)
		}
		commits = append(commits, v.Commit)
	}
	errs := make(chan error, len(commits))
	for _, c := range commits {
		go func() { errs <- b.commit(c) }()
	}
	for range commits {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if _, err := strong.signIn(secret); err != nil {
		t.Error(err)
	}
}

func TestChangeIsWonByOne(t *testing.T) {
	b := open(t, password.Config{})
	b.set(secret)
	a := b.attempt()
	one, err := b.Finish(t.Context(), a, twice("my first new long secret"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Finish(t.Context(), a, twice("my other new long secret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.commit(one.Commit); err != nil {
		t.Fatal(err)
	}
	if err := b.commit(two.Commit); code(err) != "P9.race" {
		t.Errorf("second change: %v", err)
	}
}

func TestFirstPasswordIsSetOnce(t *testing.T) {
	b := open(t, password.Config{})
	a := b.attempt()
	var commits []func(*store.Tx) error
	for _, text := range []string{"my first new long secret", "my other new long secret"} {
		e, err := b.Finish(t.Context(), a, twice(text))
		if err != nil {
			t.Fatal(err)
		}
		if e.Evidence == nil || e.Evidence.Kind != "password" || e.Evidence.Binding != e.Binding.ID {
			t.Errorf("evidence %+v", e.Evidence)
		}
		commits = append(commits, e.Commit)
	}
	if err := b.commit(commits[0]); err != nil {
		t.Fatal(err)
	}
	if err := b.commit(commits[1]); code(err) != "P9.race" {
		t.Errorf("second: %v", err)
	}
	if _, err := b.signIn("my first new long secret"); err != nil {
		t.Error(err)
	}
}

func TestNewPasswordRules(t *testing.T) {
	b := open(t, password.Config{Words: []string{"Toyohashi"}})
	b.set(secret)
	a := b.attempt()
	a.Person.Names = []string{"Tanaka", "田中"}
	both := factor.Settings{"minimum": "8", "alone": "15", "used_alone": "false"}
	for _, c := range []struct {
		settings factor.Settings
		chosen   string
		want     authn.Code
		fact     string
	}{
		{nil, "", "P9.empty", ""},
		{nil, "k9#mXp2Lq!vR7z", "P9.short", "15"},
		{nil, "k9#mXp2Lq!vR7zz", "", ""},
		{nil, "むらさきの象がしずかに歌います", "", ""},
		{both, "k9#mXp2", "P9.short", "8"},
		{both, "k9#mXp2L", "", ""},
		{factor.Settings{"alone": "20"}, "k9#mXp2Lq!vR7zz", "P9.short", "20"},
		{nil, strings.Repeat("k9#mXp2L", 8), "", ""}, // 64 characters
		{nil, strings.Repeat("むらさきの象が歌う。春", 30), "P9.long", "256"},
		{nil, "line one\nline two and three", "P9.characters", ""},
		{nil, "broken \xff text of some length", "P9.characters", ""},
		{nil, "passwordpassword", "P9.common", ""},
		{nil, "tanakatanaka2026", "P9.person", ""},
		{nil, "田中田中田中田中田中田中田中田中", "P9.person", ""},
		{nil, "s1234567-s1234567", "P9.person", ""},
		{nil, "toyohashi-toyohashi", "P9.university", ""},
		{nil, "qwertyuiop1234567890", "P9.walk", ""},
		{nil, "2026-04-01 2026-04-01", "P9.date", ""},
		{nil, secret, "P9.same", ""},
		{nil, "ｐｕｒｐｌｅ elephants sing", "P9.same", ""},
	} {
		a.Settings = c.settings
		_, err := b.Finish(t.Context(), a, twice(c.chosen))
		if code(err) != c.want || (c.want == "" && err != nil) {
			t.Errorf("%q: %v, want %q", c.chosen, err, c.want)
			continue
		}
		if f := authn.AsFault(err); c.fact != "" && f.Facts["minimum"]+f.Facts["maximum"] != c.fact {
			t.Errorf("%q: facts %v", c.chosen, f.Facts)
		}
	}
	_, err := b.Finish(t.Context(), a, factor.Answer{Form: url.Values{"new": {"k9#mXp2Lq!vR7zz"}, "repeat": {"k9#mXp2Lq!vR7zy"}}})
	if code(err) != "P9.mismatch" {
		t.Errorf("two different: %v", err)
	}
	if err := b.change("むらさきの象がﾈﾑﾙ春の夜の夢"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.signIn("むらさきの象がネムル春の夜の夢"); err != nil {
		t.Errorf("typed on another keyboard: %v", err)
	}
}

func TestReasonsToChange(t *testing.T) {
	b := open(t, password.Config{})
	b.set("k9#mXp2L")
	a := b.attempt()
	verify := func(a factor.Attempt, typed string) authn.Code {
		t.Helper()
		v, err := b.Verify(t.Context(), a, answer(typed))
		if err != nil {
			t.Fatal(err)
		}
		return v.MustChange
	}
	if got := verify(a, "k9#mXp2L"); got != "" {
		t.Errorf("as one of two: %s", got)
	}
	a.Requirement = authn.Requirement{}
	if got := verify(a, "k9#mXp2L"); got != "P8.short" {
		t.Errorf("alone: %q", got)
	}
	a.Settings = factor.Settings{"alone": "8"}
	if got := verify(a, "k9#mXp2L"); got != "" {
		t.Errorf("alone where 8 are enough: %q", got)
	}
	a.Settings["max_age"] = "24h"
	a.Now = a.Now.Add(25 * time.Hour)
	if got := verify(a, "k9#mXp2L"); got != "P8.expired" {
		t.Errorf("too old: %q", got)
	}
	for action, want := range map[string]authn.Code{"expire": "P8.expired", "breached": "P8.breached"} {
		if err := b.commit(func(tx *store.Tx) error { return b.Act(t.Context(), tx, b.attempt(), action, factor.Answer{}) }); err != nil {
			t.Fatal(err)
		}
		if got := verify(b.attempt(), "k9#mXp2L"); got != want {
			t.Errorf("after %s: %q", action, got)
		}
	}
	if err := b.change("a new and longer secret"); err != nil {
		t.Fatal(err)
	}
	if got := verify(b.attempt(), "a new and longer secret"); got != "" {
		t.Errorf("after the change: %q", got)
	}
	if err := b.commit(func(tx *store.Tx) error { return b.Act(t.Context(), tx, b.attempt(), "choose", factor.Answer{}) }); err == nil {
		t.Error("an unknown action was run")
	}
}

func TestListedImportedPasswordMustChange(t *testing.T) {
	b := open(t, password.Config{})
	b.set("sakura2026")
	v, err := b.Verify(t.Context(), b.attempt(), answer("sakura2026"))
	if err != nil || v.MustChange != "P8.breached" {
		t.Errorf("%q, %v", v.MustChange, err)
	}
}

func TestCrowdIsTurnedAwayInsteadOfPilingUp(t *testing.T) {
	b := open(t, password.Config{Memory: 64, Time: 1, Parallel: 1, Queue: 2})
	b.set(secret)
	a := b.attempt()
	leave := b.Occupy()
	results := make(chan error, 24)
	for range cap(results) {
		go func() {
			_, err := b.Verify(context.Background(), a, answer(secret))
			results <- err
		}()
	}
	for range cap(results) - 2 { // two may wait
		if c := code(<-results); c != "O1.busy" {
			t.Errorf("fault %q", c)
		}
	}
	leave()
	for range 2 {
		if err := <-results; err != nil {
			t.Error("whoever waited for a turn was told", err)
		}
	}
}

func TestWaitingEndsWithTheRequest(t *testing.T) {
	b := open(t, password.Config{Memory: 64, Time: 1, Parallel: 1, Queue: 8})
	b.set(secret)
	a := b.attempt()
	leave := b.Occupy()
	defer leave()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := b.Verify(ctx, a, answer("wrong"))
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || authn.AsFault(err) != nil {
		t.Errorf("a request that has gone still waits: %v", err)
	}
}

func TestPrepareAndImportRefuseNonsense(t *testing.T) {
	b := open(t, password.Config{})
	for _, text := range []string{"", "a\x00b", strings.Repeat("a", 2000)} {
		if _, err := b.Prepare(t.Context(), account, text, b.clock.Now()); err == nil {
			t.Errorf("prepared %.10q", text)
		}
	}
	if _, err := password.Import(account, "{CLEARTEXT}secret", b.clock.Now()); err == nil {
		t.Error("imported a clear text")
	}
}

func TestDamagedPayloadIsNoFault(t *testing.T) {
	b := open(t, password.Config{})
	for _, payload := range []string{"", "{}", `{"v":2,"hash":"x"}`, "\x00"} {
		a := factor.Attempt{Subject: authn.Subject{Account: account}, Bindings: []factor.Binding{{Kind: "password", State: factor.Active, Payload: []byte(payload)}}}
		if _, err := b.Verify(t.Context(), a, answer(secret)); err == nil || authn.AsFault(err) != nil {
			t.Errorf("%q: %v", payload, err)
		}
	}
}
