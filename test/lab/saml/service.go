package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"seimon/test/lab/stand"
)

// identity is the key of a service with its self-signed certificate.
type identity struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

func newIdentity(name string) (identity, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return identity{}, err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		return identity{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return identity{key, cert}, err
}

// files writes the key and the certificate for a program that is not ours.
func (i identity) files(dir, name string) (cert, key string, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	return cert, key, errors.Join(err,
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}), 0o644),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o644))
}

// register gives a service's own metadata to the program's command, then grants what
// the checks look at. extra are further flags of "party set".
func register(s *stand.Stand, id string, metadata []byte, extra ...string) error {
	if out, err := command(s, metadata, "party", "import", "-"); err != nil {
		return fmt.Errorf("seimon party import: %w: %s", err, out)
	}
	flags := append([]string{"party", "set", id, "--consent", "none"}, extra...)
	for _, a := range []string{"displayName", "displayName;ja", "mail", "eduPersonPrincipalName", "eduPersonScopedAffiliation", "eduPersonTargetedID", "pairwise-id"} {
		flags = append(flags, "--release", a)
	}
	if out, err := command(s, nil, flags...); err != nil {
		return fmt.Errorf("seimon party set: %w: %s", err, out)
	}
	return nil
}

func command(s *stand.Stand, in []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Program, append([]string{"--config", s.Config}, args...)...)
	cmd.Stdin = bytes.NewReader(in)
	return cmd.CombinedOutput()
}

func get(c *http.Client, address string) ([]byte, error) {
	res, err := c.Get(address)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s: %.200s", address, res.Status, text)
	}
	return text, err
}
