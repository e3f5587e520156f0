package beyond

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Client gives a client like c for addresses that strangers chose: it reaches public
// addresses alone. The address is judged when it is dialled, after names were resolved,
// so that a name that resolves anew is judged anew. A client with a transport of its own
// is believed to know where it leads.
func Client(c *http.Client) *http.Client {
	out := *c
	if out.Transport != nil {
		return &out
	}
	guarded := net.Dialer{Timeout: 10 * time.Second, Control: control}
	plain := net.Dialer{Timeout: 10 * time.Second}
	proxy := proxyAddress()
	out.Transport = &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if proxy != "" && address == proxy { // it decides in our place
				return plain.DialContext(ctx, network, address)
			}
			return guarded.DialContext(ctx, network, address)
		},
	}
	return &out
}

// proxyAddress is the proxy through which the machine reaches the world, if any.
func proxyAddress() string {
	r, err := http.NewRequest(http.MethodGet, "https://example.org/", nil)
	if err != nil {
		return ""
	}
	u, err := http.ProxyFromEnvironment(r)
	if err != nil || u == nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// control stops a connection to an address that is not public.
func control(network, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") || !Public(a.Addr()) {
		return fmt.Errorf("beyond: %s is no public address; what lies inside the university must be registered by it", address)
	}
	return nil
}

// Public tells whether an address belongs to the world: not to this machine, its
// network, or a network that leads back to one.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(special(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// special are networks with a purpose of their own (IANA's special-purpose registries,
// RFC 6890), and those whose addresses carry one of IPv4 inside.
func special() []netip.Prefix {
	var out []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}
