package saml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the algorithm of identifiers that services have stored
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"seimon/internal/authn"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/store"
)

// formats lists the forms of names that we give, the usual one first.
func formats() []string {
	return []string{metadata.Transient, metadata.Persistent, metadata.Email, metadata.Unspecified}
}

// Computed says how a former provider computed persistent names: SHA-1 over service,
// source value and salt, as Shibboleth does.
type Computed struct {
	Salt     string `json:"salt,omitempty" toml:"salt"`         // at least 16 bytes
	Salt64   string `json:"salt64,omitempty" toml:"salt64"`     // the same in base64
	Source   string `json:"source,omitempty" toml:"source"`     // attribute of the directory
	Encoding string `json:"encoding,omitempty" toml:"encoding"` // "base64" (when empty) or "base32"
}

// Check refuses what cannot be computed.
func (c Computed) Check() error {
	salt, err := c.salt()
	switch {
	case err != nil:
		return err
	case len(salt) < 16:
		return errors.New("the salt is shorter than 16 bytes")
	case c.Source == "":
		return errors.New("the source attribute is missing")
	case c.Encoding != "" && c.Encoding != "base64" && c.Encoding != "base32":
		return fmt.Errorf("the encoding %q is neither base64 nor base32", c.Encoding)
	}
	return nil
}

func (c Computed) salt() ([]byte, error) {
	if c.Salt64 != "" {
		return base64.StdEncoding.DecodeString(c.Salt64)
	}
	return []byte(c.Salt), nil
}

func (c Computed) set() bool { return c.Salt != "" || c.Salt64 != "" }

// Of computes the name of somebody at a service.
func (c Computed) Of(party, source string) (string, error) {
	salt, err := c.salt()
	if err != nil {
		return "", err
	}
	sum := sha1.Sum(slices.Concat([]byte(party+"!"+source+"!"), salt)) //nolint:gosec // see the import
	if c.Encoding == "base32" {
		return base32.StdEncoding.EncodeToString(sum[:]), nil
	}
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// nameID is a name on its way to a service.
type nameID struct {
	Format, Value, Qualifier, Service string
	Sealed                            bool `json:",omitempty"` // it leaves encrypted
}

func writeNameID(w *xmldoc.Writer, n nameID) {
	w.Leaf("saml:NameID", n.Value, "Format", n.Format, "NameQualifier", n.Qualifier, "SPNameQualifier", n.Service)
}

// writeName writes a name, encrypted for the service where it wants that (SAML Core
// 2.0, 2.2.4).
func (f *Front) writeName(w *xmldoc.Writer, s *service, n nameID) error {
	if !n.Sealed {
		writeNameID(w, n)
		return nil
	}
	to, ok := s.recipient()
	if !ok {
		return errNoReader
	}
	plain := xmldoc.NewWriter(spaces())
	writeNameID(plain, n)
	data, err := xmlenc.Encrypt(plain.Bytes(), to)
	if err == nil {
		w.Start("saml:EncryptedID").Raw(data).End()
	}
	return err
}

// errNoReader says that a name should leave encrypted and nobody could read it.
var errNoReader = errors.New("saml: the service has no certificate to encrypt names for")

// errSealed is the one answer to an encrypted name that cannot be read.
var errSealed = errors.New("saml: the EncryptedID cannot be read")

// nameIn gives the one name in a request: in clear, or opened with any key of ours that
// is not retired, whose id it gives too. Only authenticated encryption is opened, so that nobody learns by
// asking.
func (f *Front) nameIn(n *xmldoc.Node) (name *xmldoc.Node, key string, err error) {
	clear, sealed := n.All(metadata.SAML, "NameID"), n.All(metadata.SAML, "EncryptedID")
	switch {
	case len(clear) == 1 && len(sealed) == 0:
		return clear[0], "", nil
	case len(clear) != 0 || len(sealed) != 1:
		return nil, "", errNoName
	}
	data := sealed[0].All(xmlenc.Space, "EncryptedData")
	if len(data) != 1 || !xmlenc.Authenticated(data[0]) {
		return nil, "", errSealed
	}
	for id, k := range f.keys.Load().opened {
		if own, ok := k.(*rsa.PrivateKey); ok {
			if found, err := xmlenc.Decrypt(data[0], []*rsa.PrivateKey{own}, limits()); err == nil && found.Is(metadata.SAML, "NameID") {
				name, key = found, id // the others are tried too: time tells nothing
			}
		}
	}
	if name == nil {
		return nil, "", errSealed
	}
	return name, key, nil
}

// person is whom a name is for.
type person struct {
	account    authn.AccountID
	attributes map[string][]string // all that the directory has
	released   map[string][]string // what the service is told of it
}

func (p person) first(name string) string {
	if v := p.attributes[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// errNoName says that somebody cannot have the form of name that the service wants.
var errNoName = errors.New("saml: no such name for this person")

// name makes the name that the service wants (SAML Core 2.0, 8.3).
func (f *Front) name(tx *store.Tx, s *service, format string, who person) (nameID, error) {
	switch format {
	case metadata.Persistent:
		v, err := f.persistent(tx, s, who)
		return nameID{Format: format, Value: v, Qualifier: f.EntityID(), Service: s.ID}, err
	case metadata.Email:
		// An address leaves as a name only where it leaves as an attribute: granted to the
		// party, and not held back by the person.
		if len(who.released["mail"]) == 0 {
			return nameID{}, errNoName
		}
		return nameID{Format: format, Value: who.released["mail"][0]}, nil
	}
	var random [16]byte
	rand.Read(random[:]) //nolint:errcheck // never fails (crypto/rand.Read)
	return nameID{Format: metadata.Transient, Value: "_" + hex.EncodeToString(random[:]), Qualifier: f.EntityID(), Service: s.ID}, nil
}

// persistent gives the name by which a service knows somebody for ever: the one that
// was stored or taken over, else the computed one, else our own pairwise subject.
func (f *Front) persistent(tx *store.Tx, s *service, who person) (string, error) {
	var v string
	var blocked int64
	err := tx.QueryRow("SELECT value, blocked FROM saml_persistent WHERE party = $1 AND account = $2", s.ID, string(who.account)).Scan(&v, &blocked)
	switch {
	case err == nil && blocked != 0:
		return "", errNoName
	case err == nil:
		return v, nil
	case !errors.Is(err, store.ErrNoRows):
		return "", err
	}
	c := f.Settings.Persistent
	if s.Persistent != nil {
		c = *s.Persistent
	}
	if c.set() {
		source := who.first(c.Source)
		if source == "" {
			return "", errNoName
		}
		return c.Of(s.ID, source)
	}
	return f.Parties.SubjectFor(s.Party, who.account), nil
}

// StorePersistent fixes the name of an account at a service, as it was with a former
// provider. Blocked names are given to nobody, and the account gets none.
func StorePersistent(tx *store.Tx, party string, account authn.AccountID, name string, blocked bool) error {
	_, err := tx.Exec(`INSERT INTO saml_persistent (party, account, value, blocked, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (party, account) DO UPDATE SET value = $3, blocked = $4`, party, string(account), name, store.Bool(blocked), store.Millis(tx.Now))
	return err
}
