package saml_test

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/audit"
	"seimon/internal/directory"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
	"seimon/internal/web/webtest"
)

const (
	origin = logintest.Origin
	sso    = origin + "/saml/sso"
	idp    = origin + "/saml/metadata"

	policyText = `
[[rule]]
name = "everything"
classes = 1

[enrolment]
classes = 2
`
)

// pair is a key with its certificate.
type pair struct {
	key  crypto.Signer
	cert []byte
}

func newPair(t testing.TB, key crypto.Signer) pair {
	t.Helper()
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sp"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{key, der}
}

func (p pair) text() string { return base64.StdEncoding.EncodeToString(p.cert) }

// pairs makes the keys of the test services once.
var pairs = sync.OnceValues(func() (rsaPair, ecPair *pair) { //nolint:gochecknoglobals // keys are slow to make
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	e, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if errors.Join(err, err2) != nil {
		panic(errors.Join(err, err2))
	}
	var t testing.T
	a, b := newPair(&t, r), newPair(&t, e)
	return &a, &b
})

// gate is a whole house with the SAML front.
type gate struct {
	*logintest.House
	front *saml.Front
	book  *rp.Book
	hanak directory.Account
}

func open(t testing.TB) *gate {
	t.Helper()
	g := openEmpty(t)
	g.hanak = g.House.Person("hanako")
	return g
}

func openEmpty(t testing.TB, change ...func(*saml.Settings)) *gate {
	t.Helper()
	g := &gate{House: logintest.New(t, []store.Schema{saml.Schema(), feed.Schema()}, []lang.Source{saml.Words()})}
	g.book = rp.New(g.DB, g.Ring.MAC, saml.Check(), rp.Check{
		Protocol: "neighbour", Verify: func(*rp.Party, *rp.Party) (map[string]string, error) { return nil, nil },
	})
	settings := saml.Settings{
		Scopes: []string{"example.ac.jp", "med.example.ac.jp"}, Names: map[lang.Tag]string{lang.JA: "正門大学", lang.EN: "Seimon University"},
		ErrorURL: origin + "/portal", Technical: "tech@example.ac.jp", Security: "cert@example.ac.jp", Sirtfi: true,
		Patience: time.Millisecond,
	}
	for _, fn := range change {
		fn(&settings)
	}
	g.front = saml.New(saml.Rooms{
		DB: g.DB, Hall: g.Hall, Parties: g.book, People: g.People, Sessions: g.Sessions, Ring: g.Ring, Audit: g.Audit, Settings: settings,
	})
	if err := errors.Join(g.Hall.Open(g.front), g.Site.Templates(saml.Templates()), g.Site.Check()); err != nil {
		t.Fatal(err)
	}
	storetest.Keep(t, g.DB, g.front.EntityID(), "saml_key", func() error { return g.front.Found(t.Context()) })
	g.Write(func(tx *store.Tx) error {
		list, err := g.book.List(tx)
		for _, p := range list {
			if err == nil {
				err = g.book.Remove(tx, p.ID)
			}
		}
		return err
	})
	g.Apply(policyText)
	return g
}

func consumer(id string) string {
	if u, err := url.Parse(id); err == nil && u.Host != "" {
		return "https://" + u.Host + "/acs"
	}
	return "https://" + id + ".example.org/acs"
}

// service registers a service whose registration and party may be changed.
func (g *gate) service(id string, change func(*saml.Registration), party ...func(*rp.Party)) {
	g.T.Helper()
	r := saml.Registration{Format: metadata.Persistent, Service: metadata.Service{
		Consumers: []metadata.Endpoint{{Location: consumer(id), Index: 0, Default: true}, {Location: consumer(id) + "/second", Index: 7}},
	}}
	if change != nil {
		change(&r)
	}
	text, err := json.Marshal(r)
	if err != nil {
		g.T.Fatal(err)
	}
	p := rp.Party{
		ID: id, Protocol: saml.Name, Names: map[lang.Tag]string{lang.EN: "The " + id}, Consent: rp.ConsentNone, Registration: text,
		Release: []rp.Release{{Attribute: "displayName"}, {Attribute: "displayName;ja"}, {Attribute: "mail"}, {Attribute: "eduPersonAffiliation"}},
	}
	for _, fn := range party {
		fn(&p)
	}
	g.Write(func(tx *store.Tx) error { return g.book.Put(tx, p) })
}

