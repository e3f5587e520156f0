package policy

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
)

// Words for zones in a rule that stand for several kinds.
const (
	OnCampus  = "on-campus"  // campus and vpn
	OffCampus = "off-campus" // everything else
)

// Question asks what one person needs for one service from one place.
type Question struct {
	Service string
	Groups  []string // of the account
	Zone    authn.Zone
	// Addr, when valid, lets the ruling tell a gap in the zones from being elsewhere.
	Addr netip.Addr
}

// Ruling is the answer to a Question.
type Ruling struct {
	Requirement authn.Requirement
	// Name is the rule that matched; several are joined with " + "; "built-in" when none did.
	Name string
	// Refused is "R2" when the person belongs to none of the groups in For.
	Refused authn.Code
	For     []string
	// Place goes into Case.Place: the kind of zone if campus would ask for less, otherwise Anywhere.
	Place authn.ZoneKind
	// Why tells how the rule was chosen, for the desk.
	Why []string
}

// builtin is the name of the rule that holds when no rule of the document matches.
const builtin = "built-in"

// Rule finds the requirement. Service counts for more than group, group for more
// than zone, and in a zone its name for more than its kind. Rules that are equally
// specific (a person in two groups) hold together: the strictest of each part.
func (d *Document) Rule(q Question) Ruling {
	var out Ruling
	out.Requirement, out.Name, out.Why = d.require(q)
	for _, s := range d.services {
		if s.Name == q.Service && len(s.Groups) > 0 && !overlap(s.Groups, q.Groups) {
			out.Refused, out.For = "R2", slices.Clone(s.Groups)
			out.Why = append(out.Why, "service is for "+strings.Join(s.Groups, ", "))
		}
	}
	out.Place = d.place(q, out.Requirement)
	return out
}

func (d *Document) require(q Question) (authn.Requirement, string, []string) {
	best := -1
	var found []Rule
	for _, r := range d.rules {
		switch n := r.rank(q); {
		case n < 0 || n < best:
		case n > best:
			best, found = n, []Rule{r}
		default:
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return authn.Requirement{Classes: 2}, builtin, []string{"no rule matches: two classes"}
	}
	slices.SortFunc(found, func(a, b Rule) int { return strings.Compare(a.Name, b.Name) })
	req := found[0].Requirement
	names := []string{found[0].Name}
	for _, r := range found[1:] {
		req = req.Stricter(r.Requirement)
		names = append(names, r.Name)
	}
	return req, strings.Join(names, " + "), []string{"most specific: " + found[0].reach()}
}

// rank is how specific a rule is for a question; -1 when it does not match.
func (r Rule) rank(q Question) int {
	n := 0
	if r.Service != "" {
		if r.Service != q.Service {
			return -1
		}
		n += 100
	}
	if len(r.Groups) > 0 {
		if !overlap(r.Groups, q.Groups) {
			return -1
		}
		n += 10
	}
	if len(r.Zones) > 0 {
		best := 0
		for _, z := range r.Zones {
			best = max(best, zoneRank(z, q.Zone))
		}
		if best == 0 {
			return -1
		}
		n += best
	}
	return n
}

// zoneRank: 3 for the zone's name, 2 for its kind (also when the zone has the same name), 1 for its side of the campus, 0 for no match.
func zoneRank(word string, z authn.Zone) int {
	switch {
	case word == string(z.Kind):
		return 2
	case word == z.Name && z.Kind != authn.Elsewhere:
		return 3
	case word == OnCampus && z.Kind.OnCampus(), word == OffCampus && !z.Kind.OnCampus():
		return 1
	}
	return 0
}

func (r Rule) reach() string {
	var parts []string
	if r.Service != "" {
		parts = append(parts, "service")
	}
	if len(r.Groups) > 0 {
		parts = append(parts, "group")
	}
	if len(r.Zones) > 0 {
		parts = append(parts, "zone")
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, " > ")
}

// place tells whether the place made the requirement what it is.
func (d *Document) place(q Question, here authn.Requirement) authn.ZoneKind {
	if q.Zone.Kind.OnCampus() {
		return q.Zone.Kind
	}
	kind := q.Zone.Kind
	q.Zone = authn.Zone{Kind: authn.Campus}
	there, _, _ := d.require(q)
	switch {
	case reflect.DeepEqual(there, here):
		return Anywhere
	case kind == authn.Elsewhere && d.Gap(q.Addr):
		return Gap
	}
	return kind
}

// Gap tells whether an address is IPv6 while every campus zone lists only IPv4
// ranges: whoever it belongs to may well be on campus.
func (d *Document) Gap(addr netip.Addr) bool {
	if !addr.Unmap().Is6() || addr.IsUnspecified() {
		return false
	}
	campus := false
	for _, z := range d.zones {
		if z.Kind != authn.Campus {
			continue
		}
		campus = true
		if slices.ContainsFunc(z.Ranges, func(p netip.Prefix) bool { return p.Addr().Is6() }) {
			return false
		}
	}
	return campus
}

// EnrolQuestion asks whether an authenticator of a kind may be registered.
type EnrolQuestion struct {
	Kind     authn.Kind
	Zone     authn.Zone
	Evidence []authn.Evidence
	// Now, when set, makes evidence older than the rule's freshness not count.
	Now time.Time
}

// Enrolment tells whether the enrolment may begin. Without a fresh first factor
// the answer is no, wherever the person is.
func (d *Document) Enrolment(q EnrolQuestion) bool {
	rule := d.enrolmentRule(q.Kind)
	var proved []authn.Kind
	var classes authn.Class
	first := false
	for _, e := range q.Evidence {
		if !q.Now.IsZero() && q.Now.Sub(e.At) > rule.Fresh {
			continue
		}
		proved = append(proved, e.Kind)
		if e.Traits.RecoveryOnly {
			continue
		}
		classes |= e.Traits.Class
		// A proof of two classes, such as an IC card, needs no password beside it.
		first = first || e.Traits.First && e.Traits.Class != 0 || e.Traits.Class.Count() >= 2
	}
	if !first {
		return false
	}
	inZone := slices.ContainsFunc(rule.Zones, func(w string) bool { return zoneRank(w, q.Zone) > 0 })
	enough := rule.Classes > 0 && classes.Count() >= rule.Classes
	with := slices.ContainsFunc(rule.With, func(set []authn.Kind) bool {
		return !slices.ContainsFunc(set, func(k authn.Kind) bool { return !slices.Contains(proved, k) })
	})
	return inZone || enough || with
}

// EnrolmentRule is the rule under which an authenticator of a kind may be registered.
func (d *Document) EnrolmentRule(kind authn.Kind) EnrolmentRule { return d.enrolmentRule(kind) }

func (d *Document) enrolmentRule(kind authn.Kind) EnrolmentRule {
	for _, r := range d.enrolment {
		if r.Kind == kind && kind != "" {
			return r
		}
	}
	return d.enrolment[0]
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}
