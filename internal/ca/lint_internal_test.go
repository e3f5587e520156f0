package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/store/storetest"
)

// bench is an authority with one composed order, whose certificate the test spoils.
type bench struct {
	a       *Authority
	key     *ecdsa.PrivateKey
	profile Profile
	issuer  *signing
	row     Certificate
	serial  *big.Int
}

func newBench(t *testing.T, profile string) *bench {
	t.Helper()
	db, clock := storetest.Open(t, Schema(), keyring.Schema())
	ring := keyringtest.Open(t, db, bytes.Repeat([]byte("k"), 32))
	b := &bench{}
	var err error
	if b.a, err = Open(t.Context(), db, Config{Seal: ring, Base: "http://pki.example.ac.jp", Realm: "example.ac.jp"}); err != nil {
		t.Fatal(err)
	}
	i, err := b.a.Found(t.Context(), Plan{Organization: "Example University"})
	if err != nil {
		t.Fatal(err)
	}
	if b.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if b.issuer, err = b.a.signing(t.Context(), i.ID); err != nil {
		t.Fatal(err)
	}
	o := Order{Profile: profile, Key: b.key.Public(), Label: "laptop", Holder: Holder{Account: "acc_1", Name: "Kokuritsu Taro", Mail: "taro@example.ac.jp", UPN: "taro@example.ac.jp"}}
	if b.profile, err = b.a.checkOrder(&o); err != nil {
		t.Fatal(err)
	}
	hash, err := KeyHash(o.Key)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.a.compose(checked{o, b.profile, hash}, b.issuer, clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	b.row, b.serial = p.certificate, p.trial.SerialNumber
	return b
}

// broken gives the names of the rules that a spoiled certificate breaks.
func (b *bench) broken(t *testing.T, spoil func(c *x509.Certificate)) []string {
	t.Helper()
	template, err := b.a.template(b.profile, b.row, b.serial)
	if err != nil {
		t.Fatal(err)
	}
	spoil(template)
	trial, err := b.issuer.trialOf(template, b.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return b.named(b.a.lint(b.profile, &Prepared{certificate: b.row, trial: trial, issuer: b.issuer}))
}

func (b *bench) named(err error) (out []string) {
	if err == nil {
		return nil
	}
	for line := range strings.Lines(err.Error()) {
		name, _, _ := strings.Cut(line, " ")
		out = append(out, name)
	}
	return out
}

func alternative(names ...asn1.RawValue) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		value, err := asn1.Marshal(names)
		if err != nil {
			panic(err)
		}
		c.ExtraExtensions = []pkix.Extension{{Id: oidSAN, Value: value}}
	}
}

