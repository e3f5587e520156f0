package pcsc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Socket is where pcscd listens, unless PCSCLITE_CSOCK_NAME says otherwise.
const Socket = "/run/pcscd/pcscd.comm"

// The messages of pcsc-lite (winscard_msg.h, protocol 4.x).
const (
	msgEstablish  = 0x01
	msgRelease    = 0x02
	msgConnect    = 0x04
	msgDisconnect = 0x06
	msgBegin      = 0x07
	msgEnd        = 0x08
	msgTransmit   = 0x09
	msgVersion    = 0x11
	msgReaders    = 0x12
)

const (
	readersMax   = 16  // PCSCLITE_MAX_READERS_CONTEXTS
	nameSize     = 128 // MAX_READERNAME
	atrSize      = 33  // MAX_ATR_SIZE
	readerSize   = nameSize + 12 + atrSize + 3 + 8
	responseMax  = 65544 // MAX_BUFFER_SIZE_EXTENDED
	major        = 4
	scopeSystem  = 2
	exclusive    = 1
	protocolT0   = 1
	protocolT1   = 2
	leaveCard    = 0
	resetCard    = 1
	statePresent = 0x0004
)

// patience is how long pcscd may take for one message. A card may think about a new
// RSA key for half a minute.
const patience = 2 * time.Minute

// client is one connection to pcscd.
type client struct {
	conn net.Conn
	ctx  uint32 // the context at pcscd
	stop func() bool
	over func() error // whether the caller has gone
}

// dial connects and agrees on the version of the protocol: the newest first.
func dial(ctx context.Context, socket string) (*client, error) {
	var last error
	for _, minor := range []int32{4, 5, 3, 2} {
		c, err := try(ctx, socket, minor)
		if err == nil {
			return c, nil
		}
		last = err
		if !errors.Is(err, errVersion) {
			break
		}
	}
	return nil, last
}

var errVersion = errors.New("pcsc: pcscd speaks another version of its protocol")

func try(ctx context.Context, socket string, minor int32) (_ *client, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNotRunning, err)
	}
	c := &client{conn: conn, over: ctx.Err}
	c.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if err != nil {
			c.hangUp()
		}
	}()
	version := struct{ Major, Minor, Result int32 }{major, minor, 0}
	if err := c.call(msgVersion, &version); err != nil {
		return nil, err
	}
	if version.Result != 0 || version.Major != major {
		return nil, errVersion
	}
	establish := struct{ Scope, Context, Result uint32 }{Scope: scopeSystem}
	if err := c.call(msgEstablish, &establish); err != nil {
		return nil, err
	}
	if err := judge(establish.Result); err != nil {
		return nil, err
	}
	c.ctx = establish.Context
	return c, nil
}

// close tells pcscd and hangs up.
func (c *client) close() {
	release := struct{ Context, Result uint32 }{c.ctx, 0}
	_ = c.call(msgRelease, &release) // hanging up releases too
	c.hangUp()
}

func (c *client) hangUp() {
	c.stop()
	_ = c.conn.Close()
}

// call sends a message and reads the answer, which has the same form.
func (c *client) call(msg uint32, body any) error {
	if err := c.send(msg, body, nil); err != nil {
		return err
	}
	return c.read(body)
}

// send writes a message: its size, its kind, its body, and what follows it. All
// numbers are in the order of the machine.
func (c *client) send(msg uint32, body any, data []byte) error {
	var b bytes.Buffer
	size := 0
	if body != nil {
		size = binary.Size(body)
	}
	for _, part := range []any{[2]uint32{uint32(size), msg}, body, data} {
		if part == nil {
			continue
		}
		if err := binary.Write(&b, binary.NativeEndian, part); err != nil {
			return err
		}
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := c.over(); err != nil { // the deadline just set must not outlive the caller
		return broken(err)
	}
	_, err := c.conn.Write(b.Bytes())
	return broken(err)
}

func (c *client) read(body any) error {
	return broken(binary.Read(c.conn, binary.NativeEndian, body))
}

// readBytes reads what follows an answer.
func (c *client) readBytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(c.conn, b)
	return b, broken(err)
}

// broken names the end of the connection.
func broken(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w (%w)", ErrStopped, err)
}
