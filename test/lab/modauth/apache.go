package main

import (
	"context"
	"crypto/rand"
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

// site is one virtual host: one relying party.
type site struct {
	Host, Origin, Cert, Key string
	Client, Secret          string
	Method, Algorithm       string // of client authentication; of ID tokens
	Passphrase              string
}

type apache struct {
	Dir, Host, Issuer, CA string
	Port                  int
	Root                  bool
	Modules               []string
	Sites                 []*site

	cmd *exec.Cmd
}

const program = "/usr/sbin/apache2"

// prepare makes what does not depend on the port.
func prepare(s *stand.Stand) (*apache, error) {
	a := &apache{
		Dir: s.Work, Host: "modauth.localhost", Issuer: s.SSO, CA: s.CAFile, Root: os.Getuid() == 0,
		Modules: []string{"mpm_event", "authn_core", "authz_core", "authz_user", "dir", "mime", "headers", "env", "socache_shmcb", "ssl", "auth_openidc"},
	}
	// The module reads the authority's certificate as another user.
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, err
	}
	a.CA = filepath.Join(a.Dir, "ca.pem")
	www := filepath.Join(a.Dir, "www")
	err = errors.Join(os.WriteFile(a.CA, ca, 0o644), os.MkdirAll(filepath.Join(www, "secure"), 0o755),
		os.WriteFile(filepath.Join(www, "secure", "index.html"), []byte("secure"), 0o644),
		os.WriteFile(filepath.Join(www, "bye.html"), []byte("bye"), 0o644))
	for _, v := range []*site{
		{Host: "modauth.localhost", Client: "lab-modauth", Method: "client_secret_basic", Algorithm: "RS256"},
		{Host: "modauth-post.localhost", Client: "lab-modauth-post", Method: "client_secret_post", Algorithm: "ES256"},
	} {
		v.Passphrase = rand.Text()
		var certErr error
		v.Cert, v.Key, certErr = s.CertificateFiles(v.Host)
		err = errors.Join(err, certErr)
		a.Sites = append(a.Sites, v)
	}
	return a, err
}

// register makes the relying parties known to the gate.
func (a *apache) register(s *stand.Stand) error {
	for _, v := range a.Sites {
		v.Origin = fmt.Sprintf("https://%s:%d", v.Host, a.Port)
		r := map[string]any{
			"redirect_uris": []string{v.Origin + "/secure/callback"}, "post_logout_redirect_uris": []string{v.Origin + "/bye.html"},
			"grant_types": []string{"authorization_code", "refresh_token"}, "id_token_signed_response_alg": v.Algorithm, "token_endpoint_auth_method": v.Method,
			"backchannel_logout_uri": v.Origin + "/secure/callback?logout=backchannel", "client_secret": "new",
		}
		var err error
		if v.Secret, err = s.Register(v.Client, r); err != nil {
			return err
		}
	}
	return nil
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
		return fmt.Errorf("%w: install apache2 and libapache2-mod-auth-openidc (scripts/setup)", err)
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
