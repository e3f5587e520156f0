package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"seimon/internal/ca"
	"seimon/internal/store"
)

// fetch waits until an address of the status listener gives something.
func fetch(t *testing.T, url string) []byte {
	t.Helper()
	for range 500 {
		r, err := http.Get(url)
		if err == nil {
			body, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err == nil && r.StatusCode == http.StatusOK {
				return body
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s gives nothing", url)
	return nil
}

// base is the line of the configuration that is to be filled in.
func (s *site) base() string {
	return regexp.MustCompile(`#base = "[^"]+"`).FindString(s.text())
}

// A certificate of the command line is known to the running gate, and so is its end.
func TestListsAndAnswersOfAnInstallation(t *testing.T) {
	s := install(t)
	port := free(t)
	base := "http://pki.localhost:" + port
	s.edit(s.base(), `base = "`+base+`"`)
	s.edit(`#status_listen = ":80"`, `status_listen = "127.0.0.1:`+port+`"`)
	s.must("ca", "init", "--country", "JP")
	s.must("user", "add", "s2600001", "--family-latin", "Kokuritsu", "--given-latin", "Taro", "--active")
	if _, out, _ := s.run("doctor"); !strings.Contains(out, "[crl.none]") {
		t.Errorf("before the first list the doctor says\n%s", out)
	}
	file := filepath.Join(s.dir, "request.pem")
	if err := os.WriteFile(file, []byte(request(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	issued := s.must("cert", "issue", "s2600001", "--request", file, "--label", "laptop")
	block, _ := pem.Decode([]byte(issued))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	here := func(address string) string { return strings.Replace(address, "pki.localhost", "127.0.0.1", 1) }
	g := s.serve()
	issuer, err := x509.ParseCertificate(fetch(t, here(cert.IssuingCertificateURL[0])))
	if err != nil {
		t.Fatal(err)
	}
	listed := func() int {
		l, err := x509.ParseRevocationList(fetch(t, here(cert.CRLDistributionPoints[0])))
		if err != nil || l.CheckSignatureFrom(issuer) != nil {
			t.Fatal(err)
		}
		return len(l.RevokedCertificateEntries)
	}
	status := func() int {
		q, err := ocsp.CreateRequest(cert, issuer, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.Post(here(cert.OCSPServer[0]), "application/ocsp-request", bytes.NewReader(q))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := ocsp.ParseResponseForCert(body, cert, issuer)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	if listed() != 0 || status() != ocsp.Good {
		t.Error("before it is revoked")
	}
	if _, out, _ := s.run("doctor"); strings.Contains(out, "[crl.") || strings.Contains(out, "[ocsp.") {
		t.Errorf("while the gate runs the doctor says\n%s", out)
	}
	s.must("cert", "revoke", cert.SerialNumber.Text(16), "--reason", "keyCompromise")
	for range 500 {
		if listed() == 1 && status() == ocsp.Revoked {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if listed() != 1 || status() != ocsp.Revoked {
		t.Errorf("after ten seconds nobody knows that it is revoked: %s", g.log)
	}
	mendedIsListed(t, s, func() []byte {
		return fetch(t, here(strings.Replace(strings.TrimSuffix(cert.IssuingCertificateURL[0], ".cer")+"/full.crl", "/ca/", "/crl/", 1)))
	})
	if code := g.end(); code != exitDone {
		t.Errorf("serve ended with %d: %s", code, g.log)
	}
}

// mendedIsListed lets a program end between intent and signature, and looks whether the
// serial is published as soon as the orphan is mended.
func mendedIsListed(t *testing.T, s *site, full func() []byte) {
	t.Helper()
	c, err := LoadConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(t.Context(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.CA.Prepare(t.Context(), ca.Order{Profile: ca.PersonDevice, Key: key.Public(), Label: "phone", Holder: ca.Holder{Account: "acc_x", Person: "per_x", Name: "Kokuritsu Jiro"}})
	if err != nil {
		t.Fatal(err)
	}
	err = h.DB.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE ca_certificate SET created_at = created_at - $1 WHERE id = $2", int64(2*time.Hour/time.Millisecond), p.ID())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.must("ca", "orphans", "--mend")
	var last *x509.RevocationList
	for range 500 {
		if last, err = x509.ParseRevocationList(full()); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(last.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return ca.SerialText(e.SerialNumber) == p.Certificate().Serial }) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("after ten seconds the orphan is not listed: %+v", last.RevokedCertificateEntries)
}

func TestAStatusListenerThatIsNoAddressIsAnError(t *testing.T) {
	s := install(t)
	s.edit(`#status_listen = ":80"`, `status_listen = "80"`)
	if code, _, bad := s.run("doctor"); code == exitDone || !strings.Contains(bad, "status_listen") {
		t.Errorf("%d %s", code, bad)
	}
}
