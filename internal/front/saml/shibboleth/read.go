package shibboleth

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/rp"
)

// Plan is what can be taken over.
type Plan struct {
	EntityID string        `json:"entity_id,omitempty"`
	Scope    string        `json:"scope,omitempty"`
	Parties  []rp.Party    `json:"parties"`
	Feeds    []feed.Feed   `json:"feeds"`
	Rules    []rp.Rule     `json:"rules"`
	Computed saml.Computed `json:"-"` // with the salt
	// Persistent tells how persistent names are computed, without the salt.
	Persistent string   `json:"persistent,omitempty"`
	Carried    []Remark `json:"carried"`
	Left       []Remark `json:"left"`

	salt64 string
}

// Remark is a thing in a file, and what became of it.
type Remark struct {
	File string `json:"file"`
	What string `json:"what"`
}

// reader reads one folder.
type reader struct {
	files      fs.FS
	now        time.Time
	plan       *Plan
	properties map[string]string
	parties    map[string]*rp.Party
	settings   map[string]override
	policies   []policy
	nevers     map[string][]string // by service and attribute
	named      map[string]bool     // names of rules
}

// Read reads the folder of a provider: the one that holds conf and credentials.
func Read(files fs.FS, now time.Time) (*Plan, error) {
	r := &reader{
		files: files, now: now, plan: &Plan{Parties: []rp.Party{}, Feeds: []feed.Feed{}, Rules: []rp.Rule{}, Carried: []Remark{}, Left: []Remark{}},
		properties: map[string]string{}, parties: map[string]*rp.Party{}, settings: map[string]override{}, nevers: map[string][]string{}, named: map[string]bool{},
	}
	if _, err := fs.Stat(files, "conf"); err != nil {
		return nil, errors.New("this is no folder of a Shibboleth identity provider: it has no conf")
	}
	for _, name := range []string{"conf/idp.properties", "conf/saml-nameid.properties", "credentials/secrets.properties"} {
		if err := r.readProperties(name); err != nil {
			return nil, err
		}
	}
	for _, step := range []struct {
		file string
		read func(name string, root *xmldoc.Node) error
	}{
		{"conf/attribute-resolver.xml", r.resolver}, {"conf/attribute-filter.xml", r.filter}, {"conf/relying-party.xml", r.relyingParties},
		{"conf/metadata-providers.xml", r.providers},
	} {
		if err := r.xml(step.file, step.read); err != nil {
			return nil, err
		}
	}
	r.identity()
	r.finish()
	return r.plan, nil
}

func (r *reader) carry(file, format string, args ...any) {
	r.plan.Carried = append(r.plan.Carried, Remark{file, fmt.Sprintf(format, args...)})
}

func (r *reader) leave(file, format string, args ...any) {
	r.plan.Left = append(r.plan.Left, Remark{file, fmt.Sprintf(format, args...)})
}

// maxFile bounds a file of the configuration, in bytes.
const maxFile = 16 << 20

