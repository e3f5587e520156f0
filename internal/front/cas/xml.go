package cas

import (
	"encoding/xml"
	"slices"
	"strings"
)

// element is a piece of XML that we write: its names are ours, its values are escaped.
type element struct {
	name     string
	attrs    []string // alternating names and values
	text     string
	children []*element
}

func el(name, text string, children ...*element) *element {
	return &element{name: name, text: text, children: children}
}

// with adds an attribute.
func (e *element) with(name, value string) *element {
	e.attrs = append(e.attrs, name, value)
	return e
}

// add appends children; nil is left out.
func (e *element) add(children ...*element) *element {
	e.children = append(e.children, slices.DeleteFunc(children, func(c *element) bool { return c == nil })...)
	return e
}

// String writes the element.
func (e *element) String() string {
	var b strings.Builder
	e.write(&b)
	return b.String()
}

func (e *element) write(b *strings.Builder) {
	b.WriteString("<" + e.name)
	for i := 0; i+1 < len(e.attrs); i += 2 {
		b.WriteString(" " + e.attrs[i] + `="` + escaped(e.attrs[i+1]) + `"`)
	}
	b.WriteString(">" + escaped(e.text))
	for _, c := range e.children {
		c.write(b)
	}
	b.WriteString("</" + e.name + ">")
}

// escaped makes any text fit into XML 1.0; what has no place there becomes U+FFFD.
func escaped(text string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		return "" // a builder never fails
	}
	return b.String()
}

// elementName makes the name of an attribute fit for XML: "displayName;ja-Kana" is
// written displayName_ja-Kana.
func elementName(attribute string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, attribute)
}
