package aggregate

import (
	"fmt"
	"strconv"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
)

// Document is a feed to be written.
type Document struct {
	Name       string // of the federation
	Publisher  string
	ID         string
	Created    time.Time
	ValidUntil time.Time
	Cache      string // cacheDuration, such as PT6H
	Key        xmlsig.Key
}

// Provider is a service provider in a feed.
type Provider struct {
	ID           string // entityID
	Names        map[string]string
	Organization string
	Consumer     string
	Logout       string
	Certificates []string // base64 DER, for signing and encryption
	Formats      []string
	Requested    []Attribute
	Categories   []string
	SubjectID    string
	Authority    string
	Contact      string
	About        string // a description, as long as it may be
	ValidUntil   time.Time
	Identity     bool // an identity provider instead
}

// Attribute is a RequestedAttribute.
type Attribute struct {
	Name, Friendly string
	Required       bool
}

const mdrpi = "urn:oasis:names:tc:SAML:metadata:rpi"

func spaces() xmldoc.Spaces {
	return xmldoc.Spaces{
		"md": metadata.MD, "saml": metadata.SAML, "mdui": metadata.MDUI, "mdattr": metadata.MDATTR, "mdrpi": mdrpi,
		"ds": xmlsig.Space, "remd": metadata.REMD, "xml": "http://www.w3.org/XML/1998/namespace",
	}
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// Write gives the signed aggregate of count entities; entity gives each of them.
func Write(d Document, count int, entity func(i int) Provider) ([]byte, error) {
	w := xmldoc.NewWriter(spaces())
	w.Start("md:EntitiesDescriptor", "ID", d.ID, "Name", d.Name, "validUntil", instant(d.ValidUntil), "cacheDuration", d.Cache)
	at := w.Len()
	w.Start("md:Extensions")
	w.Leaf("mdrpi:PublicationInfo", "", "publisher", d.Publisher, "creationInstant", instant(d.Created))
	w.End()
	for i := range count {
		write(w, entity(i), "", "", "")
	}
	w.End()
	if d.Key.Signer == nil {
		return w.Bytes(), nil
	}
	return xmlsig.Sign(w.Bytes(), d.ID, at, d.Key)
}

// Single gives one signed entity, as an MDQ server answers.
func Single(d Document, p Provider) ([]byte, error) {
	w := xmldoc.NewWriter(spaces())
	at := write(w, p, d.ID, instant(d.ValidUntil), d.Cache)
	return xmlsig.Sign(w.Bytes(), d.ID, at, d.Key)
}

// write writes one EntityDescriptor and tells where a signature would stand.
func write(w *xmldoc.Writer, p Provider, id, until, cache string) int {
	if until == "" {
		until = instant(p.ValidUntil)
	}
	w.Start("md:EntityDescriptor", "entityID", p.ID, "ID", id, "validUntil", until, "cacheDuration", cache)
	at := w.Len()
	w.Start("md:Extensions")
	if p.Authority != "" {
		w.Leaf("mdrpi:RegistrationInfo", "", "registrationAuthority", p.Authority, "registrationInstant", "2015-04-01T00:00:00Z")
	}
	entityAttributes(w, p)
	w.End()
	if p.Identity {
		identity(w, p)
	} else {
		service(w, p)
	}
	if p.Organization != "" {
		w.Start("md:Organization")
		w.Leaf("md:OrganizationName", p.Organization, "xml:lang", "en")
		w.Leaf("md:OrganizationDisplayName", p.Organization, "xml:lang", "en")
		w.Leaf("md:OrganizationURL", p.Consumer, "xml:lang", "en")
		w.End()
	}
	if p.Contact != "" {
		w.Start("md:ContactPerson", "contactType", "technical").Leaf("md:GivenName", "Support").Leaf("md:EmailAddress", "mailto:"+p.Contact).End()
	}
	w.End()
	return at
}

func entityAttributes(w *xmldoc.Writer, p Provider) {
	if len(p.Categories) == 0 && p.SubjectID == "" {
		return
	}
	w.Start("mdattr:EntityAttributes")
	list := func(name string, values ...string) {
		w.Start("saml:Attribute", "Name", name, "NameFormat", metadata.URI)
		for _, v := range values {
			w.Leaf("saml:AttributeValue", v)
		}
		w.End()
	}
	if len(p.Categories) > 0 {
		list("http://macedir.org/entity-category", p.Categories...)
	}
	if p.SubjectID != "" {
		list("urn:oasis:names:tc:SAML:profiles:subject-id:req", p.SubjectID)
	}
	w.End()
}

func keys(w *xmldoc.Writer, p Provider) {
	for i, c := range p.Certificates {
		use := []string{"signing", "encryption"}[i%2]
		if len(p.Certificates) == 1 || p.Identity {
			use = ""
		}
		w.Start("md:KeyDescriptor", "use", use).Start("ds:KeyInfo").Start("ds:X509Data").Leaf("ds:X509Certificate", c).End().End().End()
	}
}

func identity(w *xmldoc.Writer, p Provider) {
	w.Start("md:IDPSSODescriptor", "protocolSupportEnumeration", metadata.SAMLP)
	keys(w, p)
	w.Leaf("md:SingleSignOnService", "", "Binding", metadata.Redirect, "Location", p.Consumer)
	w.End()
}

func service(w *xmldoc.Writer, p Provider) {
	w.Start("md:SPSSODescriptor", "protocolSupportEnumeration", metadata.SAMLP)
	w.Start("md:Extensions").Start("mdui:UIInfo")
	for _, tag := range []string{"en", "ja"} {
		if p.Names[tag] != "" {
			w.Leaf("mdui:DisplayName", p.Names[tag], "xml:lang", tag)
		}
	}
	if p.About != "" {
		w.Leaf("mdui:Description", p.About, "xml:lang", "en")
	}
	w.End().End()
	keys(w, p)
	if p.Logout != "" {
		w.Leaf("md:SingleLogoutService", "", "Binding", metadata.Redirect, "Location", p.Logout)
	}
	for _, f := range p.Formats {
		w.Leaf("md:NameIDFormat", f)
	}
	w.Leaf("md:AssertionConsumerService", "", "Binding", metadata.POST, "Location", p.Consumer, "index", "1", "isDefault", "true")
	if len(p.Requested) > 0 {
		w.Start("md:AttributeConsumingService", "index", "1").Leaf("md:ServiceName", fmt.Sprint(p.Names["en"]), "xml:lang", "en")
		for _, a := range p.Requested {
			w.Leaf("md:RequestedAttribute", "", "Name", a.Name, "NameFormat", metadata.URI, "FriendlyName", a.Friendly, "isRequired", strconv.FormatBool(a.Required))
		}
		w.End()
	}
	w.End()
}
