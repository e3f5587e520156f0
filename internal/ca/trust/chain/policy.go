package chain

import "crypto/x509"

// anyPolicy is the policy that stands for all (RFC 5280 4.2.1.4).
const anyPolicy = "2.5.29.32.0"

// node is a vertex of the policy graph of RFC 9618 2.2: one for each policy and
// depth, so that the graph stays small whatever the certificates map.
type node struct {
	policy   string
	expected map[string]bool
	parents  map[*node]bool
}

// policies is the state of policy processing along a path (RFC 5280 6.1.2).
type policies struct {
	levels            []map[string]*node // nil once the graph is null
	explicit, mapping int
	inhibitAny        int
	depth, length     int
}

// The most that certificates may carry, far above honest use.
const (
	maxPolicies = 256
	maxMappings = 256
)

func newPolicies(length int, o Options) *policies {
	p := &policies{explicit: length + 1, mapping: length + 1, inhibitAny: length + 1, length: length}
	if o.ExplicitPolicy {
		p.explicit = 0
	}
	if o.InhibitMapping {
		p.mapping = 0
	}
	if o.InhibitAnyPolicy {
		p.inhibitAny = 0
	}
	root := &node{policy: anyPolicy, expected: map[string]bool{anyPolicy: true}}
	p.levels = []map[string]*node{{anyPolicy: root}}
	return p
}

// certificate is step (d) to (f) of RFC 5280 6.1.3 for the certificate at the next depth.
func (p *policies) certificate(c *x509.Certificate) *Error {
	p.depth++
	if len(c.Policies) > maxPolicies || len(c.PolicyMappings) > maxMappings {
		return refuse(Form, c, "too many policies")
	}
	switch {
	case len(c.Policies) == 0:
		p.levels = nil // 6.1.3 (e)
	case p.levels != nil:
		p.grow(c)
	}
	if p.explicit == 0 && p.levels == nil { // 6.1.3 (f)
		return refuse(Policies, c, "a policy is required and none is left")
	}
	return nil
}

// grow adds a level (RFC 5280 6.1.3 (d) as changed by RFC 9618 5.4).
func (p *policies) grow(c *x509.Certificate) {
	above := p.levels[len(p.levels)-1]
	level := map[string]*node{}
	add := func(policy string, parent *node) {
		n := level[policy]
		if n == nil {
			n = &node{policy: policy, expected: map[string]bool{policy: true}, parents: map[*node]bool{}}
			level[policy] = n
		}
		n.parents[parent] = true
	}
	any := false
	for _, oid := range c.Policies {
		policy := oid.String()
		if policy == anyPolicy {
			any = true
			continue
		}
		matched := false
		for _, parent := range above {
			if parent.expected[policy] && parent.policy != anyPolicy {
				add(policy, parent)
				matched = true
			}
		}
		if parent := above[anyPolicy]; !matched && parent != nil {
			add(policy, parent)
		}
	}
	if any && (p.inhibitAny > 0 || p.depth < p.length && selfIssued(c)) {
		missing := map[string][]*node{}
		for _, parent := range above {
			for policy := range parent.expected {
				if level[policy] == nil {
					missing[policy] = append(missing[policy], parent)
				}
			}
		}
		for policy, parents := range missing {
			for _, parent := range parents {
				add(policy, parent)
			}
		}
	}
	p.levels = append(p.levels, level)
	p.prune()
}

// prune removes nodes without children; an empty graph is null.
func (p *policies) prune() {
	for i := len(p.levels) - 1; i > 0; i-- {
		used := map[*node]bool{}
		for _, n := range p.levels[i] {
			for parent := range n.parents {
				used[parent] = true
			}
		}
		for policy, n := range p.levels[i-1] {
			if !used[n] {
				delete(p.levels[i-1], policy)
			}
		}
	}
	if len(p.levels[len(p.levels)-1]) == 0 || len(p.levels[0]) == 0 {
		p.levels = nil
	}
}

