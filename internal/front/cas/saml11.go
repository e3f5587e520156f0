package cas

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
)

// The names of SAML 1.1 that samlValidate speaks (CAS Protocol 3.0, 4.2).
const (
	soapSpace      = "http://schemas.xmlsoap.org/soap/envelope/"
	protocolSpace  = "urn:oasis:names:tc:SAML:1.0:protocol"
	assertionSpace = "urn:oasis:names:tc:SAML:1.0:assertion"
	attributeSpace = "http://www.ja-sig.org/products/cas/"
	maxSAML        = 16 << 10
)

var errSAML = errors.New("cas: not a SAML 1.1 request with one artifact")

// samlRequest reads the ticket and the id of a SAML 1.1 request in a SOAP envelope. A
// document type, processing instructions, anything around the envelope and more than
// one artifact are refused.
func samlRequest(body []byte) (ticket, id string, err error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Strict = true
	var path []xml.Name
	want := []xml.Name{{Space: soapSpace, Local: "Envelope"}, {Space: soapSpace, Local: "Body"}, {Space: protocolSpace, Local: "Request"}, {Space: protocolSpace, Local: "AssertionArtifact"}}
	seen := 0
	var text strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || len(path) > 8 {
			return "", "", errSAML
		}
		switch t := token.(type) {
		case xml.Directive:
			return "", "", errSAML
		case xml.ProcInst:
			if t.Target != "xml" {
				return "", "", errSAML
			}
		case xml.StartElement:
			path = append(path, t.Name)
			if slices.Equal(path, want[:3]) {
				id = attribute(t, "RequestID")
			}
			if slices.Equal(path, want) {
				seen++
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if slices.Equal(path, want) {
				text.Write(t)
			}
		}
	}
	ticket = strings.TrimSpace(text.String())
	if seen != 1 || ticket == "" || len(id) > 256 {
		return "", "", errSAML
	}
	return ticket, id, nil
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// samlValidate answers a validation in SAML 1.1 (CAS Protocol 3.0, 4.2).
func (f *Front) samlValidate(w http.ResponseWriter, r *http.Request) error {
	target := r.URL.Query().Get("TARGET")
	body, err := io.ReadAll(io.LimitReader(r.Body, maxSAML+1))
	if err != nil {
		return err
	}
	a := asked{service: target}
	id := ""
	if len(body) > maxSAML || len(r.URL.Query()["TARGET"]) != 1 || target == "" {
		a.wrong = "one TARGET and a small request are needed"
	}
	if len(body) <= maxSAML {
		if a.ticket, id, err = samlRequest(body); err != nil {
			a.wrong = "the body is not a SAML 1.1 request for one ticket"
		}
	}
	found, no, err := f.check(r.Context(), a)
	if err != nil {
		no = f.broken(r, err)
	}
	return writeXML(w, no, f.samlAnswer(id, target, no, found.ticket))
}

// samlAnswer is the SOAP envelope around a SAML 1.1 response.
func (f *Front) samlAnswer(id, target string, no *refusal, t ticket) *element {
	now := f.DB.Now().UTC()
	response := el("saml1p:Response", "").with("xmlns:saml1p", protocolSpace).with("MajorVersion", "1").with("MinorVersion", "1").
		with("ResponseID", authn.NewID("_r")).with("IssueInstant", now.Format(time.RFC3339))
	if id != "" {
		response.with("InResponseTo", id)
	}
	if no != nil {
		side := "saml1p:Requester"
		if no.code == errInternal {
			side = "saml1p:Responder"
		}
		response.add(el("saml1p:Status", "",
			el("saml1p:StatusCode", "").with("Value", side), el("saml1p:StatusMessage", no.code+": "+no.text)))
	} else {
		response.with("Recipient", target)
		response.add(el("saml1p:Status", "", el("saml1p:StatusCode", "").with("Value", "saml1p:Success")), f.assertion(t, now))
	}
	return el("SOAP-ENV:Envelope", "", el("SOAP-ENV:Header", ""), el("SOAP-ENV:Body", "", response)).with("xmlns:SOAP-ENV", soapSpace)
}

// assertion says in SAML 1.1 who signed in. It rides on the connection that the
// service opened to us, so it is not signed.
func (f *Front) assertion(t ticket, now time.Time) *element {
	subject := func() *element {
		return el("saml1:Subject", "", el("saml1:NameIdentifier", t.User),
			el("saml1:SubjectConfirmation", "", el("saml1:ConfirmationMethod", "urn:oasis:names:tc:SAML:1.0:cm:artifact")))
	}
	statement := el("saml1:AttributeStatement", "", subject())
	add := func(name string, values ...string) {
		a := el("saml1:Attribute", "").with("AttributeName", elementName(name)).with("AttributeNamespace", attributeSpace)
		for _, v := range values {
			a.add(el("saml1:AttributeValue", v))
		}
		statement.add(a)
	}
	add("acr", t.ACR)
	if len(t.AMR) > 0 {
		add("amr", t.AMR...)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Attributes)) {
		if len(t.Attributes[name]) > 0 {
			add(name, t.Attributes[name]...)
		}
	}
	return el("saml1:Assertion", "",
		el("saml1:Conditions", "", el("saml1:AudienceRestrictionCondition", "", el("saml1:Audience", t.Service))).
			with("NotBefore", now.Add(-clockSlack).Format(time.RFC3339)).with("NotOnOrAfter", now.Add(clockSlack).Format(time.RFC3339)),
		el("saml1:AuthenticationStatement", "", subject()).
			with("AuthenticationInstant", t.At.UTC().Format(time.RFC3339)).with("AuthenticationMethod", "urn:oasis:names:tc:SAML:1.0:am:unspecified"),
		statement,
	).with("xmlns:saml1", assertionSpace).with("MajorVersion", "1").with("MinorVersion", "1").with("AssertionID", authn.NewID("_a")).
		with("Issuer", f.site.URL("/cas")).with("IssueInstant", now.Format(time.RFC3339))
}
