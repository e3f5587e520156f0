package service

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/front/saml/xmlsig"
)

// Provider is a service that speaks SAML 2.0. Of Config it needs no client secret and
// no scopes; Issuer is the gate's origin, ClientID its own entityID.
type Provider struct {
	pages
	meta string // address of the gate's metadata
	key  *rsa.PrivateKey

	gate    *gate
	pending map[string]time.Time // by request id
}

// gate is what the metadata says of the identity provider.
type gate struct {
	entity, sso, slo string
	keys             []crypto.PublicKey
}

// ConsumerURL is where the gate posts its responses.
func (c Config) ConsumerURL() string { return c.Origin + "/acs" }

// NewProvider makes a service that knows the gate by the address of its metadata and
// signs and decrypts with key.
func NewProvider(cfg Config, metadataURL string, key *rsa.PrivateKey) (*Provider, error) {
	s := &Provider{meta: metadataURL, key: key, pending: map[string]time.Time{}}
	if err := s.open(cfg, strongerClass); err != nil {
		return nil, err
	}
	s.mux.HandleFunc("GET /signin", s.signIn)
	s.mux.HandleFunc("POST /acs", s.consume)
	s.mux.HandleFunc("POST /signout", s.signOut)
	s.mux.HandleFunc("GET /slo", s.left)
	s.mux.HandleFunc("POST /soap", s.told)
	return s, nil
}

// discover reads the gate's metadata once. Where it comes from is vouched for by TLS.
func (s *Provider) discover(r *http.Request) (*gate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate != nil {
		return s.gate, nil
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.meta, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := s.cfg.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	n, err := xmldoc.Parse(text, metadata.Limits())
	if err != nil {
		return nil, err
	}
	g := &gate{entity: n.Attr("entityID")}
	idp := n.First(metadata.MD, "IDPSSODescriptor")
	for _, k := range idp.All(metadata.MD, "KeyDescriptor") {
		if k.Attr("use") == "encryption" {
			continue
		}
		c, err := metadata.Certificate(k.Path(xmlsig.Space, "KeyInfo", "X509Data", "X509Certificate").Text())
		if err != nil {
			return nil, err
		}
		g.keys = append(g.keys, c.PublicKey)
	}
	for _, e := range idp.All(metadata.MD, "SingleSignOnService") {
		if e.Attr("Binding") == metadata.Redirect {
			g.sso = e.Attr("Location")
		}
	}
	for _, e := range idp.All(metadata.MD, "SingleLogoutService") {
		if e.Attr("Binding") == metadata.Redirect {
			g.slo = e.Attr("Location")
		}
	}
	if g.sso == "" || g.slo == "" || len(g.keys) == 0 {
		return nil, errors.New("the gate's metadata names no address or no key")
	}
	s.gate = g
	return g, nil
}

// signIn sends a signed AuthnRequest by Redirect (SAML Bindings 2.0, 3.4).
func (s *Provider) signIn(w http.ResponseWriter, r *http.Request) {
	g, err := s.discover(r)
	if err != nil {
		s.show(w, r, http.StatusBadGateway, nil, err.Error())
		return
	}
	id := newID()
	d := xmldoc.NewWriter(xmldoc.Spaces{"samlp": metadata.SAMLP, "saml": metadata.SAML})
	d.Start("samlp:AuthnRequest", "ID", id, "Version", "2.0", "IssueInstant", time.Now().UTC().Format(time.RFC3339),
		"Destination", g.sso, "AssertionConsumerServiceURL", s.cfg.ConsumerURL(), "ProtocolBinding", metadata.POST)
	d.Leaf("saml:Issuer", s.cfg.ClientID)
	if r.URL.Query().Has("more") {
		d.Start("samlp:RequestedAuthnContext", "Comparison", "exact").Leaf("saml:AuthnContextClassRef", strongerClass).End()
	}
	s.send(w, r, g.sso, d.End().Bytes(), id)
}

func newID() string { return "_" + strings.ToLower(rand.Text()) }

// strongerClass is asked for when the visitor wants to prove more.
const strongerClass = "https://refeds.org/profile/mfa"

// consume takes a response (SAML Profiles 2.0, 4.1.4.3).
func (s *Provider) consume(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 256<<10)
	v, status, err := s.read(r)
	if err != nil {
		s.show(w, r, status, nil, err.Error())
		return
	}
	s.begin(w, v)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Provider) read(r *http.Request) (*visit, int, error) {
	g, err := s.discover(r)
	if err != nil {
		return nil, http.StatusBadGateway, err
	}
	raw, err := base64.StdEncoding.DecodeString(r.PostFormValue("SAMLResponse"))
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	root, err := xmldoc.Parse(raw, xmldoc.Limits{})
	if err == nil {
		root, err = xmlsig.Verify(root, g.keys, xmldoc.Limits{})
	}
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	id := root.Attr("InResponseTo")
	if !s.asked(r, id) || root.Attr("Destination") != s.cfg.ConsumerURL() {
		return nil, http.StatusBadRequest, errors.New("this sign-in was not begun in this browser, or too long ago")
	}
	code := root.Path(metadata.SAMLP, "Status", "StatusCode")
	if code == nil || !strings.HasSuffix(code.Attr("Value"), ":Success") {
		return nil, http.StatusForbidden, fmt.Errorf("%s: %s", second(code), root.Path(metadata.SAMLP, "Status", "StatusMessage").Text())
	}
	a, err := xmlenc.Decrypt(root.First(metadata.SAML, "EncryptedAssertion").First(xmlenc.Space, "EncryptedData"), []*rsa.PrivateKey{s.key}, xmldoc.Limits{})
	if err == nil {
		err = s.fits(a, g, id)
	}
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	return asserted(a), http.StatusOK, nil
}

