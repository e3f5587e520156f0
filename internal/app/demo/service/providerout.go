package service

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
)

// LeaveURL is where the gate answers sign-outs that began here, by the browser.
func (c Config) LeaveURL() string { return c.Origin + "/slo" }

// CallURL is where the gate itself tells that a session is over, by SOAP.
func (c Config) CallURL() string { return c.Origin + "/soap" }

const soapSpace = "http://schemas.xmlsoap.org/soap/envelope/"

func spaces() xmldoc.Spaces {
	return xmldoc.Spaces{"samlp": metadata.SAMLP, "saml": metadata.SAML, "soap": soapSpace}
}

// send carries a signed request to the gate by Redirect (SAML Bindings 2.0, 3.4). Its
// id is bound to this browser until the answer comes.
func (s *Provider) send(w http.ResponseWriter, r *http.Request, to string, text []byte, id string) {
	var packed bytes.Buffer
	f, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = f.Write(text)
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
	// The answer may come as a form from another site, which brings no other cookies.
	http.SetCookie(w, &http.Cookie{Name: "__Host-request" + id, Value: "1", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode, MaxAge: int(attemptLife / time.Second)})
	http.Redirect(w, r, to+"?"+q+"&Signature="+url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), http.StatusSeeOther)
}

// asked tells, once, whether a request was sent from this browser.
func (s *Provider) asked(r *http.Request, id string) bool {
	s.mu.Lock()
	_, ok := s.pending[id]
	delete(s.pending, id)
	s.mu.Unlock()
	_, err := r.Cookie("__Host-request" + id)
	return ok && err == nil
}

// signOut ends the session here and asks the gate to end the others (SAML Profiles
// 2.0, 4.4.3.1).
func (s *Provider) signOut(w http.ResponseWriter, r *http.Request) {
	v := s.visit(r)
	if v == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	g, err := s.discover(r)
	if err != nil {
		s.show(w, r, http.StatusBadGateway, v, err.Error())
		return
	}
	s.forget(w, r)
	id, d := newID(), xmldoc.NewWriter(spaces())
	d.Start("samlp:LogoutRequest", "ID", id, "Version", "2.0", "IssueInstant", time.Now().UTC().Format(time.RFC3339), "Destination", g.slo,
		"NotOnOrAfter", time.Now().Add(5*time.Minute).UTC().Format(time.RFC3339))
	d.Leaf("saml:Issuer", s.cfg.ClientID).Raw([]byte(v.raw)).Leaf("samlp:SessionIndex", v.sid).End()
	s.send(w, r, g.slo, d.Bytes(), id)
}

// left takes the gate's answer, and shows how far the sign-out reached.
func (s *Provider) left(w http.ResponseWriter, r *http.Request) {
	n, err := s.answer(r)
	if err != nil {
		s.show(w, r, http.StatusBadRequest, nil, err.Error())
		return
	}
	how := "all"
	if code := second(n.Path(metadata.SAMLP, "Status", "StatusCode")); code != "Success" {
		how = "some"
	}
	http.Redirect(w, r, "/?left="+how, http.StatusSeeOther)
}

// answer reads a LogoutResponse by Redirect, signed by the gate over the raw query.
func (s *Provider) answer(r *http.Request) (*xmldoc.Node, error) {
	g, err := s.discover(r)
	if err != nil {
		return nil, err
	}
	signed, _, _ := strings.Cut(r.URL.RawQuery, "&Signature=")
	q := r.URL.Query()
	signature, err := base64.StdEncoding.DecodeString(q.Get("Signature"))
	if err == nil {
		err = xmlsig.Check(q.Get("SigAlg"), []byte(signed), signature, g.keys)
	}
	if err != nil {
		return nil, err
	}
	packed, err := base64.StdEncoding.DecodeString(q.Get("SAMLResponse"))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), 64<<10))
	if err != nil {
		return nil, err
	}
	n, err := xmldoc.Parse(text, xmldoc.Limits{})
	if err != nil {
		return nil, err
	}
	if !n.Is(metadata.SAMLP, "LogoutResponse") || n.Attr("Destination") != s.cfg.LeaveURL() || !s.asked(r, n.Attr("InResponseTo")) {
		return nil, errors.New("this sign-out was not begun in this browser, or too long ago")
	}
	return n, nil
}

// told ends sessions at the gate's word, which it sends itself (SAML Bindings 2.0, 3.2).
func (s *Provider) told(w http.ResponseWriter, r *http.Request) {
	n, err := s.request(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name, status := n.First(metadata.SAML, "NameID").Text(), "Success"
	index := n.First(metadata.SAMLP, "SessionIndex").Text()
	if s.end(func(v *visit) bool { return v.Subject == name && (index == "" || v.sid == index) }) == 0 {
		status = "Requester"
	}
	id, d := newID(), xmldoc.NewWriter(spaces())
	d.Start("samlp:LogoutResponse", "ID", id, "Version", "2.0", "IssueInstant", time.Now().UTC().Format(time.RFC3339), "InResponseTo", n.Attr("ID"))
	d.Leaf("saml:Issuer", s.cfg.ClientID)
	at := d.Len()
	d.Start("samlp:Status").Leaf("samlp:StatusCode", "", "Value", "urn:oasis:names:tc:SAML:2.0:status:"+status).End().End()
	text, err := xmlsig.Sign(d.Bytes(), id, at, xmlsig.Key{Signer: s.key})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = w.Write(xmldoc.NewWriter(spaces()).Start("soap:Envelope").Start("soap:Body").Raw(text).End().End().Bytes())
}

// request reads the gate's LogoutRequest out of an envelope.
func (s *Provider) request(r *http.Request) (*xmldoc.Node, error) {
	g, err := s.discover(r)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	root, err := xmldoc.Parse(text, xmldoc.Limits{})
	if err != nil {
		return nil, err
	}
	n := root.First(soapSpace, "Body").First(metadata.SAMLP, "LogoutRequest")
	if n == nil {
		return nil, errors.New("no LogoutRequest")
	}
	if n, err = xmlsig.Verify(n, g.keys, xmldoc.Limits{}); err != nil {
		return nil, err
	}
	until, err := time.Parse(time.RFC3339, n.Attr("NotOnOrAfter"))
	if err != nil || time.Now().After(until.Add(time.Minute)) || n.Attr("Destination") != s.cfg.CallURL() || n.First(metadata.SAML, "Issuer").Text() != g.entity {
		return nil, fmt.Errorf("a LogoutRequest for somebody else, or too late: %s", n.Attr("Destination"))
	}
	return n, nil
}
