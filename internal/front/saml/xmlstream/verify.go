package xmlstream

import (
	"bytes"
	"crypto"
	"crypto/subtle"
	"errors"
	"hash"
	"io"

	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
)

// Verify reads a document whose root is signed by one of the keys, and tells which
// one signed. The handler hears of it on the way; unless Verify returns nil it must
// forget all that it heard.
func Verify(in io.Reader, keys []crypto.PublicKey, limits Limits, h Handler) (key int, err error) {
	p := newParser(in, limits)
	if err := p.prologue(); err != nil {
		return 0, err
	}
	v := &verifier{parser: p, to: h}
	if key, err = v.head(keys); err != nil {
		return 0, err
	}
	p.handler = v
	for len(p.stack) > 0 {
		if err := p.next(); err != nil {
			return 0, err
		}
	}
	if err := p.flush(); err != nil {
		return 0, err
	}
	if err := p.epilogue(); err != nil {
		return 0, err
	}
	if subtle.ConstantTimeCompare(v.digest.Sum(nil), v.promised) != 1 {
		return 0, errors.New("xmlsig: the content was changed after it was signed (DigestValue)")
	}
	return key, nil
}

// verifier stands between parser and handler and hashes what passes.
type verifier struct {
	*parser
	to       Handler
	digest   hash.Hash
	promised []byte
}

// head reads the root's start and the signature that must be its first child, checks
// the signature, and begins the canonical form.
func (v *verifier) head(keys []crypto.PublicKey) (int, error) {
	p := v.parser
	p.raw = &bytes.Buffer{}
	if err := p.root(); err != nil {
		return 0, err
	}
	if len(p.stack) == 0 {
		return 0, xmlsig.ErrNone
	}
	root := p.element
	root.attrs = append([]attr(nil), root.attrs...)
	for i := range root.attrs {
		root.attrs[i].value = bytes.Clone(root.attrs[i].value)
	}
	lead, err := v.lead()
	if err != nil {
		return 0, err
	}
	if err := v.signature(); err != nil {
		return 0, err
	}
	p.raw.WriteString("</" + root.name.full + ">")
	n, err := xmldoc.Parse(p.raw.Bytes(), xmldoc.Limits{Bytes: 2 * p.limits.Head, Attrs: p.limits.Attrs, Prose: true})
	p.raw = nil
	if err != nil {
		return 0, err
	}
	s, err := xmlsig.Announced(n, keys)
	if err != nil {
		return 0, err
	}
	v.digest, v.promised = s.Hash.New(), s.Digest
	p.sink, p.canon.on, p.canon.keep = v, true, prefixes(s.Keep)
	p.element = root
	if err := v.to.Start(&p.element); err != nil {
		return 0, err
	}
	p.openTag()
	p.words(lead)
	return s.Key, nil
}

// lead gives the white space before the signature.
func (v *verifier) lead() ([]byte, error) {
	p := v.parser
	var out []byte
	for {
		if ok, err := p.need1(); err != nil || !ok {
			return nil, orRefuse(err, p.refuse("the document ends inside an element"))
		}
		if p.window[p.from] != '<' {
			raw, err := p.text()
			if err != nil {
				return nil, err
			}
			text, err := p.plain(raw, false)
			if err != nil {
				return nil, err
			}
			if len(bytes.Trim(text, " \t\r\n")) > 0 {
				return nil, p.refuse("words stand before the signature")
			}
			out = append(out, text...)
			p.took(len(raw))
		} else if comment, err := p.has("<!--"); err != nil {
			return nil, err
		} else if comment {
			if err := p.comment(); err != nil {
				return nil, err
			}
		} else {
			return out, nil
		}
		if len(out) > p.limits.Head {
			return nil, p.refuse("too much stands before the signature")
		}
	}
}

// signature passes over the signature, whose tokens are collected as they stand.
func (v *verifier) signature() error {
	p := v.parser
	if close, err := p.has("</"); err != nil || close {
		return orRefuse(err, xmlsig.ErrNone)
	}
	if err := p.startTag(); err != nil {
		return err
	}
	if p.element.Space != xmlsig.Space || p.element.Local != "Signature" {
		return xmlsig.ErrNone
	}
	for len(p.stack) > 1 {
		if p.raw.Len() > p.limits.Head {
			return p.refuse("the signature is longer than %d bytes", p.limits.Head)
		}
		if err := p.next(); err != nil {
			return err
		}
	}
	return nil
}

// Start tells the handler of an element, with all that came before it written.
func (v *verifier) Start(e *Element) error {
	if e.Depth == 2 && e.Space == xmlsig.Space && e.Local == "Signature" {
		return v.refuse("a second signature of the document")
	}
	if err := v.flushAt(e.Depth); err != nil {
		return err
	}
	return v.to.Start(e)
}

// End tells the handler of the end of an element, with all of it written.
func (v *verifier) End(space, local string, depth int) error {
	if err := v.flushAt(depth); err != nil {
		return err
	}
	return v.to.End(space, local, depth)
}

// PartDepth is how deep the parts may lie that a handler cuts out: entities, in groups.
const PartDepth = 8

// flushAt hands on what was written, but not at every small tag.
func (v *verifier) flushAt(depth int) error {
	if depth > PartDepth {
		return nil
	}
	return v.flush()
}

// Write hashes canonical bytes and hands them on.
func (v *verifier) Write(b []byte) (int, error) {
	v.digest.Write(b)
	return v.to.Write(b)
}
