package xmlsig

import (
	"crypto"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"seimon/internal/front/saml/xmldoc"
)

// ErrNone says that the element carries no signature.
var ErrNone = errors.New("xmlsig: not signed")

// Signed tells whether an element carries a signature as its child.
func Signed(n *xmldoc.Node) bool { return n.First(Space, "Signature") != nil }

// Verify checks the signature that n carries with one of the keys and gives n again,
// without the signature, parsed from what was hashed. limits are those n was parsed
// with.
func Verify(n *xmldoc.Node, keys []crypto.PublicKey, limits xmldoc.Limits) (*xmldoc.Node, error) {
	s, err := read(n)
	if err != nil {
		return nil, err
	}
	// The signature comes first: it is over little, and only who has a key makes us do the rest.
	info := xmldoc.Canonical(s.info, s.infoKeep, nil)
	if err := Check(s.algorithm, info, s.signature, keys); err != nil {
		return nil, err
	}
	canonical := xmldoc.Canonical(n, s.keep, s.node)
	if subtle.ConstantTimeCompare(sum(s.digest, canonical), s.value) != 1 {
		return nil, errors.New("xmlsig: the content was changed after it was signed (DigestValue)")
	}
	if limits.Bytes > 0 {
		limits.Bytes += len(canonical) // the canonical form may be the longer one
	}
	return xmldoc.Parse(canonical, limits)
}

// signature is what a Signature element says.
type signature struct {
	node, info     *xmldoc.Node
	algorithm      string
	digest         crypto.Hash
	value          []byte // of the digest
	signature      []byte
	keep, infoKeep []string
}

func wrong(format string, args ...any) error { return fmt.Errorf("xmlsig: "+format, args...) }

// read takes the one signature of n apart and refuses every shape but one
// (XML Signature 1.1, 4; SAML Core 2.0, 5.4).
func read(n *xmldoc.Node) (*signature, error) {
	all := n.All(Space, "Signature")
	if len(all) == 0 {
		return nil, ErrNone
	}
	if len(all) > 1 {
		return nil, wrong("more than one signature")
	}
	s := &signature{node: all[0]}
	parts := s.node.Elements()
	if len(parts) < 2 || len(parts) > 3 || !parts[0].Is(Space, "SignedInfo") || !parts[1].Is(Space, "SignatureValue") ||
		len(parts) == 3 && !parts[2].Is(Space, "KeyInfo") {
		return nil, wrong("a signature has SignedInfo, SignatureValue and at most KeyInfo")
	}
	s.info = parts[0]
	var err error
	if s.signature, err = decode(parts[1]); err != nil {
		return nil, err
	}
	info := s.info.Elements()
	if len(info) != 3 || !info[0].Is(Space, "CanonicalizationMethod") || !info[1].Is(Space, "SignatureMethod") || !info[2].Is(Space, "Reference") {
		return nil, wrong("SignedInfo has a canonicalisation, a method and exactly one reference")
	}
	if s.infoKeep, err = canonicalisation(info[0]); err != nil {
		return nil, err
	}
	s.algorithm = info[1].Attr("Algorithm")
	if _, err := hashOf(s.algorithm); err != nil {
		return nil, err
	}
	if len(info[1].Elements()) > 0 {
		return nil, wrong("a signature method with parameters")
	}
	return s, s.reference(n, info[2])
}

// reference reads the one reference: to n itself, by n's id.
func (s *signature) reference(n, ref *xmldoc.Node) error {
	id := n.Attr("ID")
	if id == "" || ref.Attr("URI") != "#"+id {
		return wrong("the reference %.80q is not to the element that carries the signature", ref.Attr("URI"))
	}
	parts := ref.Elements()
	if len(parts) != 3 || !parts[0].Is(Space, "Transforms") || !parts[1].Is(Space, "DigestMethod") || !parts[2].Is(Space, "DigestValue") {
		return wrong("a reference has transforms, a digest method and a digest")
	}
	t := parts[0].Elements()
	if len(t) != 2 || !t[0].Is(Space, "Transform") || !t[1].Is(Space, "Transform") || t[0].Attr("Algorithm") != enveloped || len(t[0].Elements()) > 0 {
		return wrong("the transforms are enveloped-signature and exclusive canonicalisation, in that order")
	}
	var err error
	if s.keep, err = canonicalisation(t[1]); err != nil {
		return err
	}
	if s.digest, err = digestOf(parts[1].Attr("Algorithm")); err != nil {
		return err
	}
	s.value, err = decode(parts[2])
	return err
}

// canonicalisation reads a method or transform that must be exclusive, without
// comments, and gives its InclusiveNamespaces.
func canonicalisation(n *xmldoc.Node) ([]string, error) {
	if a := n.Attr("Algorithm"); a != exclusive {
		return nil, wrong("the canonicalisation or transform %.80q is not accepted", a)
	}
	inside := n.Elements()
	if len(inside) == 0 {
		return nil, nil
	}
	if len(inside) > 1 || !inside[0].Is(exclusive, "InclusiveNamespaces") || len(inside[0].Elements()) > 0 {
		return nil, wrong("a canonicalisation has InclusiveNamespaces alone")
	}
	keep := strings.Fields(inside[0].Attr("PrefixList"))
	if len(keep) > 32 {
		return nil, wrong("too many InclusiveNamespaces")
	}
	return keep, nil
}

// decode reads base64 with the white space that XML allows, and nothing looser.
func decode(n *xmldoc.Node) ([]byte, error) { return Decode(n.Raw()) }

// Decode reads base64 as XML Schema has it: white space between, padding complete,
// no stray bits.
func Decode(text string) ([]byte, error) {
	text = strings.Map(func(c rune) rune {
		if c == ' ' || c == '\t' || c == '\n' || c == '\r' {
			return -1
		}
		return c
	}, text)
	out, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(out) == 0 {
		return nil, wrong("base64 is broken")
	}
	return out, nil
}
