package clientcert_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/factor"
	"seimon/internal/factor/clientcert"
	"seimon/internal/factor/factortest"
	"seimon/internal/store"
)

// desk is an issuing house beside the factor under test.
type desk struct {
	factortest.House
	ca       *ca.Authority
	attempts *clientcert.Attempts
	factor   *clientcert.Factor
	profile  string
}

func newDesk(h factortest.House, profile string) *desk {
	h.T.Helper()
	d := &desk{House: h, attempts: clientcert.NewAttempts(h.DB), profile: profile}
	var err error
	d.ca, err = ca.Open(h.T.Context(), h.DB, ca.Config{
		Seal: h.Ring, MAC: h.Ring.MAC, Base: "http://pki.example.ac.jp",
		OnIssue: func(tx *store.Tx, c ca.Certificate) error { return clientcert.Register(tx, h.Bindings, c) },
		OnRevoke: func(tx *store.Tx, c ca.Certificate) error {
			_, err := clientcert.Unregister(tx, h.Bindings, c)
			return err
		},
	})
	d.must(err)
	_, err = d.ca.Found(h.T.Context(), ca.Plan{Organization: "Example University"})
	d.must(err)
	d.factor = clientcert.New(clientcert.Rooms{
		Attempts: d.attempts, Bindings: h.Bindings, Judge: trust.New(h.DB, d.ca, people{}, trust.Config{}), People: d, Start: func(t string) string { return "/certificate/" + t },
	})
	return d
}

func (d *desk) must(err error) {
	d.T.Helper()
	if err != nil {
		d.T.Fatal(err)
	}
}

// Known finds the people of the suite.
func (d *desk) Known(_ *store.Tx, id authn.AccountID) (authn.Subject, factor.Profile, error) {
	return authn.Subject{Account: id, UserName: "s1234567"}, factor.Profile{}, nil
}

// FormerMail knows of no former address.
func (d *desk) FormerMail(*store.Tx, authn.PersonID, string) (time.Time, error) {
	return time.Time{}, nil
}

// issue issues a certificate for an account.
func (d *desk) issue(account authn.AccountID, change ...func(*ca.Order)) ca.Certificate {
	d.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	d.must(err)
	o := ca.Order{
		Profile: d.profile, Holder: ca.Holder{Account: account, Person: authn.PersonID("per_" + account), Name: "Aoba Hanako"}, Key: key.Public(), Label: "laptop",
	}
	for _, f := range change {
		f(&o)
	}
	p, err := d.ca.Prepare(d.T.Context(), o)
	d.must(err)
	c, err := d.ca.Issue(d.T.Context(), p)
	d.must(err)
	return c
}

// show brings a chain through a try of a sign-in and returns the answer.
func (d *desk) show(transaction string, chain ...[]byte) factor.Answer {
	d.T.Helper()
	label := strings.ToLower(rand.Text()[:26])
	d.must(d.attempts.Open(d.T.Context(), transaction, label, "", ""))
	to, code, err := d.attempts.Record(d.T.Context(), label, chain, "TLS 1.3")
	d.must(err)
	if to != transaction || code == "" {
		d.T.Fatalf("a fresh try leads to %q with %q", to, code)
	}
	return factor.Answer{Form: url.Values{clientcert.FieldCode: {code}}}
}

func (d *desk) newest(account authn.AccountID) ca.Certificate {
	d.T.Helper()
	var out ca.Certificate
	d.must(d.DB.Read(d.T.Context(), func(tx *store.Tx) error {
		all, err := d.ca.Of(tx, account)
		if len(all) > 0 {
			out = all[0]
		}
		return err
	}))
	return out
}

func subject(profile string) func(h factortest.House) factortest.Subject {
	return func(h factortest.House) factortest.Subject {
		d := newDesk(h, profile)
		var last string
		return factortest.Subject{
			Factor: d.factor,
			Give:   func(account authn.AccountID) { d.issue(account) },
			Right: func(a factor.Attempt) factor.Answer {
				ans := d.show(a.Transaction, d.newest(a.Subject.Account).DER)
				last = ans.Get(clientcert.FieldCode)
				return ans
			},
			Wrong:   func(a factor.Attempt) factor.Answer { return d.show(a.Transaction) },
			Secrets: func() []string { return []string{last} },
		}
	}
}

func harness(profile string) factortest.Harness {
	return factortest.Harness{
		Kind:   clientcert.Kind,
		Traits: authn.Traits{Class: authn.Have, PhishingResistant: true, AMR: "swk"},
		Spent:  true,
		Words:  clientcert.Words(), Templates: clientcert.Templates(),
		Schemas: []store.Schema{clientcert.Schema(), ca.Schema(), trust.Schema()},
		Tables:  []string{"clientcert_attempt"},
		Open:    subject(profile),
	}
}

func TestConformance(t *testing.T) { factortest.Run(t, harness(ca.PersonDevice)) }

func TestConformanceOfCards(t *testing.T) {
	h := harness(ca.CardProfile)
	h.Evidence = authn.Traits{Class: authn.Have | authn.Know, PhishingResistant: true, HardwareBound: true, UserVerified: true, AMR: "sc"}
	factortest.Run(t, h)
}

// people of the suite have no addresses that certificates could be mapped by.
type people struct{}

func (people) ByMail(*store.Tx, string) ([]authn.AccountID, error)   { return nil, nil }
func (people) ByUserName(*store.Tx, string) (authn.AccountID, error) { return "", nil }
func (people) Page(*store.Tx, string, int) ([]trust.Known, error)    { return nil, nil }
