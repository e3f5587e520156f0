package xmlsig

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"seimon/internal/front/saml/xmldoc"
)

// Key signs and carries its certificate, which tells the reader which key it was.
type Key struct {
	Signer      crypto.Signer
	Certificate []byte // DER; left out of the signature when nil
}

// Sign puts a signature into canonical, an element in exclusive canonical form with
// this id that stands alone, at offset at: where the schema wants it, after Issuer.
func Sign(canonical []byte, id string, at int, key Key) ([]byte, error) {
	algorithm, err := AlgorithmFor(key.Signer.Public())
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(canonical)
	w := xmldoc.NewWriter(xmldoc.Spaces{"ds": Space})
	w.Start("ds:SignedInfo")
	w.Leaf("ds:CanonicalizationMethod", "", "Algorithm", exclusive)
	w.Leaf("ds:SignatureMethod", "", "Algorithm", algorithm)
	w.Start("ds:Reference", "URI", "#"+id)
	w.Start("ds:Transforms").Leaf("ds:Transform", "", "Algorithm", enveloped).Leaf("ds:Transform", "", "Algorithm", exclusive).End()
	w.Leaf("ds:DigestMethod", "", "Algorithm", SHA256)
	w.Leaf("ds:DigestValue", base64.StdEncoding.EncodeToString(digest[:]))
	w.End().End()
	_, value, err := Bare(key.Signer, w.Bytes())
	if err != nil {
		return nil, err
	}
	// Inside Signature the declaration has been made already.
	const declared, plain = `<ds:SignedInfo xmlns:ds="` + Space + `">`, "<ds:SignedInfo>"
	s := xmldoc.NewWriter(xmldoc.Spaces{"ds": Space})
	s.Start("ds:Signature")
	s.Raw([]byte(plain)).Raw(w.Bytes()[len(declared):])
	s.Leaf("ds:SignatureValue", base64.StdEncoding.EncodeToString(value))
	if key.Certificate != nil {
		s.Start("ds:KeyInfo").Start("ds:X509Data")
		s.Leaf("ds:X509Certificate", base64.StdEncoding.EncodeToString(key.Certificate))
		s.End().End()
	}
	s.End()
	return slices.Insert(canonical, at, s.Bytes()...), nil
}
