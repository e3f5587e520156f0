package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/authn"
)

// Change is one difference between two documents, as a sentence.
type Change struct {
	What  string            `json:"what"`  // added, removed, changed
	Thing string            `json:"thing"` // group, zone, service, rule, enrolment, setting
	Name  string            `json:"name"`
	ID    string            `json:"-"` // message id in this room's words
	Facts map[string]string `json:"facts,omitempty"`
}

// Diff lists what changes when new replaces old: groups, zones, services, rules,
// enrolment, settings, each by name. The order inside the files has no meaning.
func Diff(old, new *Document) []Change {
	var out []Change
	for _, thing := range []string{"group", "zone", "service", "rule", "enrolment", "setting"} {
		was, is := old.facts(thing), new.facts(thing)
		names := maps.Clone(was)
		maps.Copy(names, is)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			a, had := was[name]
			b, has := is[name]
			c := Change{Thing: thing, Name: name, Facts: map[string]string{"name": name}}
			switch {
			case had && has && a == b:
				continue
			case !had:
				c.What, c.Facts["now"] = "added", b
			case !has:
				c.What, c.Facts["was"] = "removed", a
			default:
				c.What, c.Facts["was"], c.Facts["now"] = "changed", a, b
			}
			if thing == "zone" && c.What == "changed" {
				c.Facts["was"], c.Facts["now"] = onlyOther(a, b), onlyOther(b, a)
			}
			c.ID = "policy.diff." + thing + "." + c.What
			out = append(out, c)
		}
	}
	return out
}

// onlyOther keeps those comma-separated parts of a that b does not have.
func onlyOther(a, b string) string {
	parts := strings.Split(b, ", ")
	kept := slices.DeleteFunc(strings.Split(a, ", "), func(s string) bool { return slices.Contains(parts, s) })
	if len(kept) == 0 {
		return "-"
	}
	return strings.Join(kept, ", ")
}

// facts describes every thing of one sort by its name, in words of the document.
func (d *Document) facts(thing string) map[string]string {
	out := map[string]string{}
	switch thing {
	case "group":
		for _, g := range d.groups {
			out[g.Name] = labelled(g.Labels)
		}
	case "zone":
		for _, z := range d.zones {
			out[z.Name] = "kind " + string(z.Kind) + ", " + rangeList(z.Ranges)
			if len(z.Labels) > 0 {
				out[z.Name] += ", ja " + z.Labels["ja"] + ", en " + z.Labels["en"]
			}
		}
	case "service":
		for _, s := range d.services {
			out[s.Name] = sorted(s.Groups)
		}
	case "rule":
		for _, r := range d.rules {
			out[r.Name] = spell(r.Service, sorted(r.Groups), sorted(r.Zones)) + ": " + Describe(r.Requirement)
		}
	case "enrolment":
		for _, e := range d.enrolment {
			name := string(e.Kind)
			if name == "" {
				name = "*"
			}
			out[name] = e.describe()
		}
	case "setting":
		d.settingFacts(out)
	}
	return out
}

func (d *Document) settingFacts(out map[string]string) {
	out["trusted_browser.days"] = strconv.Itoa(int(d.trust / (24 * time.Hour)))
	for _, kind := range []authn.Kind{Password, "totp", "mailcode", ClientCert} {
		for name, value := range d.Settings(kind) {
			out[string(kind)+"."+name] = value
		}
	}
	out["mailcode.lifetime"] = brief(d.mailcode.Lifetime)
	for name, words := range map[string][]string{"services": d.cert.Services, "zones": d.cert.Zones, "groups": d.cert.Groups} {
		if len(words) > 0 {
			out["clientcert.first_"+name] = sorted(words)
		}
	}
	if d.agreement.Version != "" {
		out["agreement.version"] = d.agreement.Version
		out["agreement.text"] = sumOf([]byte(d.agreement.Texts["ja"] + "\x00" + d.agreement.Texts["en"]))[:12]
	}
}

func labelled(labels map[string]string) string {
	if len(labels) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s, %s)", labels["ja"], labels["en"])
}

func rangeList(ranges []netip.Prefix) string {
	var out []string
	for _, p := range ranges {
		out = append(out, p.String())
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func sorted(words []string) string {
	return strings.Join(slices.Sorted(slices.Values(words)), ",")
}

// Describe writes a requirement in the words of the document: "classes 2, fresh 5m".
func Describe(r authn.Requirement) string {
	parts := []string{"classes " + strconv.Itoa(max(1, r.Classes))}
	parts = append(parts, traitsAsked(r)...)
	if len(r.Kinds) > 0 {
		kinds := make([]string, len(r.Kinds))
		for i, k := range r.Kinds {
			kinds[i] = string(k)
		}
		slices.Sort(kinds)
		parts = append(parts, "kinds "+strings.Join(kinds, "|"))
	}
	if r.Fresh > 0 {
		parts = append(parts, "fresh "+brief(r.Fresh))
	}
	if r.TrustedBrowser {
		parts = append(parts, "trusted_browser")
	}
	return strings.Join(parts, ", ")
}

func (e EnrolmentRule) describe() string {
	var parts []string
	if len(e.Zones) > 0 {
		parts = append(parts, "zones "+sorted(e.Zones))
	}
	parts = append(parts, "classes "+strconv.Itoa(e.Classes))
	var sets []string
	for _, set := range e.With {
		kinds := make([]string, len(set))
		for i, k := range set {
			kinds[i] = string(k)
		}
		sets = append(sets, strings.Join(kinds, "+"))
	}
	if len(sets) > 0 {
		slices.Sort(sets)
		parts = append(parts, "with "+strings.Join(sets, "|"))
	}
	return strings.Join(append(parts, "fresh "+brief(e.Fresh)), ", ")
}