// second is the status that says more, in its short form.
func second(code *xmldoc.Node) string {
	if code == nil {
		return "no status"
	}
	v := code.Attr("Value")
	if deeper := code.First(metadata.SAMLP, "StatusCode"); deeper != nil {
		v = deeper.Attr("Value")
	}
	return v[strings.LastIndex(v, ":")+1:]
}

// fits checks that an assertion is for this service, this request and this moment.
func (s *Provider) fits(a *xmldoc.Node, g *gate, request string) error {
	data := a.Path(metadata.SAML, "Subject", "SubjectConfirmation", "SubjectConfirmationData")
	conditions := a.First(metadata.SAML, "Conditions")
	if !a.Is(metadata.SAML, "Assertion") || data == nil || conditions == nil {
		return errors.New("the assertion is not complete")
	}
	until, err := time.Parse(time.RFC3339, data.Attr("NotOnOrAfter"))
	from, err2 := time.Parse(time.RFC3339, conditions.Attr("NotBefore"))
	now, slack := time.Now(), time.Minute
	switch {
	case errors.Join(err, err2) != nil, now.After(until.Add(slack)), now.Before(from.Add(-slack)):
		return errors.New("the assertion is not valid now")
	case a.First(metadata.SAML, "Issuer").Text() != g.entity, data.Attr("InResponseTo") != request, data.Attr("Recipient") != s.cfg.ConsumerURL(),
		conditions.Path(metadata.SAML, "AudienceRestriction", "Audience").Text() != s.cfg.ClientID:
		return errors.New("the assertion is for somebody else")
	}
	return nil
}

// asserted lists what an assertion tells, for the page.
func asserted(a *xmldoc.Node) *visit {
	name, statement := a.Path(metadata.SAML, "Subject", "NameID"), a.First(metadata.SAML, "AuthnStatement")
	v := &visit{Subject: name.Text(), raw: string(xmldoc.Canonical(name, nil, nil)), sid: statement.Attr("SessionIndex"), Began: time.Now()}
	v.acr = statement.Path(metadata.SAML, "AuthnContext", "AuthnContextClassRef").Text()
	v.Claims = append(v.Claims, claim{"NameID", v.Subject}, claim{"AuthnContextClassRef", v.acr})
	if at, err := time.Parse(time.RFC3339, statement.Attr("AuthnInstant")); err == nil {
		v.Claims = append(v.Claims, claim{"AuthnInstant", at.Local().Format("2006-01-02 15:04:05")})
	}
	for _, x := range a.First(metadata.SAML, "AttributeStatement").All(metadata.SAML, "Attribute") {
		var values []string
		for _, t := range x.All(metadata.SAML, "AttributeValue") {
			if n := t.First(metadata.SAML, "NameID"); n != nil { // eduPersonTargetedID
				t = n
			}
			values = append(values, t.Text())
		}
		v.Claims = append(v.Claims, claim{x.Attr("FriendlyName"), strings.Join(values, "; ")})
	}
	return v
}
