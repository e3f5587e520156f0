package vcard

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync"
	"time"
)

// Status words (ISO/IEC 7816-4, 5.6; SP 800-73-4 part 2, 3).
const (
	swOK          = 0x9000
	swMemory      = 0x6581
	swWrongLength = 0x6700
	swSecurity    = 0x6982
	swBlocked     = 0x6983
	swConditions  = 0x6985
	swBadData     = 0x6a80
	swNotFound    = 0x6a82
	swBadP1P2     = 0x6a86
	swNoReference = 0x6a88
	swNoCommand   = 0x6d00
	swNoClass     = 0x6e00
)

// chainMax bounds what a chain of commands may bring together.
const chainMax = 16 << 10

// Card is a card with its volatile state. It may be used by several goroutines.
type Card struct {
	mu   sync.Mutex
	s    *State
	file string

	Vendor bool         // answer the maker's own commands too
	Trace  func(string) // told of every command, without PINs

	fault     uint16 // answer of private key operations, for tests
	delay     time.Duration
	signs     int
	commands  int
	selected  bool
	pinOK     bool
	pinFresh  bool
	mgmtOK    bool
	challenge []byte // of external authentication
	witness   []byte // of mutual authentication
	chain     []byte
	out       []byte
}

// Info is what a test may know of a card.
type Info struct {
	Serial   uint32 `json:"serial"`
	PINTries int    `json:"pin_tries"` // left
	PUKTries int    `json:"puk_tries"`
	Verified bool   `json:"verified"`
	Signs    int    `json:"signs"`
	Commands int    `json:"commands"`
}

// Info tells how the card stands.
func (c *Card) Info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Info{c.s.Serial, c.s.PINTries, c.s.PUKTries, c.pinOK, c.signs, c.commands}
}

// Fail makes every use of a private key end with a status word; 0 ends that.
func (c *Card) Fail(status uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = status
}

// Slow makes every use of a private key take longer.
func (c *Card) Slow(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay = by
}

// ATR is what the card answers to reset: that of the maker's, or of a plain PIV card.
func (c *Card) ATR() []byte {
	text := "3b7d96000080318065b0831148c883009000"
	if c.Vendor {
		text = "3bfd1300008131fe158073c021c057597562694b657940"
	}
	atr, _ := hex.DecodeString(text)
	return atr
}

// Reset is a power cycle: everything volatile is lost.
func (c *Card) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reset()
}

func (c *Card) reset() {
	c.selected, c.pinOK, c.pinFresh, c.mgmtOK = false, false, false, false
	c.challenge, c.witness, c.chain, c.out = nil, nil, nil, nil
}

// Transmit runs one command and gives the response with its status word.
func (c *Card) Transmit(command []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commands++
	data, status := c.dispatch(command)
	answer := binary.BigEndian.AppendUint16(bytes.Clone(data), status)
	if c.Trace != nil {
		shown := fmt.Sprintf("%x", command)
		if len(command) > 5 && (command[1] == 0x20 || command[1] == 0x24 || command[1] == 0x2c) {
			shown = fmt.Sprintf("%x<secret>", command[:5])
		}
		c.Trace(fmt.Sprintf("> %s\n< %x", shown, answer))
	}
	return answer, nil
}

// parse takes a command apart (ISO/IEC 7816-4, 5.2): its data and how much may be answered.
func parse(body []byte) (data []byte, le int, ok bool) {
	short := func(b byte) int { return (int(b)+255)%256 + 1 }
	long := func(b []byte) int { return (int(binary.BigEndian.Uint16(b))+65535)%65536 + 1 }
	switch n := len(body); {
	case n == 0:
		return nil, 0, true
	case n == 1:
		return nil, short(body[0]), true
	case body[0] != 0 && n == 1+int(body[0]):
		return body[1:], 256, true // some middleware leaves Le out
	case body[0] != 0 && n == 2+int(body[0]):
		return body[1 : n-1], short(body[n-1]), true
	case body[0] == 0 && n == 3:
		return nil, long(body[1:]), true
	case body[0] == 0 && n > 3 && n == 3+int(binary.BigEndian.Uint16(body[1:])):
		return body[3:], 65536, true
	case body[0] == 0 && n > 5 && n == 5+int(binary.BigEndian.Uint16(body[1:])):
		return body[3 : n-2], long(body[n-2:]), true
	}
	return nil, 0, false
}

func (c *Card) dispatch(b []byte) ([]byte, uint16) {
	if len(b) < 4 {
		return nil, swWrongLength
	}
	if b[0]&^0x10 != 0 {
		return nil, swNoClass
	}
	data, le, ok := parse(b[4:])
	if !ok {
		return nil, swWrongLength
	}
	if b[1] == 0xc0 { // GET RESPONSE
		if len(c.out) == 0 {
			return nil, swConditions
		}
		return c.reply(c.out, le)
	}
	c.out = nil
	if len(c.chain)+len(data) > chainMax {
		c.chain = nil
		return nil, swWrongLength
	}
	if b[0]&0x10 != 0 { // a command follows that belongs to this one
		c.chain = append(c.chain, data...)
		return nil, swOK
	}
	data = append(c.chain, data...)
	c.chain = nil
	out, status := c.run(b[1], b[2], b[3], data)
	if status != swOK {
		return nil, status
	}
	return c.reply(out, max(le, 256))
}

func (c *Card) reply(out []byte, le int) ([]byte, uint16) {
	if len(out) <= le {
		c.out = nil
		return out, swOK
	}
	c.out = out[le:]
	return out[:le], 0x6100 | uint16(min(len(c.out), 255))
}

// aid names the PIV application (SP 800-73-4 part 1, 2.2).
var aid = []byte{0xa0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00}

func (c *Card) run(ins, p1, p2 byte, d []byte) ([]byte, uint16) {
	if ins == 0xa4 {
		return c.choose(p1, d)
	}
	if !c.selected {
		return nil, swNoCommand
	}
	switch ins {
	case 0x20:
		return nil, c.verify(p1, p2, d)
	case 0x24:
		return nil, c.change(p2, d)
	case 0x2c:
		return nil, c.unblock(p2, d)
	case 0x47:
		return c.generate(p2, d)
	case 0x87:
		if p2 == 0x9b {
			return c.manage(p1, d)
		}
		return c.use(p1, p2, d)
	case 0xcb:
		return c.get(d)
	case 0xdb:
		return nil, c.put(d)
	}
	if c.Vendor {
		return c.vendor(ins, p1, p2, d)
	}
	return nil, swNoCommand
}

// choose is SELECT (SP 800-73-4 part 2, 3.1.1).
func (c *Card) choose(p1 byte, d []byte) ([]byte, uint16) {
	if p1 != 4 || len(d) < 5 || !bytes.HasPrefix(aid, d) {
		return nil, swNotFound
	}
	c.reset()
	c.selected = true
	return enc(0x61, enc(0x4f, aid), enc(0x79, enc(0x4f, aid[:5])), enc(0x50, []byte("PIV test card")),
		enc(0xac, enc(0x80, []byte{algRSA2048}), enc(0x80, []byte{algP256}), enc(0x80, []byte{algP384}), enc(0x06))), swOK
}

// saved writes the card and says how that went.
func (c *Card) saved() uint16 {
	if err := c.Save(); err != nil {
		return swMemory
	}
	return swOK
}
