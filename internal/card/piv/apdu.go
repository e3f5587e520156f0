package piv

import (
	"errors"
	"fmt"
)

// Transmitter carries one command APDU to the card and brings back the response
// APDU, status word included.
type Transmitter interface {
	Transmit(command []byte) ([]byte, error)
}

// answerMax bounds what a card may answer in pieces. Objects of PIV are at most
// about 12 KB (SP 800-73-4 part 1, appendix A).
const answerMax = 16 << 10

// The commands (SP 800-73-4 part 2, 3) and those of one maker.
const (
	insVerify       = 0x20
	insChange       = 0x24
	insUnblock      = 0x2c
	insGenerate     = 0x47
	insAuthenticate = 0x87
	insSelect       = 0xa4
	insGetResponse  = 0xc0
	insGetData      = 0xcb
	insPutData      = 0xdb
	insSetTries     = 0xfa
	insSerial       = 0xf8
	insSetKey       = 0xff
)

// command is one command before it is cut to the size that cards take.
type command struct {
	name   string // for errors
	ins    byte
	p1, p2 byte
	data   []byte
	answer bool // an answer is expected
}

// Errors of a card that callers tell apart.
var (
	ErrNoApplication = errors.New("piv: the card has no PIV application")
	ErrNotFound      = errors.New("piv: the card has no such object")
	ErrDenied        = errors.New("piv: the card wants a PIN or the management key first")
	ErrBlocked       = errors.New("piv: no tries are left, the card has locked it")
	ErrUnsupported   = errors.New("piv: the card does not know this command")
	ErrFull          = errors.New("piv: the card has no space left")
)

// PINError says that a PIN or PUK was wrong and how many tries are left.
type PINError struct{ Left int }

// Error says it without the PIN.
func (e *PINError) Error() string {
	return fmt.Sprintf("the PIN or PUK is wrong; tries left: %d", e.Left)
}

// StatusError is any other answer of a card than success.
type StatusError struct {
	Command string
	Status  uint16 // ISO/IEC 7816-4, 5.6
}

// Error names the command and the status word.
func (e *StatusError) Error() string {
	return fmt.Sprintf("piv: %s: the card answered %04X", e.Command, e.Status)
}

// judge turns a status word into an error (SP 800-73-4 part 2, 3).
func judge(name string, status uint16) error {
	switch {
	case status == 0x9000:
		return nil
	case status == 0x6300 || status&0xfff0 == 0x63c0:
		return &PINError{int(status & 0x0f)}
	}
	known := map[uint16]error{
		0x6983: ErrBlocked, 0x6982: ErrDenied, 0x6a82: ErrNotFound, 0x6a84: ErrFull,
		0x6d00: ErrUnsupported, 0x6e00: ErrUnsupported, 0x6a81: ErrUnsupported,
	}
	e := &StatusError{name, status}
	if cause, ok := known[status]; ok {
		return fmt.Errorf("%w (%w)", cause, e)
	}
	return e
}

// send runs a command, cut into pieces of 255 bytes (ISO/IEC 7816-4, 5.3.3), and puts
// its answer together with GET RESPONSE (ISO/IEC 7816-4, 5.3.4).
func (c *Card) send(x command) ([]byte, error) {
	data := x.data
	for len(data) > 255 {
		_, status, err := c.exchange(append([]byte{0x10, x.ins, x.p1, x.p2, 255}, data[:255]...))
		if err != nil {
			return nil, err
		}
		if err := judge(x.name, status); err != nil {
			return nil, err
		}
		data = data[255:]
	}
	apdu := []byte{0x00, x.ins, x.p1, x.p2}
	if len(data) > 0 {
		apdu = append(append(apdu, byte(len(data))), data...)
	}
	if x.answer {
		apdu = append(apdu, 0)
	}
	return c.collect(x.name, apdu)
}

// collect sends a last or only command and fetches all of the answer.
func (c *Card) collect(name string, apdu []byte) ([]byte, error) {
	var out []byte
	corrected := false
	for {
		part, status, err := c.exchange(apdu)
		if err != nil {
			return nil, err
		}
		out = append(out, part...)
		switch {
		case len(out) > answerMax:
			return nil, fmt.Errorf("piv: %s: the answer of the card does not end", name)
		case status>>8 == 0x61:
			if len(part) == 0 && apdu[1] == insGetResponse {
				return nil, fmt.Errorf("piv: %s: the card announces more and sends nothing", name)
			}
			apdu = []byte{0x00, insGetResponse, 0, 0, byte(status)}
		case status>>8 == 0x6c && !corrected && len(apdu) >= 5: // wrong Le: the card says which is right
			corrected = true
			apdu = append(apdu[:len(apdu)-1:len(apdu)-1], byte(status))
		default:
			return out, judge(name, status)
		}
	}
}

func (c *Card) exchange(apdu []byte) (data []byte, status uint16, err error) {
	r, err := c.t.Transmit(apdu)
	if err != nil {
		return nil, 0, err
	}
	n := len(r) - 2
	if n < 0 {
		return nil, 0, fmt.Errorf("piv: an answer of %d bytes has no status word", len(r))
	}
	return r[:n], uint16(r[n])<<8 | uint16(r[n+1]), nil
}
