package xmlstream

import (
	"bytes"
	"io"
	"strings"
)

// Handler is told what passes by. Everything is hearsay until the whole document has
// been verified.
type Handler interface {
	// Start is called before the element's canonical bytes are written.
	Start(e *Element) error
	// End is called after they are written.
	End(space, local string, depth int) error
	// Write takes canonical bytes; all those up to a Start or End have come when it is
	// called, for elements not deeper than PartDepth.
	io.Writer
}

// parser is one pass over a document.
type parser struct {
	*scanner
	names    *names
	stack    []open
	scope    []binding
	rendered []binding
	ids      map[string]struct{}
	element  Element
	canon    canon
	handler  Handler
	sink     io.Writer
	raw      *bytes.Buffer // collects the tokens as they stand, if not nil
}

func newParser(in io.Reader, limits Limits) *parser {
	limits = limits.withDefaults()
	return &parser{scanner: newScanner(in, limits), names: newNames(limits.Names), ids: map[string]struct{}{}}
}

// prologue takes the XML declaration (XML 1.0, 2.8) and what may come before the root.
func (p *parser) prologue() error {
	if bom, err := p.has("\ufeff"); err != nil {
		return err
	} else if bom {
		p.drop(len("\ufeff"))
	}
	if decl, err := p.has("<?xml"); err != nil {
		return err
	} else if decl {
		token, err := p.until("?>", 0, "the XML declaration")
		if err != nil {
			return err
		}
		if err := p.declaration(string(token[len("<?xml") : len(token)-2])); err != nil {
			return err
		}
		p.drop(len(token))
	}
	return p.misc()
}

func (p *parser) declaration(text string) error {
	if text == "" || !isSpace(text[0]) {
		return p.refuse("a processing instruction is refused")
	}
	for _, part := range strings.Fields(text) {
		name, value, _ := strings.Cut(part, "=")
		value = strings.ToLower(strings.Trim(value, `"'`))
		if !(name == "version" && value == "1.0" || name == "encoding" && value == "utf-8" || name == "standalone") {
			return p.refuse("only XML 1.0 in UTF-8 is read, not %.40q", part)
		}
	}
	return nil
}

// misc skips white space and comments outside the root.
func (p *parser) misc() error {
	for {
		if err := p.space(); err != nil {
			return err
		}
		comment, err := p.has("<!--")
		if err != nil {
			return err
		}
		if !comment {
			break
		}
		if err := p.comment(); err != nil {
			return err
		}
	}
	for mark, what := range map[string]string{"<!": "a document type", "<?": "a processing instruction"} {
		if ok, err := p.has(mark); err != nil || ok {
			return orRefuse(err, p.refuse("%s is refused", what))
		}
	}
	return nil
}

func orRefuse(err, refusal error) error {
	if err != nil {
		return err
	}
	return refusal
}

// epilogue wants the end of the document.
func (p *parser) epilogue() error {
	if err := p.misc(); err != nil {
		return err
	}
	if more, err := p.need1(); err != nil || more {
		return orRefuse(err, p.refuse("something follows the root element"))
	}
	return nil
}

func (p *parser) need1() (bool, error) { return p.scanner.need(1) }

// next takes one token inside or at the root. It ends with the stack empty.
func (p *parser) next() error {
	if ok, err := p.need1(); err != nil || !ok {
		return orRefuse(err, p.refuse("the document ends inside an element"))
	}
	if p.window[p.from] != '<' {
		return p.text1()
	}
	if ok, err := p.scanner.need(2); err != nil || !ok {
		return orRefuse(err, p.refuse("a tag does not end"))
	}
	switch p.window[p.from+1] {
	case '/':
		return p.endTag()
	case '!':
		return p.bang()
	case '?':
		return p.refuse("a processing instruction is refused")
	}
	return p.startTag()
}

func (p *parser) text1() error {
	raw, err := p.text()
	if err != nil {
		return err
	}
	if bytes.IndexByte(raw, '>') >= 0 && bytes.Contains(raw, []byte("]]>")) {
		return p.refuse("]]> stands in text") // XML 1.0, 2.4
	}
	text, err := p.plain(raw, false)
	if err != nil {
		return err
	}
	if err := p.says(text); err != nil {
		return err
	}
	p.words(text)
	p.took(len(raw))
	return p.spill()
}

