package saml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/lang"
	"seimon/internal/rp"
)

// Registration is what a service provider registers beside its party.
type Registration struct {
	// Metadata is taken on the way in only: its content replaces Service.
	Metadata string `json:"metadata,omitempty"`
	metadata.Service
	// Renews is taken on the way in only: Service is new, the rest stays as it was.
	Renews bool `json:"renews,omitempty"`
	// URL is where the metadata is fetched again and again; empty when it came by hand.
	URL string `json:"metadata_url,omitempty"`
	// Signer is the certificate, base64 DER, whose key must have signed what is fetched;
	// without one whoever answers at URL, by TLS, speaks for the service.
	Signer string `json:"metadata_signer,omitempty"`
	// Sign is what is signed: "response", "assertion" or "both". By default the
	// response, and the assertion as well if the metadata wants it.
	Sign string `json:"sign,omitempty"`
	// Key is the kind of key that signs: "rsa" or "ec".
	Key string `json:"key,omitempty"`
	// Encrypt is "never" for a service whose encryption certificate is not to be used,
	// and "names" for one whose names are encrypted by themselves, inside the assertion and
	// in LogoutRequests.
	Encrypt string `json:"encrypt,omitempty"`
	// Format is the form of names when the request names none.
	Format string `json:"default_name_id_format,omitempty"`
	// Persistent computes persistent names for this service in another way.
	Persistent *Computed `json:"persistent,omitempty"`
	// Contexts are asked for when the request asks for none.
	Contexts []string `json:"default_contexts,omitempty"`
}

// service is a party together with its registration, ready for use.
type service struct {
	rp.Party
	Registration
}

// Check is this front's part in registering a party.
func Check() rp.Check {
	return rp.Check{Protocol: Name, Verify: verify, Import: importMetadata, From: from}
}

// from notes where the metadata of a service is fetched from now on.
func from(p *rp.Party, address string) error {
	s, err := readService(*p)
	if err != nil {
		return err
	}
	s.URL = address
	p.Registration, err = json.Marshal(s.Registration)
	return err
}

