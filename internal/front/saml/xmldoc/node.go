package xmldoc

import "strings"

// The namespace of the prefix "xml", which needs no declaration.
const xmlSpace = "http://www.w3.org/XML/1998/namespace"

// Node is an element.
type Node struct {
	Prefix, Local string
	Space         string // namespace; empty for none
	Attrs         []Attr // without namespace declarations, as written
	Parent        *Node

	decls   []decl
	content []item
}

// Attr is an attribute. One without a prefix has no namespace.
type Attr struct {
	Prefix, Local, Space, Value string
}

// decl is a namespace declaration; the empty prefix is the default namespace.
type decl struct{ prefix, space string }

// item is an element or a piece of text.
type item struct {
	node *Node
	text string
}

// Is tells whether the element has this name.
func (n *Node) Is(space, local string) bool { return n != nil && n.Space == space && n.Local == local }

// Attr gives the value of an attribute without namespace; empty when it is absent.
func (n *Node) Attr(name string) string {
	v, _ := n.Lookup(name)
	return v
}

// Lookup gives the value of an attribute without namespace and whether it is there.
func (n *Node) Lookup(name string) (string, bool) {
	for _, a := range n.Attrs {
		if a.Space == "" && a.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// AttrIn gives the value of an attribute of a namespace; empty when it is absent.
func (n *Node) AttrIn(space, name string) string {
	for _, a := range n.Attrs {
		if a.Space == space && a.Local == name {
			return a.Value
		}
	}
	return ""
}

// Elements gives the child elements in order.
func (n *Node) Elements() []*Node {
	var out []*Node
	for _, c := range n.content {
		if c.node != nil {
			out = append(out, c.node)
		}
	}
	return out
}

// All gives the child elements of this name.
func (n *Node) All(space, local string) []*Node {
	if n == nil {
		return nil
	}
	var out []*Node
	for _, c := range n.content {
		if c.node.Is(space, local) {
			out = append(out, c.node)
		}
	}
	return out
}

// First gives the first child element of this name, or nil.
func (n *Node) First(space, local string) *Node {
	if n == nil {
		return nil
	}
	for _, c := range n.content {
		if c.node.Is(space, local) {
			return c.node
		}
	}
	return nil
}

// Path follows First along names of one namespace.
func (n *Node) Path(space string, locals ...string) *Node {
	for _, l := range locals {
		n = n.First(space, l)
	}
	return n
}

// Raw is the text of an element without child elements, as it stands; empty for
// nil.
func (n *Node) Raw() string {
	if n == nil {
		return ""
	}
	var out strings.Builder
	for _, c := range n.content {
		if c.node != nil {
			return ""
		}
		out.WriteString(c.text)
	}
	return out.String()
}

// Text is Raw without the XML white space around it.
func (n *Node) Text() string { return strings.Trim(n.Raw(), " \t\r\n") }

// Walk calls fn for the element and all below it, until fn returns false.
func (n *Node) Walk(fn func(*Node) bool) bool {
	if !fn(n) {
		return false
	}
	for _, c := range n.content {
		if c.node != nil && !c.node.Walk(fn) {
			return false
		}
	}
	return true
}

// resolve gives the namespace that a prefix stands for at this element.
func (n *Node) resolve(prefix string) (string, bool) {
	if prefix == "xml" {
		return xmlSpace, true
	}
	for ; n != nil; n = n.Parent {
		for _, d := range n.decls {
			if d.prefix == prefix {
				return d.space, d.space != ""
			}
		}
	}
	return "", false
}
