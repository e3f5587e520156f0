package mail

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/authn"
)

// mailServer is a mail server that follows a script: what it offers after EHLO and
// what it answers to a command. It remembers what it was told.
type mailServer struct {
	offer  []string
	answer map[string]string // by the first word of a command; "." is the end of a message
	secure *tls.Config
	atOnce bool // TLS from the first byte

	host, port string
	mu         sync.Mutex
	heard      []string
	data       string
	protected  bool
}

func (s *mailServer) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.host, s.port, _ = net.SplitHostPort(l.Addr().String())
	var talks sync.WaitGroup
	talks.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			talks.Go(func() { s.talk(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close() //nolint:errcheck // the test is over
		talks.Wait()
	})
}

func (s *mailServer) talk(conn net.Conn) {
	defer func() { conn.Close() }() //nolint:errcheck // the test is over
	if s.atOnce {
		conn = tls.Server(conn, s.secure)
	}
	lines := bufio.NewReader(conn)
	say := func(line string) { conn.Write([]byte(line + "\r\n")) } //nolint:errcheck // the client notices
	if a := s.answer["hello"]; a == "silence" {
		lines.ReadString('\n') //nolint:errcheck // until the client gives up
		return
	}
	say("220 mail.example.ac.jp ESMTP")
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.hear(line)
		verb := strings.ToUpper(strings.Fields(line + " -")[0])
		switch a := s.answer[verb]; {
		case a != "":
			say(a)
		case verb == "EHLO":
			say("250-mail.example.ac.jp")
			for _, o := range s.offer {
				say("250-" + o)
			}
			say("250 8BITMIME")
		case verb == "STARTTLS":
			say("220 go ahead")
			conn = tls.Server(conn, s.secure)
			lines = bufio.NewReader(conn)
		case verb == "AUTH":
			say(s.judge(line, lines, say))
		case verb == "DATA":
			say("354 go ahead")
			if !s.take(lines) {
				return
			}
			if a := s.answer["."]; a != "" {
				say(a)
			} else {
				say("250 2.0.0 queued as 4XYZ")
			}
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
		_, secured := conn.(*tls.Conn)
		s.mu.Lock()
		s.protected = secured
		s.mu.Unlock()
	}
}

func (s *mailServer) hear(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, line)
}

// judge answers AUTH PLAIN and AUTH LOGIN (RFC 4616, 4954).
func (s *mailServer) judge(line string, lines *bufio.Reader, say func(string)) string {
	plain := base64.StdEncoding.EncodeToString([]byte("\x00seimon\x00right horse"))
	if line == "AUTH PLAIN "+plain {
		return "235 welcome"
	}
	if line == "AUTH LOGIN" {
		say("334 VXNlcm5hbWU6")
		user, _ := lines.ReadString('\n')
		say("334 UGFzc3dvcmQ6")
		password, _ := lines.ReadString('\n')
		if strings.TrimSpace(user) == "c2VpbW9u" && strings.TrimSpace(password) == base64.StdEncoding.EncodeToString([]byte("right horse")) {
			return "235 welcome"
		}
	}
	return "535 5.7.8 authentication failed"
}

func (s *mailServer) take(lines *bufio.Reader) bool {
	var data strings.Builder
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			s.mu.Lock()
			s.data = data.String()
			s.mu.Unlock()
			return true
		}
		data.WriteString(strings.TrimPrefix(line, "."))
	}
}

// verbs lists the commands the server was given.
func (s *mailServer) verbs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, line := range s.heard {
		out = append(out, strings.Fields(line + " -")[0])
	}
	return out
}

func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}

func (s *mailServer) client(t *testing.T, cfg SMTPConfig) *SMTP {
	t.Helper()
	cfg.Host, cfg.Hello = s.host, "sso.example.ac.jp"
	c, err := NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.addr = net.JoinHostPort(s.host, s.port)
	return c
}

const letter = "Subject: x\r\n\r\nfirst\r\n.\r\n..hidden dot\r\n"

func (s *mailServer) send(t *testing.T, cfg SMTPConfig) (string, error) {
	t.Helper()
	return s.client(t, cfg).Send(t.Context(), "sso@example.ac.jp", "hanako@example.com", []byte(letter))
}

