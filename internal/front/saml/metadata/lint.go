package metadata

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"seimon/internal/front/saml/xmlenc"
)

// Finding is something about a provider that works but should be known, in English,
// for the person who registers it.
type Finding struct {
	Field, Text string
}

// String gives field and text.
func (f Finding) String() string { return f.Field + ": " + f.Text }

func (e *Entity) note(field, format string, args ...any) {
	e.notes = append(e.notes, Finding{field, fmt.Sprintf(format, args...)})
}

// Check refuses a service that could not be answered, or not safely.
func (s Service) Check() error {
	if len(s.Consumers) == 0 {
		return fmt.Errorf("assertion_consumers: no address that takes responses by POST")
	}
	for _, c := range s.Consumers {
		if c.Binding != "" && c.Binding != POST {
			return fmt.Errorf("assertion_consumers: responses go by POST alone, not by %s", last(c.Binding))
		}
		if err := address(c.Location); err != nil {
			return fmt.Errorf("assertion_consumers: %w", err)
		}
	}
	for _, l := range s.Logout {
		for _, a := range []string{l.Location, l.Response} {
			if err := address(a); err != nil && (a != "" || l.Location == "") {
				return fmt.Errorf("logout: %w", err)
			}
		}
	}
	keys, err := s.Keys()
	if err != nil {
		return err
	}
	for _, k := range keys {
		if weak, why := weakness(k); weak {
			return fmt.Errorf("signing_certificates: %s", why)
		}
	}
	if s.RequestsSigned && len(keys) == 0 {
		return fmt.Errorf("signing_certificates: requests are to be signed, yet there is no certificate to check them with")
	}
	for _, r := range s.Encryption {
		k, _, err := r.Key()
		if err == nil && k.N.BitLen() < 2048 {
			err = fmt.Errorf("an RSA key of %d bits is too short", k.N.BitLen())
		}
		if err != nil && len(s.Encryption) == 1 {
			return fmt.Errorf("encryption: %w", err)
		}
	}
	return nil
}

func weakness(key any) (bool, string) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() < 2048, fmt.Sprintf("an RSA key of %d bits is too short: 2048 at least", k.N.BitLen())
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize < 256, "the curve is too short"
	}
	return true, fmt.Sprintf("keys of the kind %T are not known to SAML", key)
}

// address wants https; http only on this very machine.
func address(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(text) > 2000:
		return fmt.Errorf("%.100q is no web address", text)
	case u.Scheme == "https", u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1"):
		return nil
	}
	return fmt.Errorf("%.100q must begin with https", text)
}

// Lint tells what works but should be known or bettered.
func (e Entity) Lint(now time.Time) []Finding {
	out := slices.Clone(e.notes)
	add := func(field, format string, args ...any) {
		out = append(out, Finding{field, fmt.Sprintf(format, args...)})
	}
	s := e.Service
	if u, err := url.Parse(e.ID); err != nil || u.Scheme == "" {
		add("entityID", "%q is no URI; SAML wants one", e.ID)
	}
	if len(s.Signing) == 0 {
		add("KeyDescriptor", "there is no signing certificate: signed requests and logouts of the service cannot be checked")
	}
	if !s.RequestsSigned {
		add("AuthnRequestsSigned", "requests need not be signed; answers go to registered addresses all the same")
	}
	if len(s.Encryption) == 0 {
		add("KeyDescriptor", "there is no encryption certificate: the person's browser can read what is released")
	}
	for _, r := range s.Encryption {
		gcm := func(m string) bool { return m == xmlenc.AES128GCM || m == xmlenc.AES256GCM }
		if len(r.Methods) > 0 && !slices.ContainsFunc(r.Methods, gcm) {
			add("EncryptionMethod", "the service cannot read AES-GCM; AES-CBC is used for it, in signed responses only")
		}
	}
	for _, text := range append(slices.Clone(s.Signing), recipients(s)...) {
		if c, err := Certificate(text); err == nil && now.After(c.NotAfter) {
			add("X509Certificate", "a certificate expired on %s; only its key counts here, but other providers may refuse it", c.NotAfter.Format(time.DateOnly))
		}
	}
	if len(s.Requested) == 0 {
		add("RequestedAttribute", "the metadata asks for no attributes; grant them with --release")
	}
	if !s.ValidUntil.IsZero() {
		add("validUntil", "sign-ins to this service end on %s unless the metadata is renewed", s.ValidUntil.Format(time.DateTime))
	}
	if len(s.Logout) == 0 {
		add("SingleLogoutService", "the service cannot be told when a person signs out")
	}
	if e.Contacts["technical"]+e.Contacts["support"]+e.Contacts["administrative"] == "" {
		add("ContactPerson", "nobody is named who could be told of a fault")
	}
	return out
}

func recipients(s Service) []string {
	var out []string
	for _, r := range s.Encryption {
		out = append(out, r.Certificate)
	}
	return out
}

// Contact is the mail address of the people who run the service.
func (e Entity) Contact() string {
	for _, kind := range []string{"technical", "support", "administrative", "security"} {
		if a := e.Contacts[kind]; strings.Contains(a, "@") {
			return a
		}
	}
	return ""
}
