package main

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"
	saml2 "github.com/russellhaering/gosaml2"
	dsig "github.com/russellhaering/goxmldsig"
)

// crewjamLogout is single logout with what crewjam/saml has for it; the signature of a
// request from the gate, which it cannot check, is checked with its own goxmldsig.
type crewjamLogout struct {
	m    *samlsp.Middleware
	gate *crewjam.EntityDescriptor
}

func (c *crewjamLogout) mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /logout", c.leave)
	mux.HandleFunc("POST /saml/slo", c.told)
}

// leave ends the session here and asks the gate to end the others.
func (c *crewjamLogout) leave(w http.ResponseWriter, r *http.Request) {
	s, err := c.m.Session.GetSession(r)
	claims, ok := s.(samlsp.JWTSessionClaims)
	if err != nil || !ok {
		http.Error(w, fmt.Sprint("nobody is signed in: ", err), http.StatusForbidden)
		return
	}
	form, err := c.m.ServiceProvider.MakePostLogoutRequest(claims.Subject, "relay")
	if err == nil {
		err = c.m.Session.DeleteSession(w, r)
	}
	html(w, form, err)
}

// told takes the gate's answer, or its word that the session is over.
func (c *crewjamLogout) told(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("SAMLResponse") != "" {
		html(w, []byte("<p>bye</p>"), c.m.ServiceProvider.ValidateLogoutResponseRequest(r))
		return
	}
	id, err := c.verify(r.FormValue("SAMLRequest"))
	var form []byte
	if err == nil {
		form, err = c.m.ServiceProvider.MakePostLogoutResponse(id, r.FormValue("RelayState"))
	}
	if err == nil {
		err = c.m.Session.DeleteSession(w, r)
	}
	html(w, form, err)
}

func (c *crewjamLogout) verify(message string) (id string, err error) {
	raw, err := base64.StdEncoding.DecodeString(message)
	if err != nil {
		return "", err
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(raw); err != nil {
		return "", err
	}
	roots := &dsig.MemoryX509CertificateStore{}
	for _, k := range c.gate.IDPSSODescriptors[0].KeyDescriptors {
		der, err := base64.StdEncoding.DecodeString(k.KeyInfo.X509Data.X509Certificates[0].Data)
		if err != nil {
			return "", err
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return "", err
		}
		roots.Roots = append(roots.Roots, cert)
	}
	ctx := dsig.NewDefaultValidationContext(roots)
	ctx.IdAttribute = "ID"
	sound, err := ctx.Validate(doc.Root())
	if err != nil {
		return "", err
	}
	text := etree.NewDocument()
	text.SetRoot(sound)
	plain, err := text.WriteToBytes()
	if err != nil {
		return "", err
	}
	var q crewjam.LogoutRequest
	if err := xml.Unmarshal(plain, &q); err != nil {
		return "", err
	}
	if q.Destination != c.m.ServiceProvider.SloURL.String() || q.NameID == nil || q.NameID.Value == "" {
		return "", fmt.Errorf("a LogoutRequest to %s about %v", q.Destination, q.NameID)
	}
	return q.ID, nil
}

// html shows a page, or what went wrong.
func html(w http.ResponseWriter, page []byte, err error) {
	if err != nil {
		var bad *crewjam.InvalidResponseError
		if errors.As(err, &bad) {
			err = bad.PrivateErr
		}
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(page) //nolint:errcheck // the browser may be gone
}

// gosaml2Session is a sign-in at the gosaml2 service.
type gosaml2Session struct {
	seen  seen
	index string
}

// gosaml2Sessions are the sign-ins of the gosaml2 service, and how they end.
type gosaml2Sessions struct {
	sp   *saml2.SAMLServiceProvider
	mu   sync.Mutex
	open map[string]gosaml2Session // by cookie
}

const gosaml2Cookie = "__Host-gosaml2"

func (s *gosaml2Sessions) mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /logout", s.leave)
	mux.HandleFunc("POST /slo", s.told)
}

func (s *gosaml2Sessions) begin(w http.ResponseWriter, v gosaml2Session) {
	key := rand.Text()
	s.mu.Lock()
	s.open[key] = v
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: gosaml2Cookie, Value: key, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode})
}

func (s *gosaml2Sessions) of(r *http.Request) (key string, have *gosaml2Session) {
	c, err := r.Cookie(gosaml2Cookie)
	if err != nil {
		return "", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.open[c.Value]; ok {
		return c.Value, &v
	}
	return "", nil
}

func (s *gosaml2Sessions) leave(w http.ResponseWriter, r *http.Request) {
	key, have := s.of(r)
	if have == nil {
		http.Error(w, "nobody is signed in", http.StatusForbidden)
		return
	}
	doc, err := s.sp.BuildLogoutRequestDocument(have.seen.Name, have.index)
	var form []byte
	if err == nil {
		form, err = s.sp.BuildLogoutBodyPostFromDocument("relay", doc)
	}
	s.mu.Lock()
	delete(s.open, key)
	s.mu.Unlock()
	html(w, form, err)
}

func (s *gosaml2Sessions) told(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("SAMLResponse") != "" {
		v, err := s.sp.ValidateEncodedLogoutResponsePOST(r.FormValue("SAMLResponse"))
		if err == nil && !v.SignatureValidated {
			err = errors.New("the LogoutResponse is not signed")
		}
		html(w, []byte("<p>bye</p>"), err)
		return
	}
	q, err := s.sp.ValidateEncodedLogoutRequestPOST(r.FormValue("SAMLRequest"))
	if err == nil && (!q.SignatureValidated || q.NameID == nil) {
		err = errors.New("the LogoutRequest is not signed, or about nobody")
	}
	if err != nil {
		html(w, nil, err)
		return
	}
	s.mu.Lock()
	for key, v := range s.open {
		if v.seen.Name == q.NameID.Value {
			delete(s.open, key)
		}
	}
	s.mu.Unlock()
	doc, err := s.sp.BuildLogoutResponseDocument(saml2.StatusCodeSuccess, q.ID)
	var form []byte
	if err == nil {
		form, err = s.sp.BuildLogoutResponseBodyPostFromDocument(r.FormValue("RelayState"), doc)
	}
	html(w, form, err)
}
