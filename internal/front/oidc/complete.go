package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/login"
	"seimon/internal/store"
)

// Complete implements login.Front: a code for whoever signed in, or the error
// that the client is told.
func (f *Front) Complete(tx *store.Tx, o login.Outcome) (login.Respond, error) {
	var q request
	if err := json.Unmarshal(o.Request, &q); err != nil {
		return nil, err
	}
	c, err := f.clients.of(o.Party)
	if err != nil {
		return nil, err
	}
	if !c.owns(q.Redirect) { // taken back since the request came
		moved := fault(badRedirect, c.ID, "redirect_uri", q.Redirect)
		return login.Respond(f.refusals.Ending(moved)), nil
	}
	to := answer{q.Redirect, q.Mode, q.State, o.Party}
	if len(q.Pushed) > 0 {
		if _, err := tx.Exec("DELETE FROM oidc_pushed WHERE hash = $1", q.Pushed); err != nil {
			return nil, err
		}
	}
	no := f.short(&q, o, tx.Now)
	if no != nil {
		return func(w http.ResponseWriter, r *http.Request) error { return f.sendRefusal(w, r, to, no) }, nil
	}
	code, hash := authn.NewToken()
	if err := f.insertGrant(tx, f.newGrant(hash, &q, o, tx.Now)); err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		return f.send(w, r, to, url.Values{"code": {code}})
	}, nil
}

// short tells what the outcome lacks of what the client asked for. The hall has
// seen to all of it; an assertion that falls short is refused here once more.
func (f *Front) short(q *request, o login.Outcome, now time.Time) *refusal {
	switch {
	case o.Fault != nil:
		return explain(o.Fault, q)
	case o.Party.ID != q.Client || o.Session.ID == "" || o.Assurance.Level == authn.LevelNone:
		return refuse(errServer, "the sign-in and the request do not belong together")
	case q.Subject != "" && f.Parties.SubjectFor(o.Party, o.Subject.Account) != q.Subject:
		return refuse(errLoginRequired, "somebody else is signed in") // OIDC Core 3.1.2.1, 5.5.1
	case q.Essential && !slices.Contains(q.ACR, acrOf(q.ACR, o.Evidence, now)):
		return refuse(errUnmetAuthentication, "none of the acr values was reached")
	case q.Login && o.Assurance.AuthTime.Unix() < q.At:
		return refuse(errLoginRequired, "the person did not sign in again") // OIDC Core 3.1.2.1, prompt=login
	case q.MaxAge != nil && o.Assurance.AuthTime.Unix() < q.At-*q.MaxAge-1:
		return refuse(errLoginRequired, "the sign-in is older than max_age")
	}
	return nil
}

// explain says in OAuth's words why there is no sign-in. The client learns what
// it can act on, and nothing about the person.
func explain(cause *authn.Fault, q *request) *refusal {
	switch cause.Code {
	case login.NeedsLogin:
		return refuse(errLoginRequired, "the person must sign in")
	case login.NeedsConsent:
		return refuse(errConsentRequired, "the person must consent")
	case login.NeedsInteraction:
		return refuse(errInteractionRequired, "the person must do something else first")
	case login.Cancelled:
		return refuse(errAccessDenied, "the person went back without signing in")
	}
	switch cause.Code.Family() {
	case "O1", "O2":
		return refuse(errUnavailable, "signing in is not possible at the moment")
	case "R1", "Z1", "Z2", "Z3", "Z4":
		if q.Essential {
			return refuse(errUnmetAuthentication, "the person cannot prove what was asked")
		}
	}
	return refuse(errAccessDenied, "the person may not use this service now")
}
