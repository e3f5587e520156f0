package xmlstream

import (
	"bytes"
	"slices"
	"strings"
)

const (
	xmlSpace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsSpace = "http://www.w3.org/2000/xmlns/"
)

// qname is a qualified name; each is kept once.
type qname struct{ prefix, local, full string }

// binding is a namespace declaration; the empty prefix is the default namespace.
type binding struct{ prefix, space string }

// Element is the start of an element. It is valid during the call that is given it.
type Element struct {
	Space, Local string
	Depth        int // 1 for the root
	name         *qname
	attrs        []attr
	parser       *parser
}

// Name is the name as it is written, with its prefix.
func (e *Element) Name() string { return e.name.full }

// Around gives the declarations that the elements around this one carry in the
// canonical form, as they would stand in one start tag. The canonical bytes of the
// element can be read only inside them.
func (e *Element) Around() string {
	var list []binding
	for i := len(e.parser.rendered) - 1; i >= 0; i-- {
		d := e.parser.rendered[i]
		if !slices.ContainsFunc(list, func(have binding) bool { return have.prefix == d.prefix }) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b binding) int { return strings.Compare(a.prefix, b.prefix) })
	var out []byte
	for _, d := range list {
		out = appendDeclaration(out, d)
	}
	return string(out)
}

type attr struct {
	name  *qname
	space string
	value []byte
}

// Attr gives the value of an attribute without namespace; empty when it is absent.
func (e *Element) Attr(name string) string {
	for _, a := range e.attrs {
		if a.space == "" && a.name.local == name {
			return string(a.value)
		}
	}
	return ""
}

// AttrIn gives the value of an attribute of a namespace; empty when it is absent.
func (e *Element) AttrIn(space, name string) string {
	for _, a := range e.attrs {
		if a.space == space && a.name.local == name {
			return string(a.value)
		}
	}
	return ""
}

// open is an element that has not ended.
type open struct {
	name            *qname
	space           string
	scope, rendered int // lengths before the element
	words, comments bool
}

// names keeps strings once, so that millions of tags need no memory of their own.
type names struct {
	qnames map[string]*qname
	texts  map[string]string
	limit  int
}

func newNames(limit int) *names {
	return &names{qnames: map[string]*qname{}, texts: map[string]string{}, limit: limit}
}

func (n *names) text(b []byte) (string, bool) {
	if t, ok := n.texts[string(b)]; ok {
		return t, true
	}
	if len(n.texts) >= n.limit {
		return "", false
	}
	t := string(b)
	n.texts[t] = t
	return t, true
}

// letter tells what names begin with; later also digits, "-" and ".".
func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

// nameEnd gives the length of the name without a colon at the beginning of b.
func nameEnd(b []byte) int {
	i := 0
	for i < len(b) && (letter(b[i]) || i > 0 && (b[i] >= '0' && b[i] <= '9' || b[i] == '-' || b[i] == '.')) {
		i++
	}
	return i
}

// qname reads a qualified name at the beginning of b and gives the rest.
func (p *parser) qname(b []byte) (*qname, []byte, error) {
	n := nameEnd(b)
	first := n
	if n > 0 && n < len(b) && b[n] == ':' {
		if first = nameEnd(b[n+1:]); first > 0 {
			first += n + 1
		}
	}
	if first == 0 {
		return nil, nil, p.refuse("a name is expected")
	}
	if q, ok := p.names.qnames[string(b[:first])]; ok {
		return q, b[first:], nil
	}
	if len(p.names.qnames) >= p.limits.Names {
		return nil, nil, p.refuse("more than %d different names", p.limits.Names)
	}
	q := &qname{full: string(b[:first])}
	if n < first {
		q.prefix, q.local = q.full[:n], q.full[n+1:]
	} else {
		q.local = q.full
	}
	p.names.qnames[q.full] = q
	return q, b[first:], nil
}

// start takes a start tag apart, without what stands around it: "<" and ">" or "/>".
func (p *parser) start(b []byte) error {
	if len(p.stack) >= p.limits.Depth {
		return p.refuse("elements are nested deeper than %d", p.limits.Depth)
	}
	name, b, err := p.qname(b)
	if err != nil {
		return err
	}
	e := &p.element
	e.parser, e.name, e.attrs, e.Depth = p, name, e.attrs[:0], len(p.stack)+1
	p.stack = append(p.stack, open{name: name, scope: len(p.scope), rendered: len(p.rendered)})
	for {
		rest := bytes.TrimLeft(b, " \t\r\n")
		if len(rest) == 0 {
			break
		}
		if len(rest) == len(b) {
			return p.refuse("the start of %s is broken", name.local)
		}
		if b, err = p.attribute(rest); err != nil {
			return err
		}
	}
	return p.bind()
}

