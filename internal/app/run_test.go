package app

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	dice "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/app/demo/vcard"
	"seimon/internal/card/pcsc/pcsctest"
	"seimon/internal/store/storetest"
)

// site is an installation in a folder.
type site struct {
	t      *testing.T
	dir    string
	config string
	reader *pcsctest.Daemon // of IC cards, in the tests of documents
	made   *vcard.Card      // one that another office personalised
}

// install runs "seimon init" and fits the configuration to this machine.
func install(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: filepath.Join(t.TempDir(), "etc")}
	if os.Getenv("SEIMON_TEST_POSTGRES") != "" {
		t.Setenv("SEIMON_DATABASE_URL", storetest.URL(t))
	}
	s.config = filepath.Join(s.dir, "seimon.toml")
	if out := s.must("init", s.dir, "--origin", "https://sso.localhost:"+free(t)); !strings.Contains(out, "policy apply") {
		t.Errorf("init says %q", out)
	}
	s.edit(`listen = ":443"`, `listen = "127.0.0.1:`+s.port()+`"`)
	s.edit(`listen = "127.0.0.1:9090"`, `listen = "127.0.0.1:`+free(t)+`"`)
	s.edit(`certificate = "tls/sso.pem"`, `certificate = "cert.pem"`)
	s.edit(`key = "tls/sso.key"`, `key = "key.pem"`)
	s.edit(`host = "smtp.localhost"`, `host = "127.0.0.1"`)
	s.certify("sso.localhost", time.Now().Add(90*24*time.Hour))
	return s
}

