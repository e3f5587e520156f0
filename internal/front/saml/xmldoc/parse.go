package xmldoc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits bound what Parse takes. Zero fields stand for those of a message.
type Limits struct {
	Bytes    int // of the document; 256 KiB
	Depth    int // of nested elements; 32
	Elements int // in all; 10,000
	Attrs    int // of one element, with its declarations; 64
	Scope    int // namespace declarations in force at one place; 128
	// Prose also takes comments between elements, and CDATA sections: people write
	// metadata by hand. A comment inside a value is refused always.
	Prose bool
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		value *int
		def   int
	}{{&l.Bytes, 256 << 10}, {&l.Depth, 32}, {&l.Elements, 10_000}, {&l.Attrs, 64}, {&l.Scope, 128}} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	return l
}

// Error says why a document was refused, and where.
type Error struct {
	Line   int
	Reason string
}

// Error gives line and reason.
func (e *Error) Error() string { return fmt.Sprintf("XML line %d: %s", e.Line, e.Reason) }

// reader is one pass over a document.
type reader struct {
	in       string
	at       int
	limits   Limits
	elements int
	scope    int // declarations in force
	ids      map[string]bool
}

// stop is a refusal on its way up; it never leaves the package.
type stop struct{ reason string }

func (r *reader) fail(format string, args ...any) {
	panic(stop{fmt.Sprintf(format, args...)})
}

// Parse reads a document. What it returns is the root element.
func Parse(text []byte, limits Limits) (root *Node, err error) {
	r := &reader{in: string(text), limits: limits.withDefaults(), ids: map[string]bool{}}
	defer func() {
		if p := recover(); p != nil {
			s, ok := p.(stop)
			if !ok {
				panic(p)
			}
			root, err = nil, &Error{1 + strings.Count(r.in[:min(r.at, len(r.in))], "\n"), s.reason}
		}
	}()
	if len(text) > r.limits.Bytes {
		r.fail("longer than %d bytes", r.limits.Bytes)
	}
	if !utf8.Valid(text) {
		r.fail("not UTF-8")
	}
	r.in = strings.TrimPrefix(r.in, "\ufeff")
	r.prologue()
	root = r.element(nil, 1)
	r.misc()
	if r.at < len(r.in) {
		r.fail("something follows the root element")
	}
	return root, nil
}

func (r *reader) has(text string) bool { return strings.HasPrefix(r.in[r.at:], text) }