// verify judges a registration and completes it from metadata that came along.
func verify(p *rp.Party, old *rp.Party) (map[string]string, error) {
	s, err := readService(*p)
	if err != nil {
		return nil, err
	}
	if s.Renews && old != nil {
		was, err := readService(*old)
		if err != nil {
			return nil, err
		}
		was.Service = s.Service
		if s.URL != "" {
			was.URL = s.URL
		}
		s.Registration = was.Registration
	}
	s.Renews = false
	if s.Metadata != "" {
		e, err := metadata.Read([]byte(s.Metadata), time.Now())
		if err != nil {
			return nil, err
		}
		if e.ID != p.ID {
			return nil, fmt.Errorf("metadata: the entityID is %q, the party's id %q", e.ID, p.ID)
		}
		s.Service, s.Metadata = e.Service, ""
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	// A persistent name is a pairwise one (SAML Core 2.0, 8.3.7).
	p.Pairwise = true
	p.Registration, err = json.Marshal(s.Registration)
	return nil, err
}

func (s *service) check() error {
	if err := s.Service.Check(); err != nil {
		return err
	}
	for field, v := range map[string]struct {
		value string
		known []string
	}{
		"sign": {s.Sign, []string{"", signResponse, signAssertion, signBoth}}, "key": {s.Key, []string{"", RSA, EC}},
		"encrypt": {s.Encrypt, []string{"", encryptNever, encryptNames}}, "default_name_id_format": {s.Format, append([]string{""}, formats()...)},
	} {
		if !slices.Contains(v.known, v.value) {
			return fmt.Errorf("%s: %q is not among %q", field, v.value, v.known)
		}
	}
	if _, ok := s.recipient(); !ok && s.Encrypt == encryptNames {
		return errors.New("encrypt: there is no certificate to encrypt names for")
	}
	if s.URL != "" && !metadata.Remote(s.URL) {
		return fmt.Errorf("metadata_url: %.200q must begin with https://", s.URL)
	}
	if s.Signer != "" {
		if _, err := metadata.Certificate(s.Signer); err != nil {
			return fmt.Errorf("metadata_signer: %w", err)
		}
	}
	if s.Persistent != nil {
		if err := s.Persistent.Check(); err != nil {
			return fmt.Errorf("persistent: %w", err)
		}
	}
	return nil
}

// The values of Registration.Sign.
const (
	signResponse  = "response"
	signAssertion = "assertion"
	signBoth      = "both"
)

// The values of Registration.Encrypt.
const (
	encryptNever = "never"
	encryptNames = "names"
)

// sealsNames tells whether the service wants names encrypted: as registered, or by its
// metadata if that brings a certificate.
func (s *service) sealsNames() bool {
	_, ok := s.recipient()
	return s.Encrypt == encryptNames || ok && slices.Contains(s.Formats, metadata.Encrypted)
}

// signs tells what is signed for the service. Inside AES-CBC, whose content anybody
// may bend, the assertion is signed in any case.
func (s *service) signs() (response, assertion bool) {
	switch s.Sign {
	case signResponse:
		return true, false
	case signAssertion:
		return false, true
	case signBoth:
		return true, true
	}
	return true, s.AssertionsSigned
}

func readService(p rp.Party) (*service, error) {
	s := &service{Party: p}
	d := json.NewDecoder(bytes.NewReader(p.Registration))
	d.DisallowUnknownFields()
	if err := d.Decode(&s.Registration); err != nil {
		return nil, err
	}
	return s, nil
}

// importMetadata makes a party of a provider's metadata, and says what should be
// known about it. ok is false when the document is something else.
func importMetadata(text []byte, now time.Time) (list []rp.Party, notes []string, ok bool, err error) {
	if !bytes.Contains(text, []byte(metadata.MD)) {
		return nil, nil, false, nil
	}
	e, err := metadata.Read(text, now)
	if err == nil {
		err = e.Service.Check()
	}
	if err != nil {
		return nil, nil, true, err
	}
	p := rp.Party{ID: e.ID, Protocol: Name, Names: map[lang.Tag]string{}, LogoURL: e.Logo, Contact: e.Contact(), Consent: rp.ConsentAsk}
	if strings.HasPrefix(e.Home, "https://") {
		p.HomeURL = e.Home
	}
	for tag, name := range e.Names {
		if strings.TrimSpace(name) != "" && tag != "" {
			p.Names[lang.Tag(strings.ToLower(tag))] = strings.Join(strings.Fields(name), " ")
		}
	}
	if len(p.Names) == 0 {
		p.Names[lang.EN] = e.ID[:min(len(e.ID), 100)]
	}
	p.Release = releaseFor(e.Service.Requested)
	if p.Registration, err = json.Marshal(Registration{Service: e.Service, Renews: true}); err != nil {
		return nil, nil, true, err
	}
	for _, n := range e.Lint(now) {
		notes = append(notes, n.String())
	}
	return []rp.Party{p}, append(notes, unknownNames(e.Service.Requested)...), true, nil
}

// releaseFor grants what the metadata asks for, as far as we have it. People are
// asked before anything leaves.
func releaseFor(requested []metadata.Requested) []rp.Release {
	var out []rp.Release
	for _, r := range requested {
		for _, a := range attributeTable() {
			if a.name == r.Name && !slices.ContainsFunc(out, func(x rp.Release) bool { return x.Attribute == a.attribute }) {
				out = append(out, rp.Release{Attribute: a.attribute, Required: r.Required})
			}
		}
	}
	return out
}

func unknownNames(requested []metadata.Requested) []string {
	var out []string
	for _, r := range requested {
		if !slices.ContainsFunc(attributeTable(), func(a attribute) bool { return a.name == r.Name }) {
			out = append(out, fmt.Sprintf("RequestedAttribute: %s is not known here", r.Name))
		}
	}
	return out
}

// servicesBytes bounds the registrations kept decoded, each of which takes about as
// much again as its text.
const servicesBytes = 8 << 20

// services remembers decoded registrations by the version of their party.
type services struct {
	mu   sync.RWMutex
	byID map[string]*service
	held int
}

// of gives the service of a party that was just read from the book.
func (k *services) of(p rp.Party) (*service, error) {
	k.mu.RLock()
	s := k.byID[p.ID]
	k.mu.RUnlock()
	if s != nil && s.Version == p.Version && s.Updated.Equal(p.Updated) {
		return s, nil
	}
	s, err := readService(p)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("saml: the registration of %s is damaged", p.ID), err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := k.byID[p.ID]; old != nil {
		k.held -= 2 * old.Weight()
	}
	k.held += 2 * p.Weight()
	if k.byID == nil || k.held > servicesBytes { // federations have more than are in use
		k.byID, k.held = map[string]*service{}, 2*p.Weight()
	}
	k.byID[p.ID] = s
	return s, nil
}
