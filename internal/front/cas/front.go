package cas

import (
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"seimon/internal/audit"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/login/refused"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Name is the front's name in parties, transactions and visits.
const Name = "cas"

//go:embed schema
var schema embed.FS

//go:embed words
var words embed.FS

//go:embed templates
var templates embed.FS

// Schema is the front's tables.
func Schema() store.Schema { return store.Schema{Room: Name, Files: schema} }

// Words is what the front says to people.
func Words() lang.Source { return lang.Source{Room: "front/cas", Files: words} }

// Templates are the front's pages, to be added to the site before it is served.
func Templates() fs.FS {
	pages, err := fs.Sub(templates, "templates")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return pages
}

// Hall signs people in.
type Hall interface {
	Begin(w http.ResponseWriter, r *http.Request, a login.Ask) error
	// Current gives the live session of a browser, or session.ErrNone.
	Current(r *http.Request) (session.Session, error)
	// Admit decides for a service that comes in the name of a live session, without a browser.
	Admit(tx *store.Tx, a login.Ask, sid string) (login.Outcome, error)
}

// Exit signs people out.
type Exit interface {
	SignOut(w http.ResponseWriter, r *http.Request, a login.SignOutAsk) error
}

// Sealer hides what tickets stand for; keyring.Ring is one.
type Sealer interface {
	Seal(context string, plain []byte) []byte
	Unseal(context string, sealed []byte) ([]byte, error)
}

// Rooms are the rooms that the front works with.
type Rooms struct {
	DB       *store.DB
	Hall     Hall
	Exit     Exit
	Parties  *rp.Book
	Sessions *session.Keeper
	Ring     Sealer
	Audit    *audit.Log
	// Client carries sign-outs and proxy-granting tickets to services. It should have a
	// time-out; redirects are never followed.
	Client *http.Client
	Log    *slog.Logger
}

// The lives of tickets.
const (
	ticketLife = time.Minute    // of a service or proxy ticket, unless its service says otherwise (CAS 3.1.1: short)
	clockSlack = time.Minute    // how wrong the clock of a service may be (SAML 1.1)
	grantLife  = 8 * time.Hour  // of a proxy-granting ticket, unless the session ends before
	usedKept   = 48 * time.Hour // how long a spent ticket is known, for sign-out
)

// Front answers CAS requests.
type Front struct {
	Rooms
	site     *web.Site
	registry registry
	refusals refused.Record
}

// New makes the front; Mount adds its routes.
func New(r Rooms) *Front {
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	if r.Client == nil {
		r.Client = &http.Client{Timeout: 10 * time.Second}
	}
	return &Front{Rooms: r, refusals: refused.Record{Front: Name, DB: r.DB, Audit: r.Audit, Log: r.Log}}
}

// Name implements login.Front.
func (f *Front) Name() string { return Name }

// Mount adds the front's routes to the site (CAS Protocol 3.0, 2).
func (f *Front) Mount(site *web.Site) {
	f.site = site
	site.Door("GET /cas/login", f.refusals.Explained(f.login))
	site.Door("POST /cas/login", f.refusals.Explained(f.bringBack("/cas/login")))
	site.Door("GET /cas/logout", f.refusals.Explained(f.logout))
	site.Machine("GET /cas/validate", f.validateOne)
	site.Machine("GET /cas/serviceValidate", f.validate(kindService, false))
	site.Machine("GET /cas/p3/serviceValidate", f.validate(kindService, true))
	site.Machine("GET /cas/proxyValidate", f.validate(kindProxy, false))
	site.Machine("GET /cas/p3/proxyValidate", f.validate(kindProxy, true))
	site.Machine("GET /cas/proxy", f.proxy)
	site.Machine("POST /cas/samlValidate", f.samlValidate)
}

// Sweep removes tickets that nobody can use any more; a job calls it.
func (f *Front) Sweep(tx *store.Tx) error {
	_, err := tx.Exec("DELETE FROM cas_ticket WHERE used_at = 0 AND until < $1 OR used_at > 0 AND used_at < $2",
		store.Millis(tx.Now), store.Millis(tx.Now.Add(-usedKept)))
	return err
}
