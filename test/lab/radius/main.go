// Command radius is a peer of the lab: FreeRADIUS lets wpa_supplicant's eapol_test in
// with certificates of the demo, over TLS 1.2 and 1.3, and keeps revoked ones out by
// OCSP at the next connection and by list after a reload.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"seimon/test/lab/stand"
)

// wifi is the network of the lab.
type wifi struct {
	*stand.Stand
	here         string
	issuer, root string
	policies     map[string]string // by assurance
}

func main() {
	here := flag.String("here", "", "folder of this program's sources")
	flag.Parse()
	r := stand.NewReport("radius")
	s, err := stand.Open()
	if err == nil {
		err = play(r, &wifi{Stand: s, here: *here, policies: map[string]string{}})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r.Exit()
}

func play(r *stand.Report, w *wifi) (err error) {
	if w.issuer, w.root, err = w.Authorities(); err != nil {
		return err
	}
	user := w.Take(false).User
	device, err := w.Issue(user, "device", "person-device")
	if err != nil {
		return err
	}
	card, err := w.Issue(user, "card", "card")
	if err != nil {
		return err
	}
	w.policies["software"], w.policies["card"] = device.Certificate.Policies[0].String(), card.Certificate.Policies[0].String()
	w.byOCSP(r, device, card)
	return w.byList(r, user, card)
}

// byOCSP asks the demo's responder at each connection.
func (w *wifi) byOCSP(r *stand.Report, device, card *stand.Held) {
	var server *radiusd
	r.Check("OCSP with nonce: TLS 1.2 and 1.3, network by policy", func() (err error) {
		if server, err = w.start(map[string]string{"CHECK_OCSP": "yes", "OCSP_NONCE": "yes"}); err != nil {
			return err
		}
		return errors.Join(w.in(server, device, "1.2", "10"), w.in(server, device, "1.3", "10"), w.in(server, card, "1.2", "20"), w.in(server, card, "1.3", "20"))
	})
	r.Check("OCSP: revoked at the next connection", func() error {
		if err := w.Revoke(device, "keyCompromise"); err != nil {
			return err
		}
		// The gate that answers learns of it within a second of its clock.
		began, late := time.Now(), time.Duration(0)
		err := stand.Until("the device is kept out", func() (bool, error) {
			asked := time.Since(began)
			said, err := w.connect(server, device, "1.3")
			if err != nil && strings.Contains(said, "FAILURE") {
				return true, nil
			}
			if err == nil {
				late = asked
			}
			return false, nil
		})
		if err == nil && late > 5*time.Second {
			err = fmt.Errorf("let in by a connection that began %s after", late)
		}
		return errors.Join(err, w.out(server, device, "1.2", "revoked"), w.in(server, card, "1.3", "20"))
	})
	stop(server)
	r.Check("OCSP without nonce, at the address in the certificate", func() (err error) {
		if server, err = w.start(map[string]string{"CHECK_OCSP": "yes", "OCSP_NONCE": "no", "OVERRIDE_OCSP": "no"}); err != nil {
			return err
		}
		return errors.Join(w.in(server, card, "1.3", "20"), w.out(server, device, "1.3", "revoked"))
	})
	stop(server)
	r.Check("OCSP: no answer lets nobody in", func() (err error) {
		if server, err = w.start(map[string]string{"CHECK_OCSP": "yes", "OCSP_NONCE": "yes", "OCSP_URL": "http://127.0.0.1:9/"}); err != nil {
			return err
		}
		return w.out(server, card, "1.3", "")
	})
	stop(server)
}

// byList gives FreeRADIUS the full lists. It reads them again every five minutes while it
// runs; libfaketime lets its clock pass them at once.
func (w *wifi) byList(r *stand.Report, user string, card *stand.Held) error {
	device, err := w.Issue(user, "laptop", "person-device")
	if err != nil {
		return err
	}
	fake, err := filepath.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
	if err != nil || len(fake) == 0 {
		return fmt.Errorf("libfaketime is missing; run scripts/setup: %w", err)
	}
	clock := filepath.Join(w.Work, "clock")
	var server *radiusd
	r.Check("list: let in before, kept out after the running server read the list again", func() (err error) {
		if err := os.WriteFile(clock, []byte("+0\n"), 0o644); err != nil {
			return err
		}
		server, err = w.start(map[string]string{
			"CHECK_CRL": "yes", "LD_PRELOAD": fake[0], "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
		})
		if err != nil {
			return err
		}
		if err := errors.Join(w.in(server, device, "1.2", "10"), w.in(server, device, "1.3", "10"), w.Revoke(device, "cessationOfOperation"),
			w.Listed(device), w.lists(server.dir)); err != nil {
			return err
		}
		if err := w.in(server, device, "1.3", "10"); err != nil {
			return fmt.Errorf("the list counts before it was read again: %w", err)
		}
		if err := os.WriteFile(clock, []byte("+301\n"), 0o644); err != nil {
			return err
		}
		return errors.Join(w.out(server, device, "1.2", "revoked"), w.out(server, device, "1.3", "revoked"), w.in(server, card, "1.3", "20"))
	})
	stop(server)
	r.Check("list: kept out by a server that starts with it", func() (err error) {
		if server, err = w.start(map[string]string{"CHECK_CRL": "yes"}); err != nil {
			return err
		}
		return w.out(server, device, "1.3", "revoked")
	})
	stop(server)
	return nil
}

// radiusd is a running FreeRADIUS.
type radiusd struct {
	port int
	dir  string
	cmd  *exec.Cmd
}

// start starts FreeRADIUS on a free port with the newest lists.
func (w *wifi) start(env map[string]string) (*radiusd, error) {
	dir, err := os.MkdirTemp(w.Work, "radiusd-")
	if err != nil {
		return nil, err
	}
	if err := w.lay(dir); err != nil {
		return nil, err
	}
	// A port that is free now; FreeRADIUS tells at once if it was taken since.
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := c.LocalAddr().(*net.UDPAddr).Port
	c.Close()
	all := map[string]string{
		"LAB_DIR": dir, "RADIUS_PORT": strconv.Itoa(port), "CHECK_CRL": "no", "CHECK_OCSP": "no", "OCSP_NONCE": "yes", "OVERRIDE_OCSP": "yes", "OCSP_URL": w.OCSP,
		"POLICY_CARD": regexp.QuoteMeta(w.policies["card"]) + "$", "POLICY_SOFTWARE": regexp.QuoteMeta(w.policies["software"]) + "$",
	}
	for k, v := range env {
		all[k] = v
	}
	s := &radiusd{port: port, dir: dir, cmd: exec.Command("freeradius", "-f", "-x", "-l", filepath.Join(dir, "debug.log"), "-d", dir)}
	s.cmd.Env = os.Environ()
	for k, v := range all {
		s.cmd.Env = append(s.cmd.Env, k+"="+v)
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	err = stand.Until("FreeRADIUS is ready", func() (bool, error) {
		return strings.Contains(s.said(), "Ready to process requests"), nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, s.said())
	}
	return s, nil
}

func (s *radiusd) said() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "debug.log"))
	if err != nil {
		return ""
	}
	return string(text)
}

