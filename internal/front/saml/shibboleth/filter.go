package shibboleth

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/rp"
)

// entityCategory is the attribute of metadata that holds entity categories.
const entityCategory = "http://macedir.org/entity-category"

// whom is a condition that can be said by a rule: every list that is given must fit.
type whom struct {
	services, categories, authorities []string
	notServices, notCategories        []string
}

// alone tells whether it names services and nothing else.
func (w whom) alone() bool {
	return len(w.services) > 0 && len(w.categories)+len(w.authorities)+len(w.notServices)+len(w.notCategories) == 0
}

// what a policy says of one attribute.
type what struct {
	attribute string
	share     rp.Share
	wanted    bool // only where the metadata asks for it
	never     []string
	denies    bool // it permits nothing
}

// filter takes the policies of an attribute filter over: as releases for services that
// are named, else as rules.
func (r *reader) filter(file string, root *xmldoc.Node) error {
	for _, p := range below(root, "AttributeFilterPolicy") {
		id := p.Attr("id")
		conditions := children(p, "PolicyRequirementRule")
		if len(conditions) != 1 {
			r.leave(file, "the policy %s: it has no condition of its own", id)
			continue
		}
		list, why := condition(conditions[0])
		if why != "" {
			r.leave(file, "the policy %s: its condition (%s) cannot be said here; see seimon rules", id, why)
			continue
		}
		says := r.says(file, id, p)
		if len(says) == 0 {
			r.leave(file, "the policy %s: it gives nothing that can be carried", id)
			continue
		}
		r.policies = append(r.policies, policy{id, list, says})
		r.carry(file, "the policy %s: %d attributes", id, len(says))
	}
	return nil
}

// policy is an attribute filter policy that can be carried.
type policy struct {
	id   string
	whom []whom // one of them
	says []what
}

// says reads what a policy permits and denies.
func (r *reader) says(file, policy string, p *xmldoc.Node) []what {
	var out []what
	for _, a := range children(p, "AttributeRule") {
		id := a.Attr("attributeID")
		name := attributeName(id)
		if name == "" {
			r.leave(file, "the policy %s: the attribute %s has no counterpart", policy, id)
			continue
		}
		w, why := permitted(id, a)
		if why != "" {
			r.leave(file, "the policy %s: of %s only some values are permitted or denied, in a way that cannot be said here (%s): it is not released", policy, id, why)
			continue
		}
		w.attribute = name
		out = append(out, w)
	}
	return out
}

// permitted reads the rules about the values of one attribute; why names what cannot be
// carried.
func permitted(id string, a *xmldoc.Node) (w what, why string) {
	permits, denies := children(a, "PermitValueRule"), children(a, "DenyValueRule")
	for _, d := range denies {
		m, why := values(id, d)
		if why != "" || len(m.except) > 0 || m.wanted {
			return w, "DenyValueRule " + why
		}
		if w.never = append(w.never, m.only...); m.any {
			w.never = append(w.never, "/.*/")
		}
	}
	if a.Attr("denyAny") == "true" {
		w.never = append(w.never, "/.*/")
	}
	switch {
	case a.Attr("permitAny") == "true":
		return w, ""
	case len(permits) == 0 && len(w.never) > 0: // it denies alone
		w.denies = true
		return w, ""
	case len(permits) != 1:
		return w, fmt.Sprintf("%d PermitValueRules", len(permits))
	}
	m, why := values(id, permits[0])
	w.share = rp.Share{Only: m.only, Except: m.except}
	w.wanted = m.wanted
	return w, why
}

// match is which values a rule means.
type match struct {
	any, wanted  bool
	only, except []string
}

// values reads a matcher of values.
func values(id string, n *xmldoc.Node) (m match, why string) {
	if other := n.Attr("attributeID"); other != "" && other != id {
		return m, kind(n) + " of another attribute"
	}
	switch kind(n) {
	case "ANY":
		return match{any: true}, ""
	case "Value", "AttributeValueString":
		return match{only: []string{literally(n)}}, ""
	case "ValueRegex", "AttributeValueRegex":
		p := "/" + n.Attr("regex") + "/"
		if n.Attr("caseSensitive") == "false" || n.Attr("ignoreCase") == "true" {
			p += "i"
		}
		if err := rp.CheckPatterns([]string{p}); err != nil || n.Attr("regex") == "" {
			return m, "ValueRegex " + n.Attr("regex")
		}
		return match{only: []string{p}}, ""
	case "AttributeInMetadata":
		if n.Attr("onlyIfRequired") != "false" || n.Attr("matchIfMetadataSilent") == "true" {
			return m, "AttributeInMetadata, only if required or although nothing is said"
		}
		return match{any: true, wanted: true}, ""
	case "OR":
		for _, c := range n.Elements() {
			one, why := values(id, c)
			if why != "" || one.wanted || len(one.except) > 0 {
				return m, "OR of " + kind(c)
			}
			m.any, m.only = m.any || one.any, append(m.only, one.only...)
		}
		if m.any {
			m.only = nil
		}
		return m, ""
	case "NOT":
		return negated(id, n)
	case "AND":
		return both(id, n)
	}
	return m, kind(n)
}

