package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/policy"
)

func TestZoneIsTheMostSpecificRange(t *testing.T) {
	d := parse(t, zone("lan", "campus", `"10.0.0.0/8"`, `"2001:db8::/32"`)+
		zone("wifi", "eduroam", `"10.9.0.0/16"`, `"2001:db8:9::/48"`)+
		zone("desk", "campus", `"10.9.3.0/24"`, `"10.9.4.255/32"`)+
		zone("edge", "vpn", `"255.255.255.255/32"`, `"0.0.0.0/32"`, `"::/128"`, `"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"`)+
		zone("relay", "relay", `"::ffff:203.0.113.0/120"`))
	for addr, want := range map[string]string{
		"10.0.0.0": "lan campus 10.0.0.0/8", "10.255.255.255": "lan campus 10.0.0.0/8", "11.0.0.0": "elsewhere elsewhere ", "9.255.255.255": "elsewhere elsewhere ",
		"10.9.0.0": "wifi eduroam 10.9.0.0/16", "10.9.255.255": "wifi eduroam 10.9.0.0/16", "10.10.0.0": "lan campus 10.0.0.0/8", "10.8.255.255": "lan campus 10.0.0.0/8",
		"10.9.3.7": "desk campus 10.9.3.0/24", "10.9.4.0": "wifi eduroam 10.9.0.0/16", "10.9.4.255": "desk campus 10.9.4.255/32", "10.9.5.0": "wifi eduroam 10.9.0.0/16",
		"2001:db8::1": "lan campus 2001:db8::/32", "2001:db8:9::1": "wifi eduroam 2001:db8:9::/48", "2001:db9::": "elsewhere elsewhere ", "::1": "elsewhere elsewhere ",
		"::ffff:10.9.3.7": "desk campus 10.9.3.0/24", "::ffff:203.0.113.9": "relay relay 203.0.113.0/24", "203.0.113.9": "relay relay 203.0.113.0/24",
		"255.255.255.255": "edge vpn 255.255.255.255/32", "0.0.0.0": "elsewhere elsewhere ", "::": "elsewhere elsewhere ", "::ffff:0.0.0.0": "elsewhere elsewhere ", "0.0.0.1": "elsewhere elsewhere ",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "edge vpn ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
		"2001:db8::1%eth0":                        "lan campus 2001:db8::/32",
	} {
		z := d.Zone(netip.MustParseAddr(addr))
		if got := fmt.Sprint(z.Name, " ", z.Kind, " ", z.Prefix); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
	if z := d.Zone(netip.Addr{}); z.Kind != authn.Elsewhere {
		t.Errorf("no address at all is in %v", z)
	}
}

// TestZoneAgainstEveryRange compares the look-up with the plain search through all ranges.
func TestZoneAgainstEveryRange(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 50 {
		text, ranges := randomZones(r, 60, 6)
		d := parse(t, text)
		for range 400 {
			addr := randomAddr(r, 6)
			want := netip.Prefix{}
			for p := range ranges {
				if p.Contains(addr) && (!want.IsValid() || p.Bits() > want.Bits()) {
					want = p
				}
			}
			if addr.IsUnspecified() {
				continue
			}
			z := d.Zone(addr)
			if !want.IsValid() && z.Kind != authn.Elsewhere || want.IsValid() && (z.Prefix != want.String() || z.Name != ranges[want]) {
				t.Fatalf("%s: %+v, want %s", addr, z, want)
			}
		}
	}
}

// randomZones draws ranges from few bits so that many nest.
func randomZones(r *rand.Rand, n, wild int) (string, map[netip.Prefix]string) {
	ranges := map[netip.Prefix]string{}
	kinds := []string{"campus", "vpn", "eduroam", "guest", "relay"}
	zones := make([][]string, 5)
	for range n {
		a := randomAddr(r, wild)
		p, _ := a.Prefix(r.IntN(a.BitLen() + 1))
		if _, taken := ranges[p]; taken {
			continue
		}
		z := r.IntN(5)
		ranges[p] = fmt.Sprint("z", z)
		zones[z] = append(zones[z], `"`+p.String()+`"`)
	}
	var text strings.Builder
	for i, z := range zones {
		if len(z) > 0 {
			text.WriteString(zone(fmt.Sprint("z", i), kinds[i], z...))
		}
	}
	return text.String(), ranges
}

// randomAddr has at most wild random bits in each byte's lower end.
func randomAddr(r *rand.Rand, wild int) netip.Addr {
	size := []int{4, 16}[r.IntN(2)]
	raw := make([]byte, size)
	for i := range raw {
		if r.IntN(3) == 0 {
			raw[i] = byte(r.IntN(1 << wild))
		}
	}
	if size == 16 {
		raw[0] = 0x20
	}
	a, _ := netip.AddrFromSlice(raw)
	return a
}

func TestGap(t *testing.T) {
	v4 := zone("lan", "campus", `"10.0.0.0/8"`) + "[[rule]]\nclasses = 2\n[[rule]]\nzones = [\"campus\"]\n"
	both := strings.Replace(v4, `"10.0.0.0/8"`, `"10.0.0.0/8", "2001:db8::/32"`, 1)
	home := netip.MustParseAddr("2001:db9::1")
	for _, c := range []struct {
		text, addr string
		want       authn.ZoneKind
	}{
		{v4, "2001:db9::1", policy.Gap},
		{v4, "192.0.2.1", authn.Elsewhere},
		{v4, "::", authn.Elsewhere},
		{v4, "::ffff:192.0.2.1", authn.Elsewhere},
		{both, "2001:db9::1", authn.Elsewhere},
		{"[[rule]]\nclasses = 2\n", "2001:db9::1", policy.Anywhere},
	} {
		d := parse(t, c.text)
		addr := netip.MustParseAddr(c.addr)
		if r := d.Rule(policy.Question{Zone: d.Zone(addr), Addr: addr}); r.Place != c.want {
			t.Errorf("%s: %s", c.addr, r.Place)
		}
	}
	if parse(t, "").Gap(home) {
		t.Error("a document without campus has no gap")
	}
}

func BenchmarkZone10000Ranges(b *testing.B) {
	var list []string
	for i := range 5000 {
		list = append(list, fmt.Sprintf(`"10.%d.%d.0/24"`, i/256, i%256), fmt.Sprintf(`"2001:db8:%x::/48"`, i))
	}
	d := parse(b, zone("lan", "campus", list...))
	addrs := []netip.Addr{netip.MustParseAddr("10.12.200.7"), netip.MustParseAddr("2001:db8:3e7::5"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:10.3.3.3")}
	if d.Zone(addrs[0]).Name != "lan" || d.Zone(addrs[2]).Name != "elsewhere" {
		b.Fatal()
	}
	b.Run("Zone", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			d.Zone(addrs[i%len(addrs)])
		}
	})
	b.Run("Parse", func(b *testing.B) {
		text := d.Text()
		for b.Loop() {
			if _, err := policy.Parse("f", text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
