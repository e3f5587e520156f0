package trust_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"seimon/internal/ca/trust"
	"seimon/internal/store"
)

// watch is a judge whose Ended notes what it is told.
type watch struct {
	*house
	told   []string // reason and name
	bound  map[string]bool
	broken error
}

func watching(t *testing.T) *watch {
	w := &watch{house: open(t), bound: map[string]bool{}}
	w.trust = trust.New(w.db, w.ca, w.people, trust.Config{Ended: func(_ *store.Tx, e trust.Ended) (bool, error) {
		w.told = append(w.told, e.Reason+" "+e.Name)
		if w.broken != nil {
			return false, w.broken
		}
		bound := w.bound[e.Name]
		if !e.Held {
			delete(w.bound, e.Name)
		}
		return bound, nil
	}})
	return w
}

func (w *watch) expect(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.told, want) {
		w.t.Errorf("told %q, want %q", w.told, want)
	}
	w.told = nil
}

// named signs a list with reasons.
func (e *elsewhere) named(by *authority, number int64, at time.Time, reasons map[*x509.Certificate]int) {
	e.t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: at, NextUpdate: at.Add(24 * time.Hour)}
	for c, reason := range reasons {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: at, ReasonCode: reason})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, by.cert, by.key)
	if err != nil {
		e.t.Fatal(err)
	}
	e.list.Store(&der)
}

func (w *watch) known(a trust.Anchor, name string, c *x509.Certificate) {
	w.t.Helper()
	w.write(func(tx *store.Tx) error { return w.trust.Seen(tx, a.ID, c, "acc_taro") })
	w.bound[name] = true
}

func TestALaterListEndsWhatRestsOnACertificate(t *testing.T) {
	w := watching(t)
	e := newElsewhere(t)
	taro, hanako, held := e.person("Taro", mails("taro@example.ac.jp")), e.person("Hanako", mails("hanako@example.ac.jp")), e.person("Held")
	a := w.add(trust.Rules{Map: []trust.Rule{{Kind: trust.ByMail, Domain: "example.ac.jp"}}, Lists: []string{e.server.URL + "/list"}, Status: trust.StatusRequired}, e.cert)
	for name, c := range map[string]*x509.Certificate{"Taro": taro, "Hanako": hanako, "Held": held} {
		w.known(a, name, c)
	}
	number := int64(0)
	publish := func(reasons map[*x509.Certificate]int) {
		t.Helper()
		number++
		w.clock.Add(9 * time.Hour)
		e.named(e.authority, number, w.clock.Now(), reasons)
		w.fetch()
	}
	publish(map[*x509.Certificate]int{})
	w.expect()
	publish(map[*x509.Certificate]int{taro: 1})
	w.expect("keyCompromise Taro")
	// Whoever was being let in at that moment is found at the second look; then it is done.
	w.clock.Add(time.Minute)
	w.fetch()
	w.expect("keyCompromise Taro")
	w.clock.Add(time.Minute)
	w.fetch()
	w.expect()
	// A hold is held against what stood still meanwhile, for as long as it lasts.
	publish(map[*x509.Certificate]int{taro: 1, held: 6})
	slices.Sort(w.told)
	w.expect("certificateHold Held", "keyCompromise Taro")
	for range 3 {
		w.clock.Add(time.Minute)
		w.fetch()
		slices.Sort(w.told)
		w.expect("certificateHold Held", "keyCompromise Taro")
	}
	publish(map[*x509.Certificate]int{taro: 1})
	w.expect("keyCompromise Taro")
	// What could not be ended is tried again, also by a gate that starts afresh.
	publish(map[*x509.Certificate]int{taro: 1, held: 1})
	w.told, w.broken = nil, errors.New("the database is away")
	number++
	w.clock.Add(9 * time.Hour)
	e.named(e.authority, number, w.clock.Now(), map[*x509.Certificate]int{hanako: 4})
	if err := w.trust.Fetch(t.Context()); err == nil {
		t.Error("what could not be ended is no fault")
	}
	w.expect("superseded Hanako")
	w.broken = nil
	w.clock.Add(time.Minute)
	w.fetch()
	w.expect("superseded Hanako")
}

// Only what the issuer itself says ends anything, also when the anchor is switched off.
func TestWhoeverIsNotTheIssuerEndsNothing(t *testing.T) {
	w := watching(t)
	e, other := newElsewhere(t), newElsewhere(t)
	taro := e.person("Taro", mails("taro@example.ac.jp"))
	rules := func(x *elsewhere) trust.Rules {
		return trust.Rules{Map: []trust.Rule{{Kind: trust.BySerial}}, Lists: []string{x.server.URL + "/list"}, Status: trust.StatusRequired}
	}
	a := w.add(rules(e), e.cert)
	w.known(a, "Taro", taro)
	twin := newAuthority(t, e.cert.Subject, nil)
	e.named(twin, 1, w.clock.Now(), map[*x509.Certificate]int{taro: 1})
	if err := w.trust.Fetch(t.Context()); err == nil {
		t.Error("a list by another key of that name is taken")
	}
	w.expect()
	other.named(other.authority, 1, w.clock.Now(), map[*x509.Certificate]int{taro: 1})
	b, err := trust.NewAnchor("other", inPEM(other.cert), rules(other))
	if err != nil {
		t.Fatal(err)
	}
	w.write(func(tx *store.Tx) error { return w.trust.Add(tx, b) })
	e.named(e.authority, 1, w.clock.Now(), nil)
	w.clock.Add(10 * time.Minute)
	w.fetch()
	w.expect()
	w.write(func(tx *store.Tx) error { return w.trust.Switch(tx, a.ID, false) })
	w.clock.Add(9 * time.Hour)
	e.named(e.authority, 2, w.clock.Now(), map[*x509.Certificate]int{taro: 5})
	w.fetch()
	w.expect("cessationOfOperation Taro")
}

// An issuer between that its root has revoked takes all its certificates along.
func TestARevokedIssuerBetweenEndsItsCertificates(t *testing.T) {
	w := watching(t)
	e := newElsewhere(t)
	between := newAuthority(t, pkix.Name{CommonName: "Between"}, e.authority)
	taro := between.person("Taro", mails("taro@example.ac.jp"))
	a := w.add(trust.Rules{Map: []trust.Rule{{Kind: trust.BySerial}}, Lists: []string{e.server.URL + "/list"}, Status: trust.StatusRequired}, e.cert, between.cert)
	w.known(a, "Taro", taro)
	e.named(e.authority, 1, w.clock.Now(), map[*x509.Certificate]int{between.cert: 2})
	w.fetch()
	w.expect("cACompromise Taro")
}
