package main

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	crewjam "github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"
	saml2 "github.com/russellhaering/gosaml2"
	dsig "github.com/russellhaering/goxmldsig"

	"seimon/test/lab/stand"
)

const mfa = "https://refeds.org/profile/mfa"

// show writes what a service learnt.
func show(w http.ResponseWriter, s seen) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	json.NewEncoder(w).Encode(s) //nolint:errcheck // the browser may be gone
}

// late is a handler that is set after its address is known.
type late struct {
	mu sync.Mutex
	h  http.Handler
}

func (l *late) set(h http.Handler) { l.mu.Lock(); l.h = h; l.mu.Unlock() }

func (l *late) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	h := l.h
	l.mu.Unlock()
	h.ServeHTTP(w, r)
}

// crewjamService starts crewjam/saml as a service; level, when set, is asked for on
// every sign-in.
func crewjamService(s *stand.Stand, host, level string, idp []byte) (string, error) {
	l := &late{}
	origin, err := s.Listen(host, l)
	if err != nil {
		return "", err
	}
	who, err := newIdentity(host)
	if err != nil {
		return "", err
	}
	meta, err := samlsp.ParseMetadata(idp)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(origin)
	if err != nil {
		return "", err
	}
	o := samlsp.Options{
		EntityID: "https://" + host + "/sp", URL: *u, Key: who.key, Certificate: who.cert, IDPMetadata: meta,
		SignRequest: true, CookieSameSite: http.SameSiteNoneMode,
	}
	if level != "" {
		o.RequestedAuthnContext = &crewjam.RequestedAuthnContext{Comparison: "exact", AuthnContextClassRef: level}
	}
	m, err := samlsp.New(o)
	if err != nil {
		return "", err
	}
	m.ServiceProvider.SignatureMethod = dsig.RSASHA256SignatureMethod // it signs with SHA-1 otherwise
	own, err := xml.Marshal(m.ServiceProvider.Metadata())
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.Handle("/saml/", m)
	(&crewjamLogout{m, meta}).mount(mux)
	mux.Handle("/", m.RequireAccount(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := samlsp.SessionFromContext(r.Context()).(samlsp.JWTSessionClaims)
		out := seen{Name: c.Subject, Attributes: map[string][]string{}}
		for k, v := range c.Attributes {
			out.Attributes[k] = v
		}
		show(w, out)
	})))
	l.set(mux)
	return origin + "/", register(s, o.EntityID, own)
}

// gosaml2Service starts gosaml2 (on goxmldsig) as a service. Every response is held
// against the schema too.
func gosaml2Service(s *stand.Stand, host, level string, idp []byte) (string, error) {
	l := &late{}
	origin, err := s.Listen(host, l)
	if err != nil {
		return "", err
	}
	who, err := newIdentity(host)
	if err != nil {
		return "", err
	}
	var meta struct {
		ID   string `xml:"entityID,attr"`
		Role struct {
			Keys []string `xml:"KeyDescriptor>KeyInfo>X509Data>X509Certificate"`
			SSO  []struct {
				Binding  string `xml:"Binding,attr"`
				Location string `xml:"Location,attr"`
			} `xml:"SingleSignOnService"`
			SLO []struct {
				Binding  string `xml:"Binding,attr"`
				Location string `xml:"Location,attr"`
			} `xml:"SingleLogoutService"`
		} `xml:"IDPSSODescriptor"`
	}
	if err := xml.Unmarshal(idp, &meta); err != nil {
		return "", err
	}
	store := &dsig.MemoryX509CertificateStore{}
	for _, text := range meta.Role.Keys {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return "", err
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return "", err
		}
		store.Roots = append(store.Roots, c)
	}
	id := "https://" + host + "/sp"
	sp := &saml2.SAMLServiceProvider{
		IdentityProviderSSOURL: meta.Role.SSO[0].Location, IdentityProviderIssuer: meta.ID, AssertionConsumerServiceURL: origin + "/acs",
		ServiceProviderIssuer: id, AudienceURI: id, IDPCertificateStore: store, SignAuthnRequests: true,
		SignAuthnRequestsAlgorithm:     dsig.RSASHA256SignatureMethod,
		SignAuthnRequestsCanonicalizer: dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(""), NameIdFormat: saml2.NameIdFormatPersistent,
		SPKeyStore:             dsig.TLSCertKeyStore{Certificate: [][]byte{who.cert.Raw}, PrivateKey: who.key},
		IdentityProviderSLOURL: meta.Role.SLO[0].Location, ServiceProviderSLOURL: origin + "/slo",
	}
	if level != "" {
		sp.RequestedAuthnContext = &saml2.RequestedAuthnContext{Comparison: saml2.AuthnPolicyMatchExact, Contexts: []string{level}}
	}
	dir := filepath.Join(s.Work, host) // for the schema of what comes
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	here := &gosaml2Sessions{sp: sp, open: map[string]gosaml2Session{}}
	here.mount(mux)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if _, have := here.of(r); have != nil {
			show(w, have.seen)
			return
		}
		address, err := sp.BuildAuthURL("relay")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, address, http.StatusSeeOther)
	})
	mux.HandleFunc("POST /acs", func(w http.ResponseWriter, r *http.Request) {
		raw, err := base64.StdEncoding.DecodeString(r.FormValue("SAMLResponse"))
		if err == nil {
			err = (&referees{dir: dir}).valid("protocol", (&referees{dir: dir}).file("response.xml", string(raw)))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		out, err := readByGosaml2(sp, r.FormValue("SAMLResponse"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		here.begin(w, out)
		show(w, out.seen)
	})
	l.set(mux)
	own, err := sp.MetadataWithSLO(int64(24 * time.Hour)) // it takes the hours for nanoseconds
	if err != nil {
		return "", err
	}
	text, err := xml.Marshal(own)
	if err != nil {
		return "", err
	}
	more := []string{}
	if level != "" { // one of the two in clear, so that the schema sees the assertion
		more = []string{"--with", "encrypt=never", "--with", "sign=both"}
	}
	return origin + "/", register(s, id, text, more...)
}

func readByGosaml2(sp *saml2.SAMLServiceProvider, response string) (gosaml2Session, error) {
	info, err := sp.RetrieveAssertionInfo(response)
	if err != nil {
		return gosaml2Session{}, err
	}
	if info.WarningInfo.InvalidTime || info.WarningInfo.NotInAudience {
		return gosaml2Session{}, fmt.Errorf("warnings %+v", info.WarningInfo)
	}
	out := gosaml2Session{seen{Name: info.NameID, Attributes: map[string][]string{}}, info.SessionIndex}
	for name := range info.Values {
		key := name
		if f := info.Values[name].FriendlyName; f != "" {
			key = f
		}
		for _, v := range info.Values[name].Values {
			out.seen.Attributes[key] = append(out.seen.Attributes[key], v.Value)
		}
	}
	if len(info.Assertions) != 1 {
		return out, errors.New("not one assertion")
	}
	if c := info.Assertions[0].AuthnStatement.AuthnContext; c != nil && c.AuthnContextClassRef != nil {
		out.seen.Class = c.AuthnContextClassRef.Value
	}
	return out, nil
}
