// Command hsm is a peer of the lab: an installation of its own whose issuer's keys lie
// in a SoftHSM token behind seimon-hsm, and what happens when that helper is killed.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"seimon/test/lab/stand"
)

// house is the installation.
type house struct {
	program, hsm string
	dir, config  string
	status       string // address of the status listener
	helper       *exec.Cmd
	said         bytes.Buffer
}

func main() {
	hsm := flag.String("hsm", "", "the built seimon-hsm")
	flag.Parse()
	r := stand.NewReport("hsm")
	s, err := stand.Open()
	if err == nil {
		h := &house{program: s.Program, hsm: *hsm, dir: filepath.Join(s.Work, "house")}
		err = h.play(r, s.Work)
		h.kill()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r.Exit()
}

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

func (h *house) play(r *stand.Report, work string) error {
	if err := h.furnish(work); err != nil {
		return err
	}
	if err := h.start(); err != nil {
		return err
	}
	r.Check("root and issuer are made in the token and sign", func() error {
		if _, err := h.seimon(nil, "ca", "init", "--helper", "--organization", "Lab University", "--country", "JP"); err != nil {
			return err
		}
		issuers, err := h.seimon(nil, "ca", "issuers")
		if err != nil || !strings.Contains(issuers, "active") {
			return fmt.Errorf("%w: %s", err, issuers)
		}
		return h.issue("laptop")
	})
	r.Check("the database holds no private key of an issuer", func() error {
		out, err := stand.Run([]string{"SOFTHSM2_CONF=" + filepath.Join(work, "softhsm2.conf")}, "pkcs11-tool", "--module", softHSM, "--token-label", "seimon", "--login", "--pin", "1234", "-O", "--type", "privkey")
		if err != nil || strings.Count(out, "Private Key Object") != 2 || !strings.Contains(out, "never extractable") {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	r.Check("the helper is killed in the middle of a question", h.killed)
	r.Check("started again, it goes on", func() error {
		if err := h.start(); err != nil {
			return err
		}
		return errors.Join(h.issue("after"), h.logged())
	})
	r.Check("without the helper answers go on, and lists follow when it is back", func() error { return h.published() })
	r.Check("the helper's record is whole", func() error {
		out, err := stand.Run(nil, h.hsm, "--verify", filepath.Join(work, "hsm.log"))
		if err != nil || !strings.Contains(out, "whole") {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	return nil
}

// furnish makes the token and the configuration.
func (h *house) furnish(work string) error {
	conf := filepath.Join(work, "softhsm2.conf")
	tokens := filepath.Join(work, "tokens")
	if err := errors.Join(os.MkdirAll(tokens, 0o700),
		os.WriteFile(conf, []byte("directories.tokendir = "+tokens+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600),
		os.WriteFile(filepath.Join(work, "pin"), []byte("1234\n"), 0o600)); err != nil {
		return err
	}
	out, err := stand.Run([]string{"SOFTHSM2_CONF=" + conf}, "softhsm2-util", "--init-token", "--free", "--label", "seimon", "--pin", "1234", "--so-pin", "123456")
	if err != nil {
		return fmt.Errorf("softhsm2-util: %w: %s", err, out)
	}
	if out, err := stand.Run(nil, h.program, "init", h.dir, "--origin", "https://sso.lab.localhost"); err != nil {
		return fmt.Errorf("init: %w: %s", err, out)
	}
	port, err := stand.Port()
	if err != nil {
		return err
	}
	h.status = fmt.Sprintf("127.0.0.1:%d", port)
	h.config = filepath.Join(h.dir, "seimon.toml")
	text := fmt.Sprintf(`origin = "https://sso.lab.localhost"
listen = "127.0.0.1:0"
[database]
url = "sqlite:seimon.db"
[keys]
master = "master.key"
[mail]
from = "sso@lab.localhost"
host = "localhost"
[university]
name = { ja = "実験大学", en = "Lab University" }
help = { ja = "実験室にお尋ねください。", en = "Ask the lab." }
[certificates]
base = "http://%s"
status_listen = "%s"
helper = "%s"
realm = "lab.localhost"
`, h.status, h.status, filepath.Join(work, "hsm.sock"))
	if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
		return err
	}
	_, err = h.seimon(nil, "user", "add", "taro", "--kind", "student", "--family-latin", "Lab", "--given-latin", "Taro", "--family", "実験", "--given", "太郎", "--mail", "taro@lab.localhost", "--mails-verified")
	return err
}

// start starts the helper and waits until it answers.
func (h *house) start() error {
	work := filepath.Dir(h.dir)
	socket := filepath.Join(work, "hsm.sock")
	h.helper = exec.Command(h.hsm, "--module", softHSM, "--token", "seimon", "--pin-file", filepath.Join(work, "pin"), "--socket", socket, "--mode", "0600", "--log", filepath.Join(work, "hsm.log"))
	h.helper.Env = append(os.Environ(), "SOFTHSM2_CONF="+filepath.Join(work, "softhsm2.conf"))
	h.helper.Stdout, h.helper.Stderr = &h.said, &h.said
	h.helper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := h.helper.Start(); err != nil {
		return err
	}
	return stand.Until("the helper answers", func() (bool, error) {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return false, nil
		}
		return true, c.Close()
	})
}

// kill ends the helper as a power cut would.
func (h *house) kill() {
	if h.helper == nil {
		return
	}
	h.helper.Process.Kill() //nolint:errcheck // it may have ended
	h.helper.Wait()         //nolint:errcheck // it was killed
	h.helper = nil
}

func (h *house) seimon(in []byte, args ...string) (string, error) {
	cmd := h.command(in, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("seimon %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return string(out), nil
}

func (h *house) command(in []byte, args ...string) *exec.Cmd {
	cmd := exec.Command(h.program, append([]string{"--config", h.config}, args...)...)
	cmd.Stdin = bytes.NewReader(in)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// order is a request over a new key.
func order() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), err
}

// issue issues a certificate and has OpenSSL verify it.
func (h *house) issue(name string) error {
	request, err := order()
	if err != nil {
		return err
	}
	out, err := h.seimon(request, "cert", "issue", "taro", "--request", "-", "--label", name)
	if err != nil {
		return err
	}
	bundle, err := h.seimon(nil, "ca", "show", "--bundle")
	if err != nil {
		return err
	}
	cert, chain := filepath.Join(h.dir, name+".pem"), filepath.Join(h.dir, "bundle.pem")
	if err := errors.Join(os.WriteFile(cert, []byte(out), 0o600), os.WriteFile(chain, []byte(bundle), 0o600)); err != nil {
		return err
	}
	return stand.Says(true, "OK", "openssl", "verify", "-CAfile", chain, "-purpose", "sslclient", cert)
}

// killed stops the helper, asks for a certificate, and kills the helper while the
// question waits.
func (h *house) killed() error {
	request, err := order()
	if err != nil {
		return err
	}
	if err := h.helper.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	cmd := h.command(request, "cert", "issue", "taro", "--request", "-", "--label", "unlucky")
	var said, out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Start(); err != nil {
		return err
	}
	// The intent is stored before the helper is asked.
	err = stand.Until("the order waits for the helper", func() (bool, error) {
		list, err := h.seimon(nil, "cert", "list", "taro", "--state", "prepared")
		return strings.Contains(list, "unlucky"), err
	})
	h.kill()
	failed := cmd.Wait()
	if err != nil {
		return err
	}
	if failed == nil || out.Len() > 0 || !strings.Contains(said.String(), "helper") {
		return fmt.Errorf("%v: %q %q", failed, out.String(), said.String())
	}
	active, err := h.seimon(nil, "cert", "list", "taro", "--state", "active")
	if err != nil || strings.Contains(active, "unlucky") || !strings.Contains(active, "laptop") {
		return fmt.Errorf("%w: %s", err, active)
	}
	// While it is away, orders fail at once and say why.
	if _, err := h.seimon(request, "cert", "issue", "taro", "--request", "-", "--label", "absent"); err == nil || !strings.Contains(err.Error(), "does not run") {
		return fmt.Errorf("without the helper: %w", err)
	}
	return nil
}

// logged verifies the issuance log.
func (h *house) logged() error {
	_, err := h.seimon(nil, "cert", "log", "verify")
	return err
}

// published revokes while the helper is away: OCSP tells at once, since its own key is
// at hand, and the list follows when the helper is back.
func (h *house) published() error {
	gate := h.command(nil, "serve")
	var said bytes.Buffer
	gate.Stderr = &said
	if err := gate.Start(); err != nil {
		return err
	}
	defer func() {
		gate.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
		gate.Wait()                          //nolint:errcheck // it was told to end
	}()
	text, err := os.ReadFile(filepath.Join(h.dir, "laptop.pem"))
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	chain, err := h.seimon(nil, "cert", "show", fmt.Sprintf("%X", cert.SerialNumber), "--chain")
	if err != nil {
		return err
	}
	_, above := pem.Decode([]byte(chain))
	issuer := filepath.Join(h.dir, "issuer.pem")
	if err := os.WriteFile(issuer, above, 0o600); err != nil {
		return err
	}
	list := cert.CRLDistributionPoints[0]
	bundle, laptop := filepath.Join(h.dir, "bundle.pem"), filepath.Join(h.dir, "laptop.pem")
	asked := func(want string) error {
		return stand.Until("OCSP says "+want, func() (bool, error) {
			out, err := stand.Run(nil, "openssl", "ocsp", "-issuer", issuer, "-cert", laptop, "-url", cert.OCSPServer[0], "-CAfile", bundle)
			return err == nil && strings.Contains(out, want), nil
		})
	}
	listed := func() (bool, error) {
		der, err := stand.Published(list)
		if err != nil {
			return false, nil
		}
		l, err := x509.ParseRevocationList(der)
		return err == nil && len(l.RevokedCertificateEntries) == 1, err
	}
	if err := asked(": good"); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	if err := stand.Until("the first list is there", func() (bool, error) { _, err := stand.Published(list); return err == nil, nil }); err != nil {
		return err
	}
	h.kill()
	if _, err := h.seimon(nil, "cert", "revoke", fmt.Sprintf("%X", cert.SerialNumber), "--reason", "keyCompromise"); err != nil {
		return err
	}
	if err := asked("keyCompromise"); err != nil {
		return err
	}
	if on, err := listed(); on || err != nil {
		return fmt.Errorf("a list was signed without the helper: %w", err)
	}
	if err := h.start(); err != nil {
		return err
	}
	return stand.Until("the list tells of the revocation", listed)
}
