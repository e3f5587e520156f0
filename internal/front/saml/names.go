package saml

import (
	"crypto/rand"
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
	"seimon/internal/rp"
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
}

func writeNameID(w *xmldoc.Writer, n nameID) {
	w.Leaf("saml:NameID", n.Value, "Format", n.Format, "NameQualifier", n.Qualifier, "SPNameQualifier", n.Service)
}

// person is whom a name is for.
type person struct {
	account    authn.AccountID
	attributes map[string][]string // all that the directory has
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
		return nameID{format, v, f.EntityID(), s.ID}, err
	case metadata.Email:
		// An address leaves only where the party is granted it.
		granted := slices.ContainsFunc(s.Release, func(r rp.Release) bool { return r.Attribute == "mail" })
		if who.first("mail") == "" || !granted {
			return nameID{}, errNoName
		}
		return nameID{Format: format, Value: who.first("mail")}, nil
	}
	var random [16]byte
	rand.Read(random[:]) //nolint:errcheck // never fails (crypto/rand.Read)
	return nameID{metadata.Transient, "_" + hex.EncodeToString(random[:]), f.EntityID(), s.ID}, nil
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
