package trust_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/store"
)

// elsewhere is an issuer of another house that publishes a list.
type elsewhere struct {
	*authority
	server *httptest.Server
	asked  atomic.Int64
	list   atomic.Pointer[[]byte]
	moved  atomic.Bool
}

func newElsewhere(t testing.TB) *elsewhere {
	e := &elsewhere{authority: newAuthority(t, pkix.Name{Organization: []string{"NII"}, CommonName: "Open Domain CA"}, nil)}
	e.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.asked.Add(1)
		if e.moved.Load() && r.URL.Path != "/moved" {
			http.Redirect(w, r, "/moved", http.StatusFound)
			return
		}
		if l := e.list.Load(); l != nil {
			w.Write(*l) //nolint:errcheck // the client is gone
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(e.server.Close)
	return e
}

// publish signs a list of the revoked certificates.
func (e *elsewhere) publish(by *authority, number int64, at time.Time, revoked ...*x509.Certificate) {
	e.t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: at, NextUpdate: at.Add(24 * time.Hour)}
	for _, c := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: at, ReasonCode: 1})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, by.cert, by.key)
	if err != nil {
		e.t.Fatal(err)
	}
	e.list.Store(&der)
}

func inPEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// add adds an anchor, tries its rules and switches it on.
func (h *house) add(rules trust.Rules, certs ...*x509.Certificate) trust.Anchor {
	h.t.Helper()
	a, err := trust.NewAnchor("", inPEM(certs...), rules)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(func(tx *store.Tx) error {
		if err := h.trust.Add(tx, a); err != nil {
			return err
		}
		if err := h.trust.Switch(tx, a.ID, true); !errors.Is(err, trust.ErrUntried) {
			h.t.Errorf("an anchor was switched on untried: %v", err)
		}
		r, err := h.trust.Try(tx, a.ID, nil)
		if err != nil {
			return err
		}
		if len(r.Conflicts) > 0 {
			return fmt.Errorf("%+v", r.Conflicts)
		}
		return h.trust.Switch(tx, a.ID, true)
	})
	return a
}

func (h *house) fetch() {
	h.t.Helper()
	if err := h.trust.Fetch(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func mails(addresses ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.EmailAddresses = addresses }
}

// principal adds a user principal name, beside mail addresses if there are any.
func principal(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		var list []asn1.RawValue
		for _, name := range names {
			text, err := asn1.MarshalWithParams(name, "utf8")
			if err != nil {
				panic(err)
			}
			oid, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3})
			if err != nil {
				panic(err)
			}
			inner, err := asn1.Marshal(asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: text})
			if err != nil {
				panic(err)
			}
			list = append(list, asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: append(oid, inner...)})
		}
		for _, m := range c.EmailAddresses {
			list = append(list, asn1.RawValue{Class: 2, Tag: 1, Bytes: []byte(m)})
		}
		value, err := asn1.Marshal(list)
		if err != nil {
			panic(err)
		}
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value})
	}
}

func TestCertificatesOfAnotherHouseSignIn(t *testing.T) {
	h := open(t)
	e := newElsewhere(t)
	now := h.clock.Now()
	taro, revoked := e.person("Taro", mails("taro@example.ac.jp")), e.person("Hanako", mails("hanako@example.ac.jp"))
	if v := h.judge(taro); code(v) != "C7.unknown" {
		t.Fatalf("before anything is trusted: %+v", v)
	}
	a := h.add(trust.Rules{Map: []trust.Rule{{Kind: trust.ByMail, Domain: "example.ac.jp"}}, Lists: []string{e.server.URL + "/list"}, Status: trust.StatusRequired}, e.cert)
	if v := h.judge(taro); code(v) != "C7.status" {
		t.Fatalf("without a list nobody signs in: %+v", v)
	}
	e.publish(e.authority, 1, now, revoked)
	h.clock.Add(6 * time.Minute)
	h.fetch()
	if v := h.judge(taro, e.cert); v.Fault != nil || v.Account != "acc_taro" || v.Foreign != a.ID || v.Hardware {
		t.Errorf("%+v", v)
	}
	if v := h.judge(revoked); code(v) != "C4" || v.Fault.Facts["reason"] != "keyCompromise" {
		t.Errorf("%+v", v)
	}
	if v := h.judge(e.person("Nobody", mails("nobody@example.ac.jp"))); v.Fault != nil || v.Account != "" {
		t.Errorf("an address of nobody: %+v", v)
	}
	var hints [][]byte
	h.read(func(tx *store.Tx) (err error) {
		hints, err = h.trust.Hints(tx)
		return err
	})
	if len(hints) != 2 || !bytes.Equal(hints[1], e.cert.RawSubject) {
		t.Errorf("%d hints", len(hints))
	}
	h.clock.Add(e.cert.NotAfter.Sub(now) + time.Hour)
	h.read(func(tx *store.Tx) (err error) {
		hints, err = h.trust.Hints(tx)
		return err
	})
	if v := h.judge(taro); code(v) != "C7.unknown" || len(hints) != 1 {
		t.Errorf("an issuer that has ended: %+v, %d hints", v, len(hints))
	}
	h.clock.Add(now.Sub(e.cert.NotAfter))
	h.write(func(tx *store.Tx) error { return h.trust.Switch(tx, a.ID, false) })
	if v := h.judge(taro); code(v) != "C7.unknown" {
		t.Errorf("switched off: %+v", v)
	}
}

