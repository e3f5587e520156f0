package xmldoc

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Spaces gives the namespaces that the prefixes of a Writer stand for.
type Spaces map[string]string

// Writer writes a document in exclusive canonical form: declarations where a prefix
// is first used, everything sorted and escaped. What it wrote can be hashed as it is.
type Writer struct {
	out    []byte
	spaces Spaces
	open   []string
	scope  []string // prefixes declared, with marks of the elements between
	marks  []int
}

// NewWriter begins a document or a part of one.
func NewWriter(spaces Spaces) *Writer {
	return &Writer{spaces: spaces, out: make([]byte, 0, 4096)}
}

// Start opens an element. attrs are alternating names and values; an attribute with
// an empty value is left out.
func (w *Writer) Start(name string, attrs ...string) *Writer {
	type pair struct{ space, local, name, value string }
	list := make([]pair, 0, len(attrs)/2)
	need := []string{prefixOf(name)}
	for i := 0; i+1 < len(attrs); i += 2 {
		if attrs[i+1] == "" {
			continue
		}
		p := prefixOf(attrs[i])
		local := attrs[i]
		if p != "" {
			local = local[len(p)+1:]
			need = append(need, p)
		}
		list = append(list, pair{w.spaces[p], local, attrs[i], attrs[i+1]})
	}
	slices.SortFunc(list, func(a, b pair) int {
		if x := strings.Compare(a.space, b.space); x != 0 {
			return x
		}
		return strings.Compare(a.local, b.local)
	})
	w.open = append(w.open, name)
	w.marks = append(w.marks, len(w.scope))
	w.out = append(append(w.out, '<'), name...)
	slices.Sort(need)
	for _, p := range need {
		if p != "" && p != "xml" && !slices.Contains(w.scope, p) {
			w.scope = append(w.scope, p)
			w.out = appendDecl(w.out, decl{p, w.spaces[p]})
		}
	}
	for _, a := range list {
		w.out = append(append(append(w.out, ' '), a.name...), '=', '"')
		w.out = append(EscapeValue(w.out, clean(a.value)), '"')
	}
	w.out = append(w.out, '>')
	return w
}

// Text writes text into the open element.
func (w *Writer) Text(text string) *Writer {
	w.out = EscapeText(w.out, clean(text))
	return w
}

// End closes the element opened last.
func (w *Writer) End() *Writer {
	last := len(w.open) - 1
	w.out = append(append(append(w.out, "</"...), w.open[last]...), '>')
	w.scope = w.scope[:w.marks[last]]
	w.open, w.marks = w.open[:last], w.marks[:last]
	return w
}

// Leaf writes an element with text alone.
func (w *Writer) Leaf(name, text string, attrs ...string) *Writer {
	return w.Start(name, attrs...).Text(text).End()
}

// Raw puts in what another Writer wrote as a document of its own. None of the
// prefixes that it declares may be in use around it.
func (w *Writer) Raw(part []byte) *Writer {
	w.out = append(w.out, part...)
	return w
}

// Len is how many bytes were written so far.
func (w *Writer) Len() int { return len(w.out) }

// Bytes is what was written.
func (w *Writer) Bytes() []byte { return w.out }

func prefixOf(name string) string {
	p, _, ok := strings.Cut(name, ":")
	if !ok {
		return ""
	}
	return p
}

// clean replaces what is no character of XML.
func clean(text string) string {
	bad := func(c rune) bool {
		return c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF
	}
	if utf8.ValidString(text) && !strings.ContainsFunc(text, bad) {
		return text
	}
	return strings.Map(func(c rune) rune {
		if bad(c) {
			return utf8.RuneError
		}
		return c
	}, strings.ToValidUTF8(text, "\ufffd"))
}
