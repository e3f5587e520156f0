package oidc

import (
	"maps"
	"net/http"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/store"
	"seimon/internal/web"
)

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

// explained puts a cause on record under a support code that the page will show.
func (f *Front) explained(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		cause := authn.AsFault(err)
		if cause == nil || cause.Code.Family() != "R3" {
			return err
		}
		cause = &authn.Fault{Code: cause.Code, Facts: maps.Clone(cause.Facts), Cause: cause.Cause}
		cause.Facts["support"] = diagnosis.NewCode()
		facts := maps.Clone(cause.Facts)
		facts["code"], facts["front"] = string(cause.Code), Name
		delete(facts, "support")
		delete(facts, "party")
		recorded := f.DB.Write(r.Context(), func(tx *store.Tx) error {
			return f.Audit.Append(tx, audit.Event{
				Type: "request.refused", Support: cause.Facts["support"], Party: cause.Facts["party"],
				Address: web.ClientOf(r).Addr.String(), Facts: facts,
			})
		})
		if recorded != nil {
			f.Log.Error("a refused request is not on record", "error", recorded)
		}
		return cause
	}
}