func TestAListIsTakenOnlyWhenItIsGood(t *testing.T) {
	h := open(t)
	e := newElsewhere(t)
	taro := e.person("Taro", mails("taro@example.ac.jp"))
	// What stands inside a certificate is never dialled.
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("an address in a certificate was dialled") }))
	defer trap.Close()
	lured := e.person("Taro", mails("taro@example.ac.jp"), func(c *x509.Certificate) {
		c.CRLDistributionPoints, c.OCSPServer, c.IssuingCertificateURL = []string{trap.URL}, []string{trap.URL}, []string{trap.URL}
	})
	h.add(trust.Rules{
		Map: []trust.Rule{{Kind: trust.ByMail, Domain: "example.ac.jp"}}, Lists: []string{e.server.URL + "/list"}, Status: trust.StatusRequired, Stale: 3600,
	}, e.cert)
	twin := newAuthority(t, e.cert.Subject, nil)
	now := h.clock.Now()
	refused := func(name string) {
		t.Helper()
		h.clock.Add(6 * time.Minute)
		if err := h.trust.Fetch(t.Context()); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	refused("nothing")
	e.publish(twin, 9, now)
	refused("a list signed by the same name with another key")
	e.publish(e.authority, 9, now.Add(-48*time.Hour))
	refused("a list that has ended")
	e.publish(e.authority, 9, now.Add(48*time.Hour))
	refused("a list from the future")
	e.publish(e.authority, 9, h.clock.Now())
	e.moved.Store(true)
	refused("a list that the server says is elsewhere")
	e.moved.Store(false)
	if v := h.judge(taro); code(v) != "C7.status" {
		t.Errorf("%+v", v)
	}
	h.clock.Add(6 * time.Minute)
	h.fetch()
	if v := h.judge(taro); v.Fault != nil {
		t.Errorf("%+v", v)
	}
	if v := h.judge(lured, e.cert); v.Fault != nil {
		t.Errorf("%+v", v)
	}
	asked := e.asked.Load()
	h.fetch()
	if e.asked.Load() != asked {
		t.Error("a list that is not due was fetched")
	}
	e.publish(e.authority, 8, h.clock.Now(), taro)
	h.clock.Add(8 * time.Hour)
	if err := h.trust.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "went back") {
		t.Errorf("a list whose number went back: %v", err)
	}
	// The list ends; for an hour more it counts, as the anchor says, and then not.
	h.clock.Add(16*time.Hour + 30*time.Minute)
	if v := h.judge(taro); v.Fault != nil {
		t.Errorf("within the hour: %+v", v)
	}
	h.clock.Add(time.Hour)
	if v := h.judge(taro); code(v) != "C7.status" {
		t.Errorf("after the hour: %+v", v)
	}
	h.read(func(tx *store.Tx) error {
		lists, err := h.trust.Lists(tx)
		if len(lists) != 1 || lists[0].Number != "9" || !strings.Contains(lists[0].Fault, "went back") {
			t.Errorf("%+v", lists)
		}
		return err
	})
}

