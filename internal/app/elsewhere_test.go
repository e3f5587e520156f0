package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca/trust"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/factor/clientcert"
	"seimon/internal/session"
	"seimon/internal/store"
)

// otherHouse is an issuer elsewhere with its list.
type otherHouse struct {
	key  *ecdsa.PrivateKey
	root *x509.Certificate
	list atomic.Pointer[[]byte]
	URL  string
}

func newOtherHouse(t *testing.T) *otherHouse {
	t.Helper()
	o := &otherHouse{}
	var err error
	if o.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	o.root = o.issue(t, 1, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Open Domain CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(*o.list.Load()) })) //nolint:errcheck // the client is gone
	t.Cleanup(server.Close)
	o.URL = server.URL + "/list.crl"
	return o
}

func (o *otherHouse) issue(t *testing.T, serial int64, c *x509.Certificate) *x509.Certificate {
	t.Helper()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(serial), time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	parent := o.root
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, o.key.Public(), o.key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c
}

// publish signs a list in which serials stand with a reason.
func (o *otherHouse) publish(t *testing.T, number int64, reasons map[int64]int) {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(24 * time.Hour)}
	for serial, reason := range reasons {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: l.ThisUpdate, ReasonCode: reason})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, o.root, o.key)
	if err != nil {
		t.Fatal(err)
	}
	o.list.Store(&der)
}

// TestALaterListOfAnotherHouseEndsSessionsAndAccess: a certificate signs in, then its
// issuer names it; what rests on it ends with the fetch, and nothing else does.
func TestALaterListOfAnotherHouseEndsSessionsAndAccess(t *testing.T) {
	s := install(t)
	h, write := s.open()
	o := newOtherHouse(t)
	o.publish(t, 1, nil)
	anchor, err := trust.NewAnchor("", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.root.Raw}),
		trust.Rules{Status: trust.StatusRequired, Lists: []string{o.URL}, Map: []trust.Rule{{Kind: trust.BySerial}}})
	if err != nil {
		t.Fatal(err)
	}
	write(func(tx *store.Tx) error {
		err := h.Trust.Add(tx, anchor)
		if err == nil {
			_, err = h.Trust.Try(tx, anchor.ID, nil)
		}
		if err == nil {
			err = h.Trust.Switch(tx, anchor.ID, true)
		}
		return err
	})
	fetch := func() {
		t.Helper()
		write(func(tx *store.Tx) error { // as if the last fetch were long ago
			_, err := tx.Exec("UPDATE trust_list SET fetched_at = fetched_at - 86400000")
			return err
		})
		if err := h.Trust.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	fetch()
	var account directory.Account
	lost, held, kept, hidden := int64(71), int64(72), int64(73), int64(74)
	bindings, sessions := map[int64]factor.Binding{}, map[int64]session.Session{}
	write(func(tx *store.Tx) (err error) {
		account, _, err = h.People.Add(tx, directory.Person{Name: directory.Names{Family: "山田"}}, directory.Account{UserName: "s2600001", Kind: "student", State: directory.Active})
		return err
	})
	for _, serial := range []int64{lost, held, kept, hidden} {
		leaf := o.issue(t, serial, &x509.Certificate{
			Subject: pkix.Name{CommonName: "Card"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		write(func(tx *store.Tx) error {
			if err := h.Trust.Pin(tx, anchor.ID, trust.BySerial, leaf, account.ID); err != nil {
				return err
			}
			if err := (houses{h}).bind(tx, leaf); err != nil {
				return err
			}
			b, _, err := clientcert.Bound(tx, h.Bindings, leaf)
			if err != nil {
				return err
			}
			browser, _, err := h.Sessions.NewBrowser(tx, "Firefox")
			if err != nil {
				return err
			}
			in, _, err := h.Sessions.Open(tx, session.Session{
				Subject: authn.Subject{Account: account.ID, Person: account.Person, UserName: account.UserName}, Browser: browser.ID,
				Evidence: []authn.Evidence{{Kind: clientcert.Kind, Binding: b.ID, At: tx.Now}},
			})
			bindings[serial], sessions[serial] = b, in
			if err != nil {
				return err
			}
			_, err = tx.Exec(`INSERT INTO oidc_grant (code, client, account, session, request, proof, offline, code_until, redeemed_at, ended_at, ended_why, until, created_at)
				VALUES ($1, $2, $3, $4, '{}', $5, 1, 0, 1, 0, '', $6, 1)`,
				[]byte{byte(serial)}, "mailer-"+b.ID, string(account.ID), in.ID, `{"bindings":["`+b.ID+`"]}`, store.Millis(tx.Now.Add(time.Hour)))
			return err
		})
	}
	standing := func() (out []int64) {
		t.Helper()
		err := h.DB.Read(t.Context(), func(tx *store.Tx) error {
			out = nil
			for serial, b := range bindings {
				_, in := h.Sessions.Get(tx, sessions[serial].ID)
				var grants int
				if err := tx.QueryRow("SELECT COUNT(*) FROM oidc_grant WHERE client = $1 AND ended_at = 0", "mailer-"+b.ID).Scan(&grants); err != nil {
					return err
				}
				if (in == nil) != (grants == 1) || in != nil && !errors.Is(in, session.ErrNone) {
					t.Errorf("%d: session %v, %d grants", serial, in, grants)
				}
				if in == nil {
					out = append(out, serial)
				}
			}
			slices.Sort(out)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	// Whoever sits in a session that rests on it takes it out of the sign-in methods first.
	write(func(tx *store.Tx) error { return h.Bindings.Remove(tx, bindings[hidden].ID) })
	if got := standing(); len(got) != 4 {
		t.Fatal(got)
	}
	o.publish(t, 2, map[int64]int{lost: 1, held: 6, hidden: 1, 999: 1})
	fetch()
	if got := standing(); !slices.Equal(got, []int64{kept}) {
		t.Errorf("standing: %v", got)
	}
	err = h.DB.Read(t.Context(), func(tx *store.Tx) error {
		for serial, want := range map[int64]factor.State{held: factor.Active, kept: factor.Active, lost: factor.Removed, hidden: factor.Removed} {
			if b, err := h.Bindings.Get(tx, bindings[serial].ID); err != nil || b.State != want {
				t.Errorf("%d: %s %v", serial, b.State, err)
			}
		}
		events, err := h.Audit.Find(tx, audit.Query{TypePrefix: "certificate.", Account: account.ID, Limit: 100})
		var kinds []string
		for _, e := range events {
			kinds = append(kinds, e.Type+" "+e.Facts["reason"])
			if !strings.HasPrefix(e.Facts["certificate"], "x509:") {
				t.Errorf("%+v", e)
			}
		}
		for _, want := range []string{"certificate.elsewhere.ended keyCompromise", "certificate.elsewhere.ended certificateHold", "certificate.cut ", "certificate.access.ended "} {
			if !slices.Contains(kinds, want) {
				t.Errorf("%q is not among %q", want, kinds)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
