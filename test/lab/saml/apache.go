package main

import (
	"context"
	"embed"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"text/template"
	"time"

	"seimon/test/lab/stand"
)

//go:embed httpd.conf shibboleth2.xml attribute-map.xml *.php
var files embed.FS

// apache is one Apache with three kinds of service provider, and the Shibboleth daemon.
type apache struct {
	Dir, IDP, PHP string
	Port          int
	Root          bool
	Modules       []string
	Hosts         map[string]host

	httpd, shibd *exec.Cmd
}

type host struct{ Cert, Key string }

// origin is the address of one of the hosts.
func (a *apache) origin(name string) string { return fmt.Sprintf("https://%s:%d", name, a.Port) }

func (a *apache) providers() []provider {
	return []provider{
		{name: "Shibboleth SP", plain: a.origin("shib.localhost") + "/shib.php", tellsClass: true, logout: a.origin("shib.localhost") + "/Shibboleth.sso/Logout?return=" + a.origin("shib.localhost") + "/bye.html",
			mfa: a.origin("shib.localhost") + "/Shibboleth.sso/Login?target=/strong/shib.php&authnContextClassRef=" + mfa},
		{name: "mod_auth_mellon", plain: a.origin("mellon.localhost") + "/mellon.php", mfa: a.origin("mellon-mfa.localhost") + "/mellon.php",
			logout: a.origin("mellon.localhost") + "/mellon/logout?ReturnTo=" + a.origin("mellon.localhost") + "/bye.html"},
		{name: "SimpleSAMLphp", plain: a.origin("simplesaml.localhost") + "/simplesaml.php", mfa: a.origin("simplesaml.localhost") + "/simplesaml.php?mfa=1", tellsClass: true,
			logout: a.origin("simplesaml.localhost") + "/simplesaml.php?logout=1"},
	}
}

// startApache runs everything on a port that is free, and registers what it finds.
func startApache(s *stand.Stand, idp []byte) (*apache, error) {
	a := &apache{
		Dir: filepath.Join(s.Work, "apache"), Root: os.Getuid() == 0, Hosts: map[string]host{},
		Modules: []string{"mpm_prefork", "authn_core", "authz_core", "authz_user", "dir", "mime", "headers", "env", "alias", "socache_shmcb", "ssl", "auth_mellon"},
	}
	found, err := filepath.Glob("/usr/lib/apache2/modules/libphp*.so")
	if err != nil || len(found) == 0 {
		return a, errors.New("no PHP for Apache: install what scripts/setup lists")
	}
	a.PHP = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(found[0]), "libphp"), ".so")
	if err := a.lay(s, idp); err != nil {
		return a, err
	}
	for range 3 {
		l, lerr := net.Listen("tcp", "127.0.0.1:0")
		if lerr != nil {
			return a, lerr
		}
		a.Port = l.Addr().(*net.TCPAddr).Port
		l.Close()
		if err = a.run(); err == nil {
			break
		}
		a.stop()
	}
	if err != nil {
		return a, err
	}
	return a, a.register(s)
}

// lay makes what does not depend on the port.
func (a *apache) lay(s *stand.Stand, idp []byte) error {
	var err error
	for _, d := range []string{"", "www/strong", "php", "ssp/metadata", "shibd"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(a.Dir, d), 0o755))
	}
	for _, name := range []string{"shib.localhost", "mellon.localhost", "mellon-mfa.localhost", "simplesaml.localhost"} {
		var h host
		var e error
		h.Cert, h.Key, e = s.CertificateFiles(name)
		err = errors.Join(err, e)
		a.Hosts[name] = h
	}
	for _, name := range []string{"shib", "mellon", "ssp"} {
		who, e := newIdentity(name)
		if e == nil {
			_, _, e = who.files(a.Dir, name)
		}
		err = errors.Join(err, e)
	}
	for _, name := range []string{"shib.php", "mellon.php", "simplesaml.php"} {
		text, e := files.ReadFile(name)
		err = errors.Join(err, e, os.WriteFile(filepath.Join(a.Dir, "www", name), text, 0o644))
	}
	err = errors.Join(err, os.WriteFile(filepath.Join(a.Dir, "www/bye.html"), []byte("<p>bye</p>"), 0o644))
	text, e := files.ReadFile("shib.php")
	err = errors.Join(err, e, os.WriteFile(filepath.Join(a.Dir, "www/strong/shib.php"), text, 0o644))
	cert := regexp.MustCompile(`<ds:X509Certificate>([^<]+)`).FindSubmatch(idp)
	name := regexp.MustCompile(`entityID="([^"]+)"`).FindSubmatch(idp)
	if cert == nil || name == nil {
		return errors.Join(err, errors.New("no certificate in the gate's metadata"))
	}
	a.IDP = string(name[1])
	block, _ := pem.Decode([]byte("-----BEGIN CERTIFICATE-----\n" + string(cert[1]) + "\n-----END CERTIFICATE-----\n"))
	if block == nil {
		return errors.Join(err, errors.New("the gate's certificate cannot be read"))
	}
	err = errors.Join(err, os.WriteFile(filepath.Join(a.Dir, "idp.xml"), idp, 0o644), os.WriteFile(filepath.Join(a.Dir, "idp.pem"), pem.EncodeToMemory(block), 0o644))
	for _, log := range []string{"shib", "native"} {
		text := fmt.Sprintf("log4j.rootCategory=INFO, out\nlog4j.appender.out=org.apache.log4j.FileAppender\nlog4j.appender.out.fileName=%s/shibd/%s.log\n"+
			"log4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=%%d %%p %%c %%m%%n\n", a.Dir, log)
		err = errors.Join(err, os.WriteFile(filepath.Join(a.Dir, log+".logger"), []byte(text), 0o644))
	}
	if a.Root { // the servers run as another user
		err = errors.Join(err, exec.Command("chown", "-R", "www-data", filepath.Join(a.Dir, "php"), filepath.Join(a.Dir, "shibd")).Run())
	}
	return err
}

