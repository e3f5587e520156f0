// Command p12 is a part of the lab: the files that the browser's own code packs, opened
// by OpenSSL, NSS, GnuTLS, Java and Go. It needs Node, which runs that code.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"seimon/test/lab/stand"
)

// made is one file that the browser's code packed.
type made struct{ Kind, Form, File, Password string }

func main() {
	here := flag.String("here", "", "folder of this program's sources")
	writer := flag.String("writer", "", "the browser's code as a module for Node")
	flag.Parse()
	dir, err := os.MkdirTemp("", "p12")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := stand.NewReport("p12")
	err = play(r, dir, *here, *writer)
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r.Exit()
}

func play(r *stand.Report, dir, here, writer string) error {
	env := append(os.Environ(), "WRITER="+writer)
	r.Check("the writer against published vectors", func() error {
		_, err := stand.Run(env, "node", "--test", filepath.Join(here, "page.test.mjs"))
		return err
	})
	if err := issuer(dir); err != nil {
		return err
	}
	if _, err := stand.Run(env, "node", filepath.Join(here, "files.mjs"), dir); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, "made.json"))
	if err != nil {
		return err
	}
	var all []made
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for _, m := range all {
		name := m.Kind + ", " + m.Form + ": "
		r.Check(name+"OpenSSL", func() error { return m.openssl() })
		r.Check(name+"NSS", func() error { return m.nss(dir) })
		r.Check(name+"GnuTLS", func() error { return m.gnutls() })
		r.Check(name+"Java", func() error { return m.java() })
		r.Check(name+"Go", func() error { return m.golang(dir) })
	}
	return nil
}

// issuer makes the authority that turns the requests into certificates.
func issuer(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Lab User CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(dir, "ca.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

func (m made) legacy() []string {
	if m.Form == "compatible" {
		return []string{"-legacy"}
	}
	return nil
}

// openssl reads the form, the salt of the MAC and the key, and refuses another password.
func (m made) openssl() error {
	args := append([]string{"pkcs12", "-in", m.File, "-info", "-nodes", "-passin", "pass:" + m.Password}, m.legacy()...)
	want := map[string][]string{
		"modern":     {"MAC: sha256", "salt length: 8", "PBES2, PBKDF2, AES-256-CBC", "PRF hmacWithSHA256", "BEGIN PRIVATE KEY"},
		"compatible": {"MAC: sha1", "salt length: 8", "pbeWithSHA1And3-KeyTripleDES-CBC", "BEGIN PRIVATE KEY"},
	}[m.Form]
	out, err := stand.Run(nil, "openssl", args...)
	for _, w := range want {
		if !strings.Contains(out, w) {
			err = errors.Join(err, fmt.Errorf("OpenSSL does not say %q", w))
		}
	}
	args[len(args)-1-len(m.legacy())] = "pass:wrong"
	return errors.Join(err, stand.Says(false, "", "openssl", args...))
}

// nss imports the file as Firefox and Chromium do, and lists the key by its name.
func (m made) nss(dir string) error {
	db := "sql:" + filepath.Join(dir, "nss-"+m.Kind+m.Form)
	return errors.Join(
		os.MkdirAll(strings.TrimPrefix(db, "sql:"), 0o700),
		stand.Says(true, "", "certutil", "-N", "-d", db, "--empty-password"),
		stand.Says(false, "", "pk12util", "-i", m.File, "-d", db, "-W", "wrong"),
		stand.Says(true, "IMPORT SUCCESSFUL", "pk12util", "-i", m.File, "-d", db, "-W", m.Password),
		stand.Says(true, "Yamada Taro", "certutil", "-K", "-d", db))
}

func (m made) gnutls() error {
	return errors.Join(
		stand.Says(true, "Friendly name: Yamada Taro - 太郎 "+m.Kind, "certtool", "--inder", "--p12-info", "--infile", m.File, "--password", m.Password),
		stand.Says(false, "", "certtool", "--inder", "--p12-info", "--infile", m.File, "--password", "wrong"))
}

func (m made) java() error {
	list := func(password string) []string {
		return []string{"-J-Duser.language=en", "-list", "-v", "-storetype", "PKCS12", "-keystore", m.File, "-storepass", password}
	}
	return errors.Join(
		stand.Says(true, "Entry type: PrivateKeyEntry", "keytool", list(m.Password)...),
		stand.Says(false, "password was incorrect", "keytool", list("wrong-one")...))
}

// golang compares key, certificate and issuer with what went in.
func (m made) golang(dir string) error {
	file, err := os.ReadFile(m.File)
	if err != nil {
		return err
	}
	key, leaf, issuers, err := pkcs12.DecodeChain(file, m.Password)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	want, err := os.ReadFile(filepath.Join(dir, m.Kind+".pkcs8"))
	if err != nil {
		return err
	}
	if !bytes.Equal(der, want) {
		return errors.New("the key is another one")
	}
	if leaf.Subject.CommonName != "Yamada Taro - laptop "+m.Kind {
		return fmt.Errorf("the certificate is that of %s", leaf.Subject)
	}
	if n := map[string]int{"modern": 1}[m.Form]; len(issuers) != n {
		return fmt.Errorf("%d issuers", len(issuers))
	}
	if _, _, _, err := pkcs12.DecodeChain(file, "wrong"); !errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return fmt.Errorf("with another password: %w", err)
	}
	return nil
}
