package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func proxies(t testing.TB, header string, ranges ...string) clientRule {
	t.Helper()
	var prefixes []netip.Prefix
	for _, r := range ranges {
		prefixes = append(prefixes, netip.MustParsePrefix(r))
	}
	rule, err := newClientRule(prefixes, header)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// from makes a request of a peer with header lines "Name: value".
func from(remote string, lines ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = remote
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestClientAddress(t *testing.T) {
	xff, fwd := "X-Forwarded-For", "Forwarded"
	for _, c := range []struct {
		name, header, remote string
		lines                []string
		want                 string
		via                  int
	}{
		{"no header from a stranger", xff, "203.0.113.9:1", nil, "203.0.113.9", 0},
		{"header from a stranger", xff, "203.0.113.9:1", []string{"X-Forwarded-For: 10.0.0.1"}, "203.0.113.9", 0},
		{"one proxy", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 198.51.100.7"}, "198.51.100.7", 1},
		{"spoofed before the proxy's own", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 10.0.0.1, 198.51.100.7"}, "198.51.100.7", 1},
		{"spoofed on a line of its own", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 198.51.100.7"}, "198.51.100.7", 1},
		{"two proxies", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 10.0.0.1, 198.51.100.7, 192.0.2.2"}, "198.51.100.7", 2},
		{"port", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 198.51.100.7:4711"}, "198.51.100.7", 1},
		{"IPv6", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 2001:db8::7"}, "2001:db8::7", 1},
		{"IPv6 in brackets with port", xff, "192.0.2.1:1", []string{"X-Forwarded-For: [2001:db8::7]:4711"}, "2001:db8::7", 1},
		{"IPv6 in brackets", xff, "192.0.2.1:1", []string{"X-Forwarded-For: [2001:db8::7]"}, "2001:db8::7", 1},
		{"IPv4 within IPv6", xff, "192.0.2.1:1", []string{"X-Forwarded-For: ::ffff:198.51.100.7"}, "198.51.100.7", 1},
		{"peer as IPv4 within IPv6", xff, "[::ffff:192.0.2.1]:1", []string{"X-Forwarded-For: 198.51.100.7"}, "198.51.100.7", 1},
		{"proxy hop as IPv4 within IPv6", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 198.51.100.7, ::ffff:192.0.2.2"}, "198.51.100.7", 2},
		{"zone", xff, "192.0.2.1:1", []string{"X-Forwarded-For: fe80::1%eth0"}, "fe80::1", 1},
		{"peer with a zone", xff, "[fe80::2%eth0]:1", nil, "fe80::2", 0},
		{"proxy without the header", xff, "192.0.2.1:1", nil, "::", 1},
		{"proxy with an empty header", xff, "192.0.2.1:1", []string{"X-Forwarded-For: "}, "::", 1},
		{"proxy reports nobody", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 10.0.0.1, unknown"}, "::", 1},
		{"proxy reports an empty place", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 10.0.0.1, , 192.0.2.2"}, "::", 2},
		{"only proxies", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 192.0.2.2"}, "::", 2},
		{"other header of a proxy", xff, "192.0.2.1:1", []string{"X-Real-Ip: 10.0.0.1", "Forwarded: for=10.0.0.1", "X-Forwarded-For: 198.51.100.7"}, "198.51.100.7", 1},
		{"the configured header is the other one", fwd, "192.0.2.1:1", []string{"X-Forwarded-For: 10.0.0.1"}, "::", 1},
		{"not an internet peer", xff, "@", []string{"X-Forwarded-For: 10.0.0.1"}, "::", 0},
		{"octal look-alike", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 010.0.0.1"}, "::", 1},
		{"number for an address", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 167772161"}, "::", 1},

		{"forwarded", fwd, "192.0.2.1:1", []string{"Forwarded: for=198.51.100.7;proto=https;by=192.0.2.1"}, "198.51.100.7", 1},
		{"forwarded, letters and spaces", fwd, "192.0.2.1:1", []string{"Forwarded: proto=https; FOR=198.51.100.7 , for=192.0.2.2"}, "198.51.100.7", 2},
		{"forwarded IPv6 with port", fwd, "192.0.2.1:1", []string{`Forwarded: for="[2001:db8::7]:4711"`}, "2001:db8::7", 1},
		{"forwarded, spoofed first", fwd, "192.0.2.1:1", []string{`Forwarded: for=10.0.0.1, for="198.51.100.7"`}, "198.51.100.7", 1},
		{"forwarded, hidden", fwd, "192.0.2.1:1", []string{"Forwarded: for=10.0.0.1, for=_gazonk"}, "::", 1},
		{"forwarded, unknown", fwd, "192.0.2.1:1", []string{"Forwarded: for=10.0.0.1, for=unknown"}, "::", 1},
		{"forwarded, element without for", fwd, "192.0.2.1:1", []string{"Forwarded: for=10.0.0.1, proto=https"}, "::", 1},
		{"forwarded, for twice", fwd, "192.0.2.1:1", []string{"Forwarded: for=10.0.0.1;for=198.51.100.7"}, "::", 1},
		{"forwarded, open quote swallows", fwd, "192.0.2.1:1", []string{`Forwarded: for=10.0.0.1;x=", for="[2001:db8::7]"`}, "::", 1},
		{"forwarded, open quote", fwd, "192.0.2.1:1", []string{`Forwarded: for="10.0.0.1, for=198.51.100.7`}, "::", 1},
		{"forwarded, escape", fwd, "192.0.2.1:1", []string{`Forwarded: for="10.0.0.1\", for=198.51.100.7`}, "::", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := proxies(t, c.header, "192.0.2.0/28").read(from(c.remote, c.lines...))
			if got.Addr != netip.MustParseAddr(c.want) || len(got.Via) != c.via {
				t.Errorf("got %v by way of %v, want %s by %d", got.Addr, got.Via, c.want, c.via)
			}
			if got.Known() != (c.want != "::") {
				t.Errorf("Known is %v", got.Known())
			}
		})
	}
}

func TestForwardingHeadersThatAreNotBelievedAreListed(t *testing.T) {
	rule := proxies(t, "X-Forwarded-For", "192.0.2.0/28")
	stranger := rule.read(from("203.0.113.9:1", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Host: evil", "Cf-Connecting-Ip: 1.1.1.1", "Accept: x"))
	if want := []string{"Cf-Connecting-Ip", "X-Forwarded-For", "X-Forwarded-Host"}; !slices.Equal(stranger.Ignored, want) || stranger.Header != "" {
		t.Errorf("got %v %q", stranger.Ignored, stranger.Header)
	}
	proxy := rule.read(from("192.0.2.1:1", "X-Forwarded-For: 1.1.1.1", "X-Real-Ip: 1.1.1.1"))
	if !slices.Equal(proxy.Ignored, []string{"X-Real-Ip"}) || proxy.Header != "X-Forwarded-For" {
		t.Errorf("got %v %q", proxy.Ignored, proxy.Header)
	}
}

func TestBadProxyRulesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		ranges []netip.Prefix
	}{
		"proxy without header":  {"", []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}},
		"header without proxy":  {"X-Forwarded-For", nil},
		"header nobody defined": {"X-Real-IP", []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}},
		"everybody":             {"Forwarded", []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}},
		"invalid":               {"Forwarded", []netip.Prefix{{}}},
		"beyond IPv4":           {"Forwarded", []netip.Prefix{netip.MustParsePrefix("::ffff:0.0.0.0/90")}},
	} {
		if _, err := newClientRule(c.ranges, c.header); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	mapped := proxies(t, "x-forwarded-for", "::ffff:192.0.2.0/124")
	if got := mapped.read(from("192.0.2.1:1", "X-Forwarded-For: 198.51.100.7")).Addr; got != netip.MustParseAddr("198.51.100.7") {
		t.Errorf("a mapped range does not fit: %v", got)
	}
}

// FuzzClient sends what a stranger may write before the entry that our proxy adds:
// the result is that entry or nobody, never what the stranger wrote.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{"", "10.0.0.1", `for="`, `for=10.0.0.1;x="`, "for=10.0.0.1,", ", ,", "[::1", "10.0.0.1:99999", "\x00", `"\`, "for=\"[::1]:1\"", "1.1.1.1%2", "::ffff:10.0.0.1"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	truth := map[netip.Addr]bool{netip.MustParseAddr("198.51.100.7"): true, netip.MustParseAddr("2001:db8::7"): true}
	f.Fuzz(func(t *testing.T, hostile string, lines bool) {
		for header, own := range map[string][]string{
			forwardedFor: {"198.51.100.7", "[2001:db8::7]:99"},
			forwarded:    {"for=198.51.100.7;proto=https", `for="[2001:db8::7]:99"`, `host=x;for="198.51.100.7"`},
		} {
			rule := proxies(t, header, "192.0.2.0/28")
			for _, entry := range own {
				r := from("192.0.2.1:1")
				if lines {
					r.Header[header] = []string{hostile, entry}
				} else {
					r.Header[header] = []string{hostile + ", " + entry}
				}
				got := rule.read(r)
				if got.Known() && !truth[got.Addr] {
					t.Errorf("%s %q gave %v", header, r.Header[header], got.Addr)
				}
				if header == forwardedFor && !got.Known() {
					t.Errorf("%q hid the client", r.Header[header])
				}
				r.RemoteAddr = "203.0.113.9:1"
				if got := rule.read(r); got.Addr != netip.MustParseAddr("203.0.113.9") || got.Header != "" {
					t.Errorf("a stranger was believed: %+v", got)
				}
			}
		}
	})
}