func stop(s *radiusd) {
	if s == nil {
		return
	}
	s.cmd.Process.Kill() //nolint:errcheck // it may have ended
	s.cmd.Wait()         //nolint:errcheck // it was killed
}

// lay writes what FreeRADIUS needs: configuration, its own certificate, and what it trusts.
func (w *wifi) lay(dir string) error {
	conf, err := os.ReadFile(filepath.Join(w.here, "radiusd.conf"))
	if err != nil {
		return err
	}
	cert, key, err := w.CertificateFiles("radius.localhost")
	if err != nil {
		return err
	}
	trusted := filepath.Join(dir, "trusted")
	if err := errors.Join(os.Mkdir(trusted, 0o755), os.WriteFile(filepath.Join(dir, "radiusd.conf"), conf, 0o644),
		copyFile(cert, filepath.Join(dir, "radius.pem")), copyFile(key, filepath.Join(dir, "radius.key")),
		copyFile(w.issuer, filepath.Join(trusted, "issuer.pem")), copyFile(w.root, filepath.Join(trusted, "root.pem"))); err != nil {
		return err
	}
	return errors.Join(w.lists(dir), stand.Says(true, "", "openssl", "rehash", trusted))
}

// lists fetches the newest lists and moves each into place in one step.
func (w *wifi) lists(dir string) error {
	full := strings.TrimSuffix(w.CRL, ".crl") + ".pem"
	for name, address := range map[string]string{"issuer-crl.pem": full, "root-crl.pem": w.rootList(full)} {
		list, err := stand.Published(address)
		if err != nil {
			return err
		}
		fresh := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(fresh, list, 0o644), os.Rename(fresh, filepath.Join(dir, "trusted", name))); err != nil {
			return err
		}
	}
	return nil
}

