package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"seimon/internal/diagnosis"
	"seimon/internal/factor/password"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/store"
)

type doctorCommand struct {
	JSON bool `help:"Print JSON."`
}

// diagnosed is a finding with its words, for programs.
type diagnosed struct {
	diagnosis.Finding
	Text string `json:"text"`
	Next string `json:"next,omitempty"`
}

// Run judges a running or a planned installation. Something broken ends the
// program with code 3.
func (c doctorCommand) Run(d *Desk) error {
	p, err := d.Words()
	if err != nil {
		return err
	}
	var findings []diagnosis.Finding
	switch h, err := d.House(); {
	case store.Unavailable(err):
		findings = found("database", diagnosis.Broken, "reason", err.Error())
	case err != nil:
		return &codeError{exitIll, err}
	default:
		findings = diagnosis.Examine(d.ctx, h.checks(p))
	}
	if c.JSON {
		out := []diagnosed{}
		for _, f := range findings {
			text, next := f.Says(p)
			out = append(out, diagnosed{f, text, next})
		}
		if err := printJSON(d, out); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			text, next := f.Says(p)
			fmt.Fprintf(d.Out(), "%-7s %s  [%s]\n", f.Severity, text, f.Code)
			if f.Severity != diagnosis.Good {
				fmt.Fprintf(d.Out(), "        %s\n", next)
			}
		}
	}
	if diagnosis.Worst(findings) == diagnosis.Broken {
		return &codeError{exitIll, errors.New(p.T("diagnosis.ill"))}
	}
	return nil
}

// rotateEvery is how long a signing key signs unless the configuration says otherwise.
const rotateEvery = 90 * 24 * time.Hour

// checks is everything the doctor looks at.
func (h *House) checks(p lang.Printer) []diagnosis.Check {
	rotate := time.Duration(h.Config.Keys.RotateEvery)
	if rotate == 0 {
		rotate = rotateEvery
	}
	list := []diagnosis.Check{
		diagnosis.CheckDatabase(h.DB, time.Now),
		{Code: "masterkey", Run: h.checkMaster},
		{Code: "tls", Run: h.checkCertificate},
		{Code: "certhost", Run: h.checkCertHost},
		{Code: "hash", Run: h.checkHash},
		{Code: "name", Run: h.checkName},
		{Code: "reach", Run: h.checkReach},
		diagnosis.CheckKeys(h.DB, h.Ring, rotate),
		diagnosis.CheckMail(h.DB, h.Mail),
		diagnosis.CheckPolicy(h.DB, h.Policy, p),
		diagnosis.CheckZones(h.DB, h.Audit, h.Policy, len(h.Config.Proxy.Addresses) > 0),
		{Code: "issuer", Run: h.checkIssuers},
		{Code: "status", Run: h.checkStatus},
		{Code: "tasks", Run: h.checkTasks},
		{Code: "feed", Run: h.checkFeeds},
		{Code: "service", Run: h.checkServices},
	}
	if h.options.Transport == nil {
		list = append(list, diagnosis.Check{Code: "mailserver", Run: h.checkMailServer})
	}
	return list
}

func found(code string, s diagnosis.Severity, facts ...string) []diagnosis.Finding {
	f := diagnosis.Finding{Code: code, Severity: s, Facts: map[string]string{}}
	for i := 0; i+1 < len(facts); i += 2 {
		f.Facts[facts[i]] = facts[i+1]
	}
	return []diagnosis.Finding{f}
}

// checkMaster wants the master key to be readable by nobody else.
func (h *House) checkMaster(context.Context) ([]diagnosis.Finding, error) {
	name := h.Config.path(h.Config.Keys.Master)
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return nil, err
	}
	return found("masterkey", diagnosis.Warn, "file", name, "mode", info.Mode().Perm().String()), nil
}

// certificateWarning is how long before its end a certificate should be renewed.
const certificateWarning = 14 * 24 * time.Hour

