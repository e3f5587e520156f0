package feed

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes, so that the clock of a test stands
// still while something moves in them.
type pipes struct {
	come chan net.Conn
	over chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.come:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.over); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.come <- there
	return here, nil
}

// slowly fetches from a server that begins and sends each part after a wait; whoever
// reads does so after another. It gives what came, how long it took and how it ended.
func slowly(t *testing.T, begins, server, reader time.Duration) (got string, took time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		site := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			wait := begins
			for range 4 {
				select {
				case <-time.After(wait):
				case <-r.Context().Done():
					return
				}
				_, _ = io.WriteString(w, "<a/>")
				w.(http.Flusher).Flush()
				wait = server
			}
		})}
		done := make(chan error)
		go func() { done <- site.Serve(p) }()
		wire := &http.Transport{DialContext: p.dial, DisableKeepAlives: true}
		k := New(Config{Client: &http.Client{Transport: wire}})
		begun := time.Now()
		f, bad := k.fetch(t.Context(), "http://metadata.example.org/all.xml", Loaded{})
		err = bad
		for part := make([]byte, 4); err == nil; {
			time.Sleep(reader)
			var n int
			n, err = f.Read(part)
			got += string(part[:n])
		}
		took = time.Since(begun)
		if f != nil {
			_ = f.Close()
		}
		_ = site.Close()
		<-done
	})
	return got, took, err
}

// A server that says nothing for half a minute is given up, before its answer and in the
// middle of it.
func TestASilentServerIsGivenUp(t *testing.T) {
	got, took, err := slowly(t, time.Hour, 0, 0)
	if got != "" || err == nil || !strings.Contains(err.Error(), "no answer for 30s") || took != 30*time.Second {
		t.Errorf("%q, %v after %v", got, err, took)
	}
	got, took, err = slowly(t, 0, time.Hour, 0)
	if got != "<a/>" || err == nil || !strings.Contains(err.Error(), "too slow") || took != 30*time.Second {
		t.Errorf("%q, %v after %v", got, err, took)
	}
	if got, took, err = slowly(t, 29*time.Second, 29*time.Second, 0); got != "<a/><a/><a/><a/>" || err != io.EOF {
		t.Errorf("a slow server: %q, %v after %v", got, err, took)
	}
}

// A gate that is busy between two reads does not blame the server for that.
func TestOurOwnSlownessIsNotTheServersSilence(t *testing.T) {
	if got, took, err := slowly(t, 0, 0, time.Minute); got != "<a/><a/><a/><a/>" || err != io.EOF {
		t.Errorf("%q, %v after %v", got, err, took)
	}
}
