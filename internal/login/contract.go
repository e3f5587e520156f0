package login

import (
	"context"
	"net/http"
	"time"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/login/transaction"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Front is a door for a protocol, or a desk that people sign in to. It turns its
// own requests into an Ask and an Outcome into its own answer; it never decides.
type Front interface {
	// Name is stable: it is stored with transactions and visits.
	Name() string
	// Mount adds the front's routes.
	Mount(site *web.Site)
	// Complete writes what the answer needs (a code, a ticket) inside the
	// transaction that ends the sign-in and returns what to send afterwards. It may
	// run again when the transaction is retried. It must not hash, sign or dial.
	Complete(tx *store.Tx, o Outcome) (Respond, error)
}

// Respond sends the front's answer once everything is durable.
type Respond func(w http.ResponseWriter, r *http.Request) error

// SignOuter is a front that tells its relying parties when a session ends. It is
// called by a job and called again after an error.
type SignOuter interface {
	SignOut(ctx context.Context, v session.Visit) error
}

// Identifier is a front that makes identifiers of its own for what a party is granted
// by their names. They stand on the page that asks the person, with everything else
// that would leave.
type Identifier interface {
	Identifiers(p rp.Party, account authn.AccountID) map[string][]string
}

// Ask is what a front wants from the hall.
type Ask = transaction.Ask

// Outcome is what the hall tells a front. Fault is nil exactly when the person is
// signed in and may use the party.
type Outcome struct {
	Request    []byte
	Party      rp.Party
	Fault      *authn.Fault
	Subject    authn.Subject
	Account    directory.Account // of the subject, as it stands in this transaction
	Person     directory.Person
	Session    session.Session
	Visit      session.Visit
	Evidence   []authn.Evidence
	Assurance  authn.Assurance
	Attributes map[string][]string // released, by the directory's attribute names
	Zone       authn.Zone
	Support    string
	Began      time.Time // of this sign-in, which may ask a service's question once more
}

// The codes an Outcome's fault may have beside those of the scenarios.
const (
	NeedsLogin                  = policy.PassiveLogin       // a page would be needed to sign in
	NeedsConsent                = policy.PassiveConsent     // a page would be needed to consent
	NeedsInteraction            = policy.PassiveInteraction // a page would be needed for something else
	Cancelled        authn.Code = "cancelled"               // the person went back to the service
)

// Visitor is somebody whose session satisfies the rules right now.
type Visitor struct {
	Session   session.Session
	Account   directory.Account
	Person    directory.Person
	Assurance authn.Assurance
	Zone      authn.Zone
	Browser   string
}

// SignOutAsk is a front's wish to end the browser's session.
type SignOutAsk struct {
	// Session is the session that the service proved to know (the sid of an ID
	// token we issued); empty when it proved nothing.
	Session string
	Party   string // who asks; may be empty
	Return  string // where to go afterwards: an address that the front has checked, or empty
	Lang    []string
}
