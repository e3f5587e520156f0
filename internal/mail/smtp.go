package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"seimon/internal/authn"
)

// How the connection to the mail server is protected.
const (
	StartTLS = "starttls" // begins in the clear and must become TLS (RFC 3207)
	TLS      = "tls"      // TLS from the first byte (RFC 8314, 3)
	Plain    = "plain"    // in the clear; only without a password
)

// SMTPConfig says how to reach the university's mail server.
type SMTPConfig struct {
	Host     string
	Port     int    // 0: 587, 465 or 25, as Security suggests
	Security string // StartTLS, TLS or Plain; empty: StartTLS
	User     string // empty: no authentication
	Password authn.Secret
	Hello    string         // the name we give; empty: localhost
	Roots    *x509.CertPool // nil: those of the system
}

// SMTP hands messages to a mail server. It makes a connection for each message.
type SMTP struct {
	cfg  SMTPConfig
	addr string
}

// NewSMTP checks the configuration; it does not connect.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	if cfg.Security == "" {
		cfg.Security = StartTLS
	}
	ports := map[string]int{StartTLS: 587, TLS: 465, Plain: 25}
	port, known := ports[cfg.Security]
	switch {
	case cfg.Host == "":
		return nil, errors.New("mail: the mail server has no name")
	case !known:
		return nil, fmt.Errorf("mail: security must be %q, %q or %q, not %q", StartTLS, TLS, Plain, cfg.Security)
	case cfg.Security == Plain && cfg.User != "":
		return nil, errors.New("mail: a password is never sent in the clear; use security \"starttls\" or \"tls\"")
	}
	if cfg.Port == 0 {
		cfg.Port = port
	}
	if cfg.Hello == "" {
		cfg.Hello = "localhost"
	}
	return &SMTP{cfg: cfg, addr: net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))}, nil
}

// Server names the mail server.
func (s *SMTP) Server() string { return s.cfg.Host }

// Check connects, greets and authenticates, and sends nothing: for doctor.
func (s *SMTP) Check(ctx context.Context) error {
	c, done, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	return c.Quit()
}

// Send hands one message over.
func (s *SMTP) Send(ctx context.Context, from, to string, message []byte) (string, error) {
	c, done, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	c.SkipSMTPUTF8(true)
	// The server refuses our sender for the sake of its own settings, which can be
	// mended; it refuses a recipient or a message for good (RFC 5321, 4.2.1).
	if err := c.Mail("<" + from + ">"); err != nil {
		return "", refusal(ctx, err, false)
	}
	if err := c.Rcpt("<" + to + ">"); err != nil {
		return "", refusal(ctx, err, true)
	}
	data, err := c.Data()
	if err != nil {
		return "", refusal(ctx, err, false)
	}
	if _, err := data.Write(message); err != nil {
		return "", refusal(ctx, err, false)
	}
	if err := data.Close(); err != nil {
		return "", refusal(ctx, err, true)
	}
	reply := "250"
	if d, ok := data.(*smtp.DataCloser); ok {
		reply += " " + d.ServerResponse()
	}
	c.Quit() //nolint:errcheck // the message is theirs already
	return reply, nil
}

// refusal tells an answer of the server from a broken conversation.
func refusal(ctx context.Context, err error, final bool) error {
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return &Refusal{Code: answer.Code, Reply: answer.Msg, Final: final && answer.Code >= 500}
	}
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

// open connects, protects the connection and authenticates. done ends it all.
func (s *SMTP) open(ctx context.Context) (c *smtp.Client, done func(), err error) {
	dialer := net.Dialer{Timeout: 15 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // the conversation then fails
	done = func() { stop(); conn.Close() }                                       //nolint:errcheck // nothing is left to lose
	if c, err = s.greet(conn); err == nil {
		err = s.authenticate(c)
	}
	if err != nil {
		done()
		var answer *textproto.Error
		if errors.As(err, &answer) {
			return nil, nil, fmt.Errorf("the mail server does not let us in: %w", err)
		}
		return nil, nil, refusal(ctx, err, false)
	}
	return c, done, nil
}

func (s *SMTP) greet(conn net.Conn) (*smtp.Client, error) {
	secure := &tls.Config{ServerName: s.cfg.Host, RootCAs: s.cfg.Roots, MinVersion: tls.VersionTLS12}
	if s.cfg.Security == TLS {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, s.cfg.Host)
	if err != nil {
		return nil, err
	}
	if err := c.Hello(s.cfg.Hello); err != nil {
		return nil, err
	}
	if s.cfg.Security != StartTLS {
		return c, nil
	}
	if ok, _ := c.Extension("STARTTLS"); !ok {
		return nil, errors.New("the mail server does not offer STARTTLS")
	}
	return c, c.StartTLS(secure)
}

func (s *SMTP) authenticate(c *smtp.Client) error {
	if s.cfg.User == "" {
		return nil
	}
	_, params := c.Extension("AUTH")
	offered := strings.Fields(strings.ToUpper(params))
	password := s.cfg.Password.Reveal()
	switch {
	case slices.Contains(offered, "SCRAM-SHA-256"):
		return c.Auth(smtp.ScramSHA256Auth(s.cfg.User, password))
	case slices.Contains(offered, "PLAIN"):
		return c.Auth(smtp.PlainAuth("", s.cfg.User, password, s.cfg.Host, false))
	case slices.Contains(offered, "LOGIN"):
		return c.Auth(smtp.LoginAuth(s.cfg.User, password, s.cfg.Host, false))
	}
	return fmt.Errorf("the mail server offers no way to authenticate that we know: %q", params)
}
