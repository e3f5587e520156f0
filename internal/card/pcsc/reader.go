package pcsc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Reader is one card reader.
type Reader struct {
	Name    string
	Present bool   // a card is in it
	ATR     []byte // what the card answered to reset
}

// Readers lists the readers that pcscd knows; none is no error.
func Readers(ctx context.Context, socket string) ([]Reader, error) {
	c, err := dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	defer c.close()
	return c.readers()
}

func (c *client) readers() ([]Reader, error) {
	if err := c.send(msgReaders, nil, nil); err != nil {
		return nil, err
	}
	raw, err := c.readBytes(readersMax * readerSize)
	if err != nil {
		return nil, err
	}
	return parseReaders(raw), nil
}

// parseReaders reads the table of readers; empty places have no name.
func parseReaders(raw []byte) (out []Reader) {
	for ; len(raw) >= readerSize; raw = raw[readerSize:] {
		name, _, _ := bytes.Cut(raw[:nameSize], []byte{0})
		if len(name) == 0 {
			continue
		}
		state := binary.NativeEndian.Uint32(raw[nameSize+4:])
		n := min(binary.NativeEndian.Uint32(raw[nameSize+12+atrSize+3:]), atrSize)
		out = append(out, Reader{
			Name:    strings.ToValidUTF8(string(name), "?"),
			Present: state&statePresent != 0,
			ATR:     bytes.Clone(raw[nameSize+12:][:n]),
		})
	}
	return out
}

// choose finds the reader to use: the one whose name contains the word, else the only
// one with a card.
func choose(list []Reader, word string) (Reader, error) {
	if len(list) == 0 {
		return Reader{}, ErrNoReader
	}
	var fit []Reader
	for _, r := range list {
		if r.Name == word {
			fit = []Reader{r}
			break
		}
		if strings.Contains(r.Name, word) {
			fit = append(fit, r)
		}
	}
	if len(fit) == 0 {
		return Reader{}, fmt.Errorf("%w with %q in its name: %s", ErrNoReader, word, names(list))
	}
	var full []Reader
	for _, r := range fit {
		if r.Present {
			full = append(full, r)
		}
	}
	switch len(full) {
	case 0:
		return Reader{}, ErrNoCard
	case 1:
		return full[0], nil
	}
	return Reader{}, fmt.Errorf("%w: %s", ErrManyCards, names(full))
}

func names(list []Reader) string {
	var out []string
	for _, r := range list {
		out = append(out, r.Name)
	}
	return strings.Join(out, ", ")
}

// Card is a card in a reader that nobody else can use until Close. It is for one
// goroutine and serves as a piv.Transmitter.
type Card struct {
	c        *client
	handle   int32
	protocol uint32
	Reader   string
	ATR      []byte
}

// connectMessage is connect_struct of winscard_msg.h.
type connectMessage struct {
	Context   uint32
	Reader    [nameSize]byte
	Share     uint32
	Protocols uint32
	Handle    int32
	Protocol  uint32
	Result    uint32
}

// Open takes the card in a reader for this program alone. word is a part of the
// reader's name; "" takes the only reader that has a card.
func Open(ctx context.Context, socket, word string) (_ *Card, err error) {
	c, err := dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	list, err := c.readers()
	if err != nil {
		return nil, err
	}
	r, err := choose(list, word)
	if err != nil {
		return nil, err
	}
	m := connectMessage{Context: c.ctx, Share: exclusive, Protocols: protocolT0 | protocolT1}
	copy(m.Reader[:nameSize-1], r.Name)
	if err := c.call(msgConnect, &m); err != nil {
		return nil, err
	}
	if err := judge(m.Result); err != nil {
		return nil, err
	}
	card := &Card{c: c, handle: m.Handle, protocol: m.Protocol, Reader: r.Name, ATR: r.ATR}
	if err := card.begin(); err != nil {
		return nil, err
	}
	return card, nil
}

func (k *Card) begin() error {
	m := struct {
		Handle int32
		Result uint32
	}{Handle: k.handle}
	if err := k.c.call(msgBegin, &m); err != nil {
		return err
	}
	return judge(m.Result)
}

// Close gives the card back, reset, so that no PIN stays shown.
func (k *Card) Close() error {
	defer k.c.close()
	m := struct {
		Handle      int32
		Disposition uint32
		Result      uint32
	}{Handle: k.handle, Disposition: leaveCard}
	if err := k.c.call(msgEnd, &m); err != nil {
		return err
	}
	m.Disposition, m.Result = resetCard, 0
	if err := k.c.call(msgDisconnect, &m); err != nil {
		return err
	}
	err := judge(m.Result)
	if errors.Is(err, ErrRemoved) || errors.Is(err, ErrNoCard) { // gone is given back
		return nil
	}
	return err
}

// transmitMessage is transmit_struct of winscard_msg.h.
type transmitMessage struct {
	Handle                    int32
	SendProtocol, SendSize    uint32
	SendLength                uint32
	ReceiveProtocol, RecvSize uint32
	ReceiveLength             uint32
	Result                    uint32
}

// Transmit carries a command to the card and brings its response.
func (k *Card) Transmit(command []byte) ([]byte, error) {
	if len(command) < 4 || len(command) > responseMax {
		return nil, errors.New("pcsc: a command of the wrong length")
	}
	if n := len(command); k.protocol == protocolT0 && n > 5 && n == 6+int(command[4]) {
		command = command[:n-1] // ISO/IEC 7816-3, 12.2.4: T=0 has no Le beside data
	}
	m := transmitMessage{
		Handle: k.handle, SendProtocol: k.protocol, SendSize: 16, SendLength: uint32(len(command)),
		ReceiveProtocol: k.protocol, RecvSize: 16, ReceiveLength: responseMax,
	}
	if err := k.c.send(msgTransmit, &m, command); err != nil {
		return nil, err
	}
	if err := k.c.read(&m); err != nil {
		return nil, err
	}
	if err := judge(m.Result); err != nil {
		return nil, err
	}
	if m.ReceiveLength > responseMax {
		return nil, fmt.Errorf("pcsc: an answer of %d bytes is announced", m.ReceiveLength)
	}
	return k.c.readBytes(int(m.ReceiveLength))
}
