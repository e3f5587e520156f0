package ca_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/store"
)

// field gives the value of an extension, and whether it is critical; it fails when
// the extension stands less or more than once.
func field(t *testing.T, c *x509.Certificate, oid string) (value []byte, critical bool) {
	t.Helper()
	n := 0
	for _, e := range c.Extensions {
		if e.Id.String() == oid {
			value, critical = e.Value, e.Critical
			n++
		}
	}
	if n != 1 {
		t.Errorf("extension %s stands %d times", oid, n)
	}
	return value, critical
}

func (h *house) issuer(id string) (i ca.Issuer) {
	h.t.Helper()
	h.read(func(tx *store.Tx) (err error) {
		i, err = h.ca.Issuer(tx, id)
		return err
	})
	return i
}

// TestPersonDeviceFieldByField holds a certificate against the profile, byte by byte
// where the form is ours to choose.
func TestPersonDeviceFieldByField(t *testing.T) {
	h := founded(t)
	key := p256(t)
	o := order(key.Public())
	o.Device = "urn:uuid:6f1c0a52-1d3e-4c8b-9a41-0c7a5d2e9b10"
	row := h.issue(o)
	c, issuer := row.Parsed(), h.issuer(row.Issuer)
	now := h.clock.Now()

	if c.Version != 3 || c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() != 127 || ca.SerialText(c.SerialNumber) != row.Serial {
		t.Errorf("version %d serial %s", c.Version, c.SerialNumber)
	}
	if c.SignatureAlgorithm != x509.ECDSAWithSHA256 || string(c.RawIssuer) != string(issuer.Certificate.RawSubject) {
		t.Errorf("%v %s", c.SignatureAlgorithm, c.Issuer)
	}
	if c.Subject.String() != "CN=Kokuritsu Taro - laptop 2026" {
		t.Errorf("subject %s", c.Subject)
	}
	if !c.NotBefore.Equal(now.Add(-10*time.Minute)) || !c.NotAfter.Equal(c.NotBefore.Add(395*24*time.Hour)) {
		t.Errorf("%v to %v", c.NotBefore, c.NotAfter)
	}
	if !key.PublicKey.Equal(c.PublicKey) {
		t.Error("another key")
	}
	if v, critical := field(t, c, "2.5.29.15"); !critical || fmt.Sprintf("%x", v) != "03020780" { // digitalSignature alone
		t.Errorf("key usage %x %t", v, critical)
	}
	if v, critical := field(t, c, "2.5.29.37"); critical || fmt.Sprintf("%x", v) != "300a06082b06010505070302" { // clientAuth alone
		t.Errorf("purposes %x %t", v, critical)
	}
	if v, critical := field(t, c, "2.5.29.19"); !critical || fmt.Sprintf("%x", v) != "3000" { // CA is false by its absence
		t.Errorf("basic constraints %x %t", v, critical)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	if string(c.SubjectKeyId) != string(sum[:20]) || string(c.AuthorityKeyId) != string(issuer.Certificate.SubjectKeyId) {
		t.Errorf("key identifiers %x %x", c.SubjectKeyId, c.AuthorityKeyId)
	}
	if got := fmt.Sprint(c.Policies); got != "["+h.ca.Policy(ca.Software)+"]" || !strings.HasPrefix(got, "[2.25.") {
		t.Errorf("policies %s", got)
	}
	if got := strings.Join(c.CRLDistributionPoints, " "); got != fmt.Sprintf("%s/crl/%s/%d.crl", base, row.Issuer, row.Shard) || row.Shard < 1 || row.Shard > 8 {
		t.Errorf("list %s", got)
	}
	if got := strings.Join(append(c.OCSPServer, c.IssuingCertificateURL...), " "); got != base+"/ocsp/"+row.Issuer+" "+base+"/ca/"+row.Issuer+".cer" {
		t.Errorf("information %s", got)
	}
	if len(c.Extensions) != 9 {
		t.Errorf("%d extensions", len(c.Extensions))
	}
	want := "rfc822 taro@example.ac.jp, upn s2600001@example.ac.jp, uri urn:uuid:6f1c0a52-1d3e-4c8b-9a41-0c7a5d2e9b10"
	if got := alternativeNames(t, c); got != want {
		t.Errorf("names %s", got)
	}
	if v, critical := field(t, c, "2.5.29.17"); critical || v[0] != 0x30 {
		t.Error("the alternative names are critical beside a subject")
	}
}

// alternativeNames reads the names with encoding/asn1, apart from the room's own reader.
func alternativeNames(t *testing.T, c *x509.Certificate) string {
	t.Helper()
	value, _ := field(t, c, "2.5.29.17")
	var list []asn1.RawValue
	if rest, err := asn1.Unmarshal(value, &list); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	var out []string
	for _, n := range list {
		switch {
		case n.Class != asn1.ClassContextSpecific:
			t.Errorf("class %d", n.Class)
		case n.Tag == 0:
			var other struct {
				Type  asn1.ObjectIdentifier
				Value string `asn1:"tag:0,explicit,utf8"`
			}
			if _, err := asn1.UnmarshalWithParams(n.FullBytes, &other, "tag:0"); err != nil || other.Type.String() != "1.3.6.1.4.1.311.20.2.3" {
				t.Errorf("other name %v %v", other, err)
			}
			out = append(out, "upn "+other.Value)
		case n.Tag == 1:
			out = append(out, "rfc822 "+string(n.Bytes))
		case n.Tag == 6:
			out = append(out, "uri "+string(n.Bytes))
		default:
			t.Errorf("tag %d", n.Tag)
		}
	}
	return strings.Join(out, ", ")
}

func TestOtherProfiles(t *testing.T) {
	h := founded(t)
	card := order(p256(t).Public())
	card.Profile, card.Label, card.Card = ca.CardProfile, "IC card", "card_1"
	c := h.issue(card)
	if p := c.Parsed(); fmt.Sprint(p.Policies) != "["+h.ca.Policy(ca.OnCard)+"]" || c.Name != "Kokuritsu Taro - IC card 2026" || c.Card != "card_1" {
		t.Errorf("%v %s", p.Policies, c.Name)
	}
	wifi := order(p256(t).Public())
	wifi.Profile = ca.WiFiPseudonym
	w := h.issue(wifi)
	if w.Account != "acc_1" || w.Mail != "" || w.UPN != "" || !strings.HasSuffix(w.Name, "@example.ac.jp") {
		t.Errorf("%+v", w)
	}
	if text := strings.ToLower(string(w.DER)); strings.Contains(text, "taro") || strings.Contains(text, "s2600001") || strings.Contains(text, "laptop") || strings.Contains(text, "acc_1") {
		t.Error("a pseudonymous certificate names its holder")
	}
	if names := alternativeNames(t, w.Parsed()); !strings.HasPrefix(names, "uri urn:uuid:") || strings.Contains(names, ",") {
		t.Error(names)
	}
	if again := h.issue(func() ca.Order { o := wifi; o.Key = p256(t).Public(); return o }()); again.Name == w.Name {
		t.Error("two certificates have one pseudonym")
	}
}

func TestIssuersFieldByField(t *testing.T) {
	for _, algorithm := range ca.KeyAlgorithms() {
		h := open(t)
		i, err := h.ca.Found(t.Context(), ca.Plan{Organization: "例大学", Country: "JP", Algorithm: algorithm})
		if err != nil {
			t.Fatal(err)
		}
		root, c := i.Root, i.Certificate
		for name, x := range map[string]*x509.Certificate{"root": root, "issuer": c} {
			if !x.IsCA || !x.BasicConstraintsValid || x.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || len(x.ExtKeyUsage) > 0 {
				t.Errorf("%s %s: %+v", algorithm, name, x.KeyUsage)
			}
			if ca.KeyKind(x.PublicKey) != algorithm || x.Subject.Country[0] != "JP" || x.Subject.Organization[0] != "例大学" {
				t.Errorf("%s %s: %s %s", algorithm, name, ca.KeyKind(x.PublicKey), x.Subject)
			}
			for _, oid := range []string{"2.5.29.15", "2.5.29.19"} {
				if _, critical := field(t, x, oid); !critical {
					t.Errorf("%s %s: %s is not critical", algorithm, name, oid)
				}
			}
		}
		if c.MaxPathLen != 0 || !c.MaxPathLenZero || root.MaxPathLen != -1 {
			t.Errorf("%s: path lengths %d %d", algorithm, c.MaxPathLen, root.MaxPathLen)
		}
		if err := errorsOf(root.CheckSignatureFrom(root), c.CheckSignatureFrom(root)); err != "" {
			t.Errorf("%s: %s", algorithm, err)
		}
		if c.CRLDistributionPoints[0] != base+"/crl/"+i.RootID+"/1.crl" || c.IssuingCertificateURL[0] != base+"/ca/"+i.RootID+".cer" || len(c.OCSPServer) > 0 {
			t.Errorf("%s: %v %v", algorithm, c.CRLDistributionPoints, c.IssuingCertificateURL)
		}
		if h.issue(order(p256(t).Public())).Parsed().CheckSignatureFrom(c) != nil {
			t.Errorf("%s: what it issues does not verify", algorithm)
		}
	}
}

func errorsOf(errs ...error) string {
	var out []string
	for _, err := range errs {
		if err != nil {
			out = append(out, err.Error())
		}
	}
	return strings.Join(out, "; ")
}

func TestProfilesAreChangedByTheUniversity(t *testing.T) {
	own := "[person-device]\ndays = 30\nextended_key_usage = [\"clientAuth\", \"smartcardLogon\"]\nkeys = [\"RSA-2048\"]\n"
	h := founded(t, func(c *ca.Config) { c.Profiles = []byte(own) })
	p, _ := h.ca.Profile(ca.PersonDevice)
	if p.Days != 30 || p.CommonName != "{name} - {label} {year}" || len(p.Keys) != 1 || len(p.ExtendedKeyUsage) != 2 || len(p.Names) != 3 {
		t.Errorf("%+v", p)
	}
	if other, _ := h.ca.Profile(ca.CardProfile); len(other.Keys) != 4 {
		t.Errorf("%+v", other)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := h.issue(order(key.Public())).Parsed()
	if len(c.UnknownExtKeyUsage) != 1 || c.UnknownExtKeyUsage[0].String() != "1.3.6.1.4.1.311.20.2.2" || c.NotAfter.Sub(c.NotBefore) != 30*24*time.Hour {
		t.Errorf("%v %v", c.UnknownExtKeyUsage, c.NotAfter)
	}
	if _, err := h.ca.Prepare(t.Context(), order(p256(t).Public())); code(err) != "C9.key" {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"days":         "[card]\ndays = 0",
		"unknown":      "[card]\nday = 5",
		"usage":        "[card]\nkey_usage = [\"keyCertSign\"]",
		"purpose":      "[card]\nextended_key_usage = [\"serverAuth\"]",
		"assurance":    "[card]\nassurance = \"high\"",
		"names":        "[card]\nsubject_alternative_names = [\"dns\"]",
		"keys":         "[card]\nkeys = [\"RSA-1024\"]",
		"half profile": "[new]\ndays = 5",
		"no toml":      "[card",
	} {
		if _, err := ca.Open(t.Context(), h.db, ca.Config{Seal: h.ring, Profiles: []byte(text)}); err == nil {
			t.Errorf("%s: a wrong profile is accepted", name)
		}
	}
}

func TestNamesStayReadable(t *testing.T) {
	h := founded(t)
	for _, c := range []struct{ name, label, want string }{
		{"Kokuritsu Taro", "laptop 2026", "Kokuritsu Taro - laptop 2026"},
		{"  Kokuritsu   Taro ", " my\tphone ", "Kokuritsu Taro - my phone 2026"},
		{"国立 太郎", "研究室のノートパソコン", "国立 太郎 - 研究室のノートパソコン 2026"},
		{strings.Repeat("Very ", 12) + "Long", strings.Repeat("label ", 6), "Very Very Very Very Very Very Very Very Very - label la 2026"},
	} {
		o := order(p256(t).Public())
		o.Holder.Name, o.Label, o.Holder.Account = c.name, c.label, authn.AccountID("acc_"+c.label)
		got := h.issue(o)
		if n := len([]rune(got.Name)); n > 64 || !strings.HasSuffix(got.Name, " 2026") || c.want != got.Name && !strings.HasPrefix(c.want, "Very") {
			t.Errorf("%q (%d)", got.Name, n)
		}
	}
	for field, change := range map[string]func(o *ca.Order){
		"a direction mark":    func(o *ca.Order) { o.Label = "lap\u202etop" },
		"an invisible space":  func(o *ca.Order) { o.Label = "lap\u200btop" },
		"a control":           func(o *ca.Order) { o.Label = "lap\x00top" },
		"no label":            func(o *ca.Order) { o.Label = " " },
		"a long label":        func(o *ca.Order) { o.Label = strings.Repeat("x", 41) },
		"no name":             func(o *ca.Order) { o.Holder.Name = "" },
		"a name with a mark":  func(o *ca.Order) { o.Holder.Name = "Taro\u202dRoot CA" },
		"broken UTF-8":        func(o *ca.Order) { o.Holder.Name = "Taro\xff" },
		"a foreign mail form": func(o *ca.Order) { o.Holder.Mail = "Taro <taro@example.ac.jp>" },
		"a mail of two":       func(o *ca.Order) { o.Holder.Mail = "a@example.ac.jp, b@example.ac.jp" },
		"mail beyond ASCII":   func(o *ca.Order) { o.Holder.Mail = "太郎@example.ac.jp" },
		"a UPN with a space":  func(o *ca.Order) { o.Holder.UPN = "a b@example.ac.jp" },
		"a device of no UUID": func(o *ca.Order) { o.Device = "https://example.com/" },
		"a device of two UUID": func(o *ca.Order) {
			o.Device = "urn:uuid:6f1c0a52-1d3e-4c8b-9a41-0c7a5d2e9b10\nurn:uuid:6f1c0a52-1d3e-4c8b-9a41-0c7a5d2e9b10"
		},
	} {
		o := order(p256(t).Public())
		change(&o)
		if _, err := h.ca.Prepare(t.Context(), o); code(err) != "C9.form" && code(err) != "C9.lint" {
			t.Errorf("%s: %v", field, err)
		}
	}
	h.read(func(tx *store.Tx) error {
		var n int
		err := tx.QueryRow("SELECT COUNT(*) FROM ca_certificate WHERE state = 'prepared'").Scan(&n)
		if n != 0 {
			t.Errorf("%d refused orders left a row", n)
		}
		return err
	})
}

func code(err error) string {
	if f := authn.AsFault(err); f != nil {
		return string(f.Code)
	}
	return ""
}

// TestWeakKeysAreRefused: each kind of weakness, made on purpose.
func TestWeakKeysAreRefused(t *testing.T) {
	h := founded(t)
	sound, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	prime, err := rand.Prime(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	next := new(big.Int).Add(prime, big.NewInt(2))
	for !next.ProbablyPrime(20) {
		next.Add(next, big.NewInt(2))
	}
	modulus := func(n *big.Int) *rsa.PublicKey { return &rsa.PublicKey{N: n, E: 65537} }
	for name, key := range map[string]crypto.PublicKey{
		"a small exponent":  &rsa.PublicKey{N: sound.N, E: 3},
		"an even exponent":  &rsa.PublicKey{N: sound.N, E: 65538},
		"an even modulus":   modulus(new(big.Int).Lsh(prime, 1024)),
		"a small factor":    modulus(new(big.Int).Mul(big.NewInt(3), new(big.Int).Rsh(sound.N, 1))),
		"close primes":      modulus(new(big.Int).Mul(prime, next)),
		"a square":          modulus(new(big.Int).Mul(prime, prime)),
		"a predictable one": modulus(predictableModulus(t)),
		"1024 bits":         modulus(new(big.Int).Rsh(sound.N, 1024)),
		"P-224":             p224.Public(),
		"no key":            nil,
		"another kind":      "key",
	} {
		if _, err := h.ca.Prepare(t.Context(), order(key)); code(err) != "C9.key" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.ca.Prepare(t.Context(), order(sound.Public())); err != nil {
		t.Errorf("a sound key: %v", err)
	}
}

// predictableModulus has the form of CVE-2017-15361: primes k*M + (65537^a mod M).
func predictableModulus(t *testing.T) *big.Int {
	t.Helper()
	m := big.NewInt(2)
	for n := int64(3); n <= 701; n += 2 { // the 126 smallest primes
		if big.NewInt(n).ProbablyPrime(10) {
			m.Mul(m, big.NewInt(n))
		}
	}
	prime := func() *big.Int {
		for {
			k, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(1024-m.BitLen())))
			if err != nil {
				t.Fatal(err)
			}
			a, err := rand.Int(rand.Reader, m)
			if err != nil {
				t.Fatal(err)
			}
			k.SetBit(k, 1023-m.BitLen(), 1)
			k.SetBit(k, 1022-m.BitLen(), 1)
			p := k.Mul(k, m)
			if p.Add(p, new(big.Int).Exp(big.NewInt(65537), a, m)); p.ProbablyPrime(10) {
				return p
			}
		}
	}
	for {
		if n := new(big.Int).Mul(prime(), prime()); n.BitLen() == 2048 {
			return n
		}
	}
}