func (r *reader) file(name string) ([]byte, error) {
	info, err := fs.Stat(r.files, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return fs.ReadFile(r.files, name)
}

// xml reads a file if there is one.
func (r *reader) xml(name string, read func(string, *xmldoc.Node) error) error {
	text, err := r.file(name)
	if errors.Is(err, fs.ErrNotExist) {
		r.leave(name, "the file is not there")
		return nil
	}
	if err != nil {
		return err
	}
	root, err := xmldoc.Parse(text, xmldoc.Limits{Bytes: maxFile, Elements: 500_000, Prose: true})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return read(name, root)
}

// readProperties reads a file of Java properties, as far as Shibboleth uses their form.
func (r *reader) readProperties(name string) error {
	text, err := r.file(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		l := strings.TrimSpace(string(line))
		if l == "" || l[0] == '#' || l[0] == '!' {
			continue
		}
		key, value, ok := strings.Cut(l, "=")
		if ok {
			r.properties[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return nil
}

// expand replaces %{name} by the property.
func (r *reader) expand(text string) string {
	for range 8 {
		before, rest, ok := strings.Cut(text, "%{")
		name, after, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			break
		}
		key, def, _ := strings.Cut(name, ":")
		value, known := r.properties[key]
		if !known {
			value = def
		}
		text = before + value + after
	}
	return text
}

// inside gives the name of a file below the folder that a path of the provider means.
func (r *reader) inside(name string) string {
	name = strings.ReplaceAll(name, "%{idp.home}", "")
	name = r.expand(name)
	if home := r.properties["idp.home"]; home != "" {
		name = strings.TrimPrefix(name, home)
	}
	name = strings.TrimPrefix(name, "/opt/shibboleth-idp")
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// identity takes who the provider is and how it computes persistent names.
func (r *reader) identity() {
	const file, names = "conf/idp.properties", "conf/saml-nameid.properties"
	if r.plan.EntityID = r.expand(r.properties["idp.entityID"]); r.plan.EntityID != "" {
		r.carry(file, "the entityID %s", r.plan.EntityID)
	}
	if r.plan.Scope = r.expand(r.properties["idp.scope"]); r.plan.Scope != "" {
		r.carry(file, "the scope %s", r.plan.Scope)
	}
	c := &r.plan.Computed
	c.Salt, r.plan.salt64 = r.properties["idp.persistentId.salt"], r.properties["idp.persistentId.encodedSalt"]
	c.Salt64 = r.plan.salt64
	source := strings.TrimSpace(r.properties["idp.persistentId.sourceAttribute"])
	if c.Salt == "" && c.Salt64 == "" {
		if source != "" {
			r.leave(names, "persistent names: no salt was found (idp.persistentId.salt or encodedSalt)")
		}
		return
	}
	c.Encoding = "base64"
	if strings.EqualFold(r.properties["idp.persistentId.encoding"], "BASE32") {
		c.Encoding = "base32"
	}
	first, others, _ := strings.Cut(source, ",")
	if c.Source = attributeName(strings.TrimSpace(first)); c.Source == "" {
		r.leave(names, "persistent names: the source attribute %q has no counterpart; set [saml.persistent] source by hand", first)
		c.Source = strings.TrimSpace(first)
	}
	if others != "" {
		r.leave(names, "persistent names: of the source attributes only the first, %s, is used", first)
	}
	if a := r.properties["idp.persistentId.algorithm"]; a != "" && !slices.Contains([]string{"SHA", "SHA1", "SHA-1"}, strings.ToUpper(a)) {
		r.leave(names, "persistent names: the algorithm %s is not computed here; import the stored ones", a)
		*c = saml.Computed{}
		return
	}
	if err := c.Check(); err != nil {
		r.leave(names, "persistent names: %v", err)
		*c = saml.Computed{}
		return
	}
	r.plan.Persistent = fmt.Sprintf("SHA-1 over service, %s and salt, in %s", c.Source, c.Encoding)
	r.carry(names, "persistent names: %s", r.plan.Persistent)
}

// Salt is the secret that persistent names are computed with.
func (p *Plan) Salt() []byte {
	if p.Computed.Salt64 != "" {
		salt, err := base64.StdEncoding.DecodeString(p.Computed.Salt64)
		if err == nil {
			return salt
		}
	}
	return []byte(p.Computed.Salt)
}

// attributeName gives the directory's name of an attribute by its usual id in a
// resolver; empty when it has none.
func attributeName(id string) string {
	for _, pair := range [][2]string{
		{"uid", "userName"}, {"mail", "mail"}, {"email", "mail"}, {"sn", "familyName"}, {"surname", "familyName"}, {"givenName", "givenName"},
		{"displayName", "displayName"}, {"cn", "commonName"}, {"commonName", "commonName"}, {"employeeNumber", "employeeNumber"},
		{"preferredLanguage", "preferredLanguage"}, {"o", "organizationName"}, {"organizationName", "organizationName"},
		{"ou", "organizationalUnitName"}, {"organizationalUnit", "organizationalUnitName"}, {"organizationalUnitName", "organizationalUnitName"},
		{"jasn", "familyName;ja"}, {"jaSurname", "familyName;ja"}, {"jaGivenName", "givenName;ja"}, {"jaDisplayName", "displayName;ja"},
		{"jao", "organizationName;ja"}, {"jaOrganizationName", "organizationName;ja"}, {"jaou", "organizationalUnitName;ja"},
		{"jaOrganizationalUnit", "organizationalUnitName;ja"}, {"jaOrganizationalUnitName", "organizationalUnitName;ja"},
		{"gakuninScopedPersonalUniqueCode", "gakuninScopedPersonalUniqueCode"}, {"isMemberOf", "groups"}, {"schacHomeOrganization", "schacHomeOrganization"},
		{"samlPairwiseID", "pairwise-id"}, {"samlSubjectID", "subject-id"},
	} {
		if pair[0] == id {
			return pair[1]
		}
	}
	if strings.HasPrefix(id, "eduPerson") || strings.HasPrefix(id, "schac") {
		return id
	}
	return ""
}
