package trust

import (
	"bytes"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca/trust/chain"
	"seimon/internal/store"
)

// How a certificate of an anchor is mapped to an account.
const (
	BySerial = "serial" // issuer and serial, pinned by hand
	ByKeyID  = "ski"    // subject key identifier, pinned by hand
	ByMail   = "mail"   // rfc822Name is the address that somebody has proved
	ByUPN    = "upn"    // user principal name: the part before the @ is the user name
)

// What must be known about revocation.
const (
	StatusRequired = "required" // without a list that is good nobody signs in
	StatusNone     = "none"     // the issuer has no lists; the university accepts that
)

// Rule maps certificates to accounts.
type Rule struct {
	Kind   string `json:"kind"`
	Domain string `json:"domain,omitempty"` // of mail and upn: the part after the @
}

// Rules are what an anchor is trusted for.
type Rules struct {
	Map      []Rule   `json:"map"`
	Hardware []string `json:"hardware,omitempty"` // policies that say the key is in hardware
	Policies []string `json:"policies,omitempty"` // one of them must be there; none asks nothing
	Lists    []string `json:"lists,omitempty"`    // where revocation lists are fetched
	Status   string   `json:"status"`
	// Stale is how many seconds after its nextUpdate a list still counts.
	Stale int64 `json:"stale,omitempty"`
}

// Anchor is an issuer of another house.
type Anchor struct {
	ID      string
	Name    string
	DER     []byte
	Between [][]byte // issuers below it that browsers do not send
	Enabled bool
	Rules   Rules
	Checked Report // of the last trial
	Created time.Time
	Changed time.Time
}

// parsed is an anchor ready for judging.
type parsed struct {
	Anchor
	certificate *x509.Certificate
	between     []*x509.Certificate
}

// NewAnchor reads certificates in PEM: the first is the anchor, the others are
// issuers below it.
func NewAnchor(name string, text []byte, rules Rules) (Anchor, error) {
	a := Anchor{ID: authn.NewID("anc"), Name: name, Rules: rules}
	certs, err := readPEM(text)
	if err != nil {
		return a, err
	}
	if len(certs) == 0 || len(certs) > 8 {
		return a, fmt.Errorf("trust: between 1 and 8 certificates in PEM are needed, not %d", len(certs))
	}
	for i, c := range certs {
		if !c.IsCA || !c.BasicConstraintsValid {
			return a, fmt.Errorf("trust: %q is no certification authority", c.Subject)
		}
		if i == 0 {
			a.DER = c.Raw
		} else {
			a.Between = append(a.Between, c.Raw)
		}
	}
	if a.Name == "" {
		a.Name = certs[0].Subject.CommonName
	}
	return a, rules.check()
}

func readPEM(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return out, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("trust: certificate %d: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
}

func (r Rules) check() error {
	for _, m := range r.Map {
		switch m.Kind {
		case BySerial, ByKeyID:
			if m.Domain != "" {
				return fmt.Errorf("trust: a rule by %s has no domain", m.Kind)
			}
		case ByMail, ByUPN:
			if m.Domain == "" || strings.ContainsAny(m.Domain, "@ ") {
				return fmt.Errorf("trust: a rule by %s needs the domain it speaks for, such as %s=example.ac.jp", m.Kind, m.Kind)
			}
		default:
			return fmt.Errorf("trust: %q is no rule: use serial, ski, mail=DOMAIN or upn=DOMAIN", m.Kind)
		}
	}
	for _, address := range r.Lists {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("trust: %q is not the http or https address of a list", address)
		}
	}
	for _, oid := range slices.Concat(r.Hardware, r.Policies) {
		if _, err := x509.ParseOID(oid); err != nil {
			return fmt.Errorf("trust: %q is not an object identifier", oid)
		}
	}
	switch {
	case len(r.Map) == 0:
		return errors.New("trust: an anchor needs a rule that maps certificates to accounts")
	case r.Status == StatusRequired && len(r.Lists) == 0:
		return errors.New("trust: name the addresses of the revocation lists (--crl), or say that there are none (--no-crl)")
	case r.Status == StatusNone && len(r.Lists) > 0:
		return errors.New("trust: lists are named, so their word must count (status required)")
	case r.Status != StatusRequired && r.Status != StatusNone:
		return fmt.Errorf("trust: %q is no rule for revocation: required or none", r.Status)
	case r.Stale < 0 || r.Stale > int64(30*24*time.Hour/time.Second):
		return errors.New("trust: a list may count at most 30 days after its end")
	}
	return nil
}

