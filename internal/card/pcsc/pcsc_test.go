package pcsc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"seimon/internal/app/demo/vcard"
	"seimon/internal/card/piv"
)

// daemon plays pcscd: one reader, one virtual card. The same tests run against the
// real one in test/lab/card (SEIMON_TEST_PCSCD).
type daemon struct {
	t      *testing.T
	minor  int32 // version that it speaks
	card   *vcard.Card
	taken  bool
	spoil  func(msg uint32, answer []byte) []byte // what goes out instead
	result uint32                                 // of connecting
}

func (d *daemon) listen() string {
	d.t.Helper()
	socket := filepath.Join(d.t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { l.Close() })
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

func (d *daemon) serve(conn net.Conn) {
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
		if d.spoil != nil {
			answer = d.spoil(head[1], answer)
		}
		if answer == nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

func (d *daemon) answer(conn net.Conn, msg uint32, body []byte) []byte {
	n := binary.NativeEndian
	switch msg {
	case msgVersion:
		if int32(n.Uint32(body[4:])) != d.minor {
			n.PutUint32(body[8:], 0x8010001D)
		}
	case msgEstablish:
		n.PutUint32(body[4:], 77)
	case msgReaders:
		table := make([]byte, readersMax*readerSize)
		copy(table, "Virtual PCD 00 00")
		if d.card != nil {
			n.PutUint32(table[nameSize+4:], statePresent)
			copy(table[nameSize+12:], d.card.ATR())
			n.PutUint32(table[nameSize+12+atrSize+3:], uint32(len(d.card.ATR())))
		}
		copy(table[readerSize:], "Other reader")
		return table
	case msgConnect:
		var m connectMessage
		binary.Decode(body, n, &m) //nolint:errcheck // of the right size
		m.Result, m.Handle, m.Protocol = d.result, 5, protocolT1
		if d.taken {
			m.Result = 0x8010000B
		}
		body, _ = binary.Append(nil, n, &m)
	case msgTransmit:
		var m transmitMessage
		binary.Decode(body, n, &m) //nolint:errcheck // of the right size
		command := make([]byte, m.SendLength)
		if binary.Read(conn, n, command) != nil {
			return nil
		}
		if d.card == nil {
			m.Result = 0x80100069
			body, _ = binary.Append(nil, n, &m)
			return body
		}
		out, _ := d.card.Transmit(command)
		m.ReceiveLength = uint32(len(out))
		body, _ = binary.Append(nil, n, &m)
		return append(body, out...)
	}
	return body
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	v, err := vcard.New("", 10, 10)
	if err != nil {
		t.Fatal(err)
	}
	return &daemon{t: t, minor: 4, card: v}
}

// sockets are the daemons to hold the client against: ours, and a real one if there is one.
func sockets(t *testing.T) map[string]string {
	out := map[string]string{"ours": newDaemon(t).listen()}
	if real := os.Getenv("SEIMON_TEST_PCSCD"); real != "" {
		out["real"] = real
	}
	return out
}

func TestACardIsReadThroughTheDaemon(t *testing.T) {
	for name, socket := range sockets(t) {
		t.Run(name, func(t *testing.T) {
			list, err := Readers(t.Context(), socket)
			if err != nil || len(list) != 2 || !list[0].Present || list[1].Present || len(list[0].ATR) < 10 {
				t.Fatalf("%+v, %v", list, err)
			}
			k, err := Open(t.Context(), socket, "")
			if err != nil {
				t.Fatal(err)
			}
			c, err := piv.Open(k)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Serial(); err != nil {
				t.Error(err)
			}
			if n, err := c.Tries(); err != nil || n != 10 {
				t.Errorf("%d tries, %v", n, err)
			}
			if name == "real" {
				if _, err := Open(t.Context(), socket, ""); !errors.Is(err, ErrTaken) {
					t.Errorf("a second program: %v", err)
				}
			}
			if err := k.Close(); err != nil {
				t.Error(err)
			}
			_, err = Open(t.Context(), socket, list[1].Name)
			if !errors.Is(err, ErrNoCard) {
				t.Errorf("an empty reader: %v", err)
			}
			_, err = Open(t.Context(), socket, "Omnikey")
			if !errors.Is(err, ErrNoReader) || !strings.Contains(err.Error(), "Virtual PCD 00 00") {
				t.Errorf("a reader that is not there: %v", err)
			}
		})
	}
}

func TestWhatGoesWrongIsNamed(t *testing.T) {
	_, err := Readers(t.Context(), filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "start pcscd") {
		t.Errorf("no daemon: %v", err)
	}
	d := newDaemon(t)
	d.taken = true
	if _, err := Open(t.Context(), d.listen(), ""); !errors.Is(err, ErrTaken) {
		t.Errorf("taken: %v", err)
	}
	d = newDaemon(t)
	d.card = nil
	if _, err := Open(t.Context(), d.listen(), ""); !errors.Is(err, ErrNoCard) {
		t.Errorf("empty: %v", err)
	}
	for result, want := range map[uint32]error{0x80100066: ErrSilent, 0x8010000C: ErrNoCard, 0x80100017: ErrNoReader, 0x8010001E: ErrStopped} {
		d = newDaemon(t)
		d.result = result
		if _, err := Open(t.Context(), d.listen(), ""); !errors.Is(err, want) {
			t.Errorf("%08X: %v", result, err)
		}
	}
	d = newDaemon(t)
	d.result = 0x80100002
	var other *ResultError
	if _, err := Open(t.Context(), d.listen(), ""); !errors.As(err, &other) || other.Result != 0x80100002 {
		t.Errorf("unknown: %v", err)
	}
	d = newDaemon(t)
	k, err := Open(t.Context(), d.listen(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	d.card = nil
	if _, err := k.Transmit([]byte{0, 0xa4, 4, 0}); !errors.Is(err, ErrRemoved) {
		t.Errorf("pulled out: %v", err)
	}
	if _, err := k.Transmit([]byte{0}); err == nil {
		t.Error("a command of one byte was sent")
	}
}

func TestTheVersionIsAgreedUpon(t *testing.T) {
	for minor, want := range map[int32]bool{2: true, 3: true, 4: true, 5: true, 9: false} {
		d := newDaemon(t)
		d.minor = minor
		_, err := Readers(t.Context(), d.listen())
		if (err == nil) != want {
			t.Errorf("version 4.%d: %v", minor, err)
		}
	}
}

func TestADaemonThatStopsOrLies(t *testing.T) {
	for _, at := range []uint32{msgVersion, msgEstablish, msgReaders, msgConnect, msgBegin, msgTransmit} {
		for name, spoilt := range map[string]func([]byte) []byte{
			"silent": func([]byte) []byte { return nil },
			"cut":    func(b []byte) []byte { return b[:len(b)/2] },
		} {
			d := newDaemon(t)
			half := false
			d.spoil = func(msg uint32, b []byte) []byte {
				if half {
					return nil
				}
				if msg == at {
					half = true
					return spoilt(b)
				}
				return b
			}
			ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
			k, err := Open(ctx, d.listen(), "")
			if err == nil {
				_, err = k.Transmit([]byte{0, 0xa4, 4, 0, 5, 0xa0, 0, 0, 3, 8})
			}
			if !errors.Is(err, ErrStopped) {
				t.Errorf("%s at %x: %v", name, at, err)
			}
			stop()
		}
	}
	d := newDaemon(t)
	d.spoil = func(msg uint32, b []byte) []byte {
		if msg == msgTransmit {
			binary.NativeEndian.PutUint32(b[24:], 1<<30)
		}
		return b
	}
	k, err := Open(t.Context(), d.listen(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Transmit([]byte{0, 0xa4, 4, 0, 5, 0xa0, 0, 0, 3, 8}); err == nil || !strings.Contains(err.Error(), "announced") {
		t.Errorf("a gigabyte: %v", err)
	}
}

func TestT0HasNoLeBesideData(t *testing.T) {
	var sent []byte
	d := newDaemon(t)
	k, err := Open(t.Context(), d.listen(), "")
	if err != nil {
		t.Fatal(err)
	}
	d.card.Trace = func(s string) { sent = []byte(s) }
	k.protocol = protocolT0
	if _, err := k.Transmit([]byte{0, 0xa4, 4, 0, 5, 0xa0, 0, 0, 3, 8, 0}); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(sent, []byte("> 00a4040005a000000308\n")) {
		t.Errorf("%s", sent)
	}
}

func TestChoosingAReader(t *testing.T) {
	a, b, c := Reader{Name: "Alpha 1", Present: true}, Reader{Name: "Alpha 2"}, Reader{Name: "Beta", Present: true}
	for _, x := range []struct {
		list []Reader
		word string
		want string
		err  error
	}{
		{nil, "", "", ErrNoReader},
		{[]Reader{a, b}, "", "Alpha 1", nil},
		{[]Reader{a, b, c}, "", "", ErrManyCards},
		{[]Reader{a, b, c}, "Beta", "Beta", nil},
		{[]Reader{a, b, c}, "Alpha 2", "", ErrNoCard},
		{[]Reader{a, b, c}, "Alpha", "Alpha 1", nil},
	} {
		r, err := choose(x.list, x.word)
		if r.Name != x.want || !errors.Is(err, x.err) {
			t.Errorf("%v %q: %s, %v", x.list, x.word, r.Name, err)
		}
	}
}

// TestASilentDaemonIsGivenUp waits the whole patience on a clock of its own.
func TestASilentDaemonIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		c := &client{conn: here, stop: func() bool { return true }}
		go func() { // reads and never answers
			b := make([]byte, 64)
			for {
				if _, err := there.Read(b); err != nil {
					return
				}
			}
		}()
		begin := time.Now()
		_, err := c.readers()
		if !errors.Is(err, ErrStopped) || time.Since(begin) != patience {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		c.hangUp()
	})
}

func FuzzReaders(f *testing.F) {
	f.Add(make([]byte, readerSize))
	f.Add(bytes.Repeat([]byte{0xff}, readersMax*readerSize))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, r := range parseReaders(raw) {
			if len(r.ATR) > atrSize || r.Name == "" || len(r.Name) > 3*nameSize {
				t.Fatalf("%+v", r)
			}
		}
	})
}