// free gives a port that nobody else gets before the test is over: the system gives away
// none of these by itself, and a name that is taken keeps it from other tests.
func free(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(20000 + dice.IntN(10000))
		mine, err := net.Listen("unix", "@seimon-test-port-"+port)
		if err != nil {
			continue
		}
		t.Cleanup(func() { mine.Close() })
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

func (s *site) text() string {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *site) port() string {
	return regexp.MustCompile(`sso\.localhost:(\d+)`).FindStringSubmatch(s.text())[1]
}

func (s *site) metrics() string {
	return "http://" + regexp.MustCompile(`(?s)\[metrics\].*?listen = "([^"]+)"`).FindStringSubmatch(s.text())[1]
}

func (s *site) edit(old, fresh string) {
	s.t.Helper()
	text := s.text()
	if !strings.Contains(text, old) {
		s.t.Fatalf("the configuration has no %q", old)
	}
	if err := os.WriteFile(s.config, []byte(strings.Replace(text, old, fresh, 1)), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// certify writes a certificate that vouches for itself.
func (s *site) certify(name string, until time.Time) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(until.Unix()), DNSNames: []string{name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(filepath.Join(s.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// run runs one command to its end.
func (s *site) run(args ...string) (code int, out, bad string) {
	var o, e bytes.Buffer
	code = Run(s.t.Context(), append([]string{"--config", s.config}, args...), Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

func (s *site) must(args ...string) string {
	s.t.Helper()
	code, out, bad := s.run(args...)
	if code != exitDone {
		s.t.Fatalf("%v ended with %d: %s", args, code, bad)
	}
	return out
}

// serving is a gate that runs.
type serving struct {
	*site
	log   *lockedBuffer
	stop  func()
	ended chan int

	header http.Header // of the last answer
}

// lockedBuffer takes the log while the test looks at it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (s *site) serve() *serving {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	g := &serving{site: s, log: &lockedBuffer{}, stop: stop, ended: make(chan int, 1)}
	go func() {
		g.ended <- Run(ctx, []string{"--config", s.config, "serve"}, Streams{In: strings.NewReader(""), Out: io.Discard, Err: g.log})
	}()
	s.t.Cleanup(func() { g.end() })
	for range 3000 { // a minute: the race detector on a busy machine is slow
		if strings.Contains(g.log.String(), `"msg":"ready"`) {
			return g
		}
		select {
		case code := <-g.ended:
			g.ended <- code
			s.t.Fatalf("serve ended with %d: %s", code, g.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
	s.t.Fatalf("serve is not ready: %s", g.log)
	return nil
}

// end stops the gate and gives its exit code.
func (g *serving) end() int {
	g.stop()
	code := <-g.ended
	g.ended <- code
	return code
}

// get asks the gate over TLS.
func (g *serving) get(path string, header ...string) (int, string) {
	g.t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, "cert.pem"))
	if err != nil {
		g.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	client := &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DialContext: dial, DisableKeepAlives: true}}
	q, err := http.NewRequest(http.MethodGet, "https://sso.localhost:"+g.port()+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	answer, err := client.Do(q)
	if err != nil {
		g.t.Fatal(err)
	}
	g.header = answer.Header
	return body(g.t, answer)
}

func body(t *testing.T, answer *http.Response) (int, string) {
	t.Helper()
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// operator asks the listener for operators.
func (g *serving) operator(path string) (int, string) {
	g.t.Helper()
	answer, err := http.Get(g.metrics() + path)
	if err != nil {
		g.t.Fatal(err)
	}
	return body(g.t, answer)
}

func TestInitServeDoctor(t *testing.T) {
	s := install(t)
	for name, mode := range map[string]os.FileMode{"master.key": 0o600, "policy.toml": 0o640} {
		if info, err := os.Stat(filepath.Join(s.dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if code, _, bad := s.run("init", s.dir); code != exitFailed || !strings.Contains(bad, "nothing was written") {
		t.Errorf("init over an installation ended with %d: %s", code, bad)
	}
	s.must("policy", "apply", filepath.Join(s.dir, "policy.toml"))
	g := s.serve()
	if status, text := g.get("/healthz"); status != http.StatusOK || text != "alive\n" {
		t.Errorf("healthz: %d %q", status, text)
	}
	if status, text := g.get("/readyz"); status != http.StatusOK || !strings.Contains(text, `"ready":true`) {
		t.Errorf("readyz: %d %q", status, text)
	}
	if status, _ := g.get("/metrics"); status != http.StatusNotFound {
		t.Errorf("the world reads the measurements: %d", status)
	}
	if status, text := g.operator("/metrics"); status != http.StatusOK || !strings.Contains(text, `seimon_request_seconds_count{route="GET /readyz",status="200"} 1`) ||
		!strings.Contains(text, "seimon_policy_version 1") {
		t.Errorf("metrics: %d %.2000s", status, text)
	}
	_, out, _ := s.run("doctor")
	for _, want := range []string{"good    tls", "good    reach", "good    database", "good    masterkey", "One password takes", "[mailserver]"} {
		if !strings.Contains(out, want) {
			t.Errorf("the doctor does not say %q:\n%s", want, out)
		}
	}
	if code := g.end(); code != exitDone {
		t.Errorf("serve ended with %d: %s", code, g.log)
	}
	if code, out, _ := s.run("doctor", "--json"); code != exitIll || !json.Valid([]byte(out)) || !strings.Contains(out, `"reach"`) {
		t.Errorf("the doctor of a stopped gate ended with %d:\n%s", code, out)
	}
}

func TestLogIsJSONWithoutSecrets(t *testing.T) {
	g := install(t).serve()
	g.get("/reset?token=seeekret&user=s1234567", "User-Agent", "Mozilla/5.0 (unusual)", "Cookie", "x=seeekret")
	g.get("/nowhere/s1234567")
	g.end()
	for line := range strings.Lines(g.log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%q is not JSON: %v", line, err)
		}
		if entry["msg"] == "request" && (entry["id"] == "" || entry["route"] == nil) {
			t.Errorf("a request without its id or route: %s", line)
		}
	}
	for _, secret := range []string{"seeekret", "s1234567", "unusual"} {
		if strings.Contains(g.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// An undeclared proxy is named where operators look (scenario Z5).
func TestUndeclaredProxyIsNamed(t *testing.T) {
	s := install(t)
	s.must("policy", "apply", filepath.Join(s.dir, "policy.toml"))
	g := s.serve()
	for range seenLeast {
		g.get("/help", "X-Forwarded-For", "10.1.2.3")
	}
	if _, text := g.operator("/readyz"); !strings.Contains(text, `"code":"proxy"`) || !strings.Contains(text, "127.0.0.1") || !strings.Contains(text, "X-Forwarded-For") {
		t.Errorf("operators read %s", text)
	}
	if _, text := g.get("/readyz"); !strings.Contains(text, `"code":"proxy"`) || strings.Contains(text, "127.0.0.1") {
		t.Errorf("the world reads %s", text)
	}
	for range 2 * seenLeast {
		g.get("/help")
	}
	if _, text := g.operator("/readyz"); strings.Contains(text, "proxy") {
		t.Errorf("a single liar is taken for a proxy: %s", text)
	}
}

func TestServeRefusesWhatCannotBeTrusted(t *testing.T) {
	s := install(t)
	s.must("policy", "apply", filepath.Join(s.dir, "policy.toml"))
	s.edit("[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n", "")
	if code, _, bad := s.run("serve"); code != exitFailed || !strings.Contains(bad, "the policy uses zones") {
		t.Errorf("plain HTTP with zones ended with %d: %s", code, bad)
	}
	s.edit("[database]", "[proxy]\nbehind = true\n\n[database]")
	if code, _, bad := s.run("serve"); code != exitFailed || !regexp.MustCompile(`seimon\.toml:\d+: a proxy stands in front`).MatchString(bad) {
		t.Errorf("an undeclared proxy ended with %d: %s", code, bad)
	}
}

// A request that runs when the program is told to stop gets its answer.
func TestServeDrains(t *testing.T) {
	g := install(t).serve()
	text, err := os.ReadFile(filepath.Join(g.dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	conn, err := tls.Dial("tcp", "127.0.0.1:"+g.port(), &tls.Config{RootCAs: pool, ServerName: "sso.localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute)) //nolint:errcheck // a missing deadline only makes a failure slow
	in := bufio.NewReader(conn)
	fmt.Fprintf(conn, "POST /oidc/token HTTP/1.1\r\nHost: sso.localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	g.stop()
	for { // the door is shut, the request goes on
		late, err := net.Dial("tcp", "127.0.0.1:"+g.port())
		if err != nil {
			break
		}
		late.Close()
	}
	fmt.Fprint(conn, "a=b")
	for line, err := in.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 4"); line, err = in.ReadString('\n') {
		if err != nil {
			t.Fatalf("the request was not answered: %v", err)
		}
	}
	if code := g.end(); code != exitDone {
		t.Errorf("serve ended with %d: %s", code, g.log)
	}
}

func TestServeNamesTheLine(t *testing.T) {
	s := install(t)
	if err := os.Remove(filepath.Join(s.dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	if code, _, bad := s.run("serve"); code != exitFailed || !regexp.MustCompile(`seimon\.toml:\d+: open .*key\.pem`).MatchString(bad) {
		t.Errorf("a missing key ended with %d: %s", code, bad)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	s := install(t)
	file := filepath.Join(s.dir, "cert.pem")
	c, err := newCertificate(file, filepath.Join(s.dir, "key.pem"), newLog(io.Discard, "error"))
	if err != nil {
		t.Fatal(err)
	}
	serialNow := func() string {
		t.Helper()
		c.looked = time.Time{}
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(pair.Leaf.SerialNumber)
	}
	first := serialNow()
	s.certify("sso.localhost", time.Now().Add(200*24*time.Hour))
	if err := os.Chtimes(file, time.Now(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	second := serialNow()
	if first == second {
		t.Error("the renewed certificate is not used")
	}
	if err := os.WriteFile(file, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if serialNow() != second {
		t.Error("a broken file took the place of a good certificate")
	}
}

func TestDoctorSeesCertificates(t *testing.T) {
	for name, c := range map[string]struct {
		host  string
		until time.Duration
		want  string
	}{
		"expired":    {"sso.localhost", -time.Hour, "tls.expired"},
		"soon":       {"sso.localhost", 5 * 24 * time.Hour, "tls.soon"},
		"other name": {"other.localhost", 90 * 24 * time.Hour, "tls.name"},
	} {
		s := install(t)
		s.certify(c.host, time.Now().Add(c.until))
		if _, out, _ := s.run("doctor"); !strings.Contains(out, "["+c.want+"]") {
			t.Errorf("%s: the doctor says\n%s", name, out)
		}
	}
}

func TestOutage(t *testing.T) {
	s := install(t)
	s.edit("#[outage]\n#file", "[outage]\nfile")
	if err := os.WriteFile(filepath.Join(s.dir, "outage.txt"), []byte("ja: 工事中です。\nen: Mail is down until 20:00.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := s.serve()
	if _, text := g.get("/help", "Accept-Language", "en"); !strings.Contains(text, "Mail is down until 20:00.") {
		t.Error("the announcement is not shown")
	}
}

func TestUsage(t *testing.T) {
	s := &site{t: t, config: filepath.Join(t.TempDir(), "none.toml")}
	if code, out, _ := s.run("--help"); code != exitDone || !strings.Contains(out, "doctor") {
		t.Errorf("--help ended with %d: %s", code, out)
	} else if strings.Contains(out, "suspend") {
		t.Errorf("--help lists the verbs of every noun: %s", out)
	}
	if code, out, _ := s.run("user", "--help"); code != exitDone || !strings.Contains(out, "user suspend") {
		t.Errorf("user --help ended with %d: %s", code, out)
	}
	if code, _, _ := s.run("fly"); code != exitUsage {
		t.Errorf("an unknown command ended with %d", code)
	}
	if code, _, bad := s.run("user", "list"); code != exitFailed || !strings.Contains(bad, "none.toml") {
		t.Errorf("a missing configuration ended with %d: %s", code, bad)
	}
	if out := s.must("version"); !strings.HasPrefix(out, "seimon ") {
		t.Error(out)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out := s.must("completion", shell); !strings.Contains(out, "activate-code") {
			t.Errorf("%s: %.200s", shell, out)
		}
	}
}
