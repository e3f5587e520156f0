package vcard

import "bytes"

// check compares a PIN or PUK block (8 bytes, padded with FF) and counts.
func (c *Card) check(block []byte, want string, tries *int, most int) uint16 {
	if *tries == 0 {
		return swBlocked
	}
	if string(bytes.TrimRight(block, "\xff")) != want {
		*tries--
		c.pinOK, c.pinFresh = false, false
		if status := c.saved(); status != swOK {
			return status
		}
		return 0x63c0 | uint16(min(*tries, 15))
	}
	if *tries != most {
		*tries = most
		return c.saved()
	}
	return swOK
}

// verify is VERIFY (SP 800-73-4 part 2, 3.2.1): without data it tells the tries left.
func (c *Card) verify(p1, p2 byte, d []byte) uint16 {
	if p2 != 0x80 {
		return swNoReference
	}
	if p1 == 0xff && len(d) == 0 {
		c.pinOK, c.pinFresh = false, false
		return swOK
	}
	if len(d) == 0 {
		switch {
		case c.s.PINTries == 0:
			return swBlocked
		case c.pinOK:
			return swOK
		}
		return 0x63c0 | uint16(min(c.s.PINTries, 15))
	}
	if len(d) != 8 {
		return swBadData
	}
	status := c.check(d, c.s.PIN, &c.s.PINTries, c.s.PINMax)
	c.pinOK = status == swOK
	c.pinFresh = c.pinOK
	return status
}

func validNew(block []byte) (string, bool) {
	s := string(bytes.TrimRight(block, "\xff"))
	return s, len(s) >= 6 && !bytes.Contains([]byte(s), []byte{0xff})
}

// change is CHANGE REFERENCE DATA (SP 800-73-4 part 2, 3.2.2).
func (c *Card) change(p2 byte, d []byte) uint16 {
	if len(d) != 16 {
		return swBadData
	}
	cur, tries, most := &c.s.PIN, &c.s.PINTries, c.s.PINMax
	if p2 == 0x81 {
		cur, tries, most = &c.s.PUK, &c.s.PUKTries, c.s.PUKMax
	} else if p2 != 0x80 {
		return swNoReference
	}
	next, ok := validNew(d[8:])
	if !ok {
		return swBadData
	}
	if status := c.check(d[:8], *cur, tries, most); status != swOK {
		return status
	}
	*cur = next
	return c.saved()
}

// unblock is RESET RETRY COUNTER (SP 800-73-4 part 2, 3.2.3).
func (c *Card) unblock(p2 byte, d []byte) uint16 {
	if p2 != 0x80 {
		return swNoReference
	}
	if len(d) != 16 {
		return swBadData
	}
	next, ok := validNew(d[8:])
	if !ok {
		return swBadData
	}
	if status := c.check(d[:8], c.s.PUK, &c.s.PUKTries, c.s.PUKMax); status != swOK {
		return status
	}
	c.s.PIN, c.s.PINTries = next, c.s.PINMax
	return c.saved()
}
