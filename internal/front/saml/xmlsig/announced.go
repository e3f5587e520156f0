package xmlsig

import (
	"crypto"

	"seimon/internal/front/saml/xmldoc"
)

// Announcement is what a signature says of content that is still to come.
type Announcement struct {
	Hash   crypto.Hash
	Digest []byte   // of the exclusive canonical form, without the signature
	Keep   []string // its InclusiveNamespaces
	Key    int      // which of the keys signed
}

// Announced checks the signature of an element of which only the start and the
// signature are there: n has no other children that count. The caller hashes the rest
// as it comes and must compare the digest before it believes any of it.
func Announced(n *xmldoc.Node, keys []crypto.PublicKey) (Announcement, error) {
	s, err := read(n)
	if err != nil {
		return Announcement{}, err
	}
	info := xmldoc.Canonical(s.info, s.infoKeep, nil)
	for i, k := range keys {
		if err = Check(s.algorithm, info, s.signature, []crypto.PublicKey{k}); err == nil {
			return Announcement{Hash: s.digest, Digest: s.value, Keep: s.keep, Key: i}, nil
		}
	}
	if len(keys) == 0 {
		err = Check(s.algorithm, info, s.signature, nil)
	}
	return Announcement{}, err
}