func (g *gate) browser() *webtest.Browser {
	b := webtest.New(g.T, origin, g.Site.Handler())
	b.Accept = "en"
	return b
}

// asking is an AuthnRequest and how it is sent. Zero fields are sound ones.
type asking struct {
	id, issuer, instant, destination, version, relay string
	attrs                                            []string // further attributes of the root, before the sound ones
	inside                                           string   // XML inside, after Issuer
	sign                                             *pair
}

var serial = func() func() string { //nolint:gochecknoglobals // ids of requests
	var mu sync.Mutex
	n := 0
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return "_r" + big.NewInt(int64(n)).String()
	}
}()

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// plain writes the message; without when its id is needed.
func (g *gate) plain(a *asking) (text []byte, at int) {
	a.id = or(a.id, serial())
	destination := or(a.destination, sso)
	if destination == "-" {
		destination = ""
	}
	w := xmldoc.NewWriter(xmldoc.Spaces{"samlp": metadata.SAMLP, "saml": metadata.SAML})
	w.Start("samlp:AuthnRequest", append(a.attrs, "ID", a.id, "Version", or(a.version, "2.0"), "Destination", destination,
		"IssueInstant", or(a.instant, g.Clock.Now().UTC().Format(time.RFC3339)))...)
	w.Leaf("saml:Issuer", a.issuer)
	at = w.Len()
	w.Raw([]byte(a.inside)).End()
	return w.Bytes(), at
}

func deflated(text []byte) string {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	_, _ = w.Write(text)
	_ = w.Close()
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

// redirect is the address of a request by Redirect.
func (g *gate) redirect(a *asking) string {
	g.T.Helper()
	text, _ := g.plain(a)
	return g.address(text, a.relay, a.sign)
}

func (g *gate) address(text []byte, relay string, sign *pair) string {
	g.T.Helper()
	q := "SAMLRequest=" + url.QueryEscape(deflated(text))
	if relay != "" {
		q += "&RelayState=" + url.QueryEscape(relay)
	}
	if sign != nil {
		algorithm, err := xmlsig.AlgorithmFor(sign.key.Public())
		if err != nil {
			g.T.Fatal(err)
		}
		q += "&SigAlg=" + url.QueryEscape(algorithm)
		_, sig, err := xmlsig.Bare(sign.key, []byte(q))
		if err != nil {
			g.T.Fatal(err)
		}
		q += "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(sig))
	}
	return "/saml/sso?" + q
}

// form is a request by POST.
func (g *gate) form(a *asking) url.Values {
	g.T.Helper()
	text, at := g.plain(a)
	if a.sign != nil {
		var err error
		if text, err = xmlsig.Sign(text, a.id, at, xmlsig.Key{Signer: a.sign.key}); err != nil {
			g.T.Fatal(err)
		}
	}
	v := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(text)}}
	if a.relay != "" {
		v.Set("RelayState", a.relay)
	}
	return v
}

// signIn walks the sign-in pages.
func signIn(b *webtest.Browser, user string) *webtest.Browser {
	if strings.Contains(b.Body, `name="username"`) {
		b.Submit("Continue", "username", user)
	}
	return b.Submit("Continue", "password", logintest.Password)
}

// read is a response as a careful service reads it.
type read struct {
	root, assertion *xmldoc.Node
	status          []string
	message         string
	relay           string
	raw             string
	signedResponse  bool
	signedAssertion bool
	encrypted       bool
}

// arrived tells whether a response for the service is on the page.
func arrived(b *webtest.Browser, id string) bool {
	return !b.Left() && strings.Contains(b.Body, `name="SAMLResponse"`) && strings.Contains(b.Body, `action="`+consumer(id))
}

