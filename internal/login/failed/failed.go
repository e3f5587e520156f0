package failed

import (
	"errors"
	"net/http"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/login/page"
	"seimon/internal/login/transaction"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web"
)

// ErrOtherBrowser says that a transaction was begun in another browser.
var ErrOtherBrowser = errors.New("login: the transaction belongs to another browser")

// ErrNoCookie says that the browser sent no cookie although we set one.
var ErrNoCookie = errors.New("login: the browser keeps no cookies")

// Late says that a transaction is over.
type Late struct{ Transaction *transaction.Transaction }

// Error implements error.
func (e *Late) Error() string { return "login: the transaction has expired" }

// Gone is the error for a transaction of which nothing is left but what the browser kept
// of it, if that (nil: nothing).
func Gone(kept *transaction.Transaction) error {
	if kept == nil {
		return transaction.ErrNone
	}
	return &Late{kept}
}

// afterwards is an error of the answer to a sign-in that is over.
type afterwards struct{ cause error }

// Error implements error. There is no Unwrap: no step takes its cause for its own.
func (e *afterwards) Error() string { return "login: after the end: " + e.cause.Error() }

// Ended marks an error of the answer to a sign-in that is over, so that no step of it
// takes a cause in it for a wrong proof; its page is that of the cause.
func Ended(err error) error {
	if authn.AsFault(err) == nil {
		return err
	}
	return &afterwards{err}
}

// Pages shows what failed.
type Pages struct {
	DB      *store.DB
	Site    *web.Site
	Parties *rp.Book
	HelpURL string
}

// Show shows the page for an error. It reports false for what is not its own, which
// ends as a calm page with the request id.
func (x Pages) Show(w http.ResponseWriter, r *http.Request, err error) bool {
	var late *Late
	var ended *afterwards
	if errors.As(err, &ended) {
		err = ended.cause
	}
	var t *transaction.Transaction
	var fault *authn.Fault
	status := http.StatusBadRequest
	switch {
	case errors.As(err, &late):
		t, fault, status = late.Transaction, authn.NewFault("B1.expired"), http.StatusGone
		if !t.Done.IsZero() {
			fault = authn.NewFault("B2.done")
		}
	case errors.Is(err, transaction.ErrNone):
		fault, status = authn.NewFault("B1.expired"), http.StatusGone
	case errors.Is(err, ErrNoCookie):
		fault = authn.NewFault("B1.cookies")
	case errors.Is(err, ErrOtherBrowser):
		fault = authn.NewFault("B2.browser")
	case errors.Is(err, rp.ErrNone):
		fault = authn.NewFault("R3.unknown")
	default:
		if fault = authn.AsFault(err); fault == nil {
			return false
		}
	}
	return x.show(w, r, status, t, fault) == nil
}

func (x Pages) show(w http.ResponseWriter, r *http.Request, status int, t *transaction.Transaction, fault *authn.Fault) error {
	a := diagnosis.Advise(web.Lang(r), fault, diagnosis.Context{HelpURL: x.HelpURL, Now: x.DB.Now()})
	shown := web.Trouble{Status: status, Cause: a.Cause, Next: a.Next}
	for _, way := range a.Actions {
		shown.Actions = append(shown.Actions, web.Action{Label: way.Label, URL: way.Path})
	}
	shown.Support = fault.Facts["support"] // of a front that put it on record itself
	x.wayOn(r, t, fault, &shown)
	return x.Site.Trouble(w, r, shown)
}

// wayOn names the service, as it is registered, and leads from a sign-in that is over or
// never began to where the person wanted to go.
func (x Pages) wayOn(r *http.Request, t *transaction.Transaction, fault *authn.Fault, shown *web.Trouble) {
	id := fault.Facts["party"]
	if t != nil {
		shown.Support, id = t.Support, t.Ask.Party
	}
	var party rp.Party
	err := x.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
		party, err = x.Parties.Get(tx, id)
		return err
	})
	if id == "" || err != nil {
		return
	}
	p := web.Lang(r)
	shown.Party = page.Badge(party, p.Tag())
	switch {
	case t != nil && t.Done.IsZero() && t.Ask.Front != "":
		shown.Actions = append([]web.Action{{Label: p.T("login.again"), URL: page.Path(t) + "/again"}}, shown.Actions...)
	case party.HomeURL != "" && fault.Code != "R3.logout": // there the way on is out
		shown.Actions = append([]web.Action{{
			Label: p.T("login.goto", "service", party.Name(p.Tag())), URL: party.HomeURL,
		}}, shown.Actions...)
	}
}
