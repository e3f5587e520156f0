// Command federation is a peer of the lab: xmlsec1 and xmllint stand between a
// federation and the gate. xmlsec1 verifies what we sign; we verify what xmlsec1
// signs, in every spelling that xmllint and prefix lists bring about; both refuse what
// was changed. At the end a federation signed by xmlsec1 is loaded by the program.
package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/front/saml/xmlstream"
	"seimon/test/lab/stand"
)

const (
	dsig = "http://www.w3.org/2000/09/xmldsig#"
	more = "http://www.w3.org/2001/04/xmldsig-more#"
	exc  = "http://www.w3.org/2001/10/xml-exc-c14n#"
	root = "urn:oasis:names:tc:SAML:2.0:metadata:EntitiesDescriptor"
)

func main() {
	r := stand.NewReport("federation")
	s, err := stand.Open()
	if err == nil {
		err = play(r, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r.Exit()
}

// signer is a key with the files that xmlsec1 wants.
type signer struct {
	name      string
	key       crypto.Signer
	der       []byte
	keyFile   string
	certFile  string
	algorithm string
}

func signers(dir string) ([]signer, error) {
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	long, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		return nil, err
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, err
	}
	list := []signer{
		{name: "RSA 2048, SHA-256", key: short, algorithm: more + "rsa-sha256"}, {name: "RSA 4096, SHA-512", key: long, algorithm: more + "rsa-sha512"},
		{name: "P-256, SHA-256", key: curve, algorithm: more + "ecdsa-sha256"}, {name: "P-384, SHA-384", key: wide, algorithm: more + "ecdsa-sha384"},
	}
	for i := range list {
		if err := list[i].write(filepath.Join(dir, fmt.Sprint("signer", i))); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (s *signer) write(base string) error {
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, s.key.Public(), s.key)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		return err
	}
	s.der, s.keyFile, s.certFile = der, base+".key", base+".pem"
	return errors.Join(os.WriteFile(s.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
		os.WriteFile(s.certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
}

// scene is where files lie.
type scene struct {
	dir    string
	sample *aggregate.Sample
}

func (s scene) document(key xmlsig.Key) ([]byte, error) {
	now := time.Now()
	return aggregate.Write(aggregate.Document{ID: "_feed", Name: "urn:lab", Publisher: "urn:lab", Created: now, ValidUntil: now.Add(7 * 24 * time.Hour), Key: key}, 20, s.sample.Provider)
}

func (s scene) file(name string, text []byte) (string, error) {
	name = filepath.Join(s.dir, name)
	return name, os.WriteFile(name, text, 0o644)
}

// template is an empty signature for xmlsec1 to fill in.
func template(algorithm, digest, prefixes string) string {
	list := ""
	if prefixes != "" {
		list = `<ec:InclusiveNamespaces xmlns:ec="` + exc + `" PrefixList="` + prefixes + `"/>`
	}
	return `<ds:Signature xmlns:ds="` + dsig + `"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="` + exc + `"/><ds:SignatureMethod Algorithm="` + algorithm +
		`"/><ds:Reference URI="#_feed"><ds:Transforms><ds:Transform Algorithm="` + dsig + `enveloped-signature"/><ds:Transform Algorithm="` + exc + `">` + list +
		`</ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="` + digest + `"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature>`
}

// spellings are the ways in which an unsigned document may look before it is signed.
func (s scene) spellings() map[string]func(string) (string, error) {
	same := func(t string) (string, error) { return t, nil }
	return map[string]func(string) (string, error){
		"as written": same,
		"indented by xmllint": func(t string) (string, error) {
			name, err := s.file("plain.xml", []byte(t))
			if err != nil {
				return "", err
			}
			out, err := exec.Command("xmllint", "--format", name).Output()
			return string(out), err
		},
		"with comments": func(t string) (string, error) {
			return strings.Replace(t, "<md:EntityDescriptor", "<!-- a member -->\n<md:EntityDescriptor", 3), nil
		},
		"with declarations at the root": func(t string) (string, error) {
			return strings.Replace(t, "<md:EntitiesDescriptor ", `<md:EntitiesDescriptor xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui" xmlns:unused="urn:unused" `, 1), nil
		},
		"with references and CDATA": func(t string) (string, error) {
			t = strings.Replace(t, "Institute 3<", "Institute &#x33;&amp;&lt;\u00e9<", 2)
			return strings.Replace(t, "Research Service 4<", "<![CDATA[Research <&> 4]]><", 1), nil
		},
	}
}

// sign lets xmlsec1 sign a document.
func (s scene) sign(by signer, text, prefixes string) (string, error) {
	digest := "http://www.w3.org/2001/04/xmlenc#sha256"
	if strings.HasSuffix(by.algorithm, "512") {
		digest = "http://www.w3.org/2001/04/xmlenc#sha512"
	}
	at := strings.Index(text, "<md:EntitiesDescriptor")
	at += strings.IndexByte(text[at:], '>') + 1
	name, err := s.file("template.xml", []byte(text[:at]+"\n"+template(by.algorithm, digest, prefixes)+text[at:]))
	if err != nil {
		return "", err
	}
	var bad bytes.Buffer
	c := exec.Command("xmlsec1", "--sign", "--privkey-pem", by.keyFile+","+by.certFile, "--id-attr:ID", root, name)
	c.Stderr = &bad
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("xmlsec1: %w: %s", err, bad.String())
	}
	return string(out), nil
}

func (s scene) referee(by signer, text []byte) error {
	name, err := s.file("signed.xml", text)
	if err != nil {
		return err
	}
	return exec.Command("xmlsec1", "--verify", "--pubkey-cert-pem", by.certFile, "--id-attr:ID", root, name).Run()
}

type quiet struct{}

func (quiet) Start(*xmlstream.Element) error { return nil }
func (quiet) End(string, string, int) error  { return nil }
func (quiet) Write(b []byte) (int, error)    { return len(b), nil }

func verify(by signer, text string) error {
	_, err := xmlstream.Verify(strings.NewReader(text), []crypto.PublicKey{by.key.Public()}, xmlstream.Limits{}, quiet{})
	return err
}

func play(r *stand.Report, s *stand.Stand) error {
	dir, err := os.MkdirTemp("", "federation-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	list, err := signers(dir)
	if err != nil {
		return err
	}
	sample, err := aggregate.NewSample("lab.example", 6000)
	if err != nil {
		return err
	}
	x := scene{dir, sample}
	plain, err := x.document(xmlsig.Key{})
	if err != nil {
		return err
	}
	for _, by := range list {
		r.Check("xmlsec1 verifies our feed: "+by.name, func() error {
			text, err := x.document(xmlsig.Key{Signer: by.key, Certificate: by.der})
			if err != nil {
				return err
			}
			if err := x.referee(by, bytes.Replace(text, []byte("Institute 3<"), []byte("Institute 4<"), 1)); err == nil {
				return errors.New("xmlsec1 verifies anything")
			}
			return errors.Join(x.referee(by, text), verify(by, string(text)))
		})
		for name, spell := range x.spellings() {
			for _, prefixes := range []string{"", "md mdui xs #default"} {
				r.Check(fmt.Sprintf("we verify a feed of xmlsec1: %s, %s, prefixes %q", by.name, name, prefixes), func() error {
					text, err := spell(string(plain))
					if err != nil {
						return err
					}
					if text, err = x.sign(by, text, prefixes); err != nil {
						return err
					}
					if err := verify(by, strings.Replace(text, "Institute 5<", "Institute 6<", 1)); err == nil {
						return errors.New("a changed feed verifies")
					}
					return verify(by, text)
				})
			}
		}
	}
	r.Check("the program loads a feed that xmlsec1 signed", func() error { return load(s, x, list[0], string(plain)) })
	return nil
}

func load(s *stand.Stand, x scene, by signer, plain string) error {
	text, err := x.sign(by, plain, "")
	if err != nil {
		return err
	}
	name, err := x.file("federation.xml", []byte(text))
	if err != nil {
		return err
	}
	if _, err := s.Seimon(nil, "feed", "add", "lab", "--url", "file:"+name, "--signer", by.certFile); err != nil {
		return err
	}
	out, err := s.Seimon(nil, "feed", "refresh", "lab")
	if err == nil && !strings.Contains(string(out), "20 of them services: 20 new") {
		err = fmt.Errorf("%s", out)
	}
	if err != nil {
		return err
	}
	out, err = s.Seimon(nil, "feed", "show", "https://sp00003.lab.example/shibboleth")
	if err == nil && !strings.Contains(string(out), "研究サービス 3") {
		err = fmt.Errorf("%s", out)
	}
	return err
}