// literally is a value as a pattern.
func literally(n *xmldoc.Node) string {
	v := n.Attr("value")
	if n.Attr("caseSensitive") == "false" || n.Attr("ignoreCase") == "true" {
		return "/" + regexp.QuoteMeta(v) + "/i"
	}
	if strings.HasPrefix(v, "/") {
		return "/" + regexp.QuoteMeta(v) + "/"
	}
	return v
}

func negated(id string, n *xmldoc.Node) (m match, why string) {
	inner := n.Elements()
	if len(inner) != 1 {
		return m, "NOT"
	}
	one, why := values(id, inner[0])
	if why != "" || one.any || len(one.except) > 0 {
		return m, "NOT of " + kind(inner[0])
	}
	return match{any: true, except: one.only}, ""
}

// both reads an AND: one choice of values, and any number that are left out of it.
func both(id string, n *xmldoc.Node) (m match, why string) {
	m.any = true
	for _, c := range n.Elements() {
		one, why := values(id, c)
		switch {
		case why != "":
			return m, why
		case !one.any && !m.any:
			return m, "AND of two choices of values"
		case !one.any:
			m.any, m.only = false, one.only
		}
		m.except = append(m.except, one.except...)
		m.wanted = m.wanted || one.wanted
	}
	return m, ""
}

// condition reads whom a policy is for, as alternatives; why names what cannot be said.
func condition(n *xmldoc.Node) (list []whom, why string) {
	cased := n.Attr("caseSensitive") == "false" || n.Attr("ignoreCase") == "true"
	switch k := kind(n); k {
	case "ANY":
		return []whom{{}}, ""
	case "Requester", "AttributeRequesterString":
		if n.Attr("value") == "" || cased {
			return nil, k
		}
		return []whom{{services: []string{n.Attr("value")}}}, ""
	case "EntityAttributeExactMatch", "AttributeRequesterEntityAttributeExactMatch":
		if n.Attr("attributeName") != entityCategory || n.Attr("attributeValue") == "" {
			return nil, k + " of " + n.Attr("attributeName")
		}
		return []whom{{categories: []string{n.Attr("attributeValue")}}}, ""
	case "RegistrationAuthority":
		if found := strings.Fields(n.Attr("registrars")); len(found) > 0 && n.Attr("matchIfMetadataSilent") != "true" {
			return []whom{{authorities: found}}, ""
		}
		return nil, k
	case "OR":
		for _, c := range n.Elements() {
			more, why := condition(c)
			if why != "" {
				return nil, "OR of " + why
			}
			list = append(list, more...)
		}
		return together(list), ""
	case "AND":
		return all(n)
	case "NOT":
		return except(n)
	default:
		return nil, k
	}
}

// together makes one alternative of those that name nothing but services, and one of
// those that name nothing but categories.
func together(list []whom) []whom {
	var out []whom
	at := map[bool]int{} // by whether it names services
	for _, w := range list {
		services := w.alone()
		if !services && !w.kinds() {
			out = append(out, w)
			continue
		}
		i, ok := at[services]
		if !ok {
			at[services] = len(out)
			out = append(out, w)
			continue
		}
		out[i].services, out[i].categories = append(out[i].services, w.services...), append(out[i].categories, w.categories...)
	}
	return out
}

// kinds tells whether it names categories and nothing else.
func (w whom) kinds() bool {
	return len(w.categories) > 0 && len(w.services)+len(w.authorities)+len(w.notServices)+len(w.notCategories) == 0
}

// except reads a NOT around one list of services or categories.
func except(n *xmldoc.Node) ([]whom, string) {
	inner := n.Elements()
	if len(inner) != 1 {
		return nil, "NOT"
	}
	list, why := condition(inner[0])
	if why != "" {
		return nil, "NOT of " + why
	}
	var out whom
	for _, w := range list { // not (a or b) is not a and not b
		switch {
		case w.alone():
			out.notServices = append(out.notServices, w.services...)
		case w.kinds():
			out.notCategories = append(out.notCategories, w.categories...)
		default:
			return nil, "NOT of " + kind(inner[0])
		}
	}
	return []whom{out}, ""
}

// most bounds the alternatives of a condition.
const most = 64

// all reads an AND: what its parts have in common.
func all(n *xmldoc.Node) ([]whom, string) {
	list := []whom{{}}
	for _, c := range n.Elements() {
		more, why := condition(c)
		if why != "" {
			return nil, "AND of " + why
		}
		var next []whom
		for _, a := range list {
			for _, b := range more {
				w, ok, why := common(a, b)
				if why != "" {
					return nil, why
				}
				if ok {
					next = append(next, w)
				}
			}
		}
		if list = next; len(list) > most {
			return nil, "AND of many alternatives"
		}
	}
	if len(list) == 0 {
		return nil, "AND that fits nobody"
	}
	return list, ""
}

