package metadata

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"seimon/internal/front/saml/xmlsig"
)

// Service is a service provider. Its JSON form is what a party registers.
type Service struct {
	// Endpoints that take responses, by POST.
	Consumers []Endpoint `json:"assertion_consumers"`
	// Endpoints for single logout, in the order of the metadata.
	Logout []Endpoint `json:"logout,omitempty"`
	// Certificates, base64 DER, whose keys sign what the service sends.
	Signing []string `json:"signing_certificates,omitempty"`
	// Encryption holds who can read what is encrypted for the service.
	Encryption []Recipient `json:"encryption,omitempty"`
	// Formats of names that it takes, preferred first.
	Formats []string `json:"name_id_formats,omitempty"`
	// RequestsSigned refuses requests without a signature.
	RequestsSigned bool `json:"requests_signed,omitempty"`
	// AssertionsSigned asks for a signature on the assertion itself.
	AssertionsSigned bool        `json:"assertions_signed,omitempty"`
	Requested        []Requested `json:"requested_attributes,omitempty"`
	Categories       []string    `json:"entity_categories,omitempty"`
	SubjectID        string      `json:"subject_id_requirement,omitempty"`
	ValidUntil       time.Time   `json:"valid_until,omitzero"`
}

// Endpoint is an address for messages.
type Endpoint struct {
	Binding  string `json:"binding,omitempty"` // POST when empty
	Location string `json:"location"`
	Response string `json:"response_location,omitempty"`
	Index    int    `json:"index,omitempty"`
	Default  bool   `json:"default,omitempty"`
}

// Recipient is a certificate to encrypt for, and what its owner can open.
type Recipient struct {
	Certificate string   `json:"certificate"` // base64 DER
	Methods     []string `json:"methods,omitempty"`
}

// Requested is an attribute that the service asks for in its metadata.
type Requested struct {
	Name     string `json:"name"`
	Required bool   `json:"required,omitempty"`
}

// Entity is a service with what is known of it beside the protocol.
type Entity struct {
	ID       string
	Service  Service
	Names    map[string]string // display names by language
	Logo     string            // https address
	Home     string
	Contacts map[string]string // mail addresses by the kind of contact
	notes    []Finding
}

// Certificate reads a certificate in base64 DER.
func Certificate(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Keys gives the public keys that the service signs with. Certificates only carry
// them: no chain and no date is looked at (SAML Metadata Interoperability Profile 2.0).
func (s Service) Keys() ([]crypto.PublicKey, error) {
	var out []crypto.PublicKey
	for i, text := range s.Signing {
		c, err := Certificate(text)
		if err != nil {
			return nil, fmt.Errorf("signing_certificates %d: %w", i+1, err)
		}
		out = append(out, c.PublicKey)
	}
	return out, nil
}

// Key gives the key of a recipient; only RSA keys can be encrypted for.
func (r Recipient) Key() (*rsa.PublicKey, []byte, error) {
	c, err := Certificate(r.Certificate)
	if err != nil {
		return nil, nil, err
	}
	k, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, nil, fmt.Errorf("a key of the kind %s cannot be encrypted for", c.PublicKeyAlgorithm)
	}
	if n := k.N.BitLen(); n > xmlsig.LongestRSA {
		return nil, nil, fmt.Errorf("an RSA key of %d bits is not encrypted for", n)
	}
	return k, c.Raw, nil
}

// Consumer chooses where a response goes: the address or the index that a request
// names, exactly, else the default (SAML Core 2.0, 3.4.1; Metadata 2.0, 2.2.3).
func (s Service) Consumer(location string, index *int) (Endpoint, bool) {
	find := func(fits func(Endpoint) bool) (Endpoint, bool) {
		i := slices.IndexFunc(s.Consumers, fits)
		if i < 0 {
			return Endpoint{}, false
		}
		return s.Consumers[i], true
	}
	switch {
	case location != "":
		return find(func(e Endpoint) bool { return e.Location == location })
	case index != nil:
		return find(func(e Endpoint) bool { return e.Index == *index })
	}
	if e, ok := find(func(e Endpoint) bool { return e.Default }); ok {
		return e, true
	}
	return find(func(Endpoint) bool { return true })
}
