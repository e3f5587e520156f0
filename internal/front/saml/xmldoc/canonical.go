package xmldoc

import (
	"slices"
	"strings"
)

// canon writes the exclusive canonical form (Exclusive XML Canonicalization 1.0).
type canon struct {
	out     []byte
	keep    []string // prefixes treated as in Canonical XML: the InclusiveNamespaces
	without *Node
}

// Canonical gives the exclusive canonical form of an element without comments.
// keep is the list of InclusiveNamespaces, "#default" for the default namespace;
// without, if not nil, is an element below that is left out (a signature).
func Canonical(n *Node, keep []string, without *Node) []byte {
	c := &canon{out: make([]byte, 0, 4096), without: without}
	for _, p := range keep {
		if p == "#default" {
			p = ""
		}
		c.keep = append(c.keep, p)
	}
	c.element(n, nil)
	return c.out
}

// element writes n; rendered are the declarations that its ancestors in the output carry.
func (c *canon) element(n *Node, rendered []decl) {
	fresh := c.declarations(n, rendered)
	c.out = append(c.out, '<')
	c.name(n.Prefix, n.Local)
	for _, d := range fresh {
		c.out = appendDecl(c.out, d)
	}
	attrs := slices.Clone(n.Attrs)
	slices.SortFunc(attrs, func(a, b Attr) int {
		if x := strings.Compare(a.Space, b.Space); x != 0 {
			return x
		}
		return strings.Compare(a.Local, b.Local)
	})
	for _, a := range attrs {
		c.out = append(c.out, ' ')
		c.name(a.Prefix, a.Local)
		c.out = append(c.out, '=', '"')
		c.out = EscapeValue(c.out, a.Value)
		c.out = append(c.out, '"')
	}
	c.out = append(c.out, '>')
	inner := rendered
	if len(fresh) > 0 {
		inner = append(slices.Clip(slices.Clone(rendered)), fresh...)
	}
	for _, it := range n.content {
		switch {
		case it.node == nil:
			c.out = EscapeText(c.out, it.text)
		case it.node != c.without:
			c.element(it.node, inner)
		}
	}
	c.out = append(c.out, '<', '/')
	c.name(n.Prefix, n.Local)
	c.out = append(c.out, '>')
}

func (c *canon) name(prefix, local string) {
	if prefix != "" {
		c.out = append(c.out, prefix...)
		c.out = append(c.out, ':')
	}
	c.out = append(c.out, local...)
}

// declarations gives what must be declared at n: the prefixes that its names use,
// and those kept, as far as no ancestor in the output has declared them so
// (Exclusive XML Canonicalization 1.0, 3).
func (c *canon) declarations(n *Node, rendered []decl) []decl {
	used := []string{n.Prefix}
	for _, a := range n.Attrs {
		if a.Prefix != "" {
			used = append(used, a.Prefix)
		}
	}
	var out []decl
	for _, p := range append(used, c.keep...) {
		if p == "xml" || slices.ContainsFunc(out, func(d decl) bool { return d.prefix == p }) {
			continue
		}
		space, bound := n.resolve(p)
		if before := last(rendered, p); before == space || !bound && p != "" {
			continue
		}
		out = append(out, decl{p, space})
	}
	slices.SortFunc(out, func(a, b decl) int { return strings.Compare(a.prefix, b.prefix) })
	return out
}

func last(rendered []decl, prefix string) string {
	for i := len(rendered) - 1; i >= 0; i-- {
		if rendered[i].prefix == prefix {
			return rendered[i].space
		}
	}
	return ""
}

func appendDecl(out []byte, d decl) []byte {
	out = append(out, " xmlns"...)
	if d.prefix != "" {
		out = append(out, ':')
		out = append(out, d.prefix...)
	}
	out = append(out, '=', '"')
	out = EscapeValue(out, d.space)
	return append(out, '"')
}
