package vcard

import "errors"

// tlv is one BER-TLV data object. Tags are kept as they appear on the wire
// (5F C1 05 is 0x5fc105).
type tlv struct {
	tag uint32
	val []byte
}

var errTLV = errors.New("bad BER-TLV")

func parseTLV(b []byte) ([]tlv, error) {
	var out []tlv
	for len(b) > 0 {
		tag := uint32(b[0])
		multi := b[0]&0x1f == 0x1f
		b = b[1:]
		for multi {
			if len(b) == 0 {
				return nil, errTLV
			}
			tag = tag<<8 | uint32(b[0])
			multi = b[0]&0x80 != 0
			b = b[1:]
		}
		if len(b) == 0 {
			return nil, errTLV
		}
		n := int(b[0])
		b = b[1:]
		if n >= 0x80 {
			k := n & 0x7f
			if k == 0 || k > 3 || len(b) < k {
				return nil, errTLV
			}
			n = 0
			for _, c := range b[:k] {
				n = n<<8 | int(c)
			}
			b = b[k:]
		}
		if n > len(b) {
			return nil, errTLV
		}
		out = append(out, tlv{tag, b[:n]})
		b = b[n:]
	}
	return out, nil
}

func find(list []tlv, tag uint32) ([]byte, bool) {
	for _, t := range list {
		if t.tag == tag {
			return t.val, true
		}
	}
	return nil, false
}

// enc encodes one data object; several values are concatenated.
func enc(tag uint32, vals ...[]byte) []byte {
	var out, v []byte
	for _, x := range vals {
		v = append(v, x...)
	}
	for s := 24; s >= 0; s -= 8 {
		if c := byte(tag >> s); c != 0 || len(out) > 0 || s == 0 {
			out = append(out, c)
		}
	}
	switch n := len(v); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	case n < 0x10000:
		out = append(out, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, v...)
}
