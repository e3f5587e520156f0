package piv

import (
	"errors"
	"fmt"
)

// tlv is one BER-TLV data object (ISO/IEC 7816-4, 6.3). Tags are kept as they appear
// on the wire: 5F C1 05 is 0x5fc105.
type tlv struct {
	tag   uint32
	value []byte
}

// errTLV says that bytes of a card are no data objects.
var errTLV = errors.New("piv: malformed data object")

// parseTLV reads a sequence of data objects: tags of at most three bytes, definite
// lengths of at most two.
func parseTLV(b []byte) (out []tlv, err error) {
	for len(b) > 0 {
		var t tlv
		if t.tag, b, err = parseTag(b); err != nil {
			return nil, err
		}
		n, rest, err := parseLength(b)
		if err != nil {
			return nil, err
		}
		if n > len(rest) {
			return nil, fmt.Errorf("%w: %d bytes announced, %d left", errTLV, n, len(rest))
		}
		t.value, b = rest[:n], rest[n:]
		out = append(out, t)
	}
	return out, nil
}

func parseTag(b []byte) (tag uint32, rest []byte, err error) {
	tag = uint32(b[0])
	if b[0]&0x1f != 0x1f {
		return tag, b[1:], nil
	}
	for i := 1; i < 3 && i < len(b); i++ {
		tag = tag<<8 | uint32(b[i])
		if b[i]&0x80 == 0 {
			return tag, b[i+1:], nil
		}
	}
	return 0, nil, errTLV
}

func parseLength(b []byte) (n int, rest []byte, err error) {
	switch {
	case len(b) == 0:
		return 0, nil, errTLV
	case b[0] < 0x80:
		return int(b[0]), b[1:], nil
	case b[0] == 0x81 && len(b) > 1:
		return int(b[1]), b[2:], nil
	case b[0] == 0x82 && len(b) > 2:
		return int(b[1])<<8 | int(b[2]), b[3:], nil
	}
	return 0, nil, errTLV
}

// find gives the value of the first object with a tag.
func find(list []tlv, tag uint32) ([]byte, bool) {
	for _, t := range list {
		if t.tag == tag {
			return t.value, true
		}
	}
	return nil, false
}

// inside parses b as one object with a tag and gives the objects in it.
func inside(b []byte, tag uint32) ([]tlv, error) {
	list, err := parseTLV(b)
	if err != nil {
		return nil, err
	}
	value, ok := find(list, tag)
	if !ok {
		return nil, fmt.Errorf("%w: no %X", errTLV, tag)
	}
	return parseTLV(value)
}

// enc encodes one data object; several values are put one after the other. Values
// are shorter than 64 KiB.
func enc(tag uint32, values ...[]byte) []byte {
	var out, v []byte
	for _, x := range values {
		v = append(v, x...)
	}
	for shift := 16; shift >= 0; shift -= 8 {
		if c := byte(tag >> shift); c != 0 || len(out) > 0 || shift == 0 {
			out = append(out, c)
		}
	}
	switch n := len(v); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	default:
		out = append(out, 0x82, byte(n>>8), byte(n))
	}
	return append(out, v...)
}
