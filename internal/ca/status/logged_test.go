package status_test

import (
	"crypto/x509"
	"testing"
	"time"

	"seimon/internal/ca"
	"seimon/internal/store"
)

func (h *house) responders() (out []ca.Certificate) {
	h.t.Helper()
	h.read(func(tx *store.Tx) (err error) {
		out, err = h.ca.List(tx, ca.Filter{Profile: ca.Responder})
		return err
	})
	return out
}

// TestRespondersStandInTheIssuanceLog: whoever could make answers up with a certificate
// from this issuer is on the record, and a change of that record is found.
func TestRespondersStandInTheIssuanceLog(t *testing.T) {
	h := open(t)
	h.publish()
	first := h.responders()
	if len(first) != 1 || first[0].Issuer != h.issuer.ID || first[0].State != ca.Active || first[0].Account != "" {
		t.Fatalf("%+v", first)
	}
	r := h.ask(h.issue(), nil)
	if r.Certificate == nil || string(r.Certificate.Raw) != string(first[0].DER) {
		t.Error("the answers are signed with another certificate than the log has")
	}
	h.clock.Add(16 * 24 * time.Hour)
	h.publish()
	if n := len(h.responders()); n != 2 {
		t.Errorf("%d responders after the renewal", n)
	}
	report, err := h.ca.VerifyLog(t.Context(), nil, nil)
	if err != nil || !report.Sound() || report.Entries != 3 {
		t.Fatalf("%+v %v", report, err)
	}
	h.read(func(tx *store.Tx) error {
		p, err := h.ca.Proof(tx, first[0].ID)
		if err != nil {
			return err
		}
		return p.Check(nil)
	})
	h.write(func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM ca_certificate WHERE id = $1", first[0].ID)
		return err
	})
	if report, err = h.ca.VerifyLog(t.Context(), nil, nil); err != nil || report.Sound() {
		t.Errorf("a responder vanished unseen: %+v %v", report, err)
	}
}

// TestAResponderFromBeforeTheLogIsReplaced: after an update nothing signs answers that
// the log does not know.
func TestAResponderFromBeforeTheLogIsReplaced(t *testing.T) {
	h := open(t)
	h.publish()
	old := h.responders()[0]
	h.write(func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM ca_certificate WHERE id = $1", old.ID)
		return err
	})
	h.clock.Add(time.Minute)
	h.publish()
	h.publish()
	now := h.responders()
	if len(now) != 1 || now[0].ID == old.ID {
		t.Fatalf("%+v", now)
	}
	h.clock.Add(10 * time.Second)
	if r := h.ask(h.issue(), nil); string(r.Certificate.Raw) != string(now[0].DER) {
		t.Error("the old one still signs")
	}
}

// TestRespondersHinderNothing: they belong to no account, and an issuer is retired
// though its responder lives.
func TestRespondersHinderNothing(t *testing.T) {
	h := open(t)
	h.publish()
	h.read(func(tx *store.Tx) error {
		holders, err := h.ca.Holders(tx, "", 10)
		if len(holders) != 0 {
			t.Errorf("%q", holders)
		}
		return err
	})
	next, err := h.ca.PrepareIssuer(t.Context(), ca.Plan{}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		id string
		ca.Step
	}{{next.ID, ca.Distribute}, {next.ID, ca.Activate}, {h.issuer.ID, ca.Retire}} {
		h.write(func(tx *store.Tx) error {
			_, err := h.ca.Move(tx, step.id, step.Step, "test")
			return err
		})
	}
}

// TestOnlyRespondersComeThisWay: nothing else is signed past the profiles.
func TestOnlyRespondersComeThisWay(t *testing.T) {
	h := open(t)
	h.publish()
	good := h.responders()[0].Parsed()
	key := testKey(t)
	for name, change := range map[string]func(*x509.Certificate){
		"an issuer":      func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true },
		"sign lists":     func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign },
		"client":         func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) },
		"no purpose":     func(c *x509.Certificate) { c.ExtKeyUsage = nil },
		"no nocheck":     func(c *x509.Certificate) { c.ExtraExtensions = nil },
		"for years":      func(c *x509.Certificate) { c.NotAfter = c.NotBefore.AddDate(3, 0, 0) },
		"a server":       func(c *x509.Certificate) { c.DNSNames = []string{"www.example.ac.jp"} },
		"of no name":     func(c *x509.Certificate) { c.Subject.CommonName = "" },
		"a small serial": func(c *x509.Certificate) { c.SerialNumber = c.SerialNumber.SetInt64(7) },
	} {
		template := &x509.Certificate{
			SerialNumber: good.SerialNumber, Subject: good.Subject, NotBefore: good.NotBefore, NotAfter: good.NotAfter,
			KeyUsage: good.KeyUsage, ExtKeyUsage: good.ExtKeyUsage,
		}
		for _, e := range good.Extensions {
			if e.Id.String() == "1.3.6.1.5.5.7.48.1.5" {
				template.ExtraExtensions = append(template.ExtraExtensions, e)
			}
		}
		change(template)
		if c, err := h.ca.IssueResponder(t.Context(), h.issuer.ID, template, key.Public()); err == nil {
			t.Errorf("%s: signed as %s", name, c.Serial)
		}
		good = h.responders()[0].Parsed()
	}
	if n := len(h.responders()); n != 1 {
		t.Errorf("%d rows", n)
	}
}
