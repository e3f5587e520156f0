package chain_test

import (
	"crypto/x509"
	"strings"
	"testing"

	"seimon/internal/ca/trust/chain"
)

// What a stranger presents is judged whatever it is: by an end within bounds.
func FuzzCertificate(f *testing.F) {
	a := openArchive(f)
	root, err := x509.ParseCertificate(a.files["TrustAnchorRootCertificate.crt"])
	if err != nil {
		f.Fatal(err)
	}
	for name, content := range a.files {
		if strings.HasSuffix(name, "EE.crt") || strings.Contains(name, "nameConstraints") {
			f.Add(content)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := x509.ParseCertificate(raw)
		if err != nil {
			return
		}
		o := chain.Options{Now: pkitsNow, Anchors: []chain.Anchor{{ID: "root", Certificate: root}}, Between: []*x509.Certificate{c, c}, Status: true}
		if r, err := chain.Validate(c, o); err == nil {
			t.Errorf("accepted without any list: %d certificates", len(r.Path))
		}
	})
}

func FuzzList(f *testing.F) {
	a := openArchive(f)
	root, err := x509.ParseCertificate(a.files["TrustAnchorRootCertificate.crt"])
	if err != nil {
		f.Fatal(err)
	}
	good, err := x509.ParseCertificate(a.files["ValidCertificatePathTest1EE.crt"])
	if err != nil {
		f.Fatal(err)
	}
	for name, content := range a.files {
		if strings.HasSuffix(name, ".crl") {
			f.Add(content)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := chain.ParseList(raw)
		if err != nil {
			return
		}
		o := chain.Options{Now: pkitsNow, Anchors: []chain.Anchor{{ID: "root", Certificate: root}}, Lists: []*chain.List{l}, Status: true}
		if chain.CheckList(l, o, nil) == nil && l.NextUpdate.Before(pkitsNow) {
			t.Error("a list that has ended is good")
		}
		if _, err := chain.Validate(good, o); err == nil {
			t.Error("accepted without its issuer")
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add([]byte{0x30, 0})
	f.Add([]byte("\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04Taro"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		parts, err := chain.Name(raw)
		if err == nil && len(parts) > len(raw) {
			t.Errorf("%d names out of %d bytes", len(parts), len(raw))
		}
	})
}
