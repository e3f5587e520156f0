package chain

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

var errName = errors.New("chain: not a distinguished name")

// Name brings an encoded distinguished name into the form in which two names are
// compared: attribute values folded in case, width and space (RFC 5280 7.1). Each
// element is one relative name.
func Name(raw []byte) ([]string, error) {
	in := cryptobyte.String(raw)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return nil, errName
	}
	var out []string
	for !seq.Empty() {
		var set cryptobyte.String
		if !seq.ReadASN1(&set, asn1.SET) {
			return nil, errName
		}
		r, err := relative(set)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// relative is the compared form of the content of a RelativeDistinguishedName.
func relative(set cryptobyte.String) (string, error) {
	var parts []string
	for !set.Empty() {
		var pair, oid, value cryptobyte.String
		var tag asn1.Tag
		if !set.ReadASN1(&pair, asn1.SEQUENCE) || !pair.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
			!pair.ReadAnyASN1(&value, &tag) || !pair.Empty() {
			return "", errName
		}
		parts = append(parts, hex.EncodeToString(oid)+"="+folded(tag, value))
	}
	if len(parts) == 0 {
		return "", errName
	}
	slices.Sort(parts)
	return strings.Join(parts, "+"), nil
}

const (
	tagUTF8      asn1.Tag = 12
	tagPrintable asn1.Tag = 19
	tagT61       asn1.Tag = 20
	tagIA5       asn1.Tag = 22
	tagUniversal asn1.Tag = 28
	tagBMP       asn1.Tag = 30
)

// folded is a value as it is compared; values that are no text are compared byte by byte.
func folded(tag asn1.Tag, value []byte) string {
	text := ""
	switch tag {
	case tagUTF8, tagPrintable, tagIA5:
		text = string(value)
	case tagT61: // in practice Latin-1
		r := make([]rune, len(value))
		for i, b := range value {
			r[i] = rune(b)
		}
		text = string(r)
	case tagBMP:
		if len(value)%2 != 0 {
			return "#" + hex.EncodeToString(value)
		}
		units := make([]uint16, len(value)/2)
		for i := range units {
			units[i] = uint16(value[2*i])<<8 | uint16(value[2*i+1])
		}
		text = string(utf16.Decode(units))
	default:
		return "#" + string(rune(tag)) + hex.EncodeToString(value)
	}
	text = cases.Fold().String(norm.NFKC.String(text))
	// The separators of the compared form must not come from a value.
	return "\"" + strings.Join(strings.Fields(text), " ") + "\x00"
}

// sameName tells whether two encoded names mean the same.
func sameName(a, b []byte) bool {
	if string(a) == string(b) {
		return true
	}
	x, errA := Name(a)
	y, errB := Name(b)
	return errA == nil && errB == nil && slices.Equal(x, y)
}