func (a *apache) write(from, to string) error {
	t, err := template.ParseFS(files, from)
	if err != nil {
		return err
	}
	var out strings.Builder
	return errors.Join(t.Execute(&out, a), os.WriteFile(filepath.Join(a.Dir, to), []byte(out.String()), 0o644))
}

func (a *apache) run() error {
	err := errors.Join(a.write("httpd.conf", "httpd.conf"), a.write("shibboleth2.xml", "shibboleth2.xml"), a.write("attribute-map.xml", "attribute-map.xml"),
		a.write("simplesaml-config.php", "ssp/config.php"), a.write("simplesaml-authsources.php", "ssp/authsources.php"))
	if err != nil {
		return err
	}
	args := []string{"/usr/sbin/shibd", "-f", "-F", "-c", filepath.Join(a.Dir, "shibboleth2.xml"), "-p", filepath.Join(a.Dir, "shibd/shibd.pid"), "-w", "20"}
	if a.Root {
		args = append([]string{"setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups"}, args...)
	}
	var said strings.Builder
	a.shibd = exec.Command(args[0], args[1:]...)
	a.shibd.Stdout, a.shibd.Stderr = &said, &said
	if err := a.shibd.Start(); err != nil {
		return err
	}
	if err := await("shibd", func() bool { _, err := os.Stat(filepath.Join(a.Dir, "shibd/shibd.sock")); return err == nil }); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	a.httpd = exec.Command("/usr/sbin/apache2", "-d", a.Dir, "-f", filepath.Join(a.Dir, "httpd.conf"), "-DFOREGROUND")
	a.httpd.Stdout, a.httpd.Stderr = &said, &said
	// Apache ends its whole process group; it gets one of its own, and ends with us.
	a.httpd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := a.httpd.Start(); err != nil {
		return err
	}
	err = await("apache2", func() bool {
		d := net.Dialer{Timeout: time.Second}
		c, err := d.DialContext(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", a.Port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("%w: %s %s", err, said.String(), a.log())
	}
	return nil
}

func await(what string, there func() bool) error {
	for range 600 {
		if there() {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s is not there within a minute", what)
}

// register imports the metadata that each provider writes about itself.
func (a *apache) register(s *stand.Stand) error {
	c := s.Client()
	for id, address := range map[string]string{
		"https://shib.localhost/sp":       a.origin("shib.localhost") + "/Shibboleth.sso/Metadata",
		"https://mellon.localhost/sp":     a.origin("mellon.localhost") + "/mellon/metadata",
		"https://mellon-mfa.localhost/sp": a.origin("mellon-mfa.localhost") + "/mellon/metadata",
		"https://simplesaml.localhost/sp": a.origin("simplesaml.localhost") + "/simplesaml/module.php/saml/sp/metadata.php/default-sp",
	} {
		text, err := get(c, address)
		if err == nil {
			err = register(s, id, text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", id, err, a.log())
		}
	}
	return nil
}

func (a *apache) stop() {
	for _, c := range []*exec.Cmd{a.httpd, a.shibd} {
		if c != nil && c.Process != nil {
			c.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may be gone
			done := time.AfterFunc(5*time.Second, func() { c.Process.Kill() })
			c.Wait() //nolint:errcheck // it was told to end
			done.Stop()
		}
	}
	a.httpd, a.shibd = nil, nil
}

// log is the end of the logs, for failures.
func (a *apache) log() string {
	out := ""
	for _, name := range []string{"error.log", "shibd/shib.log", "shibd/native.log", "php/simplesamlphp.log"} {
		if text, err := os.ReadFile(filepath.Join(a.Dir, name)); err == nil {
			out += "-- " + name + "\n" + string(text[max(0, len(text)-2500):]) + "\n"
		}
	}
	return out
}
