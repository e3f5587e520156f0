package pcsc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"seimon/internal/app/demo/vcard"
	"seimon/internal/card/pcsc/pcsctest"
	"seimon/internal/card/piv"
)

func fresh(t *testing.T) (*pcsctest.Daemon, *vcard.Card) {
	t.Helper()
	v, err := vcard.New("", 10, 10)
	if err != nil {
		t.Fatal(err)
	}
	return pcsctest.New(v), v
}

func newDaemon(t *testing.T) *pcsctest.Daemon {
	d, _ := fresh(t)
	return d
}

// sockets are the daemons to hold the client against: ours, and a real one if there is one.
func sockets(t *testing.T) map[string]string {
	out := map[string]string{"ours": newDaemon(t).Listen(t)}
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
	d.Result = 0x8010000B
	if _, err := Open(t.Context(), d.Listen(t), ""); !errors.Is(err, ErrTaken) {
		t.Errorf("taken: %v", err)
	}
	d = newDaemon(t)
	d.Insert(nil)
	if _, err := Open(t.Context(), d.Listen(t), ""); !errors.Is(err, ErrNoCard) {
		t.Errorf("empty: %v", err)
	}
	for result, want := range map[uint32]error{0x80100066: ErrSilent, 0x8010000C: ErrNoCard, 0x80100017: ErrNoReader, 0x8010001E: ErrStopped} {
		d = newDaemon(t)
		d.Result = result
		if _, err := Open(t.Context(), d.Listen(t), ""); !errors.Is(err, want) {
			t.Errorf("%08X: %v", result, err)
		}
	}
	d = newDaemon(t)
	d.Result = 0x80100002
	var other *ResultError
	if _, err := Open(t.Context(), d.Listen(t), ""); !errors.As(err, &other) || other.Result != 0x80100002 {
		t.Errorf("unknown: %v", err)
	}
	d = newDaemon(t)
	k, err := Open(t.Context(), d.Listen(t), "")
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	d.Insert(nil)
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
		d.Minor = minor
		_, err := Readers(t.Context(), d.Listen(t))
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
			ctx, stop := context.WithCancel(t.Context())
			d.Spoil = func(msg uint32, b []byte) []byte {
				if half {
					return nil
				}
				if msg == at {
					half = true
					stop() // the caller does not wait for the rest
					return spoilt(b)
				}
				return b
			}
			k, err := Open(ctx, d.Listen(t), "")
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
	d.Spoil = func(msg uint32, b []byte) []byte {
		if msg == msgTransmit {
			binary.NativeEndian.PutUint32(b[24:], 1<<30)
		}
		return b
	}
	k, err := Open(t.Context(), d.Listen(t), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Transmit([]byte{0, 0xa4, 4, 0, 5, 0xa0, 0, 0, 3, 8}); err == nil || !strings.Contains(err.Error(), "announced") {
		t.Errorf("a gigabyte: %v", err)
	}
}

func TestT0HasNoLeBesideData(t *testing.T) {
	var sent []byte
	d, v := fresh(t)
	k, err := Open(t.Context(), d.Listen(t), "")
	if err != nil {
		t.Fatal(err)
	}
	v.Trace = func(s string) { sent = []byte(s) }
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
		c := &client{conn: here, stop: func() bool { return true }, over: t.Context().Err}
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

// TestWhoeverWentAwayDoesNotWait: what a caller sends after it has gone, such as the end
// of the conversation, does not begin to wait for pcscd anew.
func TestWhoeverWentAwayDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		gone, leave := context.WithCancel(t.Context())
		leave()
		c := &client{conn: here, stop: func() bool { return true }, over: gone.Err}
		go io.Copy(io.Discard, there) //nolint:errcheck // reads and never answers
		begin := time.Now()
		c.close()
		if took := time.Since(begin); took != 0 {
			t.Errorf("it waited %v", took)
		}
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
