package chain

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The choices of GeneralName (RFC 5280 4.2.1.6).
const (
	otherName     = 0
	rfc822Name    = 1
	dnsName       = 2
	x400Address   = 3
	directoryName = 4
	ediPartyName  = 5
	uriName       = 6
	ipAddress     = 7
	registeredID  = 8
)

// generalName is one name: the content of its element, for a directory name the
// encoded name.
type generalName struct {
	kind  int
	value []byte
}

var errGeneralName = errors.New("chain: not a general name")

// readGeneralName takes one name from in.
func readGeneralName(in *cryptobyte.String) (generalName, error) {
	var value cryptobyte.String
	var tag asn1.Tag
	if !in.ReadAnyASN1(&value, &tag) {
		return generalName{}, errGeneralName
	}
	kind := int(tag & 0x1f)
	if tag&0xc0 != 0x80 || kind > registeredID {
		return generalName{}, errGeneralName
	}
	structured := kind == otherName || kind == x400Address || kind == directoryName || kind == ediPartyName
	if structured != (tag&0x20 != 0) {
		return generalName{}, errGeneralName
	}
	return generalName{kind, value}, nil
}

// readGeneralNames reads the content of a GeneralNames.
func readGeneralNames(in cryptobyte.String) ([]generalName, error) {
	var out []generalName
	for !in.Empty() {
		n, err := readGeneralName(&in)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// same tells whether two names are one; directory names are compared as names.
func (n generalName) same(o generalName) bool {
	if n.kind != o.kind {
		return false
	}
	if n.kind == directoryName {
		return sameName(n.value, o.value)
	}
	return string(n.value) == string(o.value)
}

func anySame(a, b []generalName) bool {
	for _, x := range a {
		for _, y := range b {
			if x.same(y) {
				return true
			}
		}
	}
	return false
}
