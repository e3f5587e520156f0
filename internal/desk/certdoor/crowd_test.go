package certdoor_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"testing"
	"time"

	"seimon/internal/desk/certdoor"
)

// dial opens a connection that says something, or nothing, and then waits.
func (h *hall) dial(says string) net.Conn {
	h.T.Helper()
	c, err := net.Dial("tcp", h.address)
	h.must(err)
	h.T.Cleanup(func() { c.Close() })
	_, err = c.Write([]byte(says))
	h.must(err)
	return c
}

// ended waits for the end of a connection; false when it is open after a while.
func (h *hall) ended(c net.Conn, within time.Duration) bool {
	h.T.Helper()
	h.must(c.SetReadDeadline(time.Now().Add(within)))
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// TestNobodyHoldsConnections: who names no try that is under way has seconds, not the
// minutes of a person who looks for a card.
func TestNobodyHoldsConnections(t *testing.T) {
	h := open(t, func(d *certdoor.Door) { d.Bound(3*time.Second, 100) })
	silent, half := h.dial(""), h.dial("\x16\x03\x01\x02\x00\x01")
	over, err := url.Parse(begin(h.atSecondStep()))
	h.must(err)
	h.Clock.Add(time.Hour)
	idle, err := tls.Dial("tcp", h.address, &tls.Config{RootCAs: h.roots, ServerName: over.Hostname()})
	for range 9 { // on a busy machine the handshake itself may take too long
		if err == nil {
			break
		}
		idle, err = tls.Dial("tcp", h.address, &tls.Config{RootCAs: h.roots, ServerName: over.Hostname()})
	}
	h.must(err)
	defer idle.Close()
	h.Clock.Add(-time.Hour)
	for what, c := range map[string]net.Conn{"a silent one": silent, "half a hello": half, "of a try that is over": idle.NetConn()} {
		if !h.ended(c, 30*time.Second) {
			t.Errorf("%s stays open", what)
		}
	}
	// A person has time. The window stands open until a connection of the other kind,
	// which was opened after it, has ended.
	b := h.atSecondStep()
	mine := h.holder(h.account)
	patient := h.client(nil, func(c *tls.Config) {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if !h.ended(h.dial(""), 30*time.Second) {
				t.Error("a silent connection stays open")
			}
			return mine, nil
		}
	})
	address := begin(b)
	answer, err := patient.http.Get(address)
	for range 9 { // as above
		if err == nil {
			break
		}
		answer, err = patient.http.Get(address)
	}
	h.must(err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		t.Fatal(answer.StatusCode)
	}
	if b.Get(answer.Header.Get("Location")).Submit("次へ"); !b.Left() {
		t.Error(b.Text())
	}
}

// TestOneSourceDoesNotCrowdOthersOut: also through a proxy, which itself is no source.
func TestOneSourceDoesNotCrowdOthersOut(t *testing.T) {
	const most = 3
	from := func(a string) string { return "PROXY TCP4 " + a + " 192.0.2.1 40000 443\r\n" }
	for name, c := range map[string]struct {
		proxy       bool
		says, other string
	}{"direct": {false, "", ""}, "through a proxy": {true, from("203.0.113.9"), from("203.0.113.10")}} {
		t.Run(name, func(t *testing.T) {
			h := open(t, func(d *certdoor.Door) {
				d.Bound(5*time.Minute, most)
				if c.proxy {
					d.PROXY, d.Proxies = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			})
			var held []net.Conn
			for range most {
				held = append(held, h.dial(c.says))
			}
			for _, one := range held {
				if h.ended(one, 200*time.Millisecond) {
					t.Fatal("one of the allowed connections ended")
				}
			}
			if !h.ended(h.dial(c.says), time.Minute) {
				t.Error("one too many stays open")
			}
			if c.proxy && h.ended(h.dial(c.other), 300*time.Millisecond) {
				t.Error("another source has no place")
			}
			h.must(held[0].Close())
			deadline := time.Now().Add(time.Minute)
			for h.ended(h.dial(c.says), 200*time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("a place that was left is not given again")
				}
			}
		})
	}
}
