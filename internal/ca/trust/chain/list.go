package chain

import (
	"crypto/x509"
	"math/big"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The extensions of lists and of their entries.
const (
	oidAuthorityKey      = "2.5.29.35"
	oidCRLNumber         = "2.5.29.20"
	oidDeltaIndicator    = "2.5.29.27"
	oidIssuingPoint      = "2.5.29.28"
	oidReasonCode        = "2.5.29.21"
	oidInvalidityDate    = "2.5.29.24"
	oidCertificateIssuer = "2.5.29.29"
)

// reasons is a set of ReasonFlags (RFC 5280 4.2.1.13): bit n of the encoding is 1<<n.
type reasons uint16

// allReasons are the bits 1 to 8.
const allReasons reasons = 0x1fe

// point says which certificates a list speaks for, or where a certificate's lists
// are: IssuingDistributionPoint (5.2.5) and DistributionPoint (4.2.1.13) in one.
type point struct {
	names     []generalName
	relative  []byte // an RDN below the issuer, instead of names
	reasons   reasons
	issuers   []generalName // only of a DistributionPoint
	users     bool
	cas       bool
	attribute bool
	indirect  bool
}

func (p point) named() bool { return len(p.names) > 0 || p.relative != nil }

// full are the names of the point; a relative one is completed by its issuer's name.
func (p point) full(issuer []byte) []generalName {
	if p.relative == nil {
		return p.names
	}
	in := cryptobyte.String(issuer)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) {
		return nil
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(seq)
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(p.relative) })
	})
	name, err := b.Bytes()
	if err != nil {
		return nil
	}
	return []generalName{{directoryName, name}}
}

// entry is a revoked certificate.
type entry struct {
	since time.Time
	code  int
}

// List is a parsed revocation list. It is not trusted before a judgement has
// checked its signature; it may be shared by judgements.
type List struct {
	Raw        *x509.RevocationList // without its entries
	Number     *big.Int
	Base       *big.Int // of a delta list
	scope      point
	scopeRaw   string
	keyID      string
	issuer     string // in compared form
	usable     bool   // no unknown critical extension
	entries    map[string]entry
	byIssuer   map[string]map[string]entry // of an indirect list, by compared name
	ThisUpdate time.Time
	NextUpdate time.Time

	checked sync.Map // public keys with which the signature was checked: whether it is right
}

// ParseList reads a revocation list.
func ParseList(der []byte) (*List, error) {
	raw, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	l := &List{
		Number: raw.Number, ThisUpdate: raw.ThisUpdate, NextUpdate: raw.NextUpdate, usable: true,
		scope: point{reasons: allReasons}, keyID: key(raw.AuthorityKeyId),
	}
	if l.issuer, err = nameKey(raw.RawIssuer); err != nil {
		return nil, err
	}
	for _, e := range raw.Extensions {
		if fault := l.extension(e); fault != nil {
			return nil, fault
		}
	}
	if err := l.fill(raw); err != nil {
		return nil, err
	}
	raw.RevokedCertificateEntries, raw.RevokedCertificates = nil, nil //lint:ignore SA1019 the old form holds them too
	l.Raw = raw
	return l, nil
}

// Entries is the number of revoked certificates.
func (l *List) Entries() int {
	n := len(l.entries)
	for _, m := range l.byIssuer {
		n += len(m)
	}
	return n
}

func (l *List) extension(e pkixExtension) error {
	switch e.Id.String() {
	case oidIssuingPoint:
		scope, ok := readIssuingPoint(e.Value)
		if !ok {
			return refuse(Form, nil, "issuing distribution point")
		}
		l.scope, l.scopeRaw = scope, string(e.Value)
	case oidDeltaIndicator:
		in := cryptobyte.String(e.Value)
		l.Base = new(big.Int)
		if !in.ReadASN1Integer(l.Base) {
			return refuse(Form, nil, "delta indicator")
		}
	case oidAuthorityKey, oidCRLNumber:
	default:
		l.usable = l.usable && !e.Critical
	}
	return nil
}

// fill keeps the entries. An entry's issuer is that of the entry before, unless it
// names one (RFC 5280 5.3.3).
func (l *List) fill(raw *x509.RevocationList) error {
	l.entries = make(map[string]entry, len(raw.RevokedCertificateEntries))
	into := l.entries
	for _, r := range raw.RevokedCertificateEntries {
		for _, e := range r.Extensions {
			switch e.Id.String() {
			case oidReasonCode, oidInvalidityDate:
			case oidCertificateIssuer:
				if !l.scope.indirect {
					l.usable = false
					continue
				}
				name, ok := readIssuerName(e.Value)
				if !ok {
					return refuse(Form, nil, "certificate issuer of an entry")
				}
				if l.byIssuer == nil {
					l.byIssuer = map[string]map[string]entry{}
				}
				if name == l.issuer {
					into = l.entries
				} else if into = l.byIssuer[name]; into == nil {
					into = map[string]entry{}
					l.byIssuer[name] = into
				}
			default:
				l.usable = l.usable && !e.Critical
			}
		}
		into[r.SerialNumber.String()] = entry{r.RevocationTime, r.ReasonCode}
	}
	return nil
}

// of looks a certificate up.
func (l *List) of(c *x509.Certificate) (entry, bool) {
	name, err := nameKey(c.RawIssuer)
	if err != nil {
		return entry{}, false
	}
	if name == l.issuer {
		e, ok := l.entries[c.SerialNumber.String()]
		return e, ok
	}
	e, ok := l.byIssuer[name][c.SerialNumber.String()]
	return e, ok
}

// Lists tells whether the list has an entry for a certificate. What the entry means,
// Validate says: it knows the list's signature, scope and age.
func (l *List) Lists(c *x509.Certificate) bool {
	_, ok := l.of(c)
	return ok
}

// nameKey is a name in its compared form as one string.
func nameKey(raw []byte) (string, error) {
	parts, err := Name(raw)
	if err != nil {
		return "", err
	}
	out := ""
	for _, p := range parts {
		out += p + "\x01"
	}
	return out, nil
}

func readIssuerName(value []byte) (string, bool) {
	in := cryptobyte.String(value)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return "", false
	}
	names, err := readGeneralNames(seq)
	if err != nil {
		return "", false
	}
	for _, n := range names {
		if n.kind == directoryName {
			k, err := nameKey(n.value)
			return k, err == nil
		}
	}
	return "", false
}
