package logintest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/card"
	"seimon/internal/desk/certdoor"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/factor/clientcert"
	"seimon/internal/store"
)

// CertHost is the parent of the hosts at which certificates are shown.
const CertHost = "cert.sso.example.ac.jp"

// registrar finds people for certificates.
type registrar struct{ people *directory.Directory }

// Known gives the subject and profile of an account.
func (r registrar) Known(tx *store.Tx, id authn.AccountID) (authn.Subject, factor.Profile, error) {
	a, p, err := r.people.ByID(tx, id)
	return a.Subject(), factor.ProfileOf(a, p), err
}

// FormerMail tells until when an address was the university's one of a person.
func (r registrar) FormerMail(tx *store.Tx, person authn.PersonID, address string) (time.Time, error) {
	return r.people.FormerMail(tx, person, address)
}

// ByMail lists the accounts of the owners of an address.
func (r registrar) ByMail(tx *store.Tx, address string) ([]authn.AccountID, error) {
	list, err := r.people.List(tx, directory.Filter{Text: address})
	var out []authn.AccountID
	for _, e := range list {
		if e.Person.Mail == address && !e.Person.MailVerified.IsZero() {
			out = append(out, e.Account.ID)
		}
	}
	return out, err
}

// ByUserName gives the account of a user name.
func (r registrar) ByUserName(tx *store.Tx, name string) (authn.AccountID, error) {
	a, _, err := r.people.ByUserName(tx, name)
	if errors.Is(err, directory.ErrNone) {
		return "", nil
	}
	return a.ID, err
}

// Page lists accounts.
func (r registrar) Page(tx *store.Tx, after string, limit int) ([]trust.Known, error) {
	list, err := r.people.List(tx, directory.Filter{After: after, Limit: limit})
	var out []trust.Known
	for _, e := range list {
		out = append(out, trust.Known{Account: e.Account.ID, UserName: e.Account.UserName, Mail: e.Person.Mail})
	}
	return out, err
}

// authority opens the issuing house and what judges certificates.
func (h *House) authority() {
	h.T.Helper()
	h.Cards, h.Tries = card.NewBook(), clientcert.NewAttempts(h.DB)
	var err error
	h.CA, err = ca.Open(h.T.Context(), h.DB, ca.Config{
		Seal: h.Ring, MAC: h.Ring.MAC, Base: "http://pki.example.ac.jp",
		OnIssue:  func(tx *store.Tx, c ca.Certificate) error { return clientcert.Register(tx, h.Bindings, c) },
		OnRevoke: h.cut,
	})
	h.must(err)
	h.Trust = trust.New(h.DB, h.CA, registrar{h.People}, trust.Config{})
}

func (h *House) door() {
	h.T.Helper()
	names, err := certdoor.ParseNames("*."+CertHost, nil, 0)
	h.must(err)
	h.Door, err = certdoor.New(certdoor.Rooms{
		DB: h.DB, Site: h.Site, Sessions: h.Sessions, Ring: h.Ring, Words: h.Words, Attempts: h.Tries, Names: names,
		Hints: func(ctx context.Context) (out [][]byte, err error) {
			err = h.DB.Read(ctx, func(tx *store.Tx) error {
				out, err = h.Trust.Hints(tx)
				return err
			})
			return out, err
		},
		Issuers: func(context.Context) ([]string, error) { return []string{"Example University User CA G1"}, nil },
		Record: certdoor.Record{
			Audit: h.Audit, Policy: h.Policy, Bindings: h.Bindings, Broken: h.Factors.Of(clientcert.Kind).(*clientcert.Factor).Broken,
		},
		Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.200/32")},
	})
	h.must(err)
}

// Found makes the root and the first issuer, once.
func (h *House) Found() {
	h.T.Helper()
	_, err := h.CA.Found(h.T.Context(), ca.Plan{Organization: "Example University", Issuer: "Example University User CA G1"})
	if !errors.Is(err, ca.ErrFounded) {
		h.must(err)
	}
}

// Certificate issues a certificate for an account.
func (h *House) Certificate(a directory.Account, change ...func(*ca.Order)) ca.Certificate {
	h.T.Helper()
	h.Found()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.must(err)
	o := ca.Order{Profile: ca.PersonDevice, Key: key.Public(), Label: "laptop", Holder: ca.Holder{
		Account: a.ID, Person: a.Person, Name: "Yamada Taro", Mail: a.UserName + "@example.ac.jp", UPN: a.UserName + "@example.ac.jp",
	}}
	for _, f := range change {
		f(&o)
	}
	p, err := h.CA.Prepare(h.T.Context(), o)
	h.must(err)
	c, err := h.CA.Issue(h.T.Context(), p)
	h.must(err)
	return c
}

// Show answers at a certificate host as a browser does that chose this chain (nothing:
// no certificate), and returns where it is sent.
func (h *House) Show(address string, chain ...*x509.Certificate) string {
	h.T.Helper()
	u, err := url.Parse(address)
	h.must(err)
	r := httptest.NewRequest(http.MethodGet, address, nil)
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: u.Hostname(), PeerCertificates: chain}
	w := httptest.NewRecorder()
	h.Door.ServeHTTP(w, r)
	to := w.Header().Get("Location")
	if w.Code != http.StatusSeeOther || to == "" {
		h.T.Fatalf("%s: %d %s", address, w.Code, w.Body)
	}
	return to
}