// common joins two conditions; ok is false when nothing fits both.
func common(a, b whom) (w whom, ok bool, why string) {
	services, ok1 := meet(a.services, b.services)
	authorities, ok2 := meet(a.authorities, b.authorities)
	categories := append(slices.Clone(a.categories), b.categories...)
	if len(a.categories) > 0 && len(b.categories) > 0 {
		return w, false, "AND of two entity categories"
	}
	return whom{
		services: services, authorities: authorities, categories: categories,
		notServices:   append(slices.Clone(a.notServices), b.notServices...),
		notCategories: append(slices.Clone(a.notCategories), b.notCategories...),
	}, ok1 && ok2, ""
}

// meet gives what two selectors have in common; an empty one fits everything.
func meet(a, b []string) ([]string, bool) {
	if len(a) == 0 || len(b) == 0 {
		return append(slices.Clone(a), b...), true
	}
	out := slices.DeleteFunc(slices.Clone(a), func(v string) bool { return !slices.Contains(b, v) })
	return out, len(out) > 0
}

// grant hands out what the policies give: to services registered here directly, and by
// rules to those of feeds.
func (r *reader) grant(file string) {
	for _, p := range r.policies {
		for _, w := range p.whom {
			name := "shibboleth " + p.id
			for n := 2; r.named[name]; n++ {
				name = fmt.Sprintf("shibboleth %s %d", p.id, n)
			}
			r.named[name] = true
			r.give(file, p, w)
			if w.alone() && !slices.ContainsFunc(w.services, func(id string) bool { return r.parties[id] == nil }) {
				continue
			}
			r.rules(name, w, p.says)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.parties)) { // denials count for all that was given
		p := r.parties[id]
		for i := range p.Release {
			p.Release[i].Never = append(p.Release[i].Never, r.nevers[id+" "+p.Release[i].Attribute]...)
		}
		p.Release = slices.DeleteFunc(p.Release, func(x rp.Release) bool {
			return slices.Contains(x.Never, "/.*/")
		})
	}
}

// give releases to services registered here what a policy for them, or for everybody,
// gives.
func (r *reader) give(file string, p policy, w whom) {
	if len(w.categories)+len(w.authorities)+len(w.notCategories) > 0 {
		return // of a service registered by hand no federation says such things
	}
	for _, id := range slices.Sorted(maps.Keys(r.parties)) {
		if len(w.services) > 0 && !slices.Contains(w.services, id) || slices.Contains(w.notServices, id) {
			continue
		}
		party := r.parties[id]
		for _, s := range p.says {
			if len(s.never) > 0 {
				r.nevers[id+" "+s.attribute] = append(r.nevers[id+" "+s.attribute], s.never...)
			}
			if s.wanted {
				r.leave(file, "the policy %s: %s leaves for %s where its metadata asks for it; say it with seimon party set", p.id, s.attribute, id)
				continue
			}
			if s.denies {
				continue
			}
			one := rp.Release{Attribute: s.attribute, Only: s.share.Only, Except: s.share.Except}
			if i := slices.IndexFunc(party.Release, func(x rp.Release) bool { return x.Attribute == s.attribute }); i >= 0 {
				party.Release[i].Join(one)
			} else {
				party.Release = append(party.Release, one)
			}
		}
	}
}

// rules makes rules of a policy: one for what is always given, and one for what the
// metadata must ask for.
func (r *reader) rules(name string, w whom, says []what) {
	for _, wanted := range []bool{false, true} {
		rule := rp.Rule{
			Name: name, Services: w.services, Categories: w.categories, Authorities: w.authorities, NotServices: w.notServices,
			NotCategories: w.notCategories, Consent: rp.ConsentAsk, Wanted: wanted,
		}
		if wanted {
			rule.Name += " as asked"
		}
		for _, s := range says {
			if s.wanted != wanted {
				continue
			}
			if len(s.never) > 0 {
				put(&rule.Never, s.attribute, s.never)
			}
			if s.denies {
				continue
			}
			if !slices.Contains(rule.Attributes, s.attribute) {
				rule.Attributes = append(rule.Attributes, s.attribute)
			}
			put(&rule.Only, s.attribute, s.share.Only)
			put(&rule.Except, s.attribute, s.share.Except)
		}
		if len(rule.Attributes)+len(rule.Never) > 0 {
			r.plan.Rules = append(r.plan.Rules, rule)
		}
	}
}

func put(to *map[string][]string, attribute string, patterns []string) {
	if len(patterns) == 0 {
		return
	}
	if *to == nil {
		*to = map[string][]string{}
	}
	(*to)[attribute] = append((*to)[attribute], patterns...)
}
