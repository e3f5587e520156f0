package oidc

import "seimon/internal/authn"

// The causes why a person cannot even be sent back to the service (R3). The
// person sees a calm page; the desk and the service's people learn which field
// differs from the registered one.
const (
	noClient    authn.Code = "R3.unknown"
	badRedirect authn.Code = "R3.redirect"
	badRequest  authn.Code = "R3.request"
	badLogout   authn.Code = "R3.logout"
)

// fault makes such a cause. sent is what the service sent in that field.
func fault(code authn.Code, client, field, sent string) *authn.Fault {
	return authn.NewFault(code, "party", shorten(client), "field", field, "sent", shorten(sent))
}
