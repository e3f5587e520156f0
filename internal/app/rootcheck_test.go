package app

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seimon/internal/ca"
	"seimon/internal/ca/status"
)

const phrase = "ivory lanterns over the gate\n"

// typing runs a command for somebody who types.
func (s *site) typing(text string, args ...string) (code int, out, bad string) {
	s.t.Helper()
	var o, e bytes.Buffer
	code = Run(s.t.Context(), append([]string{"--config", s.config}, args...), Streams{In: strings.NewReader(text), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// TestAnIssuerIsRevokedWhileTheRootIsOffline walks the worst day: the root's key lies in
// a safe, the issuer must go. The doctor says what waits; with the key the running gate
// gives the list.
func TestAnIssuerIsRevokedWhileTheRootIsOffline(t *testing.T) {
	s := install(t)
	port := free(t)
	base := "http://pki.localhost:" + port
	s.edit(s.base(), `base = "`+base+`"`)
	s.edit(`#status_listen = ":80"`, `status_listen = "127.0.0.1:`+port+`"`)
	s.must("ca", "init", "--country", "JP")
	var issuers []struct{ ID, Name, State, Root, PEM string }
	if err := json.Unmarshal([]byte(s.must("ca", "issuers", "--json")), &issuers); err != nil || len(issuers) != 2 {
		t.Fatal(issuers, err)
	}
	root, issuer := issuers[0].ID, issuers[1].Name
	file := filepath.Join(s.dir, "root.key")
	for _, step := range []struct {
		typed string
		args  []string
		code  int
		says  string
	}{
		{phrase + phrase, []string{"ca", "root", "export", file}, exitDone, "proved"},
		{"another passphrase entirely\n", []string{"ca", "root", "remove", file}, exitFailed, "passphrase"},
		{phrase, []string{"ca", "root", "remove", file}, exitDone, "offline"},
		{"", []string{"ca", "rollover", "prepare"}, exitFailed, "seimon ca root import"},
		{"User CA\n", []string{"ca", "revoke", issuer, "--reason", "cACompromise"}, exitFailed, "nothing was changed"},
		{issuer + "\n", []string{"ca", "revoke", issuer, "--reason", "cACompromise"}, exitDone, "not on the list of its root yet"},
	} {
		code, out, bad := s.typing(step.typed, step.args...)
		if code != step.code || !strings.Contains(out+bad, step.says) {
			t.Fatalf("%v ended with %d: %s%s", step.args, code, out, bad)
		}
	}
	if text, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(text, []byte("-----BEGIN SEIMON ROOT KEY-----")) {
		t.Fatalf("%s %v", text, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	g := s.serve()
	address := "http://127.0.0.1:" + port + "/crl/" + root + "/1.crl"
	listed := func() int {
		l, err := x509.ParseRevocationList(fetch(t, address))
		if err != nil {
			t.Fatal(err)
		}
		return len(l.RevokedCertificateEntries)
	}
	if n := listed(); n != 0 {
		t.Errorf("%d issuers are listed without the key", n)
	}
	_, out, _ := s.run("doctor")
	for _, want := range []string{"[root.waiting.offline]", "[issuer.revoked]", "[issuer.none]", "[root.backups]"} {
		if !strings.Contains(out, want) {
			t.Errorf("the doctor does not say %s:\n%s", want, out)
		}
	}
	if code, out, bad := s.typing(phrase, "ca", "root", "import", file); code != exitDone {
		t.Fatalf("%d: %s%s", code, out, bad)
	}
	for range 500 {
		if listed() == 1 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if listed() != 1 {
		t.Error("after ten seconds the gate does not give the root's list")
	}
	if _, out, _ = s.run("doctor"); strings.Contains(out, "[root.") {
		t.Errorf("with the list signed the doctor says\n%s", out)
	}
	s.must("ca", "rollover", "prepare")
	if code := g.end(); code != exitDone {
		t.Errorf("serve ended with %d: %s", code, g.log)
	}
}

// TestTheDoctorWatchesTheEndOfARootsList: the alarm comes while there is time to fetch
// the key.
func TestTheDoctorWatchesTheEndOfARootsList(t *testing.T) {
	now := time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
	for days, want := range map[int]string{180: "", 61: "", 59: "root.soon", 1: "root.soon", -1: "root.expired"} {
		for away, suffix := range map[bool]string{false: "", true: ".offline"} {
			got := rootList(ca.Issuer{Name: "Root"}, listUntil(now.AddDate(0, 0, days)), away, now)
			code := ""
			if len(got) == 1 {
				code = got[0].Code
			}
			if want != "" && code != want+suffix || want == "" && code != "" {
				t.Errorf("%d days, offline %v: %+v", days, away, got)
			}
		}
	}
}

func listUntil(end time.Time) status.Published { return status.Published{Number: 1, NextUpdate: end} }
