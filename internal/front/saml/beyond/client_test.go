package beyond

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestOnlyTheWorldIsPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "133.1.2.3": true, "2001:4860:4860::8888": true, "2400:4000::1": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "127.8.9.10": false, "0.0.0.0": false, "0.1.2.3": false, "10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.100.100.200": false, "198.18.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false, "fec0::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::7f00:1": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "2002:7f00:1::": false,
		"2001:0:1::1": false, "2001:db8::1": false,
	} {
		if got := Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// TestNothingInsideIsCalled: whatever is written in an address, and whatever a name
// resolves to at the moment of the call.
func TestNothingInsideIsCalled(t *testing.T) {
	called := 0
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called++ }))
	defer inside.Close()
	u, err := url.Parse(inside.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := Client(&http.Client{Timeout: 5 * time.Second})
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1"} {
		r, err := c.Post("http://"+host+":"+u.Port()+"/admin?x=y", "text/xml", strings.NewReader("<x/>"))
		if err == nil {
			r.Body.Close()
			t.Errorf("%s was called", host)
		}
	}
	if called != 0 {
		t.Errorf("what lies inside was called %d times", called)
	}
	// What the university registered itself is called by the client as it was.
	own := &http.Client{Timeout: 5 * time.Second}
	if _, err := own.Get(inside.URL); err != nil || called != 1 || own.Transport != nil {
		t.Errorf("the plain client was changed: %v, %d", err, called)
	}
}