func TestSMTPHandsOver(t *testing.T) {
	secure, roots := certificate(t)
	auth := SMTPConfig{User: "seimon", Password: "right horse", Roots: roots}
	for _, c := range []struct {
		name   string
		server *mailServer
		cfg    SMTPConfig
		verbs  []string
	}{
		{"in the clear", &mailServer{}, SMTPConfig{Security: Plain}, []string{"EHLO", "MAIL", "RCPT", "DATA", "QUIT"}},
		{"starttls and plain", &mailServer{offer: []string{"STARTTLS", "AUTH LOGIN PLAIN"}, secure: secure}, auth,
			[]string{"EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"}},
		{"tls and login", &mailServer{offer: []string{"AUTH LOGIN"}, secure: secure, atOnce: true},
			SMTPConfig{Security: TLS, User: "seimon", Password: "right horse", Roots: roots}, []string{"EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.server
			s.start(t)
			reply, err := s.send(t, c.cfg)
			if err != nil || reply != "250 2.0.0 queued as 4XYZ" {
				t.Fatalf("%q %v", reply, err)
			}
			if got := s.verbs(); !slices.Equal(got[:len(c.verbs)-1], c.verbs[:len(c.verbs)-1]) {
				t.Errorf("%v", got)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.data != letter {
				t.Errorf("arrived as %q", s.data)
			}
			if s.heard[0] != "EHLO sso.example.ac.jp" || !slices.Contains(s.heard, "RCPT TO:<hanako@example.com>") ||
				!slices.ContainsFunc(s.heard, func(l string) bool { return strings.HasPrefix(l, "MAIL FROM:<sso@example.ac.jp>") }) {
				t.Errorf("%q", s.heard)
			}
			if s.protected != (c.cfg.Security != Plain) {
				t.Error("the message travelled with the wrong protection")
			}
		})
	}
}

func TestSMTPRefusals(t *testing.T) {
	for _, c := range []struct {
		name, verb, answer string
		final              bool
	}{
		{"no such mailbox", "RCPT", "550 5.1.1 no such user", true},
		{"grey list", "RCPT", "451 4.7.1 come back later", false},
		{"spam", ".", "554 5.7.1 not wanted", true},
		{"full", ".", "452 4.3.1 no room", false},
		{"our sender is not allowed", "MAIL", "550 5.7.1 who are you", false},
		{"no data now", "DATA", "503 no", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &mailServer{answer: map[string]string{c.verb: c.answer}}
			s.start(t)
			_, err := s.send(t, SMTPConfig{Security: Plain})
			var r *Refusal
			if !errors.As(err, &r) || r.Final != c.final || r.Error() != c.answer {
				t.Errorf("%#v", err)
			}
		})
	}
}

func TestSMTPNeverSendsWithoutTheProtectionItWasToldToUse(t *testing.T) {
	secure, roots := certificate(t)
	_, strangers := certificate(t)
	for _, c := range []struct {
		name   string
		server *mailServer
		cfg    SMTPConfig
		cause  string
	}{
		{"starttls stripped", &mailServer{offer: []string{"AUTH PLAIN"}}, SMTPConfig{User: "seimon", Password: "right horse", Roots: roots}, "STARTTLS"},
		{"unknown certificate", &mailServer{offer: []string{"STARTTLS", "AUTH PLAIN"}, secure: secure}, SMTPConfig{User: "seimon", Password: "right horse", Roots: strangers}, "certificate"},
		{"unknown certificate at once", &mailServer{secure: secure, atOnce: true}, SMTPConfig{Security: TLS, Roots: strangers}, "certificate"},
		{"clear server where TLS is expected", &mailServer{}, SMTPConfig{Security: TLS, Roots: roots}, "tls"},
		{"wrong password", &mailServer{offer: []string{"STARTTLS", "AUTH PLAIN"}, secure: secure}, SMTPConfig{User: "seimon", Password: "wrong horse", Roots: roots}, "535"},
		{"no way to authenticate", &mailServer{offer: []string{"STARTTLS"}, secure: secure}, SMTPConfig{User: "seimon", Password: "right horse", Roots: roots}, "no way"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.server
			s.start(t)
			_, err := s.send(t, c.cfg)
			if err == nil || !strings.Contains(err.Error(), c.cause) || strings.Contains(err.Error(), "horse") {
				t.Fatalf("%v", err)
			}
			var r *Refusal
			if errors.As(err, &r) {
				t.Error("a fault of ours is held against the message")
			}
			if v := s.verbs(); slices.Contains(v, "RCPT") || slices.Contains(v, "DATA") {
				t.Error(v)
			}
		})
	}
}

func TestSMTPGivesUpInTime(t *testing.T) {
	s := &mailServer{answer: map[string]string{"hello": "silence"}}
	s.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.client(t, SMTPConfig{Security: Plain}).Send(ctx, "a@example.com", "b@example.com", []byte(letter))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestSMTPCheckSendsNothing(t *testing.T) {
	s := &mailServer{}
	s.start(t)
	if err := s.client(t, SMTPConfig{Security: Plain}).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := s.verbs(); !slices.Equal(v, []string{"EHLO", "QUIT"}) {
		t.Error(v)
	}
}

func TestNewSMTPRefusesAnImpossibleConfiguration(t *testing.T) {
	for name, cfg := range map[string]SMTPConfig{
		"no host":               {},
		"unknown security":      {Host: "mail.example.ac.jp", Security: "ssl"},
		"password in the clear": {Host: "mail.example.ac.jp", Security: Plain, User: "seimon", Password: authn.Secret("x")},
	} {
		if _, err := NewSMTP(cfg); err == nil {
			t.Error(name, "is accepted")
		}
	}
	for security, addr := range map[string]string{"": "mail.example.ac.jp:587", TLS: "mail.example.ac.jp:465", Plain: "mail.example.ac.jp:25"} {
		c, err := NewSMTP(SMTPConfig{Host: "mail.example.ac.jp", Security: security})
		if err != nil || c.addr != addr || c.Server() != "mail.example.ac.jp" {
			t.Errorf("%q: %v %v", security, c, err)
		}
	}
}
