package trust_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// house is an authority with a judge beside it.
type house struct {
	t      testing.TB
	db     *store.DB
	clock  *storetest.Clock
	ca     *ca.Authority
	trust  *trust.Trust
	people people
}

// people are accounts by user name, with their proved addresses.
type people []trust.Known

func (p people) ByMail(_ *store.Tx, address string) ([]authn.AccountID, error) {
	var out []authn.AccountID
	for _, k := range p {
		if strings.EqualFold(k.Mail, address) {
			out = append(out, k.Account)
		}
	}
	return out, nil
}

func (p people) ByUserName(_ *store.Tx, name string) (authn.AccountID, error) {
	for _, k := range p {
		if k.UserName == strings.ToLower(name) {
			return k.Account, nil
		}
	}
	return "", nil
}

func (p people) Page(_ *store.Tx, after string, limit int) ([]trust.Known, error) {
	i := slices.IndexFunc(p, func(k trust.Known) bool { return k.UserName > after })
	if i < 0 {
		return nil, nil
	}
	return p[i:min(len(p), i+limit)], nil
}

func open(t testing.TB) *house {
	t.Helper()
	db, clock := storetest.Open(t, ca.Schema(), keyring.Schema(), trust.Schema())
	ring := keyringtest.Open(t, db, bytes.Repeat([]byte("k"), 32))
	h := &house{t: t, db: db, clock: clock}
	var err error
	h.ca, err = ca.Open(t.Context(), db, ca.Config{Seal: ring, MAC: ring.MAC, Base: "http://pki.example.ac.jp", Realm: "example.ac.jp"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ca.Found(t.Context(), ca.Plan{Organization: "Example University", Country: "JP"}); err != nil {
		t.Fatal(err)
	}
	h.people = people{
		{Account: "acc_hanako", UserName: "hanako", Mail: "hanako@example.ac.jp"},
		{Account: "acc_taro", UserName: "taro", Mail: "taro@example.ac.jp"},
	}
	h.trust = trust.New(db, h.ca, h.people, trust.Config{})
	return h
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// own issues a certificate of the house.
func (h *house) own(profile string) (ca.Certificate, *x509.Certificate) {
	h.t.Helper()
	p, err := h.ca.Prepare(h.t.Context(), ca.Order{Profile: profile, Key: newKey(h.t).Public(), Label: "laptop", Holder: ca.Holder{
		Account: "acc_taro", Person: "per_taro", Name: "Kokuritsu Taro", Mail: "taro@example.ac.jp", UPN: "taro@example.ac.jp",
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := h.ca.Issue(h.t.Context(), p)
	if err != nil {
		h.t.Fatal(err)
	}
	return c, c.Parsed()
}

func (h *house) judge(presented ...*x509.Certificate) trust.Verdict {
	h.t.Helper()
	var v trust.Verdict
	h.read(func(tx *store.Tx) (err error) {
		v, err = h.trust.Judge(tx, presented)
		return err
	})
	return v
}

func (h *house) read(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.db.Read(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) write(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.db.Write(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// code is the code of a verdict's fault.
func code(v trust.Verdict) authn.Code {
	if v.Fault == nil {
		return ""
	}
	return v.Fault.Code
}

// authority is an issuer that a test makes by itself.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t testing.TB, subject pkix.Name, by *authority, change ...func(*x509.Certificate)) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	template := &x509.Certificate{
		Subject: subject, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	for _, f := range change {
		f(template)
	}
	if by == nil {
		by = &authority{t: t, cert: template, key: a.key}
	}
	a.cert = by.sign(template, a.key.Public())
	return a
}

// sign signs whatever the template says.
func (a *authority) sign(template *x509.Certificate, key crypto.PublicKey) *x509.Certificate {
	a.t.Helper()
	if template.SerialNumber == nil {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
		if err != nil {
			a.t.Fatal(err)
		}
		template.SerialNumber = n.Add(n, big.NewInt(1))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// person signs a certificate for a person, changed as the test wants.
func (a *authority) person(name string, change ...func(*x509.Certificate)) *x509.Certificate {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC),
	}
	for _, f := range change {
		f(template)
	}
	return a.sign(template, newKey(a.t).Public())
}

func TestOwnCertificatesAreJudgedByTheirRow(t *testing.T) {
	h := open(t)
	soft, cert := h.own(ca.PersonDevice)
	v := h.judge(cert)
	if v.Fault != nil || v.Account != "acc_taro" || v.Hardware || v.Certificate.ID != soft.ID || v.Tail != soft.Tail() || v.Name != soft.Name {
		t.Errorf("%+v", v)
	}
	_, card := h.own(ca.CardProfile)
	if v := h.judge(card); v.Fault != nil || !v.Hardware {
		t.Errorf("a card's certificate is in hardware: %+v", v)
	}
	h.write(func(tx *store.Tx) error {
		_, err := h.ca.Revoke(tx, soft.ID, ca.KeyCompromise, "test")
		return err
	})
	v = h.judge(cert)
	if code(v) != "C4" || v.Fault.Facts["reason"] != "keyCompromise" || v.Fault.Facts["tail"] != soft.Tail() || v.Account != "acc_taro" {
		t.Errorf("revoked: %+v", v)
	}
	h.clock.Add(2 * 366 * 24 * time.Hour)
	if v := h.judge(cert); code(v) != "C3" || v.Fault.Facts["until"] == "" || v.Certificate.ID != soft.ID {
		t.Errorf("expired: %+v", v)
	}
	h.clock.Add(-3 * 366 * 24 * time.Hour)
	if v := h.judge(card); code(v) != "C3.early" {
		t.Errorf("early: %+v", v)
	}
}

func TestStrangersAreToldApart(t *testing.T) {
	h := open(t)
	stranger := newAuthority(t, pkix.Name{CommonName: "Elsewhere CA"}, nil)
	self := newAuthority(t, pkix.Name{CommonName: "me"}, nil, func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = false, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	server := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	var issuer ca.Issuer
	h.read(func(tx *store.Tx) error {
		list, err := h.ca.Issuers(tx)
		issuer = list[0]
		return err
	})
	// The same name and even the same key identifier, but another key.
	twin := newAuthority(t, issuer.Certificate.Subject, nil, func(c *x509.Certificate) { c.SubjectKeyId = issuer.Certificate.SubjectKeyId })
	for name, c := range map[string]struct {
		presented []*x509.Certificate
		want      authn.Code
	}{
		"nothing":                     {nil, "C1"},
		"unknown issuer":              {[]*x509.Certificate{stranger.person("x"), stranger.cert}, "C7.unknown"},
		"self-signed":                 {[]*x509.Certificate{self.cert}, "C7.self"},
		"a server's":                  {[]*x509.Certificate{stranger.person("x", server)}, "C7.server"},
		"same name, another key":      {[]*x509.Certificate{twin.person("Kokuritsu Taro"), twin.cert}, "C7.unknown"},
		"the issuer itself":           {[]*x509.Certificate{issuer.Certificate, issuer.Root}, "C7.unknown"},
		"a hundred certificates":      {slices.Repeat([]*x509.Certificate{stranger.cert}, 100), "C7.chain"},
		"an own one, and a hundred":   {append([]*x509.Certificate{twin.person("x")}, slices.Repeat([]*x509.Certificate{twin.cert}, 100)...), "C7.chain"},
		"an issuer below nobody":      {[]*x509.Certificate{twin.person("x"), issuer.Certificate, twin.cert}, "C7.unknown"},
		"a name with control letters": {[]*x509.Certificate{stranger.person("a\u202eb\nc")}, "C7.unknown"},
	} {
		v := h.judge(c.presented...)
		if code(v) != c.want || v.Account != "" {
			t.Errorf("%s: %+v", name, v)
		}
		if strings.ContainsAny(v.Name, "\u202e\n") {
			t.Errorf("%s: the name %q goes onto a page", name, v.Name)
		}
	}
}

func TestHintsNameIssuersThatCount(t *testing.T) {
	h := open(t)
	var hints [][]byte
	h.read(func(tx *store.Tx) (err error) {
		hints, err = h.trust.Hints(tx)
		return err
	})
	_, cert := h.own(ca.PersonDevice)
	if len(hints) != 1 || !bytes.Equal(hints[0], cert.RawIssuer) {
		t.Errorf("%d hints", len(hints))
	}
}
