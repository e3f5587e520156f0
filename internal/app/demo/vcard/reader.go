package vcard

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
)

// Slot is where a virtual reader of vpcd listens, unless configured otherwise; the
// first is 0.
func Slot(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(35963+n)) }

// Reader is one slot of vpcd. A card is in it as long as there is a connection.
type Reader struct {
	address string
	card    *Card

	mu   sync.Mutex
	conn net.Conn
	done chan struct{}
}

// NewReader gives the slot of vpcd at an address, with its card outside.
func NewReader(address string, card *Card) *Reader { return &Reader{address: address, card: card} }

// Insert puts the card in; a card that is in stays.
func (r *Reader) Insert(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inside() {
		return nil
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.address)
	if err != nil {
		return err
	}
	r.card.Reset()
	done := make(chan struct{})
	r.conn, r.done = conn, done
	go func() {
		defer close(done)
		defer conn.Close()
		if err := serve(conn, r.card); !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) && r.card.Trace != nil {
			r.card.Trace("left the reader: " + err.Error())
		}
	}()
	return nil
}

// Remove takes the card out and waits until the reader has let go of it.
func (r *Reader) Remove() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		return
	}
	r.conn.Close()
	<-r.done
	r.conn = nil
}

// Inside tells whether the card is in the reader.
func (r *Reader) Inside() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inside()
}

func (r *Reader) inside() bool {
	if r.conn == nil {
		return false
	}
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

// serve speaks vpcd's protocol: messages with a length of two bytes; one byte is an
// order to the card, anything else a command.
func serve(conn net.Conn, card *Card) error {
	for {
		var head [2]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return err
		}
		quickACK(conn)
		msg := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(conn, msg); err != nil {
			return err
		}
		var out []byte
		switch {
		case len(msg) != 1:
			var err error
			if out, err = card.Transmit(msg); err != nil {
				return err
			}
		case msg[0] == 4: // answer to reset
			out = card.ATR()
		case msg[0] <= 2: // power off, power on, reset
			card.Reset()
			continue
		default:
			continue
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return err
		}
	}
}

// quickACK acknowledges at once: vpcd writes length and body apart, and a delayed
// acknowledgement would cost 40 ms for each command.
func quickACK(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { setQuickACK(int(fd)) })
	}
}
