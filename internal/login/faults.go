package login

import (
	"errors"
	"net/http"
	"net/url"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/login/transaction"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Failed is the one table from errors to the page that a person sees. It reports
// false for what is not its own, which ends as a calm page with the request id.
func (h *Hall) Failed(w http.ResponseWriter, r *http.Request, err error) bool {
	var late *errWaitedTooLong
	var t *transaction.Transaction
	var fault *authn.Fault
	status := http.StatusBadRequest
	switch {
	case errors.As(err, &late):
		t, fault, status = late.t, authn.NewFault("B1.expired"), http.StatusGone
		if !late.t.Done.IsZero() {
			fault = authn.NewFault("B2.done")
		}
	case errors.Is(err, transaction.ErrNone):
		fault, status = authn.NewFault("B1.expired"), http.StatusGone
	case errors.Is(err, errNoCookie):
		fault = authn.NewFault("B1.cookies")
	case errors.Is(err, errOtherBrowser):
		fault = authn.NewFault("B2.browser")
	case errors.Is(err, rp.ErrNone):
		fault = authn.NewFault("R3.unknown")
	default:
		if fault = authn.AsFault(err); fault == nil {
			return false
		}
	}
	return h.trouble(w, r, status, t, fault) == nil
}

// trouble shows a failure that ends the way it came by: cause, next step, support code.
func (h *Hall) trouble(w http.ResponseWriter, r *http.Request, status int, t *transaction.Transaction, fault *authn.Fault) error {
	a := diagnosis.Advise(printer(r), fault, diagnosis.Context{HelpURL: h.HelpURL, Now: h.DB.Now()})
	page := web.Trouble{Status: status, Cause: a.Cause, Next: a.Next}
	for _, x := range a.Actions {
		page.Actions = append(page.Actions, web.Action{Label: x.Label, URL: x.Path})
	}
	page.Support = fault.Facts["support"] // of a front that put it on record itself
	h.wayOn(r, t, fault, &page)
	return h.Site.Trouble(w, r, page)
}

// wayOn names the service, as it is registered, and leads from a sign-in that is over or
// never began to where the person wanted to go.
func (h *Hall) wayOn(r *http.Request, t *transaction.Transaction, fault *authn.Fault, page *web.Trouble) {
	id := fault.Facts["party"]
	if t != nil {
		page.Support, id = t.Support, t.Ask.Party
	}
	var party rp.Party
	err := h.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
		party, err = h.Parties.Get(tx, id)
		return err
	})
	if id == "" || err != nil {
		return
	}
	p := printer(r)
	page.Party = Badge(party, p.Tag())
	if t != nil && t.Done.IsZero() {
		page.Actions = append([]web.Action{{Label: p.T("login.again"), URL: h.path(t) + "/again"}}, page.Actions...)
		return
	}
	if party.HomeURL != "" && fault.Code != "R3.logout" { // there the way on is out
		page.Actions = append([]web.Action{{
			Label: p.T("login.goto", "service", party.Name(p.Tag())), URL: party.HomeURL,
		}}, page.Actions...)
	}
}

// bare is the sign-in page without a service: a bookmark, or the host name typed in.
func (h *Hall) bare(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/portal", http.StatusSeeOther)
	return nil
}

// Origins gives the origin of an address, for the page's form-action.
func Origins(address string) []string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil
	}
	return []string{u.Scheme + "://" + u.Host}
}
