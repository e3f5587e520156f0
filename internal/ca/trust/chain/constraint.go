package chain

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// constraints are the name constraints of one authority (RFC 5280 4.2.1.10).
type constraints struct {
	permitted, excluded []generalName
}

// The most names that are compared; an attacker's certificate could otherwise
// multiply names by constraints.
const maxComparisons = 100_000

// readConstraints reads the extension.
func readConstraints(value []byte) (constraints, bool) {
	var out constraints
	in := cryptobyte.String(value)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return out, false
	}
	for i, into := range []*[]generalName{&out.permitted, &out.excluded} {
		var trees cryptobyte.String
		var there bool
		if !seq.ReadOptionalASN1(&trees, &there, asn1.Tag(i).ContextSpecific().Constructed()) {
			return out, false
		}
		for !trees.Empty() {
			var tree cryptobyte.String
			if !trees.ReadASN1(&tree, asn1.SEQUENCE) {
				return out, false
			}
			// RFC 5280 4.2.1.10: minimum is zero and maximum absent.
			n, err := readGeneralName(&tree)
			if err != nil || !tree.Empty() {
				return out, false
			}
			*into = append(*into, n)
		}
	}
	return out, seq.Empty() && len(out.permitted)+len(out.excluded) > 0
}

// namesOf are all names of a certificate that constraints speak of.
func namesOf(c *x509.Certificate) ([]generalName, *Error) {
	var out []generalName
	subject, err := Name(c.RawSubject)
	if err != nil {
		return nil, refuse(Form, c, "subject")
	}
	if len(subject) > 0 {
		out = append(out, generalName{directoryName, c.RawSubject})
	}
	mail := false
	if value := extension(c, oidAltName); value != nil {
		in := cryptobyte.String(value)
		var seq cryptobyte.String
		if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
			return nil, refuse(Form, c, "subject alternative name")
		}
		names, err := readGeneralNames(seq)
		if err != nil {
			return nil, refuse(Form, c, "subject alternative name")
		}
		for _, n := range names {
			mail = mail || n.kind == rfc822Name
			out = append(out, n)
		}
	}
	if !mail { // RFC 5280 4.2.1.10: addresses of old inside the subject
		for _, a := range c.Subject.Names {
			if text, ok := a.Value.(string); ok && a.Type.String() == "1.2.840.113549.1.9.1" {
				out = append(out, generalName{rfc822Name, []byte(text)})
			}
		}
	}
	return out, nil
}

// allow checks a certificate against everything its authorities allow.
func allow(all []constraints, c *x509.Certificate) *Error {
	if len(all) == 0 {
		return nil
	}
	names, fault := namesOf(c)
	if fault != nil {
		return fault
	}
	work := 0
	for _, k := range all {
		work += len(names) * (len(k.permitted) + len(k.excluded))
	}
	if work > maxComparisons {
		return refuse(Form, c, "too many names")
	}
	for _, k := range all {
		for _, n := range names {
			if fault := k.judge(n, c); fault != nil {
				return fault
			}
		}
	}
	return nil
}

func (k constraints) judge(n generalName, c *x509.Certificate) *Error {
	for _, e := range k.excluded {
		if e.kind == n.kind {
			if inside, ok := within(n, e); inside || !ok {
				return refuse(Names, c, "a name that is excluded")
			}
		}
	}
	asked := false
	for _, p := range k.permitted {
		if p.kind != n.kind {
			continue
		}
		asked = true
		inside, ok := within(n, p)
		if !ok {
			break
		}
		if inside {
			return nil
		}
	}
	if asked {
		return refuse(Names, c, "a name that is not permitted")
	}
	return nil
}

// within tells whether a name lies in a subtree; ok is false for a kind or a form
// that cannot be judged, which then is refused.
func within(n, tree generalName) (inside, ok bool) {
	switch n.kind {
	case directoryName:
		a, errA := Name(n.value)
		b, errB := Name(tree.value)
		return len(a) >= len(b) && errA == nil && errB == nil && slices.Equal(a[:min(len(a), len(b))], b), errA == nil && errB == nil
	case rfc822Name:
		return mailWithin(string(n.value), string(tree.value))
	case dnsName:
		return hostWithin(string(n.value), string(tree.value), true), plain(n.value) && plain(tree.value)
	case uriName:
		return uriWithin(string(n.value), string(tree.value))
	case ipAddress:
		return addressWithin(n.value, tree.value)
	}
	return false, false
}

func plain(text []byte) bool {
	return !bytes.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// hostWithin compares domains label by label. A tree of "example.jp" holds its
// subdomains for DNS names only; one of ".example.jp" holds only subdomains.
func hostWithin(host, tree string, below bool) bool {
	host, tree = strings.ToLower(host), strings.ToLower(tree)
	if tree == "" || host == tree && !strings.HasPrefix(tree, ".") {
		return true
	}
	if rest, dotted := strings.CutPrefix(tree, "."); dotted {
		return strings.HasSuffix(host, "."+rest)
	}
	return below && strings.HasSuffix(host, "."+tree)
}

func mailWithin(address, tree string) (inside, ok bool) {
	i := strings.LastIndexByte(address, '@')
	if i <= 0 || i == len(address)-1 || !plain([]byte(address)) || !plain([]byte(tree)) {
		return false, false
	}
	local, host := address[:i], address[i+1:]
	if j := strings.LastIndexByte(tree, '@'); j >= 0 { // one mailbox
		return local == tree[:j] && strings.EqualFold(host, tree[j+1:]), true
	}
	return hostWithin(host, tree, false), true
}

// uriWithin judges by the host; a URI without a host name cannot be judged (RFC 5280 4.2.1.10).
func uriWithin(text, tree string) (inside, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return false, false
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return false, false
	}
	return hostWithin(u.Hostname(), tree, false), true
}

func addressWithin(address, tree []byte) (inside, ok bool) {
	if len(address) != 4 && len(address) != 16 || len(tree) != 8 && len(tree) != 32 {
		return false, false
	}
	if len(tree) != 2*len(address) {
		return false, true // of the other family
	}
	for i, b := range address {
		mask := tree[len(address)+i]
		if b&mask != tree[i]&mask {
			return false, true
		}
	}
	return true, true
}

// extension returns the value of an extension, or nil.
func extension(c *x509.Certificate, oid string) []byte {
	for _, e := range c.Extensions {
		if e.Id.String() == oid {
			return e.Value
		}
	}
	return nil
}

func key(b []byte) string { return hex.EncodeToString(b) }
