package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Client is where a request comes from.
type Client struct {
	// Addr is the peer, or the client that declared proxies report. It is "::", which
	// lies in no network, when a declared proxy does not say whom it speaks for: a
	// proxy's own address must never count as the person's.
	Addr    netip.Addr
	Peer    netip.Addr   // the other end of the connection
	Via     []netip.Addr // declared proxies passed, the peer first
	Header  string       // the forwarding header that was believed, or ""
	Ignored []string     // forwarding headers that were present but not believed
}

// Known tells whether the client's address could be found out.
func (c Client) Known() bool { return c.Addr.IsValid() && !c.Addr.IsUnspecified() }

// ClientOf tells where a request comes from.
func ClientOf(r *http.Request) Client { return visitOf(r).client }

// The two headers that can be believed.
const (
	forwardedFor = "X-Forwarded-For"
	forwarded    = "Forwarded" // RFC 7239
)

// Bounds on what a chain of proxies may say.
const (
	mostHops    = 32
	mostIgnored = 16
)

// clientRule says whom to believe about a client's address.
type clientRule struct {
	proxies []netip.Prefix
	header  string
}

// newClientRule checks a rule.
func newClientRule(proxies []netip.Prefix, header string) (clientRule, error) {
	rule := clientRule{header: http.CanonicalHeaderKey(header)}
	for _, p := range proxies {
		if !p.IsValid() {
			return rule, fmt.Errorf("web: a proxy range is not valid")
		}
		if p.Bits() == 0 {
			return rule, fmt.Errorf("web: the proxy range %s would believe everybody", p)
		}
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return rule, fmt.Errorf("web: the proxy range %s reaches beyond IPv4", p)
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		rule.proxies = append(rule.proxies, p.Masked())
	}
	switch {
	case len(proxies) == 0 && header != "":
		return rule, fmt.Errorf("web: a proxy header is set but no proxy is declared")
	case len(proxies) > 0 && rule.header != forwardedFor && rule.header != forwarded:
		return rule, fmt.Errorf("web: the proxy header must be %s or %s, not %q", forwardedFor, forwarded, header)
	}
	return rule, nil
}

// declared tells whether an address is one of our proxies.
func (c clientRule) declared(a netip.Addr) bool {
	return slices.ContainsFunc(c.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// read finds the client of a request. From the peer inward each declared proxy is
// believed about the one before it; the first address that is no proxy is the
// client, and whatever stands left of it was written by the client and means nothing.
func (c clientRule) read(r *http.Request) Client {
	client := Client{Peer: peer(r.RemoteAddr)}
	believed := c.declared(client.Peer)
	client.Ignored = ignored(r.Header, c.header, believed)
	if !believed {
		client.Addr = client.Peer
		return client
	}
	client.Addr = netip.IPv6Unspecified()
	client.Via = []netip.Addr{client.Peer}
	hops, ok := c.hops(r.Header.Values(c.header))
	if len(hops) > 0 || !ok {
		client.Header = c.header
	}
	if !ok {
		return client
	}
	for i := len(hops) - 1; i >= 0 && len(client.Via) < mostHops; i-- {
		hop, ok := address(hops[i])
		if !ok {
			return client
		}
		if !c.declared(hop) {
			client.Addr = hop
			return client
		}
		client.Via = append(client.Via, hop)
	}
	return client
}

// hops lists who spoke to each proxy, oldest first; false when the header is malformed.
func (c clientRule) hops(lines []string) ([]string, bool) {
	if c.header == forwarded {
		return forwardedHops(lines)
	}
	var hops []string
	for _, line := range lines {
		for hop := range strings.SplitSeq(line, ",") {
			hops = append(hops, strings.Trim(hop, " \t"))
		}
	}
	return hops, true
}

// forwardedHops reads the "for" of each element (RFC 7239 4). It is stricter than
// the grammar: a quoted value with a separator inside is refused, because an
// unfinished quote sent by a client would otherwise swallow what the proxy appends.
func forwardedHops(lines []string) ([]string, bool) {
	var hops []string
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			hop, found := "", false
			for pair := range strings.SplitSeq(element, ";") {
				name, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
				value, quoted := unquote(value)
				if !ok || !quoted || name == "" || strings.ContainsAny(name, " \t\"") {
					return nil, false
				}
				if strings.EqualFold(name, "for") {
					if found { // RFC 7239 4: each parameter at most once
						return nil, false
					}
					hop, found = value, true
				}
			}
			hops = append(hops, hop)
		}
	}
	return hops, true
}

// unquote takes the quotes off a value; false when they do not match.
func unquote(value string) (string, bool) {
	if inner, ok := strings.CutPrefix(value, `"`); ok {
		inner, ok = strings.CutSuffix(inner, `"`)
		return inner, ok && !strings.ContainsAny(inner, `"\= `)
	}
	return value, value != "" && !strings.ContainsAny(value, "\"\\= \t")
}

// peer reads the address of a connection; "::" when it is not an internet address.
func peer(remote string) netip.Addr {
	if a, ok := address(remote); ok {
		return a
	}
	return netip.IPv6Unspecified()
}

// address reads one address with or without brackets, port and zone. An IPv4
// address inside IPv6 becomes what it is; a zone is dropped, for it means something
// only to the machine that wrote it.
func address(text string) (netip.Addr, bool) {
	if len(text) > 100 {
		return netip.Addr{}, false
	}
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
		text = strings.TrimSuffix(inner, "]")
		if !strings.Contains(text, ":") {
			return netip.Addr{}, false
		}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		pair, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		a = pair.Addr()
	}
	return a.WithZone("").Unmap().WithZone(""), true
}

// ignored lists the forwarding headers that play no part, sorted.
func ignored(h http.Header, header string, believed bool) []string {
	var names []string
	for name := range h {
		if (believed && name == header) || !forwarding(name) {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names[:min(len(names), mostIgnored)]
}

// forwarding tells whether a header claims to know where a request came from.
func forwarding(name string) bool {
	switch name {
	case forwarded, "Forwarded-For", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Cf-Connecting-Ipv6",
		"Fastly-Client-Ip", "Fly-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Real-Ip", "X-Remote-Ip",
		"X-Remote-Addr", "X-Originating-Ip", "X-Original-Forwarded-For", "X-Azure-Clientip", "X-Azure-Socketip",
		"X-Envoy-External-Address", "X-Appengine-User-Ip", "X-Proxyuser-Ip", "X-Host", "X-Original-Host":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded")
}