// checkCertificate reads the files that the listener will use.
func (h *House) checkCertificate(context.Context) ([]diagnosis.Finding, error) {
	c := h.Config.TLS
	if c.Certificate == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(h.Config.path(c.Certificate), h.Config.path(c.Key))
	if err != nil {
		return found("tls", diagnosis.Broken, "reason", err.Error()), nil
	}
	leaf, host := pair.Leaf, h.hostName()
	until := leaf.NotAfter.UTC().Format(time.RFC3339)
	switch now := h.DB.Now(); {
	case leaf.VerifyHostname(host) != nil:
		return found("tls.name", diagnosis.Broken, "host", host), nil
	case now.After(leaf.NotAfter):
		return found("tls.expired", diagnosis.Broken, "until", until), nil
	case now.Add(certificateWarning).After(leaf.NotAfter):
		return found("tls.soon", diagnosis.Warn, "until", until), nil
	}
	return nil, nil
}

// The time that one password should take.
const (
	slowHash  = time.Second
	quickHash = 10 * time.Millisecond
)

// checkHash measures what one password costs here.
func (h *House) checkHash(ctx context.Context) ([]diagnosis.Finding, error) {
	f, ok := h.Factors.Of(password.Kind).(*password.Factor)
	if !ok {
		return nil, nil
	}
	begin := time.Now()
	if _, err := f.Prepare(ctx, "acc_doctor", "how long does this take", begin); err != nil {
		return nil, err
	}
	took := time.Since(begin)
	code, severity := "hash", diagnosis.Good
	switch {
	case took > slowHash:
		code, severity = "hash.slow", diagnosis.Warn
	case took < quickHash:
		code, severity = "hash.quick", diagnosis.Warn
	}
	return found(code, severity, "millis", strconv.FormatInt(took.Milliseconds(), 10)), nil
}

func (h *House) hostName() string {
	u, err := url.Parse(h.Config.Origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// checkName asks the name service for the gate's name.
func (h *House) checkName(ctx context.Context) ([]diagnosis.Finding, error) {
	host := h.hostName()
	if isLocal(host) {
		return nil, nil
	}
	if _, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
		return found("name", diagnosis.Warn, "host", host, "reason", err.Error()), nil
	}
	return nil, nil
}

// isLocal tells whether a name always means this machine (RFC 6761 6.3).
func isLocal(host string) bool { return host == "localhost" || strings.HasSuffix(host, ".localhost") }

func dial(ctx context.Context, kind, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil && isLocal(host) {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return (&net.Dialer{}).DialContext(ctx, kind, address)
}

// reachTime is how long a listener may take to answer the doctor.
const reachTime = 10 * time.Second

// checkReach asks the running gate under its public address, and compares clocks on
// the way (RFC 9110 6.6.1).
func (h *House) checkReach(ctx context.Context) ([]diagnosis.Finding, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if text, err := os.ReadFile(h.Config.path(h.Config.TLS.Certificate)); err == nil {
		roots.AppendCertsFromPEM(text) // a chain of the university's own issuer counts as known
	}
	client := &http.Client{Timeout: reachTime, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: dial}}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Config.Origin+"/readyz", nil)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	answer, err := client.Do(q)
	if err != nil {
		return found("reach", diagnosis.Warn, "origin", h.Config.Origin, "reason", err.Error()), nil
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return found("reach.status", diagnosis.Broken, "origin", h.Config.Origin, "status", strconv.Itoa(answer.StatusCode)), nil
	}
	there, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return nil, nil
	}
	here := func() time.Time { // when it was asked, then when it had answered
		asked := now
		now = time.Now()
		return asked
	}
	return diagnosis.CheckClock(h.Config.Origin, here, func(context.Context) (time.Time, error) { return there, nil }).Run(ctx)
}

// checkMailServer greets the mail server without sending anything.
func (h *House) checkMailServer(ctx context.Context) ([]diagnosis.Finding, error) {
	transport, err := h.smtp()
	if err != nil {
		return nil, err
	}
	server, ok := transport.(*mail.SMTP)
	if !ok {
		return nil, nil
	}
	if err := server.Check(ctx); err != nil {
		return found("mailserver", diagnosis.Broken, "server", server.Server(), "reason", err.Error()), nil
	}
	return nil, nil
}

// checkTasks looks for background work that was given up.
func (h *House) checkTasks(ctx context.Context) ([]diagnosis.Finding, error) {
	var out []diagnosis.Finding
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		dead, err := h.Jobs.Dead(tx, 100)
		if err == nil && len(dead) > 0 {
			out = found("tasks", diagnosis.Warn, "count", strconv.Itoa(len(dead)), "kind", dead[0].Kind)
		}
		return err
	})
	return out, err
}