// next prepares for the certificate below c (RFC 5280 6.1.4 (a), (b), (h) to (j)).
func (p *policies) next(c *x509.Certificate) *Error {
	for _, m := range c.PolicyMappings {
		if m.IssuerDomainPolicy.String() == anyPolicy || m.SubjectDomainPolicy.String() == anyPolicy {
			return refuse(Policies, c, "a mapping of the policy that stands for all")
		}
	}
	p.mapped(c)
	if !selfIssued(c) {
		for _, n := range []*int{&p.explicit, &p.mapping, &p.inhibitAny} {
			if *n > 0 {
				*n--
			}
		}
	}
	p.constrain(c)
	if c.InhibitPolicyMapping > 0 || c.InhibitPolicyMappingZero {
		p.mapping = min(p.mapping, c.InhibitPolicyMapping)
	}
	if c.InhibitAnyPolicy > 0 || c.InhibitAnyPolicyZero {
		p.inhibitAny = min(p.inhibitAny, c.InhibitAnyPolicy)
	}
	return nil
}

func (p *policies) constrain(c *x509.Certificate) {
	if c.RequireExplicitPolicy > 0 || c.RequireExplicitPolicyZero {
		p.explicit = min(p.explicit, c.RequireExplicitPolicy)
	}
}

// mapped applies policy mappings (RFC 5280 6.1.4 (b)).
func (p *policies) mapped(c *x509.Certificate) {
	if p.levels == nil || len(c.PolicyMappings) == 0 {
		return
	}
	to := map[string]map[string]bool{}
	for _, m := range c.PolicyMappings {
		from := m.IssuerDomainPolicy.String()
		if to[from] == nil {
			to[from] = map[string]bool{}
		}
		to[from][m.SubjectDomainPolicy.String()] = true
	}
	level := p.levels[len(p.levels)-1]
	for from, subjects := range to {
		n := level[from]
		switch {
		case p.mapping == 0:
			delete(level, from)
		case n != nil:
			n.expected = subjects
		case level[anyPolicy] != nil:
			parents := map[*node]bool{}
			for parent := range level[anyPolicy].parents {
				parents[parent] = true
			}
			level[from] = &node{policy: from, expected: subjects, parents: parents}
		}
	}
	p.prune()
}

// finish is the end for the last certificate (RFC 5280 6.1.5 (a), (b), (g)). It
// returns the policies, in the anchor's domain, under which the path is valid.
func (p *policies) finish(c *x509.Certificate, wanted []string) ([]string, *Error) {
	if p.explicit > 0 {
		p.explicit--
	}
	if c.RequireExplicitPolicyZero {
		p.explicit = 0
	}
	left, valid := p.accepted(wanted)
	if p.explicit == 0 && !left {
		return nil, refuse(Policies, c, "no acceptable policy")
	}
	return valid, nil
}

// accepted intersects the graph with the wanted policies (RFC 9618 5.5). No wanted
// policy means any.
func (p *policies) accepted(wanted []string) (left bool, valid []string) {
	if p.levels == nil {
		return false, nil
	}
	want := map[string]bool{}
	for _, w := range wanted {
		want[w] = true
	}
	any := len(wanted) == 0 || want[anyPolicy]
	good := map[*node]bool{}
	roots := map[*node]map[string]bool{} // the anchor's policies that lead to a node
	for _, level := range p.levels[1:] {
		for policy, n := range level {
			if policy == anyPolicy {
				continue
			}
			roots[n] = map[string]bool{}
			for parent := range n.parents {
				if parent.policy == anyPolicy {
					if any || want[policy] {
						good[n], roots[n][policy] = true, true
					}
					continue
				}
				if good[parent] {
					good[n] = true
					for r := range roots[parent] {
						roots[n][r] = true
					}
				}
			}
		}
	}
	last := p.levels[len(p.levels)-1]
	seen := map[string]bool{}
	for policy, n := range last {
		left = left || good[n] || policy == anyPolicy
		for r := range roots[n] {
			if !seen[r] {
				seen[r] = true
				valid = append(valid, r)
			}
		}
	}
	return left, valid
}
