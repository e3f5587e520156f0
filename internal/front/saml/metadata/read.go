package metadata

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
)

// Limits are those of one provider's metadata.
func Limits() xmldoc.Limits { return xmldoc.Limits{Bytes: 1 << 20, Prose: true} }

// Read reads the metadata of one service provider: an EntityDescriptor, alone or as
// the only one in an EntitiesDescriptor. now judges validUntil.
func Read(text []byte, now time.Time) (Entity, error) {
	root, err := xmldoc.Parse(text, Limits())
	if err != nil {
		return Entity{}, err
	}
	return ReadOne(root, now)
}

// ReadOne reads the root of a document about one service.
func ReadOne(root *xmldoc.Node, now time.Time) (Entity, error) {
	if root.Is(MD, "EntitiesDescriptor") {
		all := root.All(MD, "EntityDescriptor")
		if len(all) != 1 {
			return Entity{}, fmt.Errorf("the document holds %d entities; give one service at a time", len(all))
		}
		root = all[0]
	}
	return ReadEntity(root, now)
}

// ReadEntity reads an EntityDescriptor with an SPSSODescriptor.
func ReadEntity(n *xmldoc.Node, now time.Time) (Entity, error) {
	if !n.Is(MD, "EntityDescriptor") {
		return Entity{}, fmt.Errorf("the root element is %s, not the EntityDescriptor of SAML 2.0 metadata", n.Local)
	}
	e := Entity{ID: n.Attr("entityID"), Names: map[string]string{}, Contacts: map[string]string{}}
	if e.ID == "" || len(e.ID) > 1024 { // SAML Metadata 2.0, 2.2.1
		return Entity{}, errors.New("EntityDescriptor has no entityID")
	}
	sp := n.First(MD, "SPSSODescriptor")
	for _, d := range n.All(MD, "SPSSODescriptor") {
		if slices.Contains(strings.Fields(d.Attr("protocolSupportEnumeration")), SAMLP) {
			sp = d
			break
		}
	}
	if sp == nil {
		return Entity{}, fmt.Errorf("%s is no service provider: it has no SPSSODescriptor", e.ID)
	}
	for _, part := range []*xmldoc.Node{n, sp} {
		if err := e.until(part.Attr("validUntil"), now); err != nil {
			return Entity{}, err
		}
	}
	if err := e.readService(sp); err != nil {
		return Entity{}, fmt.Errorf("%s: %w", e.ID, err)
	}
	e.readCategories(n)
	e.readPeople(n, sp)
	return e, nil
}

func (e *Entity) until(text string, now time.Time) error {
	if text == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("validUntil %q is no time", text)
	}
	if !now.Before(t) {
		return fmt.Errorf("the metadata was valid until %s: get a new copy", text)
	}
	if e.Service.ValidUntil.IsZero() || t.Before(e.Service.ValidUntil) {
		e.Service.ValidUntil = t
	}
	return nil
}

func (e *Entity) readService(sp *xmldoc.Node) error {
	s := &e.Service
	for _, c := range sp.All(MD, "AssertionConsumerService") {
		if b := c.Attr("Binding"); b != POST {
			e.note("binding", "an AssertionConsumerService with the binding %s is left out: responses go by POST", last(b))
			continue
		}
		index, err := strconv.Atoi(c.Attr("index"))
		if err != nil || index < 0 || index > 65535 {
			return fmt.Errorf("an AssertionConsumerService has the index %q", c.Attr("index"))
		}
		s.Consumers = append(s.Consumers, Endpoint{Location: c.Attr("Location"), Index: index, Default: truth(c.Attr("isDefault"))})
	}
	for _, l := range sp.All(MD, "SingleLogoutService") {
		if b := l.Attr("Binding"); b == POST || b == Redirect || b == SOAP {
			s.Logout = append(s.Logout, Endpoint{Binding: b, Location: l.Attr("Location"), Response: l.Attr("ResponseLocation")})
		}
	}
	for _, f := range sp.All(MD, "NameIDFormat") {
		s.Formats = append(s.Formats, f.Text())
	}
	s.RequestsSigned, s.AssertionsSigned = truth(sp.Attr("AuthnRequestsSigned")), truth(sp.Attr("WantAssertionsSigned"))
	for _, a := range sp.All(MD, "AttributeConsumingService") {
		for _, r := range a.All(MD, "RequestedAttribute") {
			if name := r.Attr("Name"); !slices.ContainsFunc(s.Requested, func(have Requested) bool { return have.Name == name }) {
				s.Requested = append(s.Requested, Requested{Name: name, Required: truth(r.Attr("isRequired"))})
			}
		}
	}
	return e.readKeys(sp)
}

