package app

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

var supportShown = regexp.MustCompile(`id="support"[^>]*>([0-9A-Z]{4}-[0-9A-Z]{4})<`)

// O1: while the database is out of order every page says so, since when, what still
// works and what to try; machines are asked to come back; the desk finds the support
// code afterwards; and it all ends by itself.
func TestDatabaseOutage(t *testing.T) {
	address, power := storetest.Switched(t)
	s := install(t)
	t.Setenv("SEIMON_DATABASE_URL", address) // install may have set its own
	g := s.serve()
	if status, text := g.get("/portal"); status >= 500 {
		t.Fatalf("before the outage: %d %s", status, text)
	}
	power.Off()
	defer power.On()
	var codes []string
	for tag, words := range map[string][]string{
		"en": {"Signing in is out of order", "since", "Nobody can sign in anew", "already signed in go on working", "wait a few minutes", "Open it again"},
		"ja": {"サインインが故障しています", "から、", "だれも新しくサインインできません", "もうサインインしているサービス", "数分待って", "もう一度開く"},
	} {
		status, text := g.get("/portal", "Accept-Language", tag, "Accept", "text/html")
		if status != http.StatusServiceUnavailable || g.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q", tag, status, g.header.Get("Retry-After"))
		}
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s: the page does not say %q:\n%s", tag, w, text)
			}
		}
		if m := supportShown.FindStringSubmatch(text); m != nil {
			codes = append(codes, m[1])
		}
		if status, text := g.get("/help/contact", "Accept-Language", tag); status != http.StatusOK || !strings.Contains(text, words[2]) {
			t.Errorf("%s: help fell with the database (%d), or keeps quiet", tag, status)
		}
	}
	if status, text := g.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, `"database"`) {
		t.Errorf("/readyz says %d %s", status, text)
	}
	if status, _ := g.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz says %d", status)
	}
	if code, out, _ := s.run("doctor"); code != exitIll || !strings.Contains(out, "[database]") {
		t.Errorf("the doctor says %d\n%s", code, out)
	}
	power.On()
	eventually(t, "the gate is back", func() bool {
		status, _ := g.get("/portal")
		ready, _ := g.get("/readyz")
		return status < 500 && ready == http.StatusOK
	})
	if len(codes) != 2 {
		t.Fatalf("support codes: %v", codes)
	}
	for _, code := range codes {
		eventually(t, "the desk finds "+code, func() bool {
			status, out, _ := s.run("explain", code)
			return status == exitDone && strings.Contains(out, "O1.database") && strings.Contains(out, "Nobody can sign in anew")
		})
	}
}

// O1.mail: the mail server is out of reach. Every page says so and what to use
// instead; whoever waits for nothing by mail is not disturbed otherwise.
func TestMailOutage(t *testing.T) {
	s := install(t) // its mail server does not exist
	c, err := LoadConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(t.Context(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	err = h.DB.Write(t.Context(), func(tx *store.Tx) error {
		_, err := h.Mail.Enqueue(tx, mail.Message{To: "taro@example.ac.jp", Lang: lang.EN, Template: "login.mail.signin", Facts: map[string]string{
			"user": "taro", "name": "Taro", "support": "-", "at": "-", "service": "-", "address": "-", "device": "-",
		}})
		return err
	})
	if err := errors.Join(err, h.Mail.Deliver(t.Context())); err != nil {
		t.Fatal(err)
	}
	d := h.Mail.Down()
	if d.Since.IsZero() || d.Reply == "" {
		t.Fatalf("the mail server is thought to work: %+v", d)
	}
	if lines := h.disorder(h.Words.In(lang.EN), d.Since.Add(time.Second)); len(lines) != 0 {
		t.Errorf("told at once: %v", lines)
	}
	for tag, words := range map[lang.Tag][]string{
		lang.EN: {"Mail has not gone out since", "Use the one-time password app"},
		lang.JA: {"からメールを送れません", "ワンタイムパスワードアプリを使ってください"},
	} {
		lines := strings.Join(h.disorder(h.Words.In(tag), d.Since.Add(time.Minute)), " ")
		for _, w := range words {
			if !strings.Contains(lines, w) {
				t.Errorf("%s: %q is not said: %q", tag, w, lines)
			}
		}
	}
	if state := h.readiness(t.Context()); !state.Ready || len(state.Degraded) == 0 || state.Degraded[0].Code != "mailserver" {
		t.Errorf("readiness: %+v", state)
	}
}

// O2: announced maintenance, until when it lasts.
func TestMaintenance(t *testing.T) {
	s := install(t)
	s.edit("#[outage]\n#file", "[outage]\nfile")
	until := time.Now().Add(3 * time.Hour)
	text := "until: " + until.Format(time.RFC3339) + "\nen: The portal changes its colours.\n"
	if err := os.WriteFile(filepath.Join(s.dir, "outage.txt"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := s.serve()
	if _, text := g.get("/help", "Accept-Language", "en"); !strings.Contains(text, "being maintained until") || !strings.Contains(text, "changes its colours") {
		t.Errorf("the maintenance is not announced:\n%s", text)
	}
	if _, text := g.get("/help", "Accept-Language", "ja"); !strings.Contains(text, "まで、システムの点検をしています") {
		t.Errorf("the maintenance is not announced in Japanese:\n%s", text)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("not within two minutes: %s", what)
}

// A head that an auditor noted is looked for again.
func TestNotedHead(t *testing.T) {
	s := install(t)
	head := regexp.MustCompile(`Head: (\S+)`).FindStringSubmatch(s.must("audit", "verify"))
	if head == nil {
		t.Fatal("no head is printed")
	}
	s.must("audit", "verify", "--head", head[1])
	if code, out, _ := s.run("audit", "verify", "--head", "7000:"+strings.Repeat("ab", 32)); code != exitIll || !strings.Contains(out, "chain cut: block 7000") {
		t.Errorf("a chain without the noted block: %d %s", code, out)
	}
	if code, _, bad := s.run("audit", "verify", "--head", "nonsense"); code == exitDone || code == exitIll {
		t.Errorf("nonsense: %d %s", code, bad)
	}
}

// A message that was cut off on its way is the sender's trouble and no outage.
func TestACutMessageIsNoOutage(t *testing.T) {
	g := install(t).serve()
	for _, path := range []string{"/saml/sso?SAMLRequest=AAAA", "/saml/slo?SAMLRequest=AAAA", "/saml/slo?SAMLResponse=fZ"} {
		status, text := g.get(path, "Accept-Language", "en", "Accept", "text/html")
		if status != http.StatusBadRequest || strings.Contains(text, "out of order") || !strings.Contains(text, "not set up correctly") {
			t.Errorf("%s: %d\n%s", path, status, text)
		}
	}
}

// What a room has named stays what it is, even if its cause reads like a lost connection.
func TestANamedFaultIsNoOutage(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if _, out := (&House{}).closed(r, authn.NewFault("R3.request").Because(io.ErrUnexpectedEOF)); out {
		t.Error("it is shown as an outage")
	}
}