// says notes words, which must not be broken by comments.
func (p *parser) says(text []byte) error {
	top := &p.stack[len(p.stack)-1]
	top.words = top.words || len(bytes.TrimLeft(text, " \t\r\n")) > 0
	if top.words && top.comments {
		return p.refuse("a comment inside the value of %s is refused", top.name.local)
	}
	return nil
}

func (p *parser) bang() error {
	if ok, err := p.has("<!--"); err != nil {
		return err
	} else if ok {
		p.stack[len(p.stack)-1].comments = true
		if err := p.says(nil); err != nil {
			return err
		}
		return p.comment()
	}
	if ok, err := p.has("<![CDATA["); err != nil || !ok {
		return orRefuse(err, p.refuse("a declaration is refused"))
	}
	token, err := p.until("]]>", len("<![CDATA["), "a CDATA section")
	if err != nil {
		return err
	}
	text := token[len("<![CDATA[") : len(token)-len("]]>")]
	if err := p.characters(text); err != nil {
		return err
	}
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	if err := p.says(text); err != nil {
		return err
	}
	p.words(text)
	p.took(len(token))
	return p.spill()
}

func (p *parser) startTag() error {
	token, err := p.tag()
	if err != nil {
		return err
	}
	inside, empty := token[1:len(token)-1], false
	if len(inside) > 0 && inside[len(inside)-1] == '/' {
		inside, empty = inside[:len(inside)-1], true
	}
	if err := p.start(inside); err != nil {
		return err
	}
	if p.handler != nil {
		if err := p.handler.Start(&p.element); err != nil {
			return err
		}
	}
	p.openTag()
	p.took(len(token))
	if empty {
		return p.leave()
	}
	return nil
}

func (p *parser) endTag() error {
	token, err := p.tag()
	if err != nil {
		return err
	}
	top := p.stack[len(p.stack)-1]
	name := bytes.TrimRight(token[2:len(token)-1], " \t\r\n")
	if string(name) != top.name.full {
		return p.refuse("%s is closed by another name", top.name.local)
	}
	p.took(len(token))
	return p.leave()
}

// leave ends the element at the top of the stack.
func (p *parser) leave() error {
	top := p.stack[len(p.stack)-1]
	p.closeTag(top.name)
	p.stack = p.stack[:len(p.stack)-1]
	p.scope, p.rendered = p.scope[:top.scope], p.rendered[:top.rendered]
	if p.handler != nil {
		if err := p.handler.End(top.space, top.name.local, len(p.stack)+1); err != nil {
			return err
		}
	}
	return p.spill()
}

// took ends a token.
func (p *parser) took(n int) {
	if p.raw != nil {
		p.raw.Write(p.window[p.from : p.from+n])
	}
	p.drop(n)
}

// spill hands on what was written once it is much.
func (p *parser) spill() error {
	if len(p.canon.out) < 32<<10 {
		return nil
	}
	return p.flush()
}

// Canonical writes the exclusive canonical form of a document, without comments, to
// out. keep is the list of InclusiveNamespaces.
func Canonical(in io.Reader, out io.Writer, keep []string, limits Limits) error {
	p := newParser(in, limits)
	p.sink, p.canon.on, p.canon.keep = out, true, prefixes(keep)
	if err := p.prologue(); err != nil {
		return err
	}
	if err := p.root(); err != nil {
		return err
	}
	for len(p.stack) > 0 {
		if err := p.next(); err != nil {
			return err
		}
	}
	if err := p.flush(); err != nil {
		return err
	}
	return p.epilogue()
}

// root reads the start of the root element.
func (p *parser) root() error {
	if ok, err := p.has("<"); err != nil || !ok {
		return orRefuse(err, p.refuse("an element is expected"))
	}
	return p.startTag()
}

// prefixes reads a list of InclusiveNamespaces.
func prefixes(keep []string) []string {
	out := make([]string, 0, len(keep))
	for _, k := range keep {
		if k == "#default" {
			k = ""
		}
		out = append(out, k)
	}
	return out
}
