package diagnosis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/audit"
	"seimon/internal/diagnosis"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// seen runs one check and gives its findings as words.
func seen(t *testing.T, c diagnosis.Check) string {
	t.Helper()
	w := words(t, policy.Words())
	var out []string
	for _, f := range diagnosis.Examine(t.Context(), []diagnosis.Check{c}) {
		out = append(out, f.Code+" "+string(f.Severity))
		for _, tag := range w.Tags() {
			text, next := f.Says(w.In(tag))
			if text == "" || next == "" || strings.Contains(text+next, "{{") {
				t.Errorf("%s in %s: %q %q", f.Code, tag, text, next)
			}
		}
	}
	return strings.Join(out, ", ")
}

func check(code string, found []diagnosis.Finding, err error) diagnosis.Check {
	return diagnosis.Check{Code: code, Run: func(context.Context) ([]diagnosis.Finding, error) { return found, err }}
}

func TestExamine(t *testing.T) {
	all := diagnosis.Examine(t.Context(), []diagnosis.Check{
		check("a", nil, nil),
		check("b", []diagnosis.Finding{{Code: "clock", Severity: diagnosis.Warn}}, nil),
		check("c", nil, errors.New("no way in")),
	})
	var got []string
	for _, f := range all {
		got = append(got, f.Code+":"+f.Facts["check"])
	}
	if !slices.Equal(got, []string{"failed:c", "clock:", "good:a"}) || diagnosis.Worst(all) != diagnosis.Broken {
		t.Errorf("%v", got)
	}
	if diagnosis.Worst(all[1:]) != diagnosis.Warn || diagnosis.Worst(nil) != diagnosis.Good {
		t.Error("worst")
	}
	text, next := all[0].Says(words(t).In(lang.EN))
	if text != "The check c could not be carried out: no way in" || next == "" {
		t.Error(text)
	}
}

