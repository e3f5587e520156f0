package ca_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/store"
)

// request makes a PKCS#10 request as a person's program would.
func request(t testing.TB, change func(r *x509.CertificateRequest)) []byte {
	t.Helper()
	r := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "whoever"}}
	if change != nil {
		change(r)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, r, p256(t))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func armoured(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func extension(t testing.TB, oid asn1.ObjectIdentifier, value any) func(*x509.CertificateRequest) {
	t.Helper()
	raw, ok := value.([]byte)
	if !ok {
		var err error
		if raw, err = asn1.Marshal(value); err != nil {
			t.Fatal(err)
		}
	}
	return func(r *x509.CertificateRequest) {
		r.ExtraExtensions = append(r.ExtraExtensions, pkix.Extension{Id: oid, Critical: true, Value: raw})
	}
}

func TestRequestsAreReadInEveryCommonForm(t *testing.T) {
	der := request(t, nil)
	for name, text := range map[string][]byte{
		"DER":               der,
		"PEM":               armoured("CERTIFICATE REQUEST", der),
		"PEM of old tools":  armoured("NEW CERTIFICATE REQUEST", der),
		"text around":       append([]byte("Here it is:\n"), append(armoured("CERTIFICATE REQUEST", der), " \r\n\n"...)...),
		"Windows line ends": bytes.ReplaceAll(armoured("CERTIFICATE REQUEST", der), []byte("\n"), []byte("\r\n")),
	} {
		if _, err := ca.ParseRequest(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHostileRequestsAreRefused(t *testing.T) {
	der := request(t, nil)
	foreign := bytes.Clone(der)
	other, err := x509.ParseCertificateRequest(request(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	foreign = bytes.Replace(foreign, own.RawSubjectPublicKeyInfo, other.RawSubjectPublicKeyInfo, 1)
	broken := bytes.Clone(der)
	broken[len(broken)-1] ^= 1
	t.Setenv("GODEBUG", "rsa1024min=0") // to make a key that nobody should have
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weakRequest, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, weak)
	if err != nil {
		t.Fatal(err)
	}
	basic, usage, constraints := asn1.ObjectIdentifier{2, 5, 29, 19}, asn1.ObjectIdentifier{2, 5, 29, 15}, asn1.ObjectIdentifier{2, 5, 29, 30}
	for name, c := range map[string]struct {
		text []byte
		code string
	}{
		"nothing":                 {nil, "C9.form"},
		"no request":              {[]byte("hello"), "C9.form"},
		"a certificate":           {armoured("CERTIFICATE", der), "C9.form"},
		"a private key":           {armoured("PRIVATE KEY", der), "C9.form"},
		"two requests":            {append(armoured("CERTIFICATE REQUEST", der), armoured("CERTIFICATE REQUEST", der)...), "C9.form"},
		"bytes behind":            {append(bytes.Clone(der), 0), "C9.form"},
		"a flood":                 {append([]byte{0x30}, make([]byte, 20<<10)...), "C9.form"},
		"a wrong signature":       {broken, "C9.form"},
		"the key of another":      {foreign, "C9.form"},
		"a weak key":              {weakRequest, "C9.key"},
		"an issuer's constraints": {request(t, extension(t, basic, []byte{0x30, 3, 1, 1, 0xff})), "C9.form"},
		"broken constraints":      {request(t, extension(t, basic, []byte{0x30, 9, 1})), "C9.form"},
		"an issuer's usage":       {request(t, extension(t, usage, []byte{3, 2, 1, 6})), "C9.form"},
		"name constraints":        {request(t, extension(t, constraints, []byte{0x30, 0})), "C9.form"},
	} {
		if r, err := ca.ParseRequest(c.text); code(err) != c.code {
			t.Errorf("%s: %v %v", name, r != nil, err)
		}
	}
}

// TestNothingOfARequestEntersTheCertificate asks for everything that somebody else
// could be, and gets a certificate for oneself.
func TestNothingOfARequestEntersTheCertificate(t *testing.T) {
	h := founded(t)
	page, err := url.Parse("https://sso.example.ac.jp/")
	if err != nil {
		t.Fatal(err)
	}
	der := request(t, func(r *x509.CertificateRequest) {
		r.Subject = pkix.Name{CommonName: "President", Organization: []string{"Evil"}, SerialNumber: "1"}
		r.EmailAddresses, r.DNSNames, r.URIs = []string{"president@example.ac.jp"}, []string{"sso.example.ac.jp"}, []*url.URL{page}
		r.IPAddresses = []net.IP{{192, 0, 2, 1}}
		extension(t, asn1.ObjectIdentifier{2, 5, 29, 37}, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}})(r)
		extension(t, asn1.ObjectIdentifier{2, 5, 29, 32}, []byte{0x30, 0})(r)
		extension(t, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 25, 2}, []byte("S-1-5-21-500"))(r)
		extension(t, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}, []byte{0x30, 0})(r)
	})
	r, err := ca.ParseRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	plain := h.issue(order(p256(t).Public())).Parsed()
	c := h.issue(order(r.PublicKey)).Parsed()
	for _, word := range []string{"President", "Evil", "president@", "sso.example", "S-1-5"} {
		if strings.Contains(string(c.Raw), word) {
			t.Errorf("%q is in the certificate", word)
		}
	}
	if len(c.Extensions) != len(plain.Extensions) || len(c.ExtKeyUsage) != 1 || len(c.DNSNames)+len(c.IPAddresses) > 0 || len(c.EmailAddresses) != 1 {
		t.Errorf("%v %v %v", c.Extensions, c.ExtKeyUsage, c.EmailAddresses)
	}
}

func TestKeysOfOthersAreRefused(t *testing.T) {
	h := founded(t)
	key := p256(t)
	mine := h.issue(order(key.Public()))
	theirs := order(key.Public())
	theirs.Holder.Account, theirs.Holder.Person = "acc_2", "per_2"
	if _, err := h.ca.Prepare(t.Context(), theirs); code(err) != "C9.taken" {
		t.Errorf("another account's key: %v", err)
	}
	h.write(func(tx *store.Tx) error {
		_, err := h.ca.Revoke(tx, mine.ID, ca.KeyCompromise, "")
		return err
	})
	if _, err := h.ca.Prepare(t.Context(), theirs); code(err) != "C9.taken" {
		t.Errorf("another account's revoked key: %v", err)
	}
	issuer := h.issuer(mine.Issuer)
	for _, k := range []*x509.Certificate{issuer.Certificate, issuer.Root} {
		if _, err := h.ca.Prepare(t.Context(), order(k.PublicKey)); code(err) != "C9.taken" {
			t.Errorf("the key of %s: %v", k.Subject.CommonName, err)
		}
	}
}

func TestTheLimitOfAnAccountHolds(t *testing.T) {
	h := founded(t, func(c *ca.Config) { c.Profiles = []byte("[person-device]\nper_account = 3") })
	var last ca.Certificate
	for range 3 {
		last = h.issue(order(p256(t).Public()))
	}
	if _, err := h.ca.Prepare(t.Context(), order(p256(t).Public())); code(err) != "C9.limit" {
		t.Error(err)
	}
	renewal := order(p256(t).Public())
	renewal.Replaces = last.ID
	next := h.issue(renewal)
	h.read(func(tx *store.Tx) error {
		old, err := h.ca.Get(tx, last.ID)
		if old.ReplacedBy != next.ID || old.State != ca.Active || old.Current(h.clock.Now()) || !next.Current(h.clock.Now()) {
			t.Errorf("%+v", old)
		}
		return err
	})
	renewal.Key = p256(t).Public()
	p, err := h.ca.Prepare(t.Context(), renewal)
	if code(err) != "C9.limit" { // the old one is replaced already, so three others count
		t.Error(p, err)
	}
	h.write(func(tx *store.Tx) error {
		_, err := h.ca.Revoke(tx, next.ID, ca.Superseded, "")
		return err
	})
	if p, err = h.ca.Prepare(t.Context(), renewal); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ca.Issue(t.Context(), p); code(err) != "C9.form" {
		t.Errorf("two successors of one certificate: %v", err)
	}
	stranger := order(p256(t).Public())
	stranger.Holder.Account, stranger.Replaces = "acc_2", last.ID
	if _, err := h.ca.Prepare(t.Context(), stranger); code(err) != "C9.form" {
		t.Errorf("replacing another's certificate: %v", err)
	}
}

// TestOrdersAtOnce: of many accounts that bring one key at once one gets it, and many
// orders of one account stay within its limit.
func TestOrdersAtOnce(t *testing.T) {
	h := founded(t, func(c *ca.Config) { c.Profiles = []byte("[person-device]\nper_account = 5") })
	nodes := []*ca.Authority{h.ca, h.another(func(c *ca.Config) { c.Profiles = []byte("[person-device]\nper_account = 5") })}
	key := p256(t).Public()
	var wait sync.WaitGroup
	var keys, count atomic.Int64
	for i := range 16 {
		wait.Go(func() {
			o := order(key)
			o.Holder.Account = authn.AccountID(fmt.Sprint("acc_key_", i))
			if _, err := nodes[i%2].Prepare(t.Context(), o); err == nil {
				keys.Add(1)
			} else if code(err) != "C9.taken" {
				t.Error(err)
			}
		})
		wait.Go(func() {
			p, err := nodes[i%2].Prepare(t.Context(), order(p256(t).Public()))
			if err == nil {
				_, err = nodes[i%2].Issue(t.Context(), p)
			}
			if err == nil {
				count.Add(1)
			} else if code(err) != "C9.limit" {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if keys.Load() != 1 || count.Load() != 5 {
		t.Errorf("%d accounts have one key, %d certificates where 5 are allowed", keys.Load(), count.Load())
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(request(f, nil))
	f.Add(armoured("CERTIFICATE REQUEST", request(f, nil)))
	f.Add(request(f, extension(f, asn1.ObjectIdentifier{2, 5, 29, 19}, []byte{0x30, 3, 1, 1, 0xff})))
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ca.ParseRequest(text)
		if err != nil {
			if c := code(err); c != "C9.form" && c != "C9.key" {
				t.Errorf("%v", err)
			}
			return
		}
		if r.CheckSignature() != nil || ca.KeyKind(r.PublicKey) == "" {
			t.Error("accepted without proof of possession")
		}
	})
}

// TestWaysOfASerial: what is written, looked up and shown is one form.
func TestWaysOfASerial(t *testing.T) {
	for text, want := range map[string]string{"1": "01", "255": "FF", "256": "0100", "0": "00", "-5": "00"} {
		n, _ := new(big.Int).SetString(text, 10)
		if got := ca.SerialText(n); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := ca.TailOf("0A9D86"); got != "9D:86" {
		t.Error(got)
	}
	if got := ca.TailOf("5"); got != "00:05" {
		t.Error(got)
	}
}
