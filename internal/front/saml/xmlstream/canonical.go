package xmlstream

import (
	"slices"
	"strings"

	"seimon/internal/front/saml/xmldoc"
)

// canon writes the exclusive canonical form (Exclusive XML Canonicalization 1.0) of
// what passes by.
type canon struct {
	on    bool
	keep  []string // InclusiveNamespaces
	out   []byte
	fresh []binding
}

// openTag writes the start of the element that was just read.
func (p *parser) openTag() {
	if !p.canon.on {
		return
	}
	e, c := &p.element, &p.canon
	c.out = append(append(c.out, '<'), e.name.full...)
	c.fresh = c.fresh[:0]
	p.need(e.name.prefix)
	for _, a := range e.attrs {
		if a.name.prefix != "" {
			p.need(a.name.prefix)
		}
	}
	for _, prefix := range c.keep {
		p.need(prefix)
	}
	if len(c.fresh) > 1 {
		slices.SortFunc(c.fresh, func(a, b binding) int { return strings.Compare(a.prefix, b.prefix) })
	}
	for _, d := range c.fresh {
		c.out = appendDeclaration(c.out, d)
	}
	p.rendered = append(p.rendered, c.fresh...)
	if len(e.attrs) > 1 {
		slices.SortFunc(e.attrs, func(a, b attr) int {
			if x := strings.Compare(a.space, b.space); x != 0 {
				return x
			}
			return strings.Compare(a.name.local, b.name.local)
		})
	}
	for _, a := range e.attrs {
		c.out = append(append(append(c.out, ' '), a.name.full...), '=', '"')
		c.out = append(xmldoc.EscapeValue(c.out, a.value), '"')
	}
	c.out = append(c.out, '>')
}

func appendDeclaration(out []byte, d binding) []byte {
	out = append(out, " xmlns"...)
	if d.prefix != "" {
		out = append(append(out, ':'), d.prefix...)
	}
	return append(xmldoc.EscapeValue(append(out, '=', '"'), []byte(d.space)), '"')
}

// need declares a prefix unless the output has it declared so already (Exclusive XML
// Canonicalization 1.0, 3).
func (p *parser) need(prefix string) {
	if prefix == "xml" || slices.ContainsFunc(p.canon.fresh, func(d binding) bool { return d.prefix == prefix }) {
		return
	}
	space, bound := p.resolve(prefix)
	if before, _ := find(p.rendered, prefix); before == space || !bound && prefix != "" {
		return
	}
	p.canon.fresh = append(p.canon.fresh, binding{prefix, space})
}

func (p *parser) closeTag(name *qname) {
	if p.canon.on {
		p.canon.out = append(append(append(p.canon.out, '<', '/'), name.full...), '>')
	}
}

func (p *parser) words(text []byte) {
	if p.canon.on {
		p.canon.out = xmldoc.EscapeText(p.canon.out, text)
	}
}

// flush hands on what was written.
func (p *parser) flush() error {
	if len(p.canon.out) == 0 {
		return nil
	}
	_, err := p.sink.Write(p.canon.out)
	p.canon.out = p.canon.out[:0]
	return err
}