// response reads what the page would post, checks signatures with the keys of our
// published metadata, and opens what is encrypted.
func (g *gate) response(b *webtest.Browser, keys ...*rsa.PrivateKey) read {
	g.T.Helper()
	if !strings.Contains(b.Body, `name="SAMLResponse"`) {
		g.T.Fatalf("no response on %d %s:\n%s", b.Status, b.Location(), b.Text())
	}
	raw, err := base64.StdEncoding.DecodeString(b.Field("SAMLResponse"))
	if err != nil {
		g.T.Fatal(err)
	}
	out := read{raw: string(raw)}
	if strings.Contains(b.Body, `name="RelayState"`) {
		out.relay = b.Field("RelayState")
	}
	root, err := xmldoc.Parse(raw, xmldoc.Limits{})
	if err != nil {
		g.T.Fatalf("%v: %s", err, raw)
	}
	if !bytes.Equal(xmldoc.Canonical(root, nil, nil), raw) {
		g.T.Errorf("not canonical: %s", raw)
	}
	if out.signedResponse = xmlsig.Signed(root); out.signedResponse {
		if root, err = xmlsig.Verify(root, g.keys(), xmldoc.Limits{}); err != nil {
			g.T.Fatalf("%v: %s", err, raw)
		}
	}
	out.root = root
	for c := root.Path(metadata.SAMLP, "Status", "StatusCode"); c != nil; c = c.First(metadata.SAMLP, "StatusCode") {
		out.status = append(out.status, strings.TrimPrefix(c.Attr("Value"), "urn:oasis:names:tc:SAML:2.0:status:"))
	}
	out.message = root.Path(metadata.SAMLP, "Status", "StatusMessage").Text()
	out.assertion = root.First(metadata.SAML, "Assertion")
	if e := root.First(metadata.SAML, "EncryptedAssertion"); e != nil {
		out.encrypted = true
		if out.assertion, err = xmlenc.Decrypt(e.First(xmlenc.Space, "EncryptedData"), keys, xmldoc.Limits{}); err != nil {
			g.T.Fatal(err)
		}
	}
	if out.assertion != nil {
		if out.signedAssertion = xmlsig.Signed(out.assertion); out.signedAssertion {
			if out.assertion, err = xmlsig.Verify(out.assertion, g.keys(), xmldoc.Limits{}); err != nil {
				g.T.Fatal(err)
			}
		}
		if !out.signedAssertion && !out.signedResponse {
			g.T.Error("nothing is signed")
		}
	}
	return out
}

// metadata gives our metadata, its signature verified with its own keys.
func (g *gate) metadata() *xmldoc.Node {
	g.T.Helper()
	b := g.browser().Get("/saml/metadata")
	n, err := xmldoc.Parse([]byte(b.Body), xmldoc.Limits{})
	if err != nil {
		g.T.Fatalf("%v: %s", err, b.Body)
	}
	keys := published(g.T, n)
	if n, err = xmlsig.Verify(n, keys, xmldoc.Limits{}); err != nil {
		g.T.Fatal(err)
	}
	return n
}

func published(t testing.TB, n *xmldoc.Node) []crypto.PublicKey {
	t.Helper()
	var out []crypto.PublicKey
	for _, k := range n.First(metadata.MD, "IDPSSODescriptor").All(metadata.MD, "KeyDescriptor") {
		if k.Attr("use") == "encryption" {
			continue
		}
		c, err := metadata.Certificate(k.Path(xmlsig.Space, "KeyInfo", "X509Data", "X509Certificate").Text())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c.PublicKey)
	}
	return out
}

func (g *gate) keys() []crypto.PublicKey { return published(g.T, g.metadata()) }

// text finds the text of an element below.
func text(n *xmldoc.Node, space, local string) string {
	out := ""
	if n != nil {
		n.Walk(func(x *xmldoc.Node) bool {
			if x.Is(space, local) {
				out = x.Text()
				return false
			}
			return true
		})
	}
	return out
}

func find(n *xmldoc.Node, local string) *xmldoc.Node {
	var out *xmldoc.Node
	n.Walk(func(x *xmldoc.Node) bool {
		if x.Local == local {
			out = x
			return false
		}
		return true
	})
	return out
}

// attributes gives what an assertion tells, by friendly name.
func attributes(n *xmldoc.Node) map[string][]string {
	out := map[string][]string{}
	for _, a := range n.First(metadata.SAML, "AttributeStatement").All(metadata.SAML, "Attribute") {
		for _, v := range a.All(metadata.SAML, "AttributeValue") {
			out[a.Attr("FriendlyName")] = append(out[a.Attr("FriendlyName")], v.Text())
		}
	}
	return out
}

// events lists the audit events of a type.
func (g *gate) events(prefix string) []audit.Event {
	g.T.Helper()
	var out []audit.Event
	err := g.DB.Read(g.T.Context(), func(tx *store.Tx) (err error) {
		out, err = g.Audit.Find(tx, audit.Query{TypePrefix: prefix, Limit: 100, Newest: true})
		return err
	})
	if err != nil {
		g.T.Fatal(err)
	}
	return out
}

type cryptoKey = crypto.PublicKey

func freshKey(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type langTag = lang.Tag