// attribute reads one attribute or declaration.
func (p *parser) attribute(b []byte) ([]byte, error) {
	top := &p.stack[len(p.stack)-1]
	if len(p.element.attrs)+len(p.scope)-top.scope >= p.limits.Attrs {
		return nil, p.refuse("more than %d attributes", p.limits.Attrs)
	}
	name, b, err := p.qname(b)
	if err != nil {
		return nil, err
	}
	b = bytes.TrimLeft(b, " \t\r\n")
	if len(b) == 0 || b[0] != '=' {
		return nil, p.refuse("the attribute %s has no value", name.local)
	}
	b = bytes.TrimLeft(b[1:], " \t\r\n")
	if len(b) == 0 || b[0] != '"' && b[0] != '\'' {
		return nil, p.refuse("an attribute has no quotation marks")
	}
	end := bytes.IndexByte(b[1:], b[0])
	if end < 0 {
		return nil, p.refuse("an attribute does not end")
	}
	raw, rest := b[1:1+end], b[end+2:]
	if bytes.IndexByte(raw, '<') >= 0 {
		return nil, p.refuse("< stands in an attribute")
	}
	value, err := p.plain(raw, true)
	if err != nil {
		return nil, err
	}
	switch {
	case name.prefix == "" && name.local == "xmlns":
		return rest, p.declare("", value, top.scope)
	case name.prefix == "xmlns":
		return rest, p.declare(name.local, value, top.scope)
	}
	p.element.attrs = append(p.element.attrs, attr{name: name, value: value})
	return rest, nil
}

// declare takes a namespace declaration (Namespaces in XML 1.0, 3 and 5).
func (p *parser) declare(prefix string, value []byte, from int) error {
	space, ok := p.names.text(value)
	switch {
	case !ok:
		return p.refuse("more than %d different namespaces", p.limits.Names)
	case prefix == "xmlns", prefix == "xml" && space != xmlSpace, prefix != "xml" && space == xmlSpace, space == xmlnsSpace:
		return p.refuse("the prefix %q cannot be declared so", prefix)
	case prefix != "" && space == "":
		return p.refuse("the prefix %q cannot be taken back", prefix)
	case slices.ContainsFunc(p.scope[from:], func(d binding) bool { return d.prefix == prefix }):
		return p.refuse("the prefix %q is declared twice", prefix)
	}
	if p.scope = append(p.scope, binding{prefix, space}); len(p.scope) > p.limits.Scope {
		return p.refuse("more than %d namespace declarations in force", p.limits.Scope)
	}
	return nil
}

// resolve gives the namespace that a prefix stands for now.
func (p *parser) resolve(prefix string) (string, bool) {
	if prefix == "xml" {
		return xmlSpace, true
	}
	return find(p.scope, prefix)
}

func find(list []binding, prefix string) (string, bool) {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].prefix == prefix {
			return list[i].space, list[i].space != ""
		}
	}
	return "", false
}

// bind gives the names of the element their namespaces and notes its ids.
func (p *parser) bind() error {
	e := &p.element
	var ok bool
	if e.Space, ok = p.resolve(e.name.prefix); !ok && e.name.prefix != "" {
		return p.refuse("the prefix %q is not declared", e.name.prefix)
	}
	e.Local = e.name.local
	p.stack[len(p.stack)-1].space = e.Space
	for i := range e.attrs {
		a := &e.attrs[i]
		if a.space = ""; a.name.prefix != "" {
			if a.space, ok = p.resolve(a.name.prefix); !ok {
				return p.refuse("the prefix %q is not declared", a.name.prefix)
			}
		}
		for _, b := range e.attrs[:i] {
			if b.name.local == a.name.local && b.space == a.space {
				return p.refuse("the attribute %s stands twice", a.name.local)
			}
		}
		if len(a.name.local) == 2 && strings.EqualFold(a.name.local, "id") && (a.space == "" || a.space == xmlSpace) {
			if err := p.mark(a.value); err != nil {
				return err
			}
		}
	}
	return nil
}

// mark notes an id; one that stands twice could name another element than the signed one.
func (p *parser) mark(id []byte) error {
	if _, twice := p.ids[string(id)]; twice || len(id) == 0 {
		return p.refuse("the id %.60q stands twice or is empty", id)
	}
	if len(p.ids) >= p.limits.Marked {
		return p.refuse("more than %d ids", p.limits.Marked)
	}
	p.ids[string(id)] = struct{}{}
	return nil
}