func TestRulesMap(t *testing.T) {
	h := open(t)
	e := newElsewhere(t)
	pinned, renewed := e.person("Card 1"), e.person("Card 2", func(c *x509.Certificate) { c.SubjectKeyId = []byte("the same key") })
	a := h.add(trust.Rules{Status: trust.StatusNone, Hardware: []string{"1.3.6.1.4.1.99999.1"}, Map: []trust.Rule{
		{Kind: trust.BySerial}, {Kind: trust.ByKeyID}, {Kind: trust.ByMail, Domain: "example.ac.jp"}, {Kind: trust.ByUPN, Domain: "ad.example.ac.jp"},
	}}, e.cert)
	h.write(func(tx *store.Tx) error {
		return errors.Join(h.trust.Pin(tx, a.ID, trust.BySerial, pinned, "acc_hanako"), h.trust.Pin(tx, a.ID, trust.ByKeyID, renewed, "acc_taro"))
	})
	policy, err := x509.ParseOID("1.3.6.1.4.1.99999.1")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cert    *x509.Certificate
		account authn.AccountID
		code    authn.Code
	}{
		"pinned by serial":              {pinned, "acc_hanako", ""},
		"pinned by key":                 {e.person("Card 3", func(c *x509.Certificate) { c.SubjectKeyId = []byte("the same key") }), "acc_taro", ""},
		"address":                       {e.person("x", mails("TARO@Example.ac.jp")), "acc_taro", ""},
		"principal":                     {e.person("x", principal("hanako@AD.example.ac.jp")), "acc_hanako", ""},
		"both of one person":            {e.person("x", mails("taro@example.ac.jp"), principal("taro@ad.example.ac.jp")), "acc_taro", ""},
		"another domain":                {e.person("x", mails("taro@gmail.com")), "", ""},
		"a domain that ends so":         {e.person("x", mails("taro@evil-example.ac.jp")), "", ""},
		"a domain below":                {e.person("x", mails("taro@sub.example.ac.jp")), "", ""},
		"two at-signs":                  {e.person("x", principal("taro@ad.example.ac.jp@evil.example")), "", ""},
		"address in the subject":        {e.person("taro@example.ac.jp"), "", ""},
		"principal in the wrong domain": {e.person("x", principal("taro@example.ac.jp")), "", ""},
		// Somebody else's name beside one's own opens nothing.
		"two addresses":            {e.person("x", mails("taro@example.ac.jp", "hanako@example.ac.jp")), "", "C7.mapping"},
		"address and principal":    {e.person("x", mails("taro@example.ac.jp"), principal("hanako@ad.example.ac.jp")), "", "C7.mapping"},
		"two principals":           {e.person("x", principal("taro@ad.example.ac.jp", "hanako@ad.example.ac.jp")), "", "C7.mapping"},
		"a pin stands above names": {pinned, "acc_hanako", ""},
	} {
		v := h.judge(c.cert)
		if v.Account != c.account || code(v) != c.code {
			t.Errorf("%s: %+v", name, v)
		}
	}
	hard := e.person("x", mails("taro@example.ac.jp"), func(c *x509.Certificate) { c.Policies = []x509.OID{policy} })
	if v := h.judge(hard); !v.Hardware || v.Fault != nil {
		t.Errorf("%+v", v)
	}
	// The serial of another issuer is another certificate.
	other := newAuthority(t, pkix.Name{CommonName: "Other CA"}, nil)
	h.add(trust.Rules{Status: trust.StatusNone, Map: []trust.Rule{{Kind: trust.BySerial}}}, other.cert)
	if v := h.judge(other.person("x", func(c *x509.Certificate) { c.SerialNumber = pinned.SerialNumber })); v.Account != "" {
		t.Errorf("%+v", v)
	}
}