// TestEachRuleFindsWhatItIsFor spoils a certificate in one way after another.
func TestEachRuleFindsWhatItIsFor(t *testing.T) {
	b := newBench(t, PersonDevice)
	if got := b.broken(t, func(*x509.Certificate) {}); len(got) > 0 {
		t.Fatalf("a sound certificate breaks %q", got)
	}
	mail := asn1.RawValue{Class: 2, Tag: 1, Bytes: []byte("taro@example.ac.jp")}
	device := asn1.RawValue{Class: 2, Tag: 6, Bytes: []byte(b.row.Device)}
	name := func(tag int, value string) asn1.RawValue {
		return asn1.RawValue{Class: 2, Tag: tag, Bytes: []byte(value)}
	}
	other, err := x509.ParseOID("1.2.3.4")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, c := range []struct {
		what  string
		rule  string
		spoil func(c *x509.Certificate)
	}{
		{"a short serial", "rfc_serial", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(7) }},
		{"another serial", "rfc_serial", func(c *x509.Certificate) { c.SerialNumber = newSerial() }},
		{"no validity", "rfc_validity", func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(-time.Hour) }},
		{"beyond the issuer", "rfc_validity", func(c *x509.Certificate) { c.NotAfter = c.NotAfter.AddDate(30, 0, 0) }},
		{"a longer life", "campus_life", func(c *x509.Certificate) { c.NotAfter = c.NotAfter.AddDate(0, 0, 1) }},
		{"an organization", "rfc_subject", func(c *x509.Certificate) { c.Subject.Organization = []string{"Evil"} }},
		{"another name", "rfc_subject", func(c *x509.Certificate) { c.Subject.CommonName = "President" }},
		{"no name", "rfc_subject", func(c *x509.Certificate) { c.Subject = pkix.Name{} }},
		{"a long name", "rfc_subject", func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("x", 65) }},
		{"another subject key identifier", "rfc_subject_key", func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} }},
		{"an unknown extension", "rfc_extensions_once", func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 25, 2}, Value: []byte{5, 0}})
		}},
		{"a critical name", "rfc_extensions_once", func(c *x509.Certificate) { c.ExtraExtensions[0].Critical = true }},
		{"no alternative names", "rfc_extensions_once", func(c *x509.Certificate) { c.ExtraExtensions = nil }},
		{"signing of certificates", "rfc_key_usage", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign; c.IsCA = true }},
		{"no usage", "rfc_key_usage", func(c *x509.Certificate) { c.KeyUsage = 0 }},
		{"an issuer", "rfc_not_an_issuer", func(c *x509.Certificate) { c.IsCA = true }},
		{"two policies", "rfc_policies", func(c *x509.Certificate) { c.Policies = append(c.Policies, other) }},
		{"another policy", "campus_policy_of_profile", func(c *x509.Certificate) { c.Policies = []x509.OID{other} }},
		{"another mail", "rfc_alternative_names", alternative(name(1, "president@example.ac.jp"), device)},
		{"two mails", "rfc_alternative_names", alternative(mail, name(1, "president@example.ac.jp"), device)},
		{"a host", "rfc_alternative_names", alternative(mail, name(2, "sso.example.ac.jp"), device)},
		{"an address", "rfc_alternative_names", alternative(mail, name(7, string(net.IPv4(192, 0, 2, 1).To4())), device)},
		{"no device", "campus_device_identified", alternative(mail)},
		{"a server", "rfc_purposes", func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = nil
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}},
		{"every purpose", "rfc_purposes", func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageAny) }},
		{"an unknown purpose", "rfc_purposes", func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} }},
		{"no list", "rfc_list_address", func(c *x509.Certificate) { c.CRLDistributionPoints = nil }},
		{"a list over TLS", "rfc_list_address", func(c *x509.Certificate) { c.CRLDistributionPoints[0] = "https://pki.example.ac.jp/crl/x/1.crl" }},
		{"another list", "campus_shard_fixed", func(c *x509.Certificate) { c.CRLDistributionPoints[0] = "http://evil.example/1.crl" }},
		{"no answers", "rfc_authority_information", func(c *x509.Certificate) { c.OCSPServer = nil }},
		{"answers elsewhere", "rfc_authority_information", func(c *x509.Certificate) { c.OCSPServer[0] = "http://evil.example/ocsp" }},
		{"an issuer elsewhere", "rfc_authority_information", func(c *x509.Certificate) { c.IssuingCertificateURL[0] = "http://evil.example/ca" }},
	} {
		got := b.broken(t, c.spoil)
		if !strings.Contains(strings.Join(got, " "), c.rule) {
			t.Errorf("%s breaks %q, not %s", c.what, got, c.rule)
		}
		tried[c.rule] = true
	}
	b.byHand(t, tried)
	for _, r := range rules() {
		if !tried[r.name] {
			t.Errorf("no test spoils a certificate for %s", r.name)
		}
		if r.clause == "" {
			t.Errorf("%s does not say where it stands", r.name)
		}
	}
}

// byHand breaks the rules that a template cannot break.
func (b *bench) byHand(t *testing.T, tried map[string]bool) {
	t.Helper()
	template, err := b.a.template(b.profile, b.row, b.serial)
	if err != nil {
		t.Fatal(err)
	}
	trial, err := b.issuer.trialOf(template, b.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rule  string
		spoil func(k *candidate)
	}{
		{"rfc_version", func(k *candidate) { k.cert.Version = 1 }},
		{"rfc_signature_algorithm", func(k *candidate) { k.cert.SignatureAlgorithm = x509.ECDSAWithSHA1 }},
		{"rfc_issuer_name", func(k *candidate) { k.cert.RawIssuer = k.cert.RawSubject }},
		{"rfc_authority_key", func(k *candidate) { k.cert.AuthorityKeyId = []byte{1} }},
		{"rfc_key", func(k *candidate) { k.cert.PublicKey = p224.Public() }},
		{"rfc_key_usage", func(k *candidate) { k.profile.KeyUsage = []string{"digitalSignature", "keyEncipherment"} }},
		{"campus_common_name_readable", func(k *candidate) { k.row.Name = "Taro\u202e" }},
		{"campus_pseudonym_silent", func(k *candidate) { k.profile.CommonName = "{pseudonym}@{realm}" }},
	} {
		cert := *trial
		k := &candidate{cert: &cert, row: b.row, profile: b.profile, issuer: b.issuer.certificate, house: b.a}
		if k.names, err = altNames(trial); err != nil {
			t.Fatal(err)
		}
		c.spoil(k)
		found := false
		for _, r := range rules() {
			if r.name == c.rule {
				found = r.check(k) != nil
			}
		}
		if !found {
			t.Errorf("%s does not find what was spoiled for it", c.rule)
		}
		tried[c.rule] = true
	}
}

func FuzzAlternativeNames(f *testing.F) {
	f.Add([]byte{0x30, 0})
	f.Add([]byte{0x30, 4, 0x81, 2, 'a', '@'})
	f.Fuzz(func(t *testing.T, value []byte) {
		names, err := altNames(&x509.Certificate{Extensions: []pkix.Extension{{Id: oidSAN, Value: value}}})
		if err == nil && len(names) > len(value) {
			t.Errorf("%d names out of %d bytes", len(names), len(value))
		}
	})
}
