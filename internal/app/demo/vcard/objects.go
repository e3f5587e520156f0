package vcard

import (
	"bytes"
	"encoding/hex"
)

// get is GET DATA (SP 800-73-4 part 2, 3.1.2).
func (c *Card) get(d []byte) ([]byte, uint16) {
	l, err := parseTLV(d)
	if err != nil {
		return nil, swBadData
	}
	tag, _ := find(l, 0x5c)
	switch h := hex.EncodeToString(tag); h {
	case "7e": // discovery object: PIV PIN, the application PIN is primary
		return enc(0x7e, enc(0x4f, aid), enc(0x5f2f, []byte{0x40, 0x00})), swOK
	case "5fc103", "5fc108", "5fc109": // fingerprints, face, printed information
		if !c.pinOK {
			return nil, swSecurity
		}
		fallthrough
	default:
		o, ok := c.s.Objects[h]
		if !ok {
			return nil, swNotFound
		}
		return enc(0x53, o), swOK
	}
}

// put is PUT DATA (SP 800-73-4 part 2, 3.3.1).
func (c *Card) put(d []byte) uint16 {
	if !c.mgmtOK {
		return swSecurity
	}
	l, err := parseTLV(d)
	tag, ok1 := find(l, 0x5c)
	val, ok2 := find(l, 0x53)
	if err != nil || !ok1 || !ok2 {
		return swBadData
	}
	h := hex.EncodeToString(tag)
	if len(val) == 0 {
		delete(c.s.Objects, h)
	} else {
		c.s.Objects[h] = bytes.Clone(val)
	}
	return c.saved()
}
