package ca_test

import (
	"context"
	"encoding/binary"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"seimon/internal/ca"
)

// A helper that is wrong, cut off, silent or absent leads to an error that says so.
// The helper itself is tested with a real token (cmd/seimon-hsm, test/lab).
func TestAHelperThatFailsSaysSo(t *testing.T) {
	frame := func(text string) string {
		return string(binary.BigEndian.AppendUint32(nil, uint32(len(text)))) + text
	}
	for name, c := range map[string]struct{ says, want string }{
		"cut off":          {frame(`{"public":"x"}`)[:7], "ended in the middle"},
		"ends at once":     {"", "ended in the middle"},
		"too long":         {"\xff\xff\xff\xff", "ended in the middle"},
		"no JSON":          {frame("hello"), "ended in the middle"},
		"refuses":          {frame(`{"error":"no such key","code":"none"}`), "refuses (none): no such key"},
		"no public key":    {frame(`{"public":"AAAA"}`), "public key"},
		"another protocol": {"HTTP/1.1 400 Bad Request\r\n\r\n", "ended in the middle"},
	} {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 1024)) //nolint:errcheck // the question
			conn.Write([]byte(c.says))    //nolint:errcheck // the client may be gone
			conn.Close()
		}()
		_, err = ca.NewHelper(socket).Signer(t.Context(), "00")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		l.Close()
		if _, err := ca.NewHelper(socket).Signer(t.Context(), "00"); err == nil || !strings.Contains(err.Error(), "does not run") {
			t.Errorf("%s, then nobody: %v", name, err)
		}
	}
}

func TestAHelperThatIsSilentIsNotWaitedForWithoutEnd(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Read(make([]byte, 1024)) //nolint:errcheck // the question
			cancel()
		}
	}()
	if _, err := ca.NewHelper(socket).Generate(ctx, "x", ca.P256); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Error(err)
	}
}
