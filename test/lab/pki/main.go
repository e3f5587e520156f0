// Command pki is a peer of the lab: OpenSSL, GnuTLS, NSS and Java read the chains,
// revocation lists and OCSP answers of the demo, and zlint judges the lists and answers.
package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"seimon/test/lab/stand"
)

// scene is what the programs look at.
type scene struct {
	*stand.Stand
	here          string
	good, revoked *stand.Held
	held          *stand.Held // on hold
	issuer, root  string      // PEM files
	both          string      // issuer and root
	full          string      // the full list, PEM
	fullDER       string
	rootList      string // of the root, PEM
	shard         string // the list that the revoked certificate names, PEM
}

func main() {
	here := flag.String("here", "", "folder of this program's sources")
	flag.Parse()
	r := stand.NewReport("pki")
	s, err := stand.Open()
	if err == nil {
		err = play(r, &scene{Stand: s, here: *here})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r.Exit()
}

func play(r *stand.Report, s *scene) error {
	if err := s.set(); err != nil {
		return err
	}
	s.openssl(r)
	s.gnutls(r)
	s.nss(r)
	s.java(r)
	s.zlint(r)
	return nil
}

// set issues and revokes, and lays out the files.
func (s *scene) set() (err error) {
	user := s.Take(false).User
	if s.issuer, s.root, err = s.Authorities(); err != nil {
		return err
	}
	s.both = s.IssuerCAFile
	for name, into := range map[string]**stand.Held{"good": &s.good, "revoked": &s.revoked, "held": &s.held} {
		if *into, err = s.Issue(user, name, "person-device"); err != nil {
			return err
		}
	}
	if err := errors.Join(s.Revoke(s.revoked, "keyCompromise"), s.Revoke(s.held, "certificateHold")); err != nil {
		return err
	}
	if err := errors.Join(s.Listed(s.revoked), s.Listed(s.held)); err != nil {
		return err
	}
	issuer, err := readCertificate(s.issuer)
	if err != nil {
		return err
	}
	if s.full, err = s.list("full", s.CRL); err != nil {
		return err
	}
	s.fullDER = filepath.Join(s.Work, "full.crl")
	if s.rootList, err = s.list("root", strings.TrimSuffix(issuer.CRLDistributionPoints[0], "1.crl")+"full.crl"); err != nil {
		return err
	}
	s.shard, err = s.list("shard", s.revoked.Certificate.CRLDistributionPoints[0])
	return err
}

func readCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM", file)
	}
	return x509.ParseCertificate(block.Bytes)
}

// list fetches a list into NAME.crl and NAME.crl.pem.
func (s *scene) list(name, address string) (string, error) {
	der, err := stand.Published(address)
	if err != nil {
		return "", err
	}
	file := filepath.Join(s.Work, name+".crl")
	text := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
	return file + ".pem", errors.Join(os.WriteFile(file, der, 0o644), os.WriteFile(file+".pem", text, 0o644))
}

// joined writes several files into one.
func (s *scene) joined(name string, files ...string) (string, error) {
	var all bytes.Buffer
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		all.Write(text)
	}
	file := filepath.Join(s.Work, name)
	return file, os.WriteFile(file, all.Bytes(), 0o644)
}
