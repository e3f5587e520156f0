package rp

import (
	"encoding/base32"
	"strings"

	"seimon/internal/authn"
)

// SubjectFor gives the identifier under which an account is known to a party:
// the same for every public party, and one per sector for pairwise parties
// (OIDC Core 8.1). It holds 160 bits in lower-case letters and digits, so that it
// is also a SAML pairwise-id. It never changes and never tells the account.
func (b *Book) SubjectFor(p Party, account authn.AccountID) string {
	purpose, data := "rp.subject.public", string(account)
	if p.Pairwise {
		purpose, data = "rp.subject.pairwise", p.sector()+"\x00"+string(account)
	}
	sum := b.mac(purpose, []byte(data))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
}

// sector is the group of parties that share a pairwise identifier. A named
// sector and a party's own id are kept apart, so that no party can be named into
// another's sector.
func (p Party) sector() string {
	if p.Sector != "" {
		return "sector:" + strings.ToLower(p.Sector)
	}
	return "party:" + p.ID
}
