package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/test/lab/stand"
)

// referees hold what we write against xmlsec1, goxmldsig and the schemas, and read what
// they write.
type referees struct {
	dir string
	who identity
}

func tool(catalogue string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "XML_CATALOG_FILES="+catalogue)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s: %w: %.600s", name, err, errs.String()+out.String())
	}
	return out.String(), err
}

func (f *referees) file(name, text string) string {
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return path
}

const (
	samlp     = "urn:oasis:names:tc:SAML:2.0:protocol"
	assertion = "urn:oasis:names:tc:SAML:2.0:assertion"
)

// plain is a message with what canonicalisation may stumble over.
func plain() (text []byte, at int) {
	w := xmldoc.NewWriter(xmldoc.Spaces{"samlp": samlp, "saml": assertion})
	w.Start("samlp:AuthnRequest", "ID", "_r1", "Version", "2.0", "IssueInstant", "2026-11-22T00:00:00Z", "ProviderName", "山田 & \"<Co>\"\t\n")
	w.Leaf("saml:Issuer", "https://sp.example.org/ \r <&>")
	at = w.Len()
	return w.Leaf("samlp:NameIDPolicy", "", "AllowCreate", "true").End().Bytes(), at
}

// xmlsecReads: xmlsec1 verifies what we sign.
func (f *referees) xmlsecReads(key crypto.Signer) error {
	text, at := plain()
	signed, err := xmlsig.Sign(text, "_r1", at, xmlsig.Key{Signer: key})
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	public := f.file("public.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	args := []string{"--verify", "--pubkey-pem", public, "--id-attr:ID", samlp + ":AuthnRequest"}
	if _, err := tool("", "xmlsec1", append(args, f.file("ours.xml", string(signed)))...); err != nil {
		return err
	}
	bent := strings.Replace(string(signed), "山田", "山口", 1)
	if _, err := tool("", "xmlsec1", append(args, f.file("bent.xml", bent))...); err == nil {
		return errors.New("xmlsec1 verifies anything")
	}
	return nil
}

// unsignedMessage is an unsigned signature for xmlsec1 to fill in.
const unsignedMessage = `<?xml version="1.0" encoding="UTF-8"?>
<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:other="urn:other" IssueInstant='2026-11-22T00:00:00Z' Version="2.0" ID="_x1">
  <saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">https://sp.example.org/山田</saml:Issuer>
  <ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>
    <ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/><ds:SignatureMethod Algorithm="%s"/>
    <ds:Reference URI="#_x1"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>
      <ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"><ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="other #default"/></ds:Transform></ds:Transforms>
      <ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature>
  <samlp:Extensions><a xmlns="urn:a" b="1 &amp; 2" a='"'/></samlp:Extensions>
</samlp:AuthnRequest>`

// xmlsecWrites: we verify what xmlsec1 signs.
func (f *referees) xmlsecWrites(key crypto.Signer) error {
	algorithm, err := xmlsig.AlgorithmFor(key.Public())
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	private := f.file("private.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	signed, err := tool("", "xmlsec1", "--sign", "--privkey-pem", private, "--id-attr:ID", samlp+":AuthnRequest", f.file("template.xml", fmt.Sprintf(unsignedMessage, algorithm)))
	if err != nil {
		return err
	}
	verify := func(text string) error {
		n, err := xmldoc.Parse([]byte(text), xmldoc.Limits{})
		if err == nil {
			_, err = xmlsig.Verify(n, []crypto.PublicKey{key.Public()}, xmldoc.Limits{})
		}
		return err
	}
	if err := verify(signed); err != nil {
		return err
	}
	if verify(strings.Replace(signed, "1 &amp; 2", "1 &amp; 3", 1)) == nil {
		return errors.New("a changed message verifies")
	}
	return nil
}

// decrypts: xmlsec1 opens what we encrypt, by every method.
func (f *referees) decrypts() error {
	_, key, err := f.who.files(f.dir, "reader")
	if err != nil {
		return err
	}
	for _, content := range xmlenc.Contents() {
		for _, transport := range xmlenc.Transports() {
			text, err := xmlenc.Encrypt([]byte(`<a:b xmlns:a="urn:a">山田</a:b>`), xmlenc.Reader{Key: &f.who.key.PublicKey, Content: content, Transport: transport})
			if err != nil {
				return err
			}
			if transport == xmlenc.OAEPSHA256 {
				continue // xmlsec1 1.2 does not know this method; Shibboleth does
			}
			out, err := tool("", "xmlsec1", "--decrypt", "--privkey-pem", key, f.file("encrypted.xml", string(text)))
			if err == nil && !strings.Contains(out, `<a:b xmlns:a="urn:a">`) {
				err = errors.New(out)
			}
			if err != nil {
				return fmt.Errorf("%s %s: %w", content, transport, err)
			}
		}
	}
	return nil
}

func must(text []byte, _ int) []byte { return text }

// catalogue leads the schemas' addresses to the files that Debian has.
const catalogue = `<?xml version="1.0"?>
<catalog xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog">
  <system systemId="http://www.w3.org/TR/2002/REC-xmldsig-core-20020212/xmldsig-core-schema.xsd" uri="/usr/share/xml/xmltooling/xmldsig-core-schema.xsd"/>
  <system systemId="http://www.w3.org/TR/2002/REC-xmlenc-core-20021210/xenc-schema.xsd" uri="/usr/share/xml/xmltooling/xenc-schema.xsd"/>
  <system systemId="http://www.w3.org/2001/xml.xsd" uri="/usr/share/xml/xmltooling/xml.xsd"/>
</catalog>`

// goxmldsigAgrees: both ways with RSA; its ECDSA does not interoperate.
func (f *referees) goxmldsigAgrees() error {
	text, at := plain()
	signed, err := xmlsig.Sign(text, "_r1", at, xmlsig.Key{Signer: f.who.key, Certificate: f.who.cert.Raw})
	if err != nil {
		return err
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(signed); err != nil {
		return err
	}
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{f.who.cert}})
	ctx.IdAttribute = "ID"
	if _, err := ctx.Validate(doc.Root()); err != nil {
		return err
	}
	// Its canonical form differs where an attribute holds line ends.
	own := strings.ReplaceAll(strings.ReplaceAll(string(must(plain())), "&#x9;", ""), "&#xA;", "")
	own = strings.ReplaceAll(own, "&#xD;", "")
	bare := etree.NewDocument()
	if err := bare.ReadFromString(own); err != nil {
		return err
	}
	s := dsig.NewDefaultSigningContext(dsig.TLSCertKeyStore(tls.Certificate{Certificate: [][]byte{f.who.cert.Raw}, PrivateKey: f.who.key}))
	s.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := s.SetSignatureMethod(dsig.RSASHA256SignatureMethod); err != nil {
		return err
	}
	theirs, err := s.SignEnveloped(bare.Root())
	if err != nil {
		return err
	}
	out := etree.NewDocument()
	out.SetRoot(theirs)
	written, err := out.WriteToBytes()
	if err != nil {
		return err
	}
	n, err := xmldoc.Parse(written, xmldoc.Limits{})
	if err == nil {
		_, err = xmlsig.Verify(n, []crypto.PublicKey{f.who.key.Public()}, xmldoc.Limits{})
	}
	return err
}

// valid holds a document against a schema of SAML 2.0.
func (f *referees) valid(schema, file string) error {
	f.file("catalogue.xml", catalogue)
	_, err := tool(f.dir+"/catalogue.xml", "xmllint", "--nonet", "--noout", "--schema", "/usr/share/xml/opensaml/saml-schema-"+schema+"-2.0.xsd", file)
	return err
}

// signerOf gives the first certificate of our metadata, that of the key that signs.
func signerOf(n *xmldoc.Node) string {
	var cert string
	n.Walk(func(x *xmldoc.Node) bool {
		if x.Is(xmlsig.Space, "X509Certificate") {
			cert = x.Text()
			return false
		}
		return true
	})
	return "-----BEGIN CERTIFICATE-----\n" + cert + "\n-----END CERTIFICATE-----\n"
}

// metadata: our metadata is valid by the standard's schemas, and verifies with xmlsec1.
func (f *referees) metadata(idp []byte) error {
	file := f.file("idp.xml", string(idp))
	if err := f.valid("metadata", file); err != nil {
		return err
	}
	n, err := xmldoc.Parse(idp, xmldoc.Limits{})
	if err != nil {
		return err
	}
	_, err = tool("", "xmlsec1", "--verify", "--pubkey-cert-pem", f.file("idp.pem", signerOf(n)),
		"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor", file)
	return err
}

// rollover: our metadata stays valid while keys change: the key in use, the one that
// follows it, and one of the other kind.
func (f *referees) rollover(s *stand.Stand) error {
	for _, kind := range []string{"rsa", "ec"} {
		if out, err := command(s, nil, "saml", "keys", "add", "--kind", kind); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	n, err := f.described(s, 3)
	if err != nil {
		return fmt.Errorf("%w: %s", err, n)
	}
	return nil
}

// described waits until our metadata has so many signing keys, as nodes look for
// changes once a minute, and holds it against the schema.
func (f *referees) described(s *stand.Stand, keys int) (string, error) {
	end := time.After(150 * time.Second)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		text, err := get(s.Client(), s.SSO+"/saml/metadata")
		if err != nil {
			return "", err
		}
		if strings.Count(string(text), `<md:KeyDescriptor use="signing">`) == keys {
			return string(text), f.metadata(text)
		}
		select {
		case <-tick.C:
		case <-end:
			return string(text), fmt.Errorf("there are never %d signing keys", keys)
		}
	}
}

// judge lets the referees speak.
func judge(s *stand.Stand, r *stand.Report, idp []byte) {
	f := &referees{dir: filepath.Join(s.Work, "referees")}
	err := os.MkdirAll(f.dir, 0o755)
	if err == nil {
		f.who, err = newIdentity("reader")
	}
	if !r.Check("keys for the referees", func() error { return err }) {
		return
	}
	keys := map[string]crypto.Signer{"RSA": f.who.key}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384()} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if !r.Check("a key on "+name, func() error { return err }) {
			return
		}
		keys[name] = k
	}
	for name, k := range keys {
		r.Check("xmlsec1 verifies what we sign: "+name, func() error { return f.xmlsecReads(k) })
		r.Check("we verify what xmlsec1 signs: "+name, func() error { return f.xmlsecWrites(k) })
	}
	r.Check("xmlsec1 decrypts what we encrypt", f.decrypts)
	r.Check("goxmldsig and we verify each other", f.goxmldsigAgrees)
	r.Check("our metadata: schema, and signature by xmlsec1", func() error { return f.metadata(idp) })
}
