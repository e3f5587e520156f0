package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"seimon/test/lab/stand"
)

//go:embed httpd.conf
var config string

// apache is a web server with one protected place.
type apache struct {
	Dir, Host, Origin, Gate, CA string
	Cert, Key                   string
	Port                        int
	Root                        bool
	Modules                     []string

	cmd *exec.Cmd
}

const (
	program = "/usr/sbin/apache2"
	party   = "lab-modcas"
)

// prepare makes what does not depend on the port.
func prepare(s *stand.Stand) (*apache, error) {
	a := &apache{
		Dir: s.Work, Host: "wiki.modcas.localhost", Gate: s.SSO, Root: os.Getuid() == 0,
		Modules: []string{"mpm_event", "authn_core", "authz_core", "authz_user", "dir", "mime", "headers", "env", "socache_shmcb", "ssl", "auth_cas"},
	}
	// The module reads the authority's certificate, and keeps its sessions, as another user.
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, err
	}
	a.CA = filepath.Join(a.Dir, "ca.pem")
	www, sessions := filepath.Join(a.Dir, "www"), filepath.Join(a.Dir, "cas")
	err = errors.Join(os.WriteFile(a.CA, ca, 0o644), os.MkdirAll(filepath.Join(www, "secure"), 0o755), os.MkdirAll(sessions, 0o700),
		os.WriteFile(filepath.Join(www, "secure", "index.html"), []byte("secure"), 0o644))
	if err == nil {
		err = os.Chmod(sessions, 0o777) //nolint:gosec // a folder of the lab's own
	}
	if err == nil {
		a.Cert, a.Key, err = s.CertificateFiles(a.Host)
	}
	return a, err
}

// register makes the service known to the gate.
func (a *apache) register(s *stand.Stand) error {
	a.Origin = fmt.Sprintf("https://%s:%d", a.Host, a.Port)
	_, err := s.Import(stand.Party{
		ID: party, Protocol: "cas", Names: map[string]string{"ja": party, "en": party}, Consent: "none",
		Release:      []stand.Release{{Attribute: "userName", Required: true}, {Attribute: "mail"}},
		Registration: map[string]any{"addresses": []map[string]string{{"url": a.Origin + "/secure/", "match": "prefix"}}},
	})
	return err
}

// start runs Apache on a port that is free. Between choosing and listening somebody
// may take it, so it tries again.
func (a *apache) start(s *stand.Stand) error {
	var failed error
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		a.Port = l.Addr().(*net.TCPAddr).Port
		l.Close()
		if err := a.register(s); err != nil {
			return err
		}
		if failed = a.run(); failed == nil {
			return nil
		}
	}
	return failed
}

func (a *apache) run() error {
	t, err := template.New("httpd.conf").Parse(config)
	if err != nil {
		return err
	}
	file := filepath.Join(a.Dir, "httpd.conf")
	var text strings.Builder
	if err := errors.Join(t.Execute(&text, a), os.WriteFile(file, []byte(text.String()), 0o600)); err != nil {
		return err
	}
	a.cmd = exec.Command(program, "-d", a.Dir, "-f", file, "-DFOREGROUND")
	var said strings.Builder
	a.cmd.Stdout, a.cmd.Stderr = &said, &said
	if err := a.cmd.Start(); err != nil {
		return fmt.Errorf("%w: install apache2 and libapache2-mod-auth-cas (scripts/setup)", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.cmd.Wait() }()
	for range 100 {
		select {
		case err := <-ended:
			return fmt.Errorf("apache2: %w: %s", err, said.String())
		case <-time.After(100 * time.Millisecond):
		}
		d := net.Dialer{Timeout: time.Second}
		if c, err := d.DialContext(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", a.Port)); err == nil {
			return c.Close()
		}
	}
	return errors.New("apache2 does not listen within 10 s")
}

// stop ends Apache with its children.
func (a *apache) stop() {
	if a.cmd != nil && a.cmd.Process != nil {
		a.cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may be gone
		time.Sleep(300 * time.Millisecond)
	}
}

// log is the end of the error log, for failures.
func (a *apache) log() string {
	text, _ := os.ReadFile(filepath.Join(a.Dir, "error.log"))
	return string(text[max(0, len(text)-1500):])
}