// readKeys takes the certificates; a KeyDescriptor without use serves for both
// (SAML Metadata 2.0, 2.4.1.1).
func (e *Entity) readKeys(sp *xmldoc.Node) error {
	for _, k := range sp.All(MD, "KeyDescriptor") {
		data := k.First(xmlsig.Space, "KeyInfo").First(xmlsig.Space, "X509Data")
		if data == nil {
			e.note("key", "a KeyDescriptor without a certificate is left out")
			continue
		}
		var methods []string
		for _, m := range k.All(MD, "EncryptionMethod") {
			methods = append(methods, m.Attr("Algorithm"))
		}
		for _, c := range data.All(xmlsig.Space, "X509Certificate") {
			der, err := xmlsig.Decode(c.Raw())
			if err != nil {
				return errors.New("a certificate is not base64")
			}
			text := base64.StdEncoding.EncodeToString(der)
			if _, err := Certificate(text); err != nil {
				return fmt.Errorf("a certificate cannot be read: %w", err)
			}
			if use := k.Attr("use"); use != "encryption" {
				e.Service.Signing = append(e.Service.Signing, text)
			}
			if use := k.Attr("use"); use != "signing" {
				e.Service.Encryption = append(e.Service.Encryption, Recipient{text, methods})
			}
		}
	}
	return nil
}

func (e *Entity) readCategories(n *xmldoc.Node) {
	for _, a := range n.First(MD, "Extensions").First(MDATTR, "EntityAttributes").All(SAML, "Attribute") {
		for _, v := range a.All(SAML, "AttributeValue") {
			switch a.Attr("Name") {
			case entityCategory:
				e.Service.Categories = append(e.Service.Categories, v.Text())
			case subjectIDReq:
				e.Service.SubjectID = v.Text()
			}
		}
	}
}

// readPeople takes names, pictures and contacts.
func (e *Entity) readPeople(n, sp *xmldoc.Node) {
	in := func(x *xmldoc.Node) string { return x.AttrIn("http://www.w3.org/XML/1998/namespace", "lang") }
	if org := n.First(MD, "Organization"); org != nil {
		for _, d := range org.All(MD, "OrganizationDisplayName") {
			e.Names[in(d)] = d.Text()
		}
		for _, u := range org.All(MD, "OrganizationURL") {
			e.Home = u.Text()
		}
	}
	for _, a := range sp.All(MD, "AttributeConsumingService") {
		for _, d := range a.All(MD, "ServiceName") {
			e.Names[in(d)] = d.Text()
		}
	}
	if ui := sp.First(MD, "Extensions").First(MDUI, "UIInfo"); ui != nil {
		for _, d := range ui.All(MDUI, "DisplayName") {
			e.Names[in(d)] = d.Text()
		}
		for _, l := range ui.All(MDUI, "Logo") {
			if strings.HasPrefix(l.Text(), "https://") && e.Logo == "" {
				e.Logo = l.Text()
			}
		}
		for _, u := range ui.All(MDUI, "InformationURL") {
			e.Home = u.Text()
		}
	}
	for _, c := range n.All(MD, "ContactPerson") {
		kind := c.Attr("contactType")
		if c.AttrIn(REMD, "contactType") == "http://refeds.org/metadata/contactType/security" {
			kind = "security"
		}
		if mail := c.First(MD, "EmailAddress").Text(); mail != "" && e.Contacts[kind] == "" {
			e.Contacts[kind] = strings.TrimPrefix(strings.TrimSpace(mail), "mailto:")
		}
	}
}

func truth(text string) bool { return text == "true" || text == "1" }

// last is the end of a name, for people.
func last(uri string) string { return uri[strings.LastIndex(uri, ":")+1:] }
