package saml

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/front/saml/xmlsig"
)

// The status codes that we send (SAML Core 2.0, 3.2.2.2).
const (
	statusSpace       = "urn:oasis:names:tc:SAML:2.0:status:"
	statusSuccess     = statusSpace + "Success"
	statusRequester   = statusSpace + "Requester"
	statusResponder   = statusSpace + "Responder"
	statusNoContext   = statusSpace + "NoAuthnContext"
	statusNoPassive   = statusSpace + "NoPassive"
	statusFailed      = statusSpace + "AuthnFailed"
	statusDenied      = statusSpace + "RequestDenied"
	statusNamePolicy  = statusSpace + "InvalidNameIDPolicy"
	statusNoSupported = statusSpace + "NoSupportedIDP"
	statusPrincipal   = statusSpace + "UnknownPrincipal"
	statusUnsupported = statusSpace + "RequestUnsupported"
	statusPartial     = statusSpace + "PartialLogout"
	statusBinding     = statusSpace + "UnsupportedBinding"
	statusVersion     = statusSpace + "VersionMismatch"
	statusTooLow      = statusSpace + "RequestVersionTooLow"
	statusTooHigh     = statusSpace + "RequestVersionTooHigh"
)

// status is what a service is told instead of an assertion. The text is for the
// people who run it, in English.
type status struct{ code, sub, text string }

func refuse(code, sub, text string) *status { return &status{code, sub, text} }

// answer is everything that a response says about somebody who signed in.
type answer struct {
	Name       nameID
	Targeted   *nameID
	Attributes []value
	Session    string // SessionIndex
	At         time.Time
	Class      string
}

// newID makes an id that has the form of xs:ID and cannot be guessed.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // never fails (crypto/rand.Read)
	return "_" + hex.EncodeToString(b[:])
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func spaces() xmldoc.Spaces {
	return xmldoc.Spaces{"saml": metadata.SAML, "samlp": metadata.SAMLP}
}

// respond writes the response to a request, signed and encrypted as the service
// registered: with an assertion, or with a status that says why there is none.
func (f *Front) respond(v reply, now time.Time) ([]byte, error) {
	s, q, no := v.s, v.q, v.no
	key, _, err := f.signerFor(s)
	if err != nil {
		return nil, err
	}
	whole, assertion := s.signs()
	var part []byte
	if no == nil {
		to, encrypt := s.reader()
		cbc := encrypt && (to.Content == xmlenc.AES128CBC || to.Content == xmlenc.AES256CBC)
		if part, err = f.assertion(v, now, signing{key, assertion || cbc}); err != nil {
			return nil, err
		}
		if encrypt {
			data, err := xmlenc.Encrypt(part, to)
			if err != nil {
				return nil, err
			}
			part = xmldoc.NewWriter(spaces()).Start("saml:EncryptedAssertion").Raw(data).End().Bytes()
		}
	}
	w := xmldoc.NewWriter(spaces())
	id := newID()
	w.Start("samlp:Response", "ID", id, "Version", "2.0", "IssueInstant", instant(now), "Destination", q.Consumer, "InResponseTo", q.ID)
	w.Leaf("saml:Issuer", f.EntityID())
	at := w.Len()
	writeStatus(w, no)
	w.Raw(part).End()
	if !whole && no == nil {
		return w.Bytes(), nil
	}
	return xmlsig.Sign(w.Bytes(), id, at, key)
}

func writeStatus(w *xmldoc.Writer, no *status) {
	w.Start("samlp:Status")
	switch {
	case no == nil:
		w.Leaf("samlp:StatusCode", "", "Value", statusSuccess)
	default:
		w.Start("samlp:StatusCode", "Value", no.code)
		if no.sub != "" {
			w.Leaf("samlp:StatusCode", "", "Value", no.sub)
		}
		w.End().Leaf("samlp:StatusMessage", no.text)
	}
	w.End()
}

// signing says with what an element is signed, if at all.
type signing struct {
	key xmlsig.Key
	on  bool
}

// assertion writes the assertion of Web Browser SSO (SAML Profiles 2.0, 4.1.4.2).
func (f *Front) assertion(v reply, now time.Time, sign signing) ([]byte, error) {
	s, q, a := v.s, v.q, v.a
	w := xmldoc.NewWriter(spaces())
	id, until := newID(), instant(now.Add(responseLife))
	w.Start("saml:Assertion", "ID", id, "Version", "2.0", "IssueInstant", instant(now))
	w.Leaf("saml:Issuer", f.EntityID())
	at := w.Len()
	w.Start("saml:Subject")
	if err := f.writeName(w, s, a.Name); err != nil {
		return nil, err
	}
	w.Start("saml:SubjectConfirmation", "Method", "urn:oasis:names:tc:SAML:2.0:cm:bearer")
	w.Leaf("saml:SubjectConfirmationData", "", "InResponseTo", q.ID, "NotOnOrAfter", until, "Recipient", q.Consumer)
	w.End().End()
	w.Start("saml:Conditions", "NotBefore", instant(now), "NotOnOrAfter", until)
	w.Start("saml:AudienceRestriction").Leaf("saml:Audience", s.ID).End().End()
	w.Start("saml:AuthnStatement", "AuthnInstant", instant(a.At), "SessionIndex", a.Session)
	w.Start("saml:AuthnContext").Leaf("saml:AuthnContextClassRef", a.Class).End().End()
	writeAttributes(w, a)
	w.End()
	if !sign.on {
		return w.Bytes(), nil
	}
	return xmlsig.Sign(w.Bytes(), id, at, sign.key)
}

// reader tells for whom assertions are encrypted, if at all.
func (s *service) reader() (xmlenc.Reader, bool) {
	if s.Encrypt == encryptNever {
		return xmlenc.Reader{}, false
	}
	return s.recipient()
}

// recipient chooses the certificate to encrypt for, and how: the best method that the
// service names, AES-128-GCM where it names none; AES-CBC only for one that names
// nothing better (SAML2Int, SDP-MD and SDP-G).
func (s *service) recipient() (xmlenc.Reader, bool) {
	for _, r := range s.Encryption {
		key, der, err := r.Key()
		if err != nil {
			continue
		}
		to := xmlenc.Reader{Key: key, Certificate: der, Content: xmlenc.AES128GCM, Transport: xmlenc.OAEPSHA1}
		pick := func(among []string, into *string) {
			for _, m := range among {
				for _, have := range r.Methods {
					if have == m {
						*into = m
						return
					}
				}
			}
		}
		pick(xmlenc.Contents(), &to.Content)
		pick(xmlenc.Transports(), &to.Transport)
		return to, true
	}
	return xmlenc.Reader{}, false
}