func TestCheckDatabase(t *testing.T) {
	db, clock := storetest.Open(t)
	if got := seen(t, diagnosis.CheckDatabase(db, clock.Now)); got != "good good" {
		t.Error(got)
	}
	slow := func() time.Time { clock.Add(200 * time.Millisecond); return clock.Now() }
	if got := seen(t, diagnosis.CheckDatabase(db, slow)); got != "database.slow warn" {
		t.Error(got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f := diagnosis.Examine(ctx, []diagnosis.Check{diagnosis.CheckDatabase(db, clock.Now)}); f[0].Code != "database" || f[0].Severity != diagnosis.Broken {
		t.Errorf("%+v", f)
	}
}

func TestCheckClock(t *testing.T) {
	here := storetest.NewClock()
	for off, want := range map[time.Duration]string{
		0: "good good", 4 * time.Second: "good good", -4 * time.Second: "good good", 6 * time.Second: "clock broken", -time.Hour: "clock broken",
	} {
		c := diagnosis.CheckClock("time server", here.Now, func(context.Context) (time.Time, error) { return here.Now().Add(off), nil })
		if got := seen(t, c); got != want {
			t.Errorf("%s: %s", off, got)
		}
	}
	slow := diagnosis.CheckClock("time server", here.Now, func(context.Context) (time.Time, error) {
		here.Add(14 * time.Second)
		return here.Now().Add(-13 * time.Second), nil
	})
	if got := seen(t, slow); got != "good good" {
		t.Errorf("an answer that took long: %s", got)
	}
	c := diagnosis.CheckClock("time server", here.Now, func(context.Context) (time.Time, error) { return time.Time{}, errors.New("silent") })
	if got := seen(t, c); got != "failed broken" {
		t.Error(got)
	}
}

func TestCheckKeys(t *testing.T) {
	db, clock := storetest.Open(t, keyring.Schema())
	ring := keyringtest.Open(t, db, []byte(strings.Repeat("m", 32)))
	const every = 90 * 24 * time.Hour
	for _, c := range []struct {
		pass time.Duration
		want string
	}{
		{0, "good good"},
		{every - time.Hour, "good good"},
		{2 * time.Hour, "key warn, key warn"},
		{8 * 24 * time.Hour, "key.overdue broken, key.overdue broken"},
	} {
		clock.Add(c.pass)
		if got := seen(t, diagnosis.CheckKeys(db, ring, every)); got != c.want {
			t.Errorf("after %s more: %s", c.pass, got)
		}
	}
}

type plain struct{}

func (plain) Seal(_ string, b []byte) []byte            { return b }
func (plain) Unseal(_ string, b []byte) ([]byte, error) { return b, nil }

type refusing struct{}

func (refusing) Send(context.Context, string, string, []byte) (string, error) {
	return "", errors.New("connection refused")
}

func TestCheckMail(t *testing.T) {
	db, clock := storetest.Open(t, mail.Schema())
	w, err := lang.New(nil, mail.Words())
	if err != nil {
		t.Fatal(err)
	}
	queue, err := mail.New(db, w, plain{}, mail.Config{From: "sso@example.ac.jp", Transport: refusing{}})
	if err != nil {
		t.Fatal(err)
	}
	c := diagnosis.CheckMail(db, queue)
	if got := seen(t, c); got != "good good" {
		t.Error(got)
	}
	// A message that was tried ten minutes ago and waits for its next try.
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		at := store.Millis(tx.Now)
		_, err := tx.Exec(`INSERT INTO mail_message (id, account, purpose, template, lang, masked, sealed, state, tries, server, reply, queued_at, next_at, tried_at, expires_at)
			VALUES ('m', '', '', '', 'en', '', $1, 'queued', 1, 'mx', 'connection refused', $2, $2, $2, $3)`, []byte{}, at, at+3600_000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := seen(t, c); got != "good good" {
		t.Error(got)
	}
	clock.Add(10 * time.Minute)
	if got := seen(t, c); got != "mail broken" {
		t.Error(got)
	}
	f := diagnosis.Examine(t.Context(), []diagnosis.Check{c})[0]
	if text, _ := f.Says(words(t).In(lang.EN)); text != "1 mails wait, the oldest for 10 minutes. The mail server said: connection refused" {
		t.Error(text)
	}
}

func TestCheckZones(t *testing.T) {
	for name, c := range map[string]struct {
		policy   string
		declared bool
		events   func(i int) (addr, headers string)
		want     string
	}{
		"people from many places":      {campus, false, func(i int) (string, string) { return fmt.Sprintf("192.0.2.%d", i), "" }, "good good"},
		"a proxy that nobody declared": {campus, false, func(int) (string, string) { return "10.0.0.5", "X-Forwarded-For" }, "proxy broken"},
		"one who tries a header": {campus, false, func(i int) (string, string) {
			return fmt.Sprintf("192.0.2.%d", i), map[bool]string{true: "X-Forwarded-For"}[i == 7]
		}, "good good"},
		"everybody from one address":      {campus, false, func(int) (string, string) { return "10.0.0.5", "" }, "proxy.single warn"},
		"behind a declared proxy":         {campus, true, func(int) (string, string) { return "10.0.0.5", "" }, "good good"},
		"IPv6 that no zone knows":         {campus, false, func(i int) (string, string) { return fmt.Sprintf("2001:db8::%d", i), "" }, "zonegap warn"},
		"a policy without zones":          {"[[rule]]\nclasses = 2\n", false, func(int) (string, string) { return "10.0.0.5", "Forwarded" }, "good good"},
		"addresses that are not":          {campus, false, func(i int) (string, string) { return fmt.Sprint("?", i), "" }, "good good"},
		"unknown behind a declared proxy": {campus, true, func(int) (string, string) { return "::", "" }, "good good"},
	} {
		o := newOffice(t)
		o.apply(c.policy)
		err := o.db.Write(t.Context(), func(tx *store.Tx) error {
			for i := range 30 {
				addr, headers := c.events(i)
				facts := map[string]string{}
				if headers != "" {
					facts["ignored_headers"] = headers
				}
				if err := o.log.Append(tx, audit.Event{Type: "signin.begun", Address: addr, Facts: facts}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := seen(t, diagnosis.CheckZones(o.db, o.log, o.book, c.declared)); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestCheckPolicy(t *testing.T) {
	o := newOffice(t)
	w := words(t, policy.Words())
	o.apply("[[rule]]\nclasses = 2\n[mailcode]\nlifetime = \"24h\"\n")
	c := diagnosis.CheckPolicy(o.db, o.book, w.In(lang.EN))
	if got := seen(t, c); got != "policy warn" {
		t.Error(got)
	}
	f := diagnosis.Examine(t.Context(), []diagnosis.Check{c})[0]
	if text, _ := f.Says(w.In(lang.EN)); !strings.Contains(text, "Codes by mail live for 24h") || f.Facts["line"] != "4" {
		t.Error(text, f.Facts)
	}
}

// TestDoctorWordsAreWhole: every finding has its sentence and its next step.
func TestDoctorWordsAreWhole(t *testing.T) {
	text, err := diagnosis.Words().Files.Open("words/en.toml")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	p := words(t).In(lang.JA)
	for _, l := range readLines(t, text) {
		id, _, _ := strings.Cut(strings.Trim(l, `"`), `"`)
		if strings.HasPrefix(id, "diagnosis.doctor.") && !strings.HasSuffix(id, ".next") {
			n++
			if !p.Has(id + ".next") {
				t.Errorf("%s does not say what to do", id)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d findings", n)
	}
}
