package saml

import (
	"maps"
	"net/http"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/store"
	"seimon/internal/web"
)

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
	clockHere    authn.Code = "B3.here"
)

// fault makes such a cause. sent is what the service sent in that field.
func fault(code authn.Code, party, field, sent string) *authn.Fault {
	return authn.NewFault(code, "party", shorten(party), "field", field, "sent", shorten(sent))
}

// shorten keeps foreign text in the audit log small.
func shorten(text string) string { return text[:min(len(text), 300)] }

// explained puts a cause on record under a support code that the page will show.
func (f *Front) explained(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		cause := authn.AsFault(err)
		if cause == nil || cause.Code.Family() != "R3" && cause.Code.Family() != "B3" {
			return err
		}
		support := f.record(r, cause)
		shown := &authn.Fault{Code: cause.Code, Facts: maps.Clone(cause.Facts), Cause: cause.Cause}
		if shown.Code.Family() == "B3" {
			// What to do about clocks is for the service's people. To the person an old
			// request is mostly a bookmark, or a page that stood open for long.
			switch {
			case shown.Facts["what"] == "LogoutRequest":
				shown.Code = badLogout
			case cause.Code == clockSlow && shown.Facts["what"] == "AuthnRequest":
				shown.Code = "B1.expired"
			default:
				shown.Code = "R3"
			}
		}
		shown.Facts["support"] = support
		return shown
	}
}

// record puts a cause on record and gives its support code.
func (f *Front) record(r *http.Request, cause *authn.Fault) string {
	facts := maps.Clone(cause.Facts)
	facts["code"], facts["front"] = string(cause.Code), Name
	if cause.Cause != nil {
		facts["why"] = shorten(cause.Cause.Error())
	}
	support, party := diagnosis.NewCode(), facts["party"]
	delete(facts, "party")
	err := f.DB.Write(r.Context(), func(tx *store.Tx) error {
		if d := facts[diagnosis.FactDirection]; d != "" {
			if ours, err := diagnosis.OwnClock(tx, f.Audit, party, d); err != nil {
				return err
			} else if ours {
				facts["code"] = string(clockHere)
			}
		}
		return f.Audit.Append(tx, audit.Event{
			Type: diagnosis.EventRefused, Support: support, Party: party,
			Address: web.ClientOf(r).Addr.String(), Facts: facts,
		})
	})
	if err != nil {
		f.Log.Error("a refused request is not on record", "error", err)
	}
	return support
}
