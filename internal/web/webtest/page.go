package webtest

import (
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"strings"
)

// Node is an element of a page, or, with an empty Tag, a text.
type Node struct {
	Tag      string
	Attr     map[string]string
	Children []*Node
	text     string
	parent   *Node
}

// Page is the tree of the page shown.
func (b *Browser) Page() *Node {
	b.t.Helper()
	if b.doc == nil {
		doc, err := parsePage(b.Body)
		if err != nil {
			b.t.Fatalf("%s: %v\n%s", b.URL, err, b.Body)
		}
		b.doc = doc
	}
	return b.doc
}

// Text is what a person reads on the page, hidden parts left out.
func (b *Browser) Text() string {
	if b.moved {
		return ""
	}
	if !strings.HasPrefix(b.Header.Get("Content-Type"), "text/html") {
		return b.Body
	}
	return b.Page().Text()
}

// Field is the value that a field of the page holds now; "" when there is none.
func (b *Browser) Field(name string) string {
	b.t.Helper()
	for _, form := range b.Page().All("form") {
		if values := form.values(nil); values.Has(name) {
			return values.Get(name)
		}
	}
	return ""
}

// Has tells whether a page holds a button with this text.
func (b *Browser) Has(button string) bool {
	b.t.Helper()
	for _, n := range b.Page().All("button") {
		if n.Text() == button {
			return true
		}
	}
	return false
}

// parsePage reads HTML that is as tidy as ours.
func parsePage(body string) (*Node, error) {
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	root := &Node{Tag: "#"}
	at := root
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			n := &Node{Tag: strings.ToLower(token.Name.Local), Attr: map[string]string{}, parent: at}
			for _, a := range token.Attr {
				n.Attr[strings.ToLower(a.Name.Local)] = a.Value
			}
			at.Children = append(at.Children, n)
			at = n
		case xml.EndElement:
			if at.parent != nil {
				at = at.parent
			}
		case xml.CharData:
			at.Children = append(at.Children, &Node{text: string(token), parent: at})
		}
	}
}

// All lists the elements with a tag below n, in order.
func (n *Node) All(tag string) []*Node {
	var found []*Node
	for _, child := range n.Children {
		if child.Tag == tag {
			found = append(found, child)
		}
		found = append(found, child.All(tag)...)
	}
	return found
}

// ByID finds an element below n by its id, or nil.
func (n *Node) ByID(id string) *Node {
	for _, child := range n.Children {
		if child.Tag != "" && child.Attr["id"] == id {
			return child
		}
		if found := child.ByID(id); found != nil {
			return found
		}
	}
	return nil
}

// Class tells whether an element has a class.
func (n *Node) Class(name string) bool {
	for _, c := range strings.Fields(n.Attr["class"]) {
		if c == name {
			return true
		}
	}
	return false
}

// Text is what a person reads in n, with single spaces.
func (n *Node) Text() string {
	var out strings.Builder
	n.read(&out)
	return strings.Join(strings.Fields(out.String()), " ")
}

// read collects text; elements that break the line also part words.
func (n *Node) read(out *strings.Builder) {
	if n.Tag == "" {
		out.WriteString(n.text)
		return
	}
	if _, hidden := n.Attr["hidden"]; hidden || n.Tag == "head" || n.Tag == "script" || n.Tag == "style" || n.Tag == "template" {
		return
	}
	switch n.Tag {
	case "a", "b", "i", "em", "strong", "span", "code", "small", "time", "abbr":
	default:
		out.WriteByte(' ')
		defer out.WriteByte(' ')
	}
	for _, child := range n.Children {
		child.read(out)
	}
}

// form finds the form and button to press.
func (b *Browser) form(button string) (form, pressed *Node) {
	b.t.Helper()
	var buttons []*Node
	for _, n := range append(b.Page().All("button"), b.Page().All("input")...) {
		kind := n.Attr["type"]
		if kind == "submit" || (n.Tag == "button" && kind == "") {
			buttons = append(buttons, n)
		}
	}
	for _, fits := range []func(*Node) bool{
		func(n *Node) bool {
			return button == "" || n.Text() == button || (n.Tag == "input" && n.Attr["value"] == button)
		},
		func(n *Node) bool { return n.Attr["name"] == button || n.Attr["value"] == button },
	} {
		for _, n := range buttons {
			if owner := b.owner(n); owner != nil && fits(n) {
				return owner, n
			}
		}
	}
	var texts []string
	for _, n := range buttons {
		texts = append(texts, n.Text())
	}
	b.t.Fatalf("%d %s has no button %q; it has %q:\n%s", b.Status, b.URL, button, texts, b.Text())
	return nil, nil
}

// owner is the form that a button sends.
func (b *Browser) owner(n *Node) *Node {
	if id := n.Attr["form"]; id != "" {
		return b.Page().ByID(id)
	}
	for at := n; at != nil; at = at.parent {
		if at.Tag == "form" {
			return at
		}
	}
	return nil
}

// has tells whether a form has a field.
func (n *Node) has(name string) bool { return n.names()[name] }

// names are the fields of a form.
func (n *Node) names() map[string]bool {
	names := map[string]bool{}
	for _, tag := range []string{"input", "select", "textarea"} {
		for _, field := range n.All(tag) {
			if field.Attr["name"] != "" {
				names[field.Attr["name"]] = true
			}
		}
	}
	return names
}

// values is what a form sends when nothing is changed.
func (n *Node) values(pressed *Node) url.Values {
	values := url.Values{}
	for _, field := range n.All("input") {
		name, kind := field.Attr["name"], field.Attr["type"]
		_, checked := field.Attr["checked"]
		switch {
		case name == "" || kind == "submit" || kind == "button" || kind == "reset":
		case kind == "checkbox" || kind == "radio":
			if value, ok := field.Attr["value"]; checked && ok {
				values.Add(name, value)
			} else if checked {
				values.Add(name, "on")
			}
		default:
			values.Add(name, field.Attr["value"])
		}
	}
	for _, field := range n.All("textarea") {
		values.Add(field.Attr["name"], field.Text())
	}
	for _, field := range n.All("select") {
		options := field.All("option")
		for i, option := range options {
			if _, chosen := option.Attr["selected"]; chosen || (i == 0 && len(options) > 0 && !values.Has(field.Attr["name"])) {
				values.Set(field.Attr["name"], option.Attr["value"])
			}
		}
	}
	if pressed != nil && pressed.Attr["name"] != "" {
		values.Set(pressed.Attr["name"], pressed.Attr["value"])
	}
	return values
}
