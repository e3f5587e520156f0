package stand

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Held is a certificate of one of the demo's people with its files.
type Held struct {
	ID          string
	Name        string // of its files
	Certificate *x509.Certificate
	File, Key   string // PEM
}

// Seimon runs a command of the program beside the demo.
func (s *Stand) Seimon(in []byte, args ...string) ([]byte, error) {
	cmd := exec.Command(s.Program, append([]string{"--config", s.Config}, args...)...)
	cmd.Stdin = bytes.NewReader(in)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("seimon %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return out, nil
}

// Issue gives a person of the demo a certificate over a new key.
func (s *Stand) Issue(user, name, profile string) (*Held, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, err
	}
	out, err := s.Seimon(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}),
		"cert", "issue", user, "--request", "-", "--label", name, "--profile", profile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(out)
	if block == nil {
		return nil, fmt.Errorf("no certificate in %q", out)
	}
	h := &Held{Name: name, File: filepath.Join(s.Work, name+".pem"), Key: filepath.Join(s.Work, name+".key")}
	if h.Certificate, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, err
	}
	view, err := s.Seimon(nil, "cert", "show", "--json", fmt.Sprintf("%X", h.Certificate.SerialNumber))
	if err != nil {
		return nil, err
	}
	var shown []struct{ ID string }
	if json.Unmarshal(view, &shown) != nil || len(shown) == 0 {
		var one struct{ ID string }
		if err := json.Unmarshal(view, &one); err != nil {
			return nil, err
		}
		h.ID = one.ID
	} else {
		h.ID = shown[0].ID
	}
	return h, errors.Join(os.WriteFile(h.File, out, 0o644),
		os.WriteFile(h.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// Revoke revokes a certificate.
func (s *Stand) Revoke(h *Held, reason string) error {
	_, err := s.Seimon(nil, "cert", "revoke", h.ID, "--reason", reason)
	return err
}

// Published gets what the status listener publishes.
func Published(address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// Until asks again and again whether something has become so, for a minute at most: far
// longer than it takes, for machines that do much else.
func Until(what string, so func() (bool, error)) error {
	end := time.After(time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := so(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-end:
			return fmt.Errorf("after a minute still not: %s", what)
		}
	}
}

// Listed waits until a revoked certificate is on the full list.
func (s *Stand) Listed(h *Held) error {
	return Until(h.Name+" is on the list", func() (bool, error) {
		der, err := Published(s.CRL)
		if err != nil {
			return false, err
		}
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			return false, err
		}
		for _, e := range l.RevokedCertificateEntries {
			if e.SerialNumber.Cmp(h.Certificate.SerialNumber) == 0 {
				return true, nil
			}
		}
		return false, nil
	})
}

// Authorities writes the issuer, the root and both into files of their own.
func (s *Stand) Authorities() (issuer, root string, err error) {
	text, err := os.ReadFile(s.IssuerCAFile)
	if err != nil {
		return "", "", err
	}
	first, rest := pem.Decode(text)
	second, _ := pem.Decode(rest)
	if first == nil || second == nil {
		return "", "", errors.New("the issuer's file must hold issuer and root")
	}
	issuer, root = filepath.Join(s.Work, "issuer.pem"), filepath.Join(s.Work, "root.pem")
	return issuer, root, errors.Join(os.WriteFile(issuer, pem.EncodeToMemory(first), 0o644), os.WriteFile(root, pem.EncodeToMemory(second), 0o644))
}

// Run runs a peer's program and gives what it says; what does not end in a minute is ended.
func Run(env []string, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return string(out), err
}

// Says runs a program that must end well (or badly) and say something.
func Says(good bool, want, program string, args ...string) error {
	out, err := Run(nil, program, args...)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if (err == nil) != good || !strings.Contains(out, want) {
		return fmt.Errorf("%s %s: %v, and not %q: %s", program, strings.Join(args, " "), err, want, out)
	}
	return nil
}