// rootList is the address of the root's full list, which the issuer's certificate is
// listed on.
func (w *wifi) rootList(full string) string {
	out, err := stand.Run(nil, "openssl", "x509", "-in", w.issuer, "-noout", "-ext", "crlDistributionPoints")
	if err != nil {
		return full
	}
	_, address, _ := strings.Cut(out, "URI:")
	return strings.TrimSuffix(strings.TrimSpace(address), "1.crl") + "full.pem"
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// connect lets a device ask for the network.
func (w *wifi) connect(s *radiusd, h *stand.Held, version string) (string, error) {
	disabled := map[string]string{"1.2": "tls_disable_tlsv1_3=1", "1.3": "tls_disable_tlsv1_3=0"}[version]
	conf := fmt.Sprintf("network={\n ssid=\"campus\"\n key_mgmt=WPA-EAP\n eap=TLS\n identity=\"@example.ac.jp\"\n ca_cert=%q\n client_cert=%q\n private_key=%q\n phase1=%q\n domain_match=\"radius.localhost\"\n}\n",
		w.CAFile, h.File, h.Key, disabled)
	file := filepath.Join(s.dir, "eapol.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return "", err
	}
	return stand.Run(nil, "eapol_test", "-c", file, "-a", "127.0.0.1", "-p", strconv.Itoa(s.port), "-s", "testing123", "-t", "60", "-r0")
}

// in wants the device to be let in, over the TLS version, into the network.
func (w *wifi) in(s *radiusd, h *stand.Held, version, vlan string) error {
	said, err := w.connect(s, h, version)
	if err != nil || !strings.Contains(said, "\nSUCCESS") {
		return fmt.Errorf("%s over TLS %s: %v: %s\n%s", h.Name, version, err, tail(said), tail(s.said()))
	}
	used := regexp.MustCompile(`(?i)SSL: Using TLS version TLSv?(1\.[23])`).FindStringSubmatch(said)
	if used == nil || used[1] != version {
		return fmt.Errorf("%s: TLS %v, not %s", h.Name, used, version)
	}
	// Tunnel-Private-Group-Id (81) as eapol_test prints it.
	if want := fmt.Sprintf("%x", vlan); !regexp.MustCompile(`Attribute 81 .*\n\s+Value: (00)?` + want).MatchString(said) {
		return fmt.Errorf("%s is not in network %s: %s", h.Name, vlan, tail(said))
	}
	return nil
}

// out wants the device to be kept out, and the server to say why.
func (w *wifi) out(s *radiusd, h *stand.Held, version, why string) error {
	said, err := w.connect(s, h, version)
	if err == nil || !strings.Contains(said, "FAILURE") {
		return fmt.Errorf("%s over TLS %s is let in", h.Name, version)
	}
	if !strings.Contains(s.said(), why) {
		return fmt.Errorf("FreeRADIUS does not say %q: %s", why, tail(s.said()))
	}
	return nil
}

// tail is the end of what somebody said.
func tail(text string) string {
	lines := bytes.Split([]byte(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-25):], []byte("\n")))
}