func TestTraps(t *testing.T) {
	h := open(t)
	e := newElsewhere(t)
	h.add(trust.Rules{Status: trust.StatusNone, Map: []trust.Rule{{Kind: trust.ByMail, Domain: "example.ac.jp"}}}, e.cert)
	mine := mails("taro@example.ac.jp")
	below := func(change ...func(*x509.Certificate)) *authority {
		return newAuthority(t, pkix.Name{CommonName: "Below"}, e.authority, change...)
	}
	fenced := below(func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"hospital.example.ac.jp"} })
	excluded := below(func(c *x509.Certificate) { c.ExcludedEmailAddresses = []string{"example.ac.jp"} })
	last := below(func(c *x509.Certificate) { c.MaxPathLenZero = true })
	servers := below(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	nobody := below(func(c *x509.Certificate) { c.IsCA = false })
	noSign := below(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	tooDeep := newAuthority(t, pkix.Name{CommonName: "Deeper"}, last)
	person := e.person("Taro", mine)
	unknown := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}
	good := below()
	for name, c := range map[string]struct {
		presented []*x509.Certificate
		want      authn.Code
	}{
		"an honest path":                   {[]*x509.Certificate{good.person("Taro", mine), good.cert}, ""},
		"outside the permitted names":      {[]*x509.Certificate{fenced.person("Taro", mine), fenced.cert}, "C7.chain"},
		"among the excluded names":         {[]*x509.Certificate{excluded.person("Taro", mine), excluded.cert}, "C7.chain"},
		"below one that issues to nobody":  {[]*x509.Certificate{tooDeep.person("Taro", mine), tooDeep.cert, last.cert}, "C7.chain"},
		"below one for servers":            {[]*x509.Certificate{servers.person("Taro", mine), servers.cert}, "C7.chain"},
		"signed by a person's certificate": {[]*x509.Certificate{nobody.person("Taro", mine), nobody.cert}, "C7.chain"},
		"signed by one that must not":      {[]*x509.Certificate{noSign.person("Taro", mine), noSign.cert}, "C7.chain"},
		"an unknown critical extension":    {[]*x509.Certificate{e.person("Taro", mine, func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{unknown} })}, "C7.chain"},
		"for servers":                      {[]*x509.Certificate{e.person("Taro", mine, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })}, "C7.server"},
		"for mail only":                    {[]*x509.Certificate{e.person("Taro", mine, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} })}, "C7.usage"},
		"for encryption only":              {[]*x509.Certificate{e.person("Taro", mine, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })}, "C7.usage"},
		"an issuer's own":                  {[]*x509.Certificate{good.cert}, "C7.usage"},
		"the path is not sent":             {[]*x509.Certificate{good.person("Taro", mine)}, "C7.unknown"},
		"expired": {[]*x509.Certificate{e.person("Taro", mine, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = h.clock.Now().AddDate(-2, 0, 0), h.clock.Now().AddDate(-1, 0, 0)
		})}, "C3"},
		"a bent signature":                   {[]*x509.Certificate{bent(t, person)}, "C7.unknown"},
		"other certificates of its own kind": {append([]*x509.Certificate{person}, e.person("1"), e.person("2"), e.person("3")), ""},
	} {
		if v := h.judge(c.presented...); code(v) != c.want {
			t.Errorf("%s: %v", name, v.Fault)
		}
	}
}

