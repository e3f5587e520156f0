// Package pcsctest plays pcscd for tests: two readers, virtual cards, and a daemon that
// stops or lies when told to. The client is held against the real pcscd in
// test/lab/card by the same test.
package pcsctest

import (
	"encoding/binary"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"seimon/internal/app/demo/vcard"
)

// The messages of the protocol, as a test spoils them (winscard_msg.h).
const (
	Version   = 0x11
	Establish = 0x01
	Connect   = 0x04
	Begin     = 0x07
	Transmit  = 0x09
	Readers   = 0x12
)

const (
	places     = 16
	nameSize   = 128
	placeSize  = 184
	atrAt      = 140
	atrSizeAt  = 176
	protocolT1 = 2
)

// Daemon is a pcscd with two readers; a card may be in the first.
type Daemon struct {
	Minor  int32  // version of the protocol that it speaks
	Result uint32 // of connecting
	// Spoil changes what goes out; nil hangs up.
	Spoil func(msg uint32, answer []byte) []byte

	mu   sync.Mutex
	card *vcard.Card
}

// New makes a daemon with a card; nil leaves the reader empty.
func New(card *vcard.Card) *Daemon { return &Daemon{Minor: 4, card: card} }

// Insert puts another card into the first reader; nil takes it out.
func (d *Daemon) Insert(card *vcard.Card) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.card = card
}

func (d *Daemon) inside() *vcard.Card {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.card
}

// Listen opens the socket until the test ends.
func (d *Daemon) Listen(t testing.TB) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go d.serve(conn)
		}
	}()
	return socket
}

func (d *Daemon) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var head [2]uint32
		if binary.Read(conn, binary.NativeEndian, &head) != nil || head[0] > 1<<16 {
			return
		}
		body := make([]byte, head[0])
		if binary.Read(conn, binary.NativeEndian, body) != nil {
			return
		}
		answer := d.answer(conn, head[1], body)
		if d.Spoil != nil {
			answer = d.Spoil(head[1], answer)
		}
		if answer == nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// answer gives the message back, filled in.
func (d *Daemon) answer(conn net.Conn, msg uint32, body []byte) []byte {
	n := binary.NativeEndian
	switch msg {
	case Version:
		if int32(n.Uint32(body[4:])) != d.Minor {
			n.PutUint32(body[8:], 0x8010001D)
		}
	case Establish:
		n.PutUint32(body[4:], 77)
	case Readers:
		return d.table()
	case Connect: // after context, name, share mode, protocols: handle, protocol, result
		n.PutUint32(body[nameSize+12:], 5)
		n.PutUint32(body[nameSize+16:], protocolT1)
		n.PutUint32(body[nameSize+20:], d.Result)
	case Transmit:
		return d.transmit(conn, body)
	}
	return body
}

func (d *Daemon) table() []byte {
	table := make([]byte, places*placeSize)
	copy(table, "Virtual PCD 00 00")
	copy(table[placeSize:], "Virtual PCD 00 01")
	if card := d.inside(); card != nil {
		binary.NativeEndian.PutUint32(table[nameSize+4:], 4)
		copy(table[atrAt:], card.ATR())
		binary.NativeEndian.PutUint32(table[atrSizeAt:], uint32(len(card.ATR())))
	}
	return table
}

func (d *Daemon) transmit(conn net.Conn, body []byte) []byte {
	n := binary.NativeEndian
	command := make([]byte, n.Uint32(body[12:]))
	if binary.Read(conn, n, command) != nil {
		return nil
	}
	card := d.inside()
	if card == nil {
		n.PutUint32(body[28:], 0x80100069)
		return body
	}
	out, err := card.Transmit(command)
	if err != nil {
		return nil
	}
	n.PutUint32(body[24:], uint32(len(out)))
	return append(body, out...)
}
