// Package apache runs Debian's Apache for a peer of the lab: a folder and a port of
// its own, nothing of the system's configuration.
package apache

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
	"syscall"
	"text/template"
	"time"

	"seimon/test/lab/stand"
)

//go:embed head.conf
var head string

// Server is one Apache. Peers embed it in what their configuration is filled in with.
type Server struct {
	Dir, Host string
	CA        string // the authority's certificate, for Apache's user to read
	Port      int
	Root      bool
	Modules   []string

	cmd   *exec.Cmd
	ended chan struct{}
}

const program = "/usr/sbin/apache2"

// New lays the folder of a server: pages are the files below its document root.
func New(s *stand.Stand, host string, pages map[string]string, modules ...string) (*Server, error) {
	a := &Server{
		Dir: s.Work, Host: host, CA: filepath.Join(s.Work, "ca.pem"), Root: os.Getuid() == 0,
		Modules: append([]string{"authn_core", "authz_core", "authz_user", "dir", "mime", "headers", "env", "socache_shmcb", "ssl"}, modules...),
	}
	ca, err := os.ReadFile(s.CAFile)
	if err = errors.Join(err, os.WriteFile(a.CA, ca, 0o644)); err != nil {
		return nil, err
	}
	for name, text := range pages {
		file := filepath.Join(a.Dir, "www", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Folder makes a folder in which Apache's user may write.
func (a *Server) Folder(name string) (string, error) {
	path := filepath.Join(a.Dir, name)
	return path, errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, 0o777)) //nolint:gosec // a folder of the lab's own
}

// Start runs Apache on a port that is free, with the configuration filled in from
// data. Between choosing and listening somebody may take the port, so it tries again;
// register is called each time, when the port is known.
func (a *Server) Start(config string, data any, register func() error) error {
	var failed error
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		a.Port = l.Addr().(*net.TCPAddr).Port
		l.Close()
		if err := register(); err != nil {
			return err
		}
		if failed = a.run(config, data); failed == nil {
			return nil
		}
		a.Stop()
	}
	return failed
}

// At is the address of one of the server's hosts.
func (a *Server) At(host string) string { return fmt.Sprintf("https://%s:%d", host, a.Port) }

func (a *Server) run(config string, data any) error {
	t, err := template.New("head").Parse(head)
	if err == nil {
		t, err = t.New("httpd.conf").Parse(config)
	}
	if err != nil {
		return err
	}
	file := filepath.Join(a.Dir, "httpd.conf")
	var text strings.Builder
	if err := errors.Join(t.Execute(&text, data), os.WriteFile(file, []byte(text.String()), 0o600)); err != nil {
		return err
	}
	a.cmd = exec.Command(program, "-d", a.Dir, "-f", file, "-DFOREGROUND")
	// Apache ends its whole process group; it gets one of its own, and ends with us.
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	var said strings.Builder
	a.cmd.Stdout, a.cmd.Stderr = &said, &said
	if err := a.cmd.Start(); err != nil {
		return fmt.Errorf("%w: install what scripts/setup lists", err)
	}
	a.ended = make(chan struct{})
	go func() { a.cmd.Wait(); close(a.ended) }() //nolint:errcheck // what it said tells more
	for range 600 {
		select {
		case <-a.ended:
			return fmt.Errorf("apache2 ended: %s %s", said.String(), a.Log())
		case <-time.After(100 * time.Millisecond):
		}
		d := net.Dialer{Timeout: time.Second}
		if c, err := d.DialContext(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", a.Port)); err == nil {
			return c.Close()
		}
	}
	return errors.New("apache2 does not listen within a minute")
}

// Stop ends Apache with its children.
func (a *Server) Stop() {
	if a.cmd == nil || a.cmd.Process == nil {
		return
	}
	a.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may be gone
	select {
	case <-a.ended:
	case <-time.After(5 * time.Second):
		syscall.Kill(-a.cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // it may be gone
	}
	a.cmd = nil
}

// Log is the end of the error log, for failures.
func (a *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(a.Dir, "error.log"))
	return string(text[max(0, len(text)-2500):])
}
