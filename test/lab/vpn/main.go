// Command vpn is a peer of the lab: OpenVPN between two network namespaces, with
// certificates of the demo and its revocation lists, which OpenVPN reads again at each
// connection.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"seimon/test/lab/stand"
)

// tunnel is two namespaces with a wire between them.
type tunnel struct {
	*stand.Stand
	server, client string // names of the namespaces
	both           string // issuer and root
	list           string // what the server looks up
}

func main() {
	r := stand.NewReport("vpn")
	s, err := stand.Open()
	if err == nil {
		t := &tunnel{Stand: s, server: fmt.Sprintf("seimon%ds", os.Getpid()), client: fmt.Sprintf("seimon%dc", os.Getpid())}
		err = errors.Join(t.play(r), t.close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r.Exit()
}

func ip(args ...string) error {
	out, err := stand.Run(nil, "ip", args...)
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// open lays the wire.
func (t *tunnel) open() error {
	for _, args := range [][]string{
		{"netns", "add", t.server}, {"netns", "add", t.client},
		{"-n", t.server, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", t.client},
		{"-n", t.server, "addr", "add", "10.99.0.1/24", "dev", "wire"}, {"-n", t.client, "addr", "add", "10.99.0.2/24", "dev", "wire"},
		{"-n", t.server, "link", "set", "wire", "up"}, {"-n", t.client, "link", "set", "wire", "up"},
		{"-n", t.server, "link", "set", "lo", "up"}, {"-n", t.client, "link", "set", "lo", "up"},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

func (t *tunnel) close() error {
	return errors.Join(ip("netns", "del", t.server), ip("netns", "del", t.client))
}

func (t *tunnel) play(r *stand.Report) error {
	if err := t.open(); err != nil {
		return err
	}
	t.both, t.list = t.IssuerCAFile, filepath.Join(t.Work, "lists.pem")
	user := t.Take(false).User
	laptop, err := t.Issue(user, "laptop", "person-device")
	if err != nil {
		return err
	}
	phone, err := t.Issue(user, "phone", "person-device")
	if err != nil {
		return err
	}
	if err := t.fetch(); err != nil {
		return err
	}
	server, err := t.serve()
	if err != nil {
		return err
	}
	defer server.stop()
	r.Check("both devices of a person reach the network", func() error {
		return errors.Join(t.in(laptop, "10.98.0.1"), t.in(phone, "10.98.0.1"))
	})
	r.Check("the revoked one is kept out at its next connection, the other is not", func() error {
		if err := errors.Join(t.Revoke(laptop, "keyCompromise"), t.Listed(laptop), t.fetch()); err != nil {
			return err
		}
		return errors.Join(t.out(laptop, server, "certificate revoked"), t.in(phone, "10.98.0.1"))
	})
	return nil
}

// fetch gets the lists of issuer and root; OpenVPN wants one for each authority.
func (t *tunnel) fetch() error {
	full := strings.TrimSuffix(t.CRL, ".crl") + ".pem"
	issuer, _, err := t.Authorities()
	if err != nil {
		return err
	}
	out, err := stand.Run(nil, "openssl", "x509", "-in", issuer, "-noout", "-ext", "crlDistributionPoints")
	if err != nil {
		return err
	}
	_, address, _ := strings.Cut(out, "URI:")
	var all []byte
	for _, a := range []string{full, strings.TrimSuffix(strings.TrimSpace(address), "1.crl") + "full.pem"} {
		text, err := stand.Published(a)
		if err != nil {
			return err
		}
		all = append(all, text...)
	}
	// A file that is half written would keep everybody out.
	return errors.Join(os.WriteFile(t.list+".new", all, 0o644), os.Rename(t.list+".new", t.list))
}

// program is a running OpenVPN.
type program struct {
	cmd  *exec.Cmd
	said *bytes.Buffer
	log  string
}

func (t *tunnel) run(namespace, name string, args ...string) (*program, error) {
	p := &program{said: &bytes.Buffer{}, log: filepath.Join(t.Work, name+".log")}
	if err := os.RemoveAll(p.log); err != nil {
		return nil, err
	}
	p.cmd = exec.Command("ip", append([]string{"netns", "exec", namespace, "openvpn", "--verb", "3", "--log", p.log, "--disable-dco"}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return p, p.cmd.Start()
}

func (p *program) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	late := time.AfterFunc(5*time.Second, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	p.cmd.Wait() //nolint:errcheck // it was told to end
}

func (p *program) text() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return p.said.String()
	}
	return string(text)
}

// until waits for words in the log.
func (p *program) until(words string) error {
	err := stand.Until(words, func() (bool, error) { return strings.Contains(p.text(), words), nil })
	if err != nil {
		return fmt.Errorf("%w: %s", err, p.text())
	}
	return nil
}

func (t *tunnel) serve() (*program, error) {
	cert, key, err := t.CertificateFiles("vpn.localhost")
	if err != nil {
		return nil, err
	}
	p, err := t.run(t.server, "server", "--dev", "tun", "--proto", "udp", "--local", "10.99.0.1", "--port", "1194", "--topology", "subnet",
		"--server", "10.98.0.0", "255.255.255.0", "--ca", t.both, "--cert", cert, "--key", key, "--dh", "none", "--crl-verify", t.list,
		"--remote-cert-tls", "client", "--duplicate-cn", "--keepalive", "5", "30")
	if err != nil {
		return nil, err
	}
	return p, p.until("Initialization Sequence Completed")
}

func (t *tunnel) connect(h *stand.Held) (*program, error) {
	return t.run(t.client, h.Name, "--client", "--dev", "tun", "--proto", "udp", "--remote", "10.99.0.1", "1194", "--nobind",
		"--ca", t.CAFile, "--cert", h.File, "--key", h.Key, "--remote-cert-tls", "server", "--connect-retry", "1", "--connect-timeout", "30", "--tls-exit")
}

// in wants a device to reach an address behind the tunnel.
func (t *tunnel) in(h *stand.Held, address string) error {
	p, err := t.connect(h)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.until("Initialization Sequence Completed"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ip", "netns", "exec", t.client, "ping", "-c", "1", "-W", "30", address).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: ping: %w: %s", h.Name, err, out)
	}
	return nil
}

// out wants a device to be kept out, and the server to say why.
func (t *tunnel) out(h *stand.Held, server *program, why string) error {
	before := len(server.text())
	p, err := t.connect(h)
	if err != nil {
		return err
	}
	defer p.stop()
	err = stand.Until(h.Name+" is refused", func() (bool, error) { return strings.Contains(server.text()[before:], why), nil })
	if err != nil {
		return fmt.Errorf("%w: %s", err, server.text()[before:])
	}
	if strings.Contains(p.text(), "Initialization Sequence Completed") {
		return fmt.Errorf("%s is let in", h.Name)
	}
	return nil
}
