package certificates_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/desk"
	"seimon/internal/desk/certificates"
	"seimon/internal/desk/portal"
	"seimon/internal/directory"
	"seimon/internal/factor/clientcert"
	"seimon/internal/factor/password"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

const rules = logintest.Policy + `
[[rule]]
name = "portal"
service = "portal"
classes = 1

[[rule]]
name = "portal on campus"
service = "portal"
zones = ["on-campus"]
classes = 1

[clientcert]
devices = 3
`

type house struct {
	*logintest.House
	ca   *ca.Authority
	desk *certificates.Desk
}

func open(t *testing.T, change ...func(*certificates.Rooms)) *house {
	t.Helper()
	h := &house{House: logintest.New(t, []store.Schema{portal.Schema(), certificates.Schema()},
		[]lang.Source{desk.Words(), portal.Words(), certificates.Words()})}
	h.Must(desk.Templates(h.Site))
	p, err := portal.New(portal.Rooms{Hall: h.Hall})
	h.Must(err)
	h.Must(h.Hall.Open(p))
	h.Must(p.Found(t.Context()))
	h.ca, err = ca.Open(t.Context(), h.DB, ca.Config{
		Seal: h.Ring, MAC: h.Ring.MAC, Base: "http://pki.example.ac.jp",
		OnIssue: func(tx *store.Tx, c ca.Certificate) error {
			return errors.Join(clientcert.Register(tx, h.Bindings, c), h.desk.Issued(tx, c))
		},
		OnRevoke: func(tx *store.Tx, c ca.Certificate) error { return errors.Join(h.cut(tx, c), h.desk.Revoked(tx, c)) },
		Note: func(tx *store.Tx, event, actor string, c ca.Certificate, facts map[string]string) error {
			return h.Audit.Append(tx, audit.Event{Type: event, Account: c.Account, Actor: actor, Facts: facts})
		},
	})
	h.Must(err)
	_, err = h.ca.Found(t.Context(), ca.Plan{Organization: "Seimon University", Actor: "test"})
	h.Must(err)
	r := certificates.Rooms{
		Hall: h.Hall, CA: h.ca, Lobby: p,
		Holder: func(a directory.Account, p directory.Person) ca.Holder {
			return ca.Holder{Account: a.ID, Person: p.ID, Name: "Person " + a.UserName, Mail: p.Mail, UPN: a.UserName + "@example.ac.jp"}
		},
	}
	for _, f := range change {
		f(&r)
	}
	h.desk, err = certificates.New(r)
	h.Must(err)
	p.AddPlace("/portal/certificates", "certificates")
	p.AddTodo(h.desk.Todo)
	h.Must(h.Site.Check())
	h.Apply(rules)
	return h
}

// cut takes a revoked certificate out of use as the house does, and records it.
func (h *house) cut(tx *store.Tx, c ca.Certificate) error {
	binding, err := clientcert.Unregister(tx, h.Bindings, c)
	if err != nil || binding == "" {
		return err
	}
	ended, err := h.Sessions.EndResting(tx, c.Account, binding, "certificate revoked")
	for _, s := range ended {
		err = errors.Join(err, h.Audit.Append(tx, audit.Event{
			Type: "session.ended", Account: c.Account, Actor: "system", Session: s.ID, Facts: map[string]string{"certificate": c.ID, "agent": s.Agent},
		}))
	}
	return err
}

// signIn signs in with the password and opens a page.
func (h *house) signIn(user, at, page string) *webtest.Browser {
	h.T.Helper()
	b := h.At(at).Get(page)
	h.Prove(b, user)
	return b
}

// again goes to a page and proves the password if that is asked.
func (h *house) again(b *webtest.Browser, page string) *webtest.Browser {
	h.T.Helper()
	b.Get(page)
	if strings.Contains(b.Location(), "/login/") {
		if !logintest.Asks(b, "password") {
			b.Submit("次へ", "username", "s1234567")
		}
		b.Submit("次へ", "password", logintest.Password)
	}
	return b
}

func (h *house) of(account authn.AccountID) (out []ca.Certificate) {
	h.T.Helper()
	h.Read(func(tx *store.Tx) (err error) {
		out, err = h.ca.Of(tx, account)
		return err
	})
	return out
}

// until moves the clock to a moment.
func (h *house) until(at time.Time) { h.Clock.Add(at.Sub(h.Clock.Now())) }

// second adds another account of the same person, with the test password.
func (h *house) second(a directory.Account, userName string) (next directory.Account) {
	h.T.Helper()
	p := h.PersonOf(a)
	h.Write(func(tx *store.Tx) (err error) {
		next, _, err = h.People.Add(tx, p, directory.Account{Person: p.ID, UserName: userName, Kind: "student", State: directory.Active, Groups: a.Groups})
		return err
	})
	b, err := h.Factors.Of("password").(*password.Factor).Prepare(h.T.Context(), next.ID, logintest.Password, h.Clock.Now())
	h.Must(err)
	h.Write(func(tx *store.Tx) error {
		_, err := h.Bindings.Add(tx, b)
		return err
	})
	return next
}

// request makes a key and a request for it.
func request(t testing.TB) (crypto.Signer, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, requestFor(t, key)
}

func requestFor(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// made is the answer to an order that a script sends.
type made struct {
	ID, Name, File, Page    string
	Certificates            []string
	Mobileconfig, EAPConfig string
	Cause, Next             string
}

// order sends what the script sends.
func (h *house) order(b *webtest.Browser, values ...string) made {
	h.T.Helper()
	form := url.Values{}
	for i := 0; i < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	b.Post("/portal/certificates/order", form)
	var out made
	if err := json.Unmarshal([]byte(b.Body), &out); err != nil {
		h.T.Fatalf("%d at %s is no JSON: %v\n%s", b.Status, b.Location(), err, b.Text())
	}
	return out
}

// certificate makes one for a label as the browser does.
func (h *house) certificate(b *webtest.Browser, label string) ca.Certificate {
	h.T.Helper()
	_, text := request(h.T)
	m := h.order(b, "request", text, "label", label)
	if m.ID == "" {
		h.T.Fatalf("no certificate: %s %s", m.Cause, m.Next)
	}
	var c ca.Certificate
	h.Read(func(tx *store.Tx) (err error) {
		c, err = h.ca.Get(tx, m.ID)
		return err
	})
	return c
}

func (h *house) get(id string) (c ca.Certificate) {
	h.T.Helper()
	h.Read(func(tx *store.Tx) (err error) {
		c, err = h.ca.Get(tx, id)
		return err
	})
	return c
}

func der(t testing.TB, text string) *x509.Certificate {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	day  = 24 * time.Hour
	home = "/portal/certificates"
)

func ok(t *testing.T, b *webtest.Browser, page string) {
	t.Helper()
	if b.Status != http.StatusOK || !strings.HasPrefix(b.Location(), logintest.Origin+page) {
		t.Fatalf("%d at %s\n%s", b.Status, b.Location(), b.Text())
	}
}
