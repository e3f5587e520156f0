package demo

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// authority is the demo's own certificate authority. It may name nothing but
// hosts below localhost (RFC 5280 4.2.1.10), so that trusting it is harmless.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	file string // PEM, to be trusted by browsers
}

const (
	caLife   = 2 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
)

// openAuthority takes the authority kept in dir, or makes one.
func openAuthority(dir string, now time.Time) (*authority, error) {
	a := &authority{file: filepath.Join(dir, "ca.pem")}
	keyFile := filepath.Join(dir, "ca.key")
	err := a.load(keyFile)
	if err == nil && now.Add(leafLife).Before(a.cert.NotAfter) {
		return a, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{Organization: []string{"Seimon University (demo)"}, CommonName: "Seimon demo CA " + now.Format("2006-01-02 15:04")},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	a.key = key
	return a, errors.Join(writeKey(keyFile, key), writePEM(a.file, "CERTIFICATE", 0o644, der))
}

func (a *authority) load(keyFile string) error {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	certText, err := os.ReadFile(a.file)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certText, text)
	if err != nil {
		return fmt.Errorf("%s: %w", keyFile, err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return fmt.Errorf("%s does not hold a signing key", keyFile)
	}
	a.cert, a.key = pair.Leaf, key
	return nil
}

// issue makes a certificate for the names and writes it to two files.
func (a *authority) issue(certFile, keyFile string, now time.Time, names []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.cert, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := errors.Join(writeKey(keyFile, key), writePEM(certFile, "CERTIFICATE", 0o644, der, a.cert.Raw)); err != nil {
		return tls.Certificate{}, err
	}
	return tls.LoadX509KeyPair(certFile, keyFile)
}

// pool trusts the authority.
func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func serial() *big.Int {
	raw := make([]byte, 16)
	rand.Read(raw) //nolint:errcheck // never fails (crypto/rand.Read)
	raw[0] &= 0x7f
	return new(big.Int).SetBytes(raw)
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(file, "PRIVATE KEY", 0o600, der)
}

// writePEM replaces a file as a whole.
func writePEM(file, kind string, mode fs.FileMode, blocks ...[]byte) error {
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})...)
	}
	return replaceFile(file, text, mode)
}

func replaceFile(file string, text []byte, mode fs.FileMode) error {
	next := file + ".new"
	if err := os.WriteFile(next, text, mode); err != nil {
		return err
	}
	return os.Rename(next, file)
}
