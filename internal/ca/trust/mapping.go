package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/store"
)

// errConflict says that a certificate leads to more than one account.
var errConflict = errors.New("trust: the certificate leads to more than one account")

// account maps a certificate to an account by the rules of its anchor; "" if no rule
// knows it. What was pinned by hand stands above names.
func (t *Trust) account(tx *store.Tx, a *parsed, c *x509.Certificate) (authn.AccountID, error) {
	for _, kind := range []string{BySerial, ByKeyID} {
		value := pinValue(kind, c)
		if !a.Rules.has(kind) || value == "" {
			continue
		}
		var account authn.AccountID
		err := tx.QueryRow("SELECT account FROM trust_pin WHERE anchor = $1 AND kind = $2 AND value = $3", a.ID, kind, value).Scan(&account)
		if err == nil {
			return account, nil
		}
		if !errors.Is(err, store.ErrNoRows) {
			return "", err
		}
	}
	return t.named(tx, a.Rules, c)
}

// named maps by the names in a certificate. All names that a rule speaks for must
// lead to one account: a certificate with the name of another person beside one's own
// leads to nobody.
func (t *Trust) named(tx *store.Tx, r Rules, c *x509.Certificate) (authn.AccountID, error) {
	var found []authn.AccountID
	for _, m := range r.Map {
		var names []string
		switch m.Kind {
		case ByMail:
			names = c.EmailAddresses
		case ByUPN:
			names = principals(c)
		}
		for _, name := range names {
			more, err := t.lookUp(tx, m, name)
			if err != nil {
				return "", err
			}
			found = append(found, more...)
		}
	}
	slices.Sort(found)
	switch found = slices.Compact(found); len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", errConflict
}

func (t *Trust) lookUp(tx *store.Tx, m Rule, name string) ([]authn.AccountID, error) {
	i := strings.LastIndexByte(name, '@')
	if i <= 0 || !strings.EqualFold(name[i+1:], m.Domain) || len(name) > 320 {
		return nil, nil
	}
	if m.Kind == ByMail {
		return t.people.ByMail(tx, name)
	}
	account, err := t.people.ByUserName(tx, name[:i])
	if err != nil || account == "" {
		return nil, err
	}
	return []authn.AccountID{account}, nil
}

// pinValue is how a certificate is pinned: the serial with the issuer's name, since
// serials are unique only below one issuer, or the key identifier.
func pinValue(kind string, c *x509.Certificate) string {
	if kind == ByKeyID {
		return strings.ToUpper(hex.EncodeToString(c.SubjectKeyId))
	}
	sum := sha256.Sum256(c.RawIssuer)
	return ca.SerialText(c.SerialNumber) + "@" + hex.EncodeToString(sum[:])
}

// principals are the user principal names of a certificate: otherName
// 1.3.6.1.4.1.311.20.2.3 with a UTF8String.
func principals(c *x509.Certificate) []string {
	var out []string
	for _, e := range c.Extensions {
		if e.Id.String() != "2.5.29.17" {
			continue
		}
		in := cryptobyte.String(e.Value)
		var names cryptobyte.String
		if !in.ReadASN1(&names, asn1.SEQUENCE) {
			return nil
		}
		for !names.Empty() {
			var name cryptobyte.String
			var tag asn1.Tag
			if !names.ReadAnyASN1(&name, &tag) {
				return nil
			}
			if tag == asn1.Tag(0).ContextSpecific().Constructed() {
				if text, ok := principal(name); ok {
					out = append(out, text)
				}
			}
		}
	}
	return out
}

func principal(other cryptobyte.String) (string, bool) {
	var oid, value, text cryptobyte.String
	if !other.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || hex.EncodeToString(oid) != "2b060104018237140203" ||
		!other.ReadASN1(&value, asn1.Tag(0).ContextSpecific().Constructed()) || !value.ReadASN1(&text, asn1.UTF8String) || !value.Empty() {
		return "", false
	}
	return string(text), true
}

// Pin binds a certificate of an anchor to an account by hand: by its serial, or by its
// key identifier, which stays when the certificate is renewed with the same key.
func (t *Trust) Pin(tx *store.Tx, anchor, kind string, c *x509.Certificate, account authn.AccountID) error {
	value := pinValue(kind, c)
	list, err := t.parsed(tx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(p *parsed) bool { return p.ID == anchor })
	if i < 0 {
		return ErrNone
	}
	if a := list[i]; !a.Rules.has(kind) {
		return fmt.Errorf("trust: no rule of %s looks at what would be pinned (%s): its rules are %s", a.Name, kind, a.Rules)
	} else if value == "" {
		return errors.New("trust: the certificate names no key identifier")
	} else if err := a.issued(c, nil); err != nil {
		return fmt.Errorf("trust: the certificate is not of %s: %w", a.Name, err)
	}
	_, err = tx.Exec(`INSERT INTO trust_pin (anchor, kind, value, account, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (anchor, kind, value) DO UPDATE SET account = excluded.account, created_at = excluded.created_at`,
		anchor, kind, value, string(account), store.Millis(tx.Now))
	return err
}
