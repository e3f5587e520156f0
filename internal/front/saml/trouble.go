package saml

import "seimon/internal/authn"

// The causes why a person cannot even be sent back to the service. The person sees a
// calm page; the desk and the service's people learn which field differs from the
// registered one (R3), or whose clock is wrong by how much (B3).
const (
	noService    authn.Code = "R3.unknown"
	badRequest   authn.Code = "R3.request"
	badAddress   authn.Code = "R3.redirect"
	badSignature authn.Code = "R3.signature"
	badMetadata  authn.Code = "R3.metadata"
	badLogout    authn.Code = "R3.logout"
	clockFast    authn.Code = "B3.fast"
	clockSlow    authn.Code = "B3.slow"
)

// fault makes such a cause. sent is what the service sent in that field.
func fault(code authn.Code, party, field, sent string) *authn.Fault {
	return authn.NewFault(code, "party", shorten(party), "field", field, "sent", shorten(sent))
}

// shorten keeps foreign text in the audit log small.
func shorten(text string) string { return text[:min(len(text), 300)] }

// told gives the person other words where the cause is about clocks: what to do about
// those is for the service's people. To the person an old request is mostly a bookmark,
// or a page that stood open for long.
func told(cause, shown *authn.Fault) {
	switch {
	case cause.Code.Family() != "B3":
	case cause.Facts["what"] == "LogoutRequest":
		shown.Code = badLogout
	case cause.Code == clockSlow && cause.Facts["what"] == "AuthnRequest":
		shown.Code = "B1.expired"
	default:
		shown.Code = "R3"
	}
}