func (r *reader) take(text string) bool {
	if !r.has(text) {
		return false
	}
	r.at += len(text)
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (r *reader) space() bool {
	from := r.at
	for r.at < len(r.in) && isSpace(r.in[r.at]) {
		r.at++
	}
	return r.at > from
}

// prologue takes the XML declaration (XML 1.0, 2.8) and what may come before the root.
func (r *reader) prologue() {
	if r.has("<?xml") && len(r.in) > 5 && isSpace(r.in[5]) {
		end := strings.Index(r.in, "?>")
		if end < 0 {
			r.fail("the XML declaration does not end")
		}
		r.declaration(r.in[5:end])
		r.at = end + 2
	}
	r.misc()
	if !r.has("<") {
		r.fail("an element is expected")
	}
}

func (r *reader) declaration(text string) {
	for _, part := range strings.Fields(text) {
		name, value, _ := strings.Cut(part, "=")
		value = strings.ToLower(strings.Trim(value, `"'`))
		switch {
		case name == "version" && value == "1.0", name == "encoding" && value == "utf-8", name == "standalone":
		default:
			r.fail("only XML 1.0 in UTF-8 is read, not %.40q", part)
		}
	}
}

// misc skips white space and, in prose, comments outside the root.
func (r *reader) misc() {
	for r.space() || r.has("<!--") {
		if r.has("<!--") {
			r.comment()
		}
	}
	if r.has("<!DOCTYPE") || r.has("<!doctype") {
		r.fail("a document type is refused")
	}
	if r.has("<?") {
		r.fail("a processing instruction is refused")
	}
}

func (r *reader) comment() {
	if !r.limits.Prose {
		r.fail("a comment is refused")
	}
	r.at += len("<!--")
	end := strings.Index(r.in[r.at:], "--")
	if end < 0 || !strings.HasPrefix(r.in[r.at+end:], "-->") {
		r.fail("a comment does not end well")
	}
	for _, c := range r.in[r.at : r.at+end] {
		r.char(c)
	}
	r.at += end + len("-->")
}

// element reads one element with all that is in it.
func (r *reader) element(parent *Node, depth int) *Node {
	if r.elements++; r.elements > r.limits.Elements {
		r.fail("more than %d elements", r.limits.Elements)
	}
	if depth > r.limits.Depth {
		r.fail("elements are nested deeper than %d", r.limits.Depth)
	}
	r.at++ // "<"
	n := &Node{Parent: parent}
	n.Prefix, n.Local = r.qname()
	closed := r.attributes(n)
	r.bind(n)
	defer func() { r.scope -= len(n.decls) }()
	if closed {
		return n
	}
	r.inside(n, depth)
	prefix, local := r.qname()
	if prefix != n.Prefix || local != n.Local {
		r.fail("%s is closed by another name", n.Local)
	}
	r.space()
	if !r.take(">") {
		r.fail("the end of %s is not closed", n.Local)
	}
	return n
}

// inside reads up to the name of the end tag.
func (r *reader) inside(n *Node, depth int) {
	words, children, comments := false, false, false
	for {
		if r.at >= len(r.in) {
			r.fail("%s does not end", n.Local)
		}
		switch {
		case r.take("</"):
			return
		case r.has("<!--"):
			r.comment()
			comments = true
		case r.has("<![CDATA["):
			words = r.cdata(n) || words
		case r.has("<!"):
			r.fail("a declaration is refused")
		case r.has("<?"):
			r.fail("a processing instruction is refused")
		case r.has("<"):
			n.content = append(n.content, item{node: r.element(n, depth+1)})
			children = true
		default:
			text := r.text()
			n.content = append(n.content, item{text: text})
			words = words || strings.Trim(text, " \t\r\n") != ""
		}
		if words && children {
			r.fail("%s mixes text and elements", n.Local)
		}
		if words && comments {
			r.fail("a comment inside the value of %s is refused", n.Local)
		}
	}
}

// cdata takes a section as text; true when it holds more than white space.
func (r *reader) cdata(n *Node) bool {
	if !r.limits.Prose {
		r.fail("a CDATA section is refused")
	}
	r.at += len("<![CDATA[")
	end := strings.Index(r.in[r.at:], "]]>")
	if end < 0 {
		r.fail("a CDATA section does not end")
	}
	text := newlines(r.in[r.at : r.at+end])
	for _, c := range text {
		r.char(c)
	}
	n.content = append(n.content, item{text: text})
	r.at += end + len("]]>")
	return strings.Trim(text, " \t\r\n") != ""
}

// newlines normalises line ends (XML 1.0, 2.11).
func newlines(text string) string {
	if !strings.Contains(text, "\r") {
		return text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

func (r *reader) text() string {
	end := strings.IndexByte(r.in[r.at:], '<')
	if end < 0 {
		r.fail("the document ends inside an element")
	}
	raw := r.in[r.at : r.at+end]
	if strings.Contains(raw, "]]>") {
		r.fail("]]> stands in text") // XML 1.0, 2.4
	}
	out := r.expand(newlines(raw))
	r.at += end
	return out
}

// expand replaces references: the five of XML and characters, no entity.
func (r *reader) expand(raw string) string {
	if !strings.Contains(raw, "&") {
		for _, c := range raw {
			r.char(c)
		}
		return raw
	}
	var out strings.Builder
	for i := 0; i < len(raw); {
		c, size := utf8.DecodeRuneInString(raw[i:])
		if c != '&' {
			r.char(c)
			out.WriteString(raw[i : i+size])
			i += size
			continue
		}
		end := strings.IndexByte(raw[i:], ';')
		if end < 2 || end > 12 {
			r.fail("a reference does not end")
		}
		out.WriteRune(r.reference(raw[i+1 : i+end]))
		i += end + 1
	}
	return out.String()
}

func (r *reader) reference(name string) rune {
	switch name {
	case "lt":
		return '<'
	case "gt":
		return '>'
	case "amp":
		return '&'
	case "quot":
		return '"'
	case "apos":
		return '\''
	}
	digits, base := strings.TrimPrefix(name, "#"), 10
	if len(digits) == len(name) {
		r.fail("the entity %q is refused", name)
	}
	if strings.HasPrefix(digits, "x") {
		digits, base = digits[1:], 16
	}
	code, err := strconv.ParseUint(digits, base, 32)
	if err != nil || digits[0] == '+' || code > utf8.MaxRune {
		r.fail("the reference %q is no character", name)
	}
	r.char(rune(code))
	return rune(code)
}

// char refuses what is no character of XML (XML 1.0, 2.2).
func (r *reader) char(c rune) {
	if c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c >= 0xD800 && c < 0xE000 || c == 0xFFFE || c == 0xFFFF {
		r.fail("U+%04X is no character of XML", c)
	}
}

// qname reads a qualified name. Names are those that SAML's vocabularies use:
// letters, digits, "_", "-" and ".".
func (r *reader) qname() (prefix, local string) {
	local = r.name()
	if r.take(":") {
		prefix, local = local, r.name()
	}
	return prefix, local
}

func (r *reader) name() string {
	from := r.at
	for r.at < len(r.in) {
		c := r.in[r.at]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (r.at == from || !(c >= '0' && c <= '9' || c == '-' || c == '.')) {
			break
		}
		r.at++
	}
	if r.at == from {
		r.fail("a name is expected")
	}
	return r.in[from:r.at]
}

// attributes reads up to the end of a start tag; true when the element is empty.
func (r *reader) attributes(n *Node) (closed bool) {
	for {
		spaced := r.space()
		switch {
		case r.take("/>"):
			return true
		case r.take(">"):
			return false
		case !spaced:
			r.fail("the start of %s is broken", n.Local)
		}
		if len(n.Attrs)+len(n.decls) >= r.limits.Attrs {
			r.fail("more than %d attributes", r.limits.Attrs)
		}
		prefix, local := r.qname()
		r.space()
		if !r.take("=") {
			r.fail("the attribute %s has no value", local)
		}
		r.space()
		value := r.value()
		switch {
		case prefix == "" && local == "xmlns":
			r.declare(n, "", value)
		case prefix == "xmlns":
			r.declare(n, local, value)
		default:
			n.Attrs = append(n.Attrs, Attr{Prefix: prefix, Local: local, Value: value})
		}
	}
}

func (r *reader) value() string {
	if !r.has(`"`) && !r.has("'") {
		r.fail("an attribute has no quotation marks")
	}
	quote := r.in[r.at]
	r.at++
	end := strings.IndexByte(r.in[r.at:], quote)
	if end < 0 {
		r.fail("an attribute does not end")
	}
	raw := r.in[r.at : r.at+end]
	if strings.Contains(raw, "<") {
		r.fail("< stands in an attribute")
	}
	// XML 1.0, 3.3.3: literal white space becomes a space, references stay.
	raw = strings.Map(func(c rune) rune {
		if c == '\t' || c == '\n' || c == '\r' {
			return ' '
		}
		return c
	}, strings.ReplaceAll(raw, "\r\n", "\n"))
	out := r.expand(raw)
	r.at += end + 1
	return out
}

// declare takes a namespace declaration (Namespaces in XML 1.0, 3 and 5).
func (r *reader) declare(n *Node, prefix, space string) {
	switch {
	case prefix == "xmlns", prefix == "xml" && space != xmlSpace, prefix != "xml" && space == xmlSpace, space == "http://www.w3.org/2000/xmlns/":
		r.fail("the prefix %q cannot be declared so", prefix)
	case prefix != "" && space == "":
		r.fail("the prefix %q cannot be taken back", prefix)
	case slices.ContainsFunc(n.decls, func(d decl) bool { return d.prefix == prefix }):
		r.fail("the prefix %q is declared twice", prefix)
	}
	n.decls = append(n.decls, decl{prefix, space})
	if r.scope++; r.scope > r.limits.Scope { // each name is looked for among them, again and again
		r.fail("more than %d namespace declarations in force", r.limits.Scope)
	}
}

// bind gives the names of an element their namespaces and notes its ids.
func (r *reader) bind(n *Node) {
	var ok bool
	if n.Space, ok = n.resolve(n.Prefix); !ok && n.Prefix != "" {
		r.fail("the prefix %q is not declared", n.Prefix)
	}
	for i := range n.Attrs {
		a := &n.Attrs[i]
		if a.Prefix != "" {
			if a.Space, ok = n.resolve(a.Prefix); !ok {
				r.fail("the prefix %q is not declared", a.Prefix)
			}
		}
		for _, b := range n.Attrs[:i] {
			if b.Local == a.Local && b.Space == a.Space {
				r.fail("the attribute %s stands twice", a.Local)
			}
		}
		if strings.EqualFold(a.Local, "id") && (a.Space == "" || a.Space == xmlSpace) {
			if r.ids[a.Value] || a.Value == "" {
				r.fail("the id %.60q stands twice or is empty", a.Value)
			}
			r.ids[a.Value] = true
		}
	}
}
