package feed

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The kinds of feeds.
const (
	Aggregate = "aggregate" // one document with all entities
	Query     = "query"     // one entity at a time (Metadata Query Protocol)
)

// Feed is where metadata comes from, and whom it is believed.
type Feed struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	// Precedence decides between feeds that know the same service: the lower first.
	Precedence int      `json:"precedence"`
	Sources    []Source `json:"sources"`
	// Every is how often to look when the feed does not say; an hour when zero.
	Every time.Duration `json:"every,omitempty"`
	// MaxValidity is how far away validUntil may be; 31 days when zero.
	MaxValidity time.Duration `json:"max_validity,omitempty"`
	// MaxBytes bounds a document; 256 MiB, or 1 MiB for queries, when zero.
	MaxBytes int64 `json:"max_bytes,omitempty"`
	// Hashed asks queries by the SHA-1 of the entityID instead of the entityID.
	Hashed bool `json:"hashed,omitempty"`
}

// Source is one address of a feed with the keys that sign there. A federation that
// changes its key publishes under a new address, the next generation.
type Source struct {
	Generation   int      `json:"generation"`
	URL          string   `json:"url"`          // https, or file:/path
	Certificates []string `json:"certificates"` // base64 DER; only their keys count
}

// Loaded is what is known of the document in force.
type Loaded struct {
	At         time.Time     `json:"at,omitzero"`
	Generation int           `json:"generation,omitempty"`
	URL        string        `json:"url,omitempty"`
	Signer     string        `json:"signer,omitempty"` // fingerprint
	Created    time.Time     `json:"created,omitzero"`
	ValidUntil time.Time     `json:"valid_until,omitzero"`
	Cache      time.Duration `json:"cache,omitempty"`
	Bytes      int64         `json:"bytes,omitempty"`
	Entities   int           `json:"entities,omitempty"` // in the document
	Services   int           `json:"services,omitempty"` // among them, service providers
	ETag       string        `json:"etag,omitempty"`
	Modified   string        `json:"modified,omitempty"`
	// Own are the certificates under which the feed publishes us, by their SHA-256.
	Own map[string]Own `json:"own,omitempty"`
}

// State is a feed with how it is doing.
type State struct {
	Feed
	Loaded  Loaded    `json:"loaded,omitzero"`
	Checked time.Time `json:"checked,omitzero"`
	Due     time.Time `json:"due,omitzero"`
	Fails   int       `json:"fails,omitempty"` // in a row
	Fault   string    `json:"fault,omitempty"`
	loads   int64
}

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Check tells what is wrong with the settings.
func (f Feed) Check() error {
	switch {
	case !idForm.MatchString(f.ID):
		return errors.New("name: 1 to 32 small letters, digits or -")
	case f.Kind != Aggregate && f.Kind != Query:
		return fmt.Errorf("kind: aggregate or query, not %q", f.Kind)
	case len(f.Sources) == 0 || len(f.Sources) > 8:
		return errors.New("sources: 1 to 8 addresses with their signers")
	case f.MaxValidity < 0 || f.Every < 0 || f.MaxBytes < 0:
		return errors.New("limits cannot be negative")
	}
	for i, s := range f.Sources {
		if err := address(s.URL, f.Kind); err != nil {
			return fmt.Errorf("url: %w", err)
		}
		if s.Generation < 1 || slices.ContainsFunc(f.Sources[:i], func(o Source) bool { return o.Generation == s.Generation }) {
			return fmt.Errorf("generation: a number from 1 on for each address, not %d again", s.Generation)
		}
		if _, err := s.keys(); err != nil {
			return fmt.Errorf("signer: %w", err)
		}
	}
	return nil
}

// address wants https; http only on this very machine. A file is for aggregates.
func address(text, kind string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.User != nil || u.Fragment != "" || len(text) > 2000:
		return fmt.Errorf("%.100q is no address", text)
	case u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/") && kind == Aggregate:
		return nil
	case u.Host == "":
	case u.Scheme == "https", u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1"):
		return nil
	}
	return fmt.Errorf("%.100q must begin with https:// (or file:/ for a document on this machine)", text)
}

// keys gives the pinned keys. Certificates only carry them (SAML Metadata
// Interoperability Profile 2.0); whether a signer has expired is not asked.
func (s Source) keys() ([]crypto.PublicKey, error) {
	var out []crypto.PublicKey
	for _, text := range s.Certificates {
		c, err := certificate(text)
		if err != nil {
			return nil, err
		}
		out = append(out, c.PublicKey)
	}
	if len(out) == 0 {
		return nil, errors.New("a feed is believed only with the certificate of its signer")
	}
	return out, nil
}

func certificate(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("a certificate is not base64: %w", err)
	}
	return x509.ParseCertificate(der)
}

// ReadSigners reads certificates in PEM, or one in DER.
func ReadSigners(text []byte) ([]string, error) {
	var out []string
	rest := text
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			out = append(out, base64.StdEncoding.EncodeToString(block.Bytes))
		}
	}
	if len(out) == 0 {
		out = []string{base64.StdEncoding.EncodeToString(text)}
	}
	for _, o := range out {
		if _, err := certificate(o); err != nil {
			return nil, errors.New("this is no certificate in PEM or DER")
		}
	}
	return out, nil
}

// Fingerprint is the SHA-256 of a certificate as people compare it.
func Fingerprint(text string) string {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}

func (f Feed) every() time.Duration { return orDefault(f.Every, time.Hour) }

func (f Feed) maxValidity() time.Duration { return orDefault(f.MaxValidity, 31*24*time.Hour) }

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

func (f Feed) maxBytes() int64 {
	switch {
	case f.MaxBytes > 0:
		return f.MaxBytes
	case f.Kind == Query:
		return 1 << 20
	}
	return 256 << 20
}
