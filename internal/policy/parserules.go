package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
)

func zoneKinds() []string {
	return []string{string(authn.Campus), string(authn.VPN), string(authn.Eduroam), string(authn.Guest), string(authn.Relay)}
}

func (b *builder) readZones(all []*table) {
	names := map[string]int{}
	ranges := map[netip.Prefix]item{} // zone name and line
	reserved := append(zoneKinds(), string(authn.Elsewhere), OnCampus, OffCampus)
	for _, t := range all {
		z := Network{Name: t.text("name"), Kind: authn.ZoneKind(t.text("kind")), Labels: t.labels(), Line: t.here()}
		switch line, twice := names[z.Name]; {
		case !t.has("name"):
			b.fault(z.Line, "a zone needs a name")
		case z.Name == "":
		case slices.Contains(reserved, z.Name) && z.Name != string(z.Kind):
			b.fault(t.line("name"), "zone %q: this word is a kind of zone, and not this one's; give the zone another name", z.Name)
		case twice:
			b.fault(t.line("name"), "zone %q is already on line %d", z.Name, line)
		default:
			b.name("zone", z.Name, t.line("name"))
			names[z.Name] = z.Line
		}
		if !slices.Contains(zoneKinds(), string(z.Kind)) {
			b.fault(t.line("kind"), "zone %q: kind must be one of %s", z.Name, strings.Join(zoneKinds(), ", "))
		}
		items := t.list("ranges")
		if len(items) == 0 {
			b.fault(t.line("ranges"), "zone %q has no ranges", z.Name)
		}
		for _, i := range items {
			p, ok := b.prefix(z.Name, i)
			if !ok {
				continue
			}
			if other, taken := ranges[p]; taken {
				b.fault(i.line, "zone %q: range %s is already in zone %q on line %d", z.Name, p, other.text, other.line)
				continue
			}
			ranges[p] = item{z.Name, i.line}
			z.Ranges = append(z.Ranges, p)
		}
		b.d.zones = append(b.d.zones, z)
		t.end()
	}
}

// prefix reads one range; IPv4 written inside IPv6 becomes IPv4.
func (b *builder) prefix(zone string, i item) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(i.text)
	if err != nil {
		if a, err := netip.ParseAddr(i.text); err == nil && a.Zone() == "" {
			b.fault(i.line, "zone %q: %q is an address; for this one address write %s/%d", zone, i.text, a, a.BitLen())
		} else {
			b.fault(i.line, "zone %q: %q is not a range such as 192.0.2.0/24 or 2001:db8::/32", zone, i.text)
		}
		return p, false
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			b.fault(i.line, "zone %q: %q mixes IPv4 and IPv6; write the IPv4 range", zone, i.text)
			return p, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		b.fault(i.line, "zone %q: %q has bits set behind the /%d; write %s", zone, i.text, p.Bits(), p.Masked())
		return p, false
	}
	return p, true
}

// readRules comes after the zones and groups, which rules name.
func (b *builder) readRules(all []*table) {
	reach := map[[3]string]int{}
	names := map[string]int{}
	for _, t := range all {
		r := Rule{Name: t.text("name"), Service: t.text("service"), Line: t.here()}
		groups, zones := t.list("groups"), t.list("zones")
		b.checkGroups(groups)
		b.checkZones(zones)
		r.Groups, r.Zones = texts(groups), texts(zones)
		r.Requirement = authn.Requirement{
			Classes:           t.number("classes", 1, 1, 2),
			PhishingResistant: t.flag("phishing_resistant"),
			HardwareBound:     t.flag("hardware_bound"),
			UserVerified:      t.flag("user_verified"),
			Kinds:             b.kinds(t.list("kinds")),
			Fresh:             t.duration("fresh", 0, time.Second, 24*time.Hour),
			TrustedBrowser:    t.flag("trusted_browser"),
		}
		r.serviceLine, r.kindsLine, r.trustedLine = t.line("service"), t.line("kinds"), t.line("trusted_browser")
		for _, key := range []string{"groups", "zones", "kinds"} {
			if isEmptyList(t.vals[key]) {
				b.fault(t.line(key), "%s is empty; leave it out to mean all of them", key)
			}
		}
		if r.Name == "" {
			r.Name = r.spelled()
		}
		if line, twice := names[r.Name]; twice && t.has("name") {
			b.fault(t.line("name"), "a rule named %q is already on line %d", r.Name, line)
		}
		names[r.Name] = r.Line
		b.distinct(r, reach)
		b.d.rules = append(b.d.rules, r)
		t.end()
	}
}

func isEmptyList(v any) bool {
	l, ok := v.([]any)
	return ok && len(l) == 0
}

func (b *builder) checkZones(zones []item) {
	words := append(zoneKinds(), string(authn.Elsewhere), OnCampus, OffCampus)
	for _, z := range b.d.zones {
		words = append(words, z.Name)
	}
	for _, z := range zones {
		b.member("zone", z, words, "declare it with [[zone]] or name a kind of zone")
	}
}

// distinct refuses two rules that speak about the same service, group and zone.
func (b *builder) distinct(r Rule, reach map[[3]string]int) {
	for _, g := range orAll(r.Groups) {
		for _, z := range orAll(r.Zones) {
			key := [3]string{r.Service, g, z}
			if line, taken := reach[key]; taken {
				b.fault(r.Line, "the rule on line %d already speaks about %s", line, spell(r.Service, g, z))
				return
			}
			reach[key] = r.Line
		}
	}
}

func orAll(words []string) []string {
	if len(words) == 0 {
		return []string{""}
	}
	return words
}

// spelled is the name of a rule that was given none.
func (r Rule) spelled() string {
	return spell(r.Service, strings.Join(r.Groups, ","), strings.Join(r.Zones, ","))
}

func spell(service, group, zone string) string {
	var parts []string
	for _, p := range [][2]string{{service, "every service"}, {group, "everybody"}, {zone, "everywhere"}} {
		if p[0] == "" {
			p[0] = p[1]
		}
		parts = append(parts, p[0])
	}
	return strings.Join(parts, " / ")
}

// readEnrolment reads the general rule and those of single kinds, each of which
// replaces the general one for its kind.
func (b *builder) readEnrolment(t *table) {
	general := EnrolmentRule{Classes: 2, Fresh: 10 * time.Minute}
	if t == nil {
		b.d.enrolment = []EnrolmentRule{general}
		return
	}
	general = b.enrolmentRule(t)
	b.d.enrolment = []EnrolmentRule{general}
	for _, name := range t.names() {
		if traits, ok := traitsOf(authn.Kind(name)); !ok || traits.RecoveryOnly {
			continue
		}
		k := t.table(name)
		if k == nil {
			continue
		}
		rule := b.enrolmentRule(k)
		rule.Kind = authn.Kind(name)
		b.d.enrolment = append(b.d.enrolment, rule)
		k.end()
	}
	t.end()
}

func (b *builder) enrolmentRule(t *table) EnrolmentRule {
	zones := t.list("zones")
	b.checkZones(zones)
	rule := EnrolmentRule{
		Zones:   texts(zones),
		Classes: t.number("classes", 2, 0, 2),
		Fresh:   t.duration("fresh", 10*time.Minute, time.Minute, 24*time.Hour),
		Line:    t.here(),
	}
	for _, w := range t.list("with") {
		var set []authn.Kind
		for word := range strings.SplitSeq(w.text, "+") {
			b.member("factor kind", item{word, w.line}, kindNames(), "the kinds are "+strings.Join(kindNames(), ", "))
			set = append(set, authn.Kind(word))
		}
		rule.With = append(rule.With, set)
	}
	return rule
}
