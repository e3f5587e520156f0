package policy

import (
	"net/netip"
	"slices"

	"seimon/internal/authn"
)

// Zone names the zone of an address: the most specific range that holds it. An
// IPv4 address inside IPv6 (::ffff:a.b.c.d) is looked up as IPv4; a scope id is
// not looked at. Without a match, and for no address at all (invalid, or all
// zeros, which stands for unknown), the zone is "elsewhere".
func (d *Document) Zone(addr netip.Addr) authn.Zone {
	if !addr.IsValid() || addr.Unmap().IsUnspecified() {
		return elsewhere
	}
	return d.table.zone(addr)
}

// zoneTable holds, for each address family, the disjoint segments into which the
// ranges cut the addresses, sorted, so that a look-up is one binary search.
type zoneTable struct {
	v4, v6 []segment
}

// segment begins at from and ends where the next begins; nothing claims it when zone.Kind is empty.
type segment struct {
	from netip.Addr
	zone authn.Zone
}

var elsewhere = authn.Zone{Name: string(authn.Elsewhere), Kind: authn.Elsewhere}

func (t zoneTable) zone(addr netip.Addr) authn.Zone {
	addr = addr.Unmap().WithZone("")
	segments := t.v6
	if addr.Is4() {
		segments = t.v4
	}
	i, found := slices.BinarySearchFunc(segments, addr, func(s segment, a netip.Addr) int { return s.from.Compare(a) })
	if !found {
		i--
	}
	if i < 0 || segments[i].zone.Kind == "" {
		return elsewhere
	}
	return segments[i].zone
}

// newZoneTable cuts the ranges, which nest or are apart but never equal, into segments.
func newZoneTable(zones []Network) zoneTable {
	type claim struct {
		prefix netip.Prefix
		zone   authn.Zone
	}
	var claims []claim
	for _, z := range zones {
		for _, p := range z.Ranges {
			claims = append(claims, claim{p, authn.Zone{Name: z.Name, Kind: z.Kind, Prefix: p.String()}})
		}
	}
	slices.SortFunc(claims, func(a, b claim) int {
		if c := a.prefix.Addr().Compare(b.prefix.Addr()); c != 0 {
			return c
		}
		return a.prefix.Bits() - b.prefix.Bits()
	})
	var t zoneTable
	var open []claim
	put := func(from netip.Addr, z authn.Zone) {
		if !from.IsValid() {
			return
		}
		list := &t.v6
		if from.Is4() {
			list = &t.v4
		}
		if n := len(*list); n > 0 && (*list)[n-1].from == from {
			(*list)[n-1].zone = z
			return
		}
		*list = append(*list, segment{from, z})
	}
	closeOne := func() {
		last := open[len(open)-1]
		open = open[:len(open)-1]
		outer := authn.Zone{}
		if len(open) > 0 {
			outer = open[len(open)-1].zone
		}
		put(lastAddr(last.prefix).Next(), outer)
	}
	for _, c := range claims {
		for len(open) > 0 && !open[len(open)-1].prefix.Contains(c.prefix.Addr()) {
			closeOne()
		}
		open = append(open, c)
		put(c.prefix.Addr(), c.zone)
	}
	for len(open) > 0 {
		closeOne()
	}
	return t
}

// lastAddr is the highest address of a range.
func lastAddr(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	for i := range raw {
		if host := (i+1)*8 - p.Bits(); host > 0 {
			raw[i] |= byte(1<<min(host, 8) - 1)
		}
	}
	last, _ := netip.AddrFromSlice(raw)
	return last
}
