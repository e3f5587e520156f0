package service

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/front/saml/xmlsig"
)

// Provider is a service that speaks SAML 2.0. Of Config it needs no client secret and
// no scopes; Issuer is the gate's origin, ClientID its own entityID.
type Provider struct {
	cfg  Config
	meta string // address of the gate's metadata
	key  *rsa.PrivateKey
	page *template.Template
	mux  *http.ServeMux

	mu       sync.Mutex
	gate     *gate
	pending  map[string]time.Time // by request id
	sessions map[string]*visit    // by cookie
}

// gate is what the metadata says of the identity provider.
type gate struct {
	entity, sso string
	keys        []crypto.PublicKey
}

// ConsumerURL is where the gate posts its responses.
func (c Config) ConsumerURL() string { return c.Origin + "/acs" }

// NewProvider makes a service that knows the gate by the address of its metadata and
// signs and decrypts with key.
func NewProvider(cfg Config, metadataURL string, key *rsa.PrivateKey) (*Provider, error) {
	page, err := template.ParseFS(files, "page.html")
	if err != nil {
		return nil, err
	}
	s := &Provider{
		cfg: cfg, meta: metadataURL, key: key, page: page, mux: http.NewServeMux(), pending: map[string]time.Time{}, sessions: map[string]*visit{},
	}
	s.mux.HandleFunc("GET /{$}", s.home)
	s.mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, _ *http.Request) { writeStyle(w, cfg.Colour) })
	s.mux.HandleFunc("GET /signin", s.signIn)
	s.mux.HandleFunc("POST /acs", s.consume)
	s.mux.HandleFunc("POST /signout", s.signOut)
	return s, nil
}

// ServeHTTP answers people.
func (s *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header(), s.cfg.Issuer)
	s.mux.ServeHTTP(w, r)
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
	if g.sso == "" || len(g.keys) == 0 {
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
	id := "_" + strings.ToLower(rand.Text())
	d := xmldoc.NewWriter(xmldoc.Spaces{"samlp": metadata.SAMLP, "saml": metadata.SAML})
	d.Start("samlp:AuthnRequest", "ID", id, "Version", "2.0", "IssueInstant", time.Now().UTC().Format(time.RFC3339),
		"Destination", g.sso, "AssertionConsumerServiceURL", s.cfg.ConsumerURL(), "ProtocolBinding", metadata.POST)
	d.Leaf("saml:Issuer", s.cfg.ClientID)
	if r.URL.Query().Has("more") {
		d.Start("samlp:RequestedAuthnContext", "Comparison", "exact").Leaf("saml:AuthnContextClassRef", strongerClass).End()
	}
	d.End()
	var packed bytes.Buffer
	f, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = f.Write(d.Bytes())
		err = errors.Join(err, f.Close())
	}
	q := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes())) + "&RelayState=home&SigAlg=" + url.QueryEscape(xmlsig.RSASHA256)
	var signature []byte
	if err == nil {
		_, signature, err = xmlsig.Bare(s.key, []byte(q))
	}
	if err != nil {
		s.show(w, r, http.StatusInternalServerError, nil, err.Error())
		return
	}
	s.mu.Lock()
	for k, at := range s.pending {
		if time.Since(at) > attemptLife {
			delete(s.pending, k)
		}
	}
	s.pending[id] = time.Now()
	s.mu.Unlock()
	// The answer comes as a form from another site, which brings no other cookies.
	http.SetCookie(w, &http.Cookie{Name: "__Host-request" + id, Value: "1", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode, MaxAge: int(attemptLife / time.Second)})
	http.Redirect(w, r, g.sso+"?"+q+"&Signature="+url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), http.StatusSeeOther)
}

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
	key := rand.Text() + rand.Text()
	s.mu.Lock()
	s.sessions[key] = v
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: key, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
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
	s.mu.Lock()
	_, asked := s.pending[id]
	delete(s.pending, id)
	s.mu.Unlock()
	if _, err := r.Cookie("__Host-request" + id); !asked || err != nil || root.Attr("Destination") != s.cfg.ConsumerURL() {
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
	v := &visit{Subject: a.Path(metadata.SAML, "Subject", "NameID").Text(), Began: time.Now()}
	statement := a.First(metadata.SAML, "AuthnStatement")
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

func (s *Provider) home(w http.ResponseWriter, r *http.Request) {
	if choseLanguage(w, r) {
		return
	}
	s.show(w, r, http.StatusOK, s.visit(r), "")
}

func (s *Provider) visit(r *http.Request) *visit {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[c.Value]
}

// signOut ends the session here alone.
func (s *Provider) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		s.mu.Lock()
		delete(s.sessions, c.Value)
		s.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", Secure: true, HttpOnly: true, MaxAge: -1})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Provider) show(w http.ResponseWriter, r *http.Request, status int, v *visit, problem string) {
	d := view{Config: s.cfg, JA: japanese(r), Problem: problem, Visit: v}
	if s.cfg.Place != nil {
		d.Place, d.PlaceTo = s.cfg.Place(r, d.JA)
	}
	d.More = v != nil && v.acr != strongerClass
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = s.page.ExecuteTemplate(w, "page.html", d)
}
