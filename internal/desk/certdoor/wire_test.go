package certdoor_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"seimon/internal/desk/certdoor"
)

// field writes a certificate as a byte sequence (RFC 9651 3.3.5).
func field(der []byte) string { return ":" + base64.StdEncoding.EncodeToString(der) + ":" }

func TestProxyHeaders(t *testing.T) {
	v2 := func(rest string) string { return "\r\n\r\n\x00\r\nQUIT\n" + rest }
	for what, c := range map[string]struct{ in, client, rest string }{
		"v1 IPv4":    {"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\nrest", "203.0.113.9:40000", "rest"},
		"v1 IPv6":    {"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "[2001:db8::1]:1", ""},
		"v1 unknown": {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\nx", "invalid AddrPort", "x"},
		"v2 IPv4":    {v2("\x21\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x9c\x40\x01\xbbrest"), "203.0.113.9:40000", "rest"},
		"v2 IPv6":    {v2("\x21\x21\x00\x24" + strings.Repeat("\x00", 15) + "\x01" + strings.Repeat("\x00", 15) + "\x02\x00\x01\x00\x02"), "[::1]:1", ""},
		"v2 local":   {v2("\x20\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x9c\x40\x01\xbb"), "invalid AddrPort", ""},
		"v2 values":  {v2("\x21\x11\x00\x10\xcb\x00\x71\x09\xc0\x00\x02\x01\x9c\x40\x01\xbb\x04\x00\x01xr"), "203.0.113.9:40000", "r"},
		"v2 unspec":  {v2("\x21\x00\x00\x00z"), "invalid AddrPort", "z"},
	} {
		client, rest, err := certdoor.ReadProxy(c.in)
		if err != nil || client != c.client || rest != c.rest {
			t.Errorf("%s: %s, %q, %v", what, client, rest, err)
		}
	}
	for what, in := range map[string]string{
		"nothing": "", "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00", "no end": "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443" + strings.Repeat(" ", 200),
		"line feed alone": "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\n" + strings.Repeat("x", 100), "two spaces": "PROXY TCP4  203.0.113.9 192.0.2.1 40000 443\r\n",
		"port with zeros": "PROXY TCP4 203.0.113.9 192.0.2.1 040000 443\r\n", "port too large": "PROXY TCP4 203.0.113.9 192.0.2.1 70000 443\r\n",
		"other family": "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "zone": "PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", "small letters": "proxy TCP4 203.0.113.9 192.0.2.1 40000 443\r\n",
		"v2 version": v2("\x31\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x9c\x40\x01\xbb"), "v2 command": v2("\x22\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x9c\x40\x01\xbb"),
		"v2 short": v2("\x21\x11\x00\x04\xcb\x00\x71\x09"), "v2 cut": v2("\x21\x11\x00\x0c\xcb\x00"), "v2 huge": v2("\x21\x11\xff\xff" + strings.Repeat("x", 70000)),
		"v2 datagram": v2("\x21\x12\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x9c\x40\x01\xbb"),
	} {
		if client, _, err := certdoor.ReadProxy(in); err == nil {
			t.Errorf("%s is taken for %s", what, client)
		}
	}
}

func FuzzReadProxy(f *testing.F) {
	f.Add("PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\nrest")
	f.Add("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x9c\x40\x01\xbbrest")
	f.Add("PROXY UNKNOWN\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		_, rest, err := certdoor.ReadProxy(in)
		if err == nil && !strings.HasSuffix(in, rest) {
			t.Errorf("%q leaves %q", in, rest)
		}
		if err == nil && !strings.HasPrefix(in, "PROXY ") && !strings.HasPrefix(in, "\r\n\r\n\x00\r\nQUIT\n") {
			t.Errorf("%q was read as a header", in)
		}
	})
}

func FuzzFromFields(f *testing.F) {
	f.Add(":AAAA:", ":AAAA:, :BBBB:")
	f.Add("::", "")
	f.Add(":AA==:", ":AB==:")
	f.Fuzz(func(t *testing.T, leaf, chain string) {
		got, err := certdoor.FromFields(http.Header{"Client-Cert": {leaf}, "Client-Cert-Chain": {chain}})
		if err != nil {
			return
		}
		if len(got) < 2 || len(got) > 8 || field(got[0]) != leaf {
			t.Errorf("%q and %q give %d certificates", leaf, chain, len(got))
		}
		for i, part := range strings.Split(chain, ",") {
			if field(got[i+1]) != strings.Trim(part, " \t") {
				t.Errorf("%q is read as something else", part)
			}
		}
	})
}

func TestNamesAreChecked(t *testing.T) {
	for what, c := range map[string]struct {
		host string
		pool []string
		good bool
	}{
		"wildcard": {"*.cert.sso.example.ac.jp", nil, true}, "pool": {"", []string{"c1.example.ac.jp", "c2.example.ac.jp"}, true},
		"both": {"*.cert.sso.example.ac.jp", []string{"c1.example.ac.jp"}, false}, "nothing": {"", nil, false},
		"no star": {"cert.sso.example.ac.jp", nil, false}, "star in the middle": {"cert.*.example.ac.jp", nil, false}, "top level": {"*.jp", nil, false},
		"capitals": {"*.Cert.example.ac.jp", nil, false}, "twice": {"", []string{"c1.example.ac.jp", "c1.example.ac.jp"}, false},
		"port": {"", []string{"c1.example.ac.jp:443"}, false}, "hyphen": {"*.-a.example.ac.jp", nil, false}, "empty label": {"*..example.ac.jp", nil, false},
	} {
		if _, err := certdoor.ParseNames(c.host, c.pool, 443); (err == nil) != c.good {
			t.Errorf("%s: %v", what, err)
		}
	}
}