func (r Rules) has(kind string) bool {
	return slices.ContainsFunc(r.Map, func(m Rule) bool { return m.Kind == kind })
}

// Add stores an anchor, switched off.
func (t *Trust) Add(tx *store.Tx, a Anchor) error {
	rules, err := json.Marshal(a.Rules)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO trust_anchor (id, name, der, between_der, enabled, rules, checked, created_at, changed_at)
		VALUES ($1, $2, $3, $4, 0, $5, '{}', $6, $6)`, a.ID, a.Name, a.DER, bytes.Join(a.Between, nil), string(rules), store.Millis(tx.Now))
	return err
}

// Anchors lists the anchors by the time they were added.
func (t *Trust) Anchors(tx *store.Tx) ([]Anchor, error) {
	list, err := t.parsed(tx)
	var out []Anchor
	for _, p := range list {
		out = append(out, p.Anchor)
	}
	return out, err
}

// Get reads one anchor; ErrNone if there is none.
func (t *Trust) Get(tx *store.Tx, id string) (Anchor, error) {
	list, err := t.Anchors(tx)
	for _, a := range list {
		if a.ID == id {
			return a, nil
		}
	}
	if err == nil {
		err = ErrNone
	}
	return Anchor{}, err
}

// Remove forgets an anchor with its pins and lists.
func (t *Trust) Remove(tx *store.Tx, id string) error {
	for _, query := range []string{
		"DELETE FROM trust_pin WHERE anchor = $1", "DELETE FROM trust_list WHERE anchor = $1", "DELETE FROM trust_seen WHERE anchor = $1",
	} {
		if _, err := tx.Exec(query, id); err != nil {
			return err
		}
	}
	return touched(tx.Exec("DELETE FROM trust_anchor WHERE id = $1", id))
}

func touched(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrNone
	}
	return err
}

func (t *Trust) enabled(tx *store.Tx) ([]*parsed, error) {
	list, err := t.parsed(tx)
	// RFC 5280 does not judge the dates of an anchor; here one that has ended is over.
	over := func(p *parsed) bool { return !p.Enabled || tx.Now.After(p.certificate.NotAfter) }
	return slices.DeleteFunc(list, over), err
}

// parsed reads the anchors; their certificates are parsed once.
func (t *Trust) parsed(tx *store.Tx) ([]*parsed, error) {
	var out []*parsed
	rows, err := tx.Query("SELECT id, name, der, between_der, enabled, rules, checked, created_at, changed_at FROM trust_anchor ORDER BY created_at, id")
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var a Anchor
		var between []byte
		var enabled, created, changed int64
		var rules, checked string
		if err := rows.Scan(&a.ID, &a.Name, &a.DER, &between, &enabled, &rules, &checked, &created, &changed); err != nil {
			return err
		}
		a.Enabled, a.Created, a.Changed = enabled != 0, store.Time(created), store.Time(changed)
		if err := errors.Join(json.Unmarshal([]byte(rules), &a.Rules), json.Unmarshal([]byte(checked), &a.Checked)); err != nil {
			return fmt.Errorf("trust: anchor %s is damaged: %w", a.ID, err)
		}
		p, err := t.prepare(a, between)
		out = append(out, p)
		return err
	})
	return out, err
}

func (t *Trust) prepare(a Anchor, between []byte) (*parsed, error) {
	key := a.ID
	t.mu.Lock()
	known := t.anchors[key]
	t.mu.Unlock()
	if known == nil || !bytes.Equal(known.DER, a.DER) {
		known = &parsed{}
		var err error
		if known.certificate, err = x509.ParseCertificate(a.DER); err != nil {
			return nil, fmt.Errorf("trust: anchor %s is damaged: %w", a.ID, err)
		}
		if known.between, err = x509.ParseCertificates(between); err != nil {
			return nil, fmt.Errorf("trust: anchor %s is damaged: %w", a.ID, err)
		}
		known.DER = a.DER
		t.mu.Lock()
		t.anchors[key] = known
		t.mu.Unlock()
	}
	for _, c := range known.between {
		a.Between = append(a.Between, c.Raw)
	}
	return &parsed{Anchor: a, certificate: known.certificate, between: known.between}, nil
}

func (p *parsed) anchor() chain.Anchor { return chain.Anchor{ID: p.ID, Certificate: p.certificate} }