// bent changes the last byte of the signature.
func bent(t testing.TB, c *x509.Certificate) *x509.Certificate {
	t.Helper()
	der := bytes.Clone(c.Raw)
	der[len(der)-1] ^= 1
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// spent is the processor time of this program so far: a busy machine is not what is
// measured.
func spent(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A dozen authorities that all sign each other make a hundred million paths; the work
// is bounded.
func TestAMazeOfAuthoritiesCostsLittle(t *testing.T) {
	h := open(t)
	e := newElsewhere(t)
	h.add(trust.Rules{Status: trust.StatusNone, Map: []trust.Rule{{Kind: trust.BySerial}}}, e.cert)
	name := pkix.Name{CommonName: "Maze"}
	key := newAuthority(t, name, nil)
	presented := []*x509.Certificate{key.person("Taro")}
	for range 11 {
		presented = append(presented, key.sign(&x509.Certificate{
			Subject: name, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: e.cert.NotBefore, NotAfter: e.cert.NotAfter,
		}, key.key.Public()))
	}
	began := spent(t)
	if v := h.judge(presented...); code(v) != "C7.unknown" {
		t.Errorf("%+v", v)
	}
	if took := spent(t) - began; took > time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestATrialFindsWhatSpeaksAgainstARule(t *testing.T) {
	h := open(t)
	h.people = append(h.people, trust.Known{Account: "acc_taro2", UserName: "taro2", Mail: "taro@example.ac.jp"})
	h.trust = trust.New(h.db, h.ca, h.people, trust.Config{})
	h.own(ca.PersonDevice) // acc_taro, with the principal taro@example.ac.jp
	e := newElsewhere(t)
	twin := newAuthority(t, e.cert.Subject, nil)
	stranger := newAuthority(t, pkix.Name{CommonName: "Stranger"}, nil)
	try := func(rules trust.Rules, cert *x509.Certificate, given ...*x509.Certificate) (trust.Anchor, trust.Report) {
		t.Helper()
		a, err := trust.NewAnchor("", inPEM(cert), rules)
		if err != nil {
			t.Fatal(err)
		}
		var r trust.Report
		h.write(func(tx *store.Tx) error {
			if err := h.trust.Add(tx, a); err != nil {
				return err
			}
			r, err = h.trust.Try(tx, a.ID, given)
			return err
		})
		return a, r
	}
	has := func(r trust.Report, words string) bool {
		return strings.Contains(fmt.Sprintf("%+v", r.Conflicts), words)
	}
	a, r := try(trust.Rules{Status: trust.StatusNone, Map: []trust.Rule{{Kind: trust.ByMail, Domain: "example.ac.jp"}}}, e.cert,
		e.person("Two", mails("taro@example.ac.jp", "hanako@example.ac.jp")), stranger.person("x"))
	if r.Accounts != 3 || !has(r, "belongs to the accounts taro and taro2") || !has(r, "more than one account") || !has(r, "is not of this issuer") {
		t.Errorf("%+v", r)
	}
	h.write(func(tx *store.Tx) error {
		if err := h.trust.Switch(tx, a.ID, true); !errors.Is(err, trust.ErrUntried) {
			t.Errorf("switched on in spite of conflicts: %v", err)
		}
		return nil
	})
	if _, r := try(trust.Rules{Status: trust.StatusNone, Map: []trust.Rule{{Kind: trust.BySerial}}}, twin.cert); !has(r, "this name with another key") {
		t.Errorf("%+v", r)
	}
	// Our own certificates say taro; this rule makes hanako of the same name.
	h.people[1].Account, h.people[0].UserName, h.people[1].UserName = "acc_taro", "taro", "hanako"
	if _, r := try(trust.Rules{Status: trust.StatusNone, Map: []trust.Rule{{Kind: trust.ByUPN, Domain: "example.ac.jp"}}}, stranger.cert); !has(r, "belongs to the account acc_taro and would open acc_hanako") {
		t.Errorf("%+v", r)
	}
}

func TestRulesThatAreWrongAreRefused(t *testing.T) {
	a := newAuthority(t, pkix.Name{CommonName: "x"}, nil)
	serial := []trust.Rule{{Kind: trust.BySerial}}
	for name, r := range map[string]trust.Rules{
		"no rule": {Status: trust.StatusNone}, "unknown rule": {Status: trust.StatusNone, Map: []trust.Rule{{Kind: "cn"}}},
		"mail without domain": {Status: trust.StatusNone, Map: []trust.Rule{{Kind: trust.ByMail}}}, "no word on lists": {Map: serial},
		"lists that do not count": {Map: serial, Status: trust.StatusNone, Lists: []string{"http://x.example/"}}, "required without lists": {Map: serial, Status: trust.StatusRequired},
		"another scheme": {Map: serial, Status: trust.StatusRequired, Lists: []string{"ldap://x.example/"}}, "a file": {Map: serial, Status: trust.StatusRequired, Lists: []string{"file:///etc/passwd"}},
		"a password in the address": {Map: serial, Status: trust.StatusRequired, Lists: []string{"http://u:p@x.example/"}}, "stale for ever": {Map: serial, Status: trust.StatusNone, Stale: 1 << 40},
		"no identifier": {Map: serial, Status: trust.StatusNone, Hardware: []string{"card"}},
	} {
		if _, err := trust.NewAnchor("", inPEM(a.cert), r); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for name, text := range map[string][]byte{"nothing": nil, "a person": inPEM(a.person("x")), "too many": bytes.Repeat(inPEM(a.cert), 9)} {
		if _, err := trust.NewAnchor("", text, trust.Rules{Map: serial, Status: trust.StatusNone}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestACertificateThatSignedInIsRememberedByLaterTrials(t *testing.T) {
	h := open(t)
	e := newElsewhere(t)
	a := h.add(trust.Rules{Status: trust.StatusNone, Map: []trust.Rule{{Kind: trust.ByMail, Domain: "example.ac.jp"}}}, e.cert)
	var r trust.Report
	h.write(func(tx *store.Tx) (err error) {
		if err := h.trust.Seen(tx, a.ID, e.person("Taro", mails("taro@example.ac.jp")), "acc_hanako"); err != nil {
			return err
		}
		r, err = h.trust.Try(tx, a.ID, nil)
		return err
	})
	if len(r.Conflicts) != 1 || !strings.Contains(r.Conflicts[0].Detail, "acc_hanako and would open acc_taro") {
		t.Errorf("%+v", r)
	}
}
