package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/store"
)

// Own is what a feed says of a certificate of ours: since when it publishes it, and
// when the last document without it ends.
type Own struct {
	Since   time.Time `json:"since"`
	Settled time.Time `json:"settled"`
}

// own reads under which certificates a document publishes us. What the document before
// had keeps its dates; where that is not known, the worst is taken: that the document
// just replaced lives as long as this one.
func (c *collector) own(before, now Loaded) map[string]Own {
	out := map[string]Own{}
	root, err := xmldoc.Parse(c.mine, xmldoc.Limits{Bytes: 2 * maxEntity})
	if len(c.mine) == 0 || err != nil {
		return nil
	}
	if root.Is(metadata.MD, "EntitiesDescriptor") {
		root = root.First(metadata.MD, "EntityDescriptor")
	}
	for _, k := range root.First(metadata.MD, "IDPSSODescriptor").All(metadata.MD, "KeyDescriptor") {
		cert, err := metadata.Certificate(strings.Join(strings.Fields(k.Path(xmlsig.Space, "KeyInfo", "X509Data", "X509Certificate").Text()), ""))
		if err != nil || k.Attr("use") == "encryption" {
			continue
		}
		sum := sha256.Sum256(cert.Raw)
		name := hex.EncodeToString(sum[:])
		v, known := before.Own[name]
		if !known {
			v = Own{c.now, now.ValidUntil}
			if before.Own != nil && before.Created.Before(now.Created) {
				v.Settled = before.ValidUntil
			}
		}
		out[name] = v
	}
	return out
}

// Published tells what a feed says of a certificate of ours, named by its SHA-256. A
// feed that is dead says nothing.
func (k *Keeper) Published(tx *store.Tx, feed, certificate string) (Own, bool, error) {
	s, err := k.Get(tx, feed)
	if errors.Is(err, ErrNone) || err == nil && !tx.Now.Before(s.Loaded.ValidUntil) {
		return Own{}, false, nil
	}
	v, ok := s.Loaded.Own[certificate]
	return v, ok, err
}
