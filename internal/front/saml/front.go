package saml

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"seimon/internal/audit"
	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/login/refused"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Name is the front's name in parties, transactions and visits.
const Name = "saml"

//go:embed schema
var schema embed.FS

//go:embed words
var words embed.FS

//go:embed templates
var templates embed.FS

// Schema is the front's tables.
func Schema() store.Schema { return store.Schema{Room: Name, Files: schema} }

// Words is what the front says to people.
func Words() lang.Source { return lang.Source{Room: "front/saml", Files: words} }

// Hall signs people in.
type Hall interface {
	Begin(w http.ResponseWriter, r *http.Request, a login.Ask) error
	// Current gives the browser's live session or session.ErrNone.
	Current(r *http.Request) (session.Session, error)
	// Front gives the front of a name, nil when there is none.
	Front(name string) login.Front
}

// Sealer keeps private keys and requests under way.
type Sealer interface {
	Seal(context string, plain []byte) []byte
	Unseal(context string, sealed []byte) ([]byte, error)
}

// Rooms are the rooms that the front works with.
type Rooms struct {
	DB       *store.DB
	Hall     Hall
	Parties  *rp.Book
	People   *directory.Directory
	Sessions *session.Keeper
	Ring     Sealer
	Audit    *audit.Log
	// Client carries sign-outs to services. It should have a time-out; redirects are
	// never followed.
	Client   *http.Client
	Log      *slog.Logger
	Settings Settings
	// Feeds is asked about services that are not known yet, or nil.
	Feeds interface {
		// Ensure makes sure that what can be found out about a service is known.
		Ensure(ctx context.Context, id string) error
	}
}

// Settings are what the university decides about SAML.
type Settings struct {
	// EntityID names the identity provider; the address of its metadata when empty.
	EntityID string
	// Scopes are the domains of the university, the first one is used in identifiers.
	Scopes []string
	// Names and Help of the university, by language.
	Names map[lang.Tag]string
	// ErrorURL is where a service sends people who cannot go on there.
	ErrorURL string
	// Technical and Security are mail addresses for other providers' people.
	Technical, Security string
	// Sirtfi says that the university meets that framework (REFEDS).
	Sirtfi bool
	// PhishingResistant is the identifier of REFEDS MFA 2.0 for sign-ins that
	// withstand phishing; not offered when empty.
	PhishingResistant string
	// Patience is how long the answer about a sign-out waits for services that are told
	// without the browser; five seconds when zero.
	Patience time.Duration
	// Persistent computes persistent names as a former provider did.
	Persistent Computed
}

// The lives of messages.
const (
	skew         = 3 * time.Minute  // between our clock and a service's
	requestLife  = 10 * time.Minute // of an AuthnRequest
	responseLife = 5 * time.Minute
	answeredLife = requestLife + 2*skew
)

// Front answers SAML requests.
type Front struct {
	Rooms
	site      *web.Site
	keys      atomic.Pointer[keyset]
	known     atomic.Pointer[described]
	services  services
	unpackers sync.Pool // of DEFLATE
	fetched   fetchLog
	refusals  refused.Record
}

// New makes the front; Mount adds its routes. Found must have run before the first
// request.
func New(r Rooms) *Front {
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	if r.Client == nil {
		r.Client = &http.Client{Timeout: 10 * time.Second}
	}
	if r.Settings.Patience == 0 {
		r.Settings.Patience = patience
	}
	return &Front{Rooms: r, refusals: refused.Record{Front: Name, DB: r.DB, Audit: r.Audit, Log: r.Log, Told: told}}
}

// Templates are the front's pages, to be added to the site before it is served.
func Templates() fs.FS {
	pages, err := fs.Sub(templates, "templates")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return pages
}

// Name implements login.Front.
func (f *Front) Name() string { return Name }

// The paths of the front.
const (
	pathMetadata = "/saml/metadata"
	pathSSO      = "/saml/sso"
	pathGo       = "/saml/go"
	pathStart    = "/saml/start"
	pathLogout   = "/saml/slo"
	pathCalled   = "/saml/slo/soap"
	pathLeave    = "/saml/slo/go"
	pathNext     = "/saml/slo/next"
	pathOn       = "/saml/slo/on"
)

// former lists paths under which services know a Shibboleth provider that this one
// has replaced.
func former() map[string]string {
	return map[string]string{
		"/idp/profile/SAML2/Redirect/SSO":    "GET",
		"/idp/profile/SAML2/POST/SSO":        "POST",
		"/idp/profile/SAML2/Unsolicited/SSO": "START",
		"/idp/profile/SAML2/Redirect/SLO":    "GETOUT",
		"/idp/profile/SAML2/POST/SLO":        "POSTOUT",
		"/idp/profile/SAML2/SOAP/SLO":        "SOAPOUT",
		"/idp/shibboleth":                    "METADATA",
	}
}

// Mount adds the front's routes to the site.
func (f *Front) Mount(site *web.Site) {
	f.site = site
	site.Machine("GET "+pathMetadata, f.metadata)
	site.Door("GET "+pathSSO, f.refusals.Explained(f.byRedirect))
	site.Door("POST "+pathSSO, f.refusals.Explained(f.byPost))
	site.Door("GET "+pathGo, f.refusals.Explained(f.resume))
	site.Door("GET "+pathStart, f.refusals.Explained(f.start))
	site.Door("GET "+pathLogout, f.refusals.Explained(f.logoutByRedirect))
	site.Door("POST "+pathLogout, f.refusals.Explained(f.logoutByPost))
	site.Machine("POST "+pathCalled, f.called)
	site.Door("GET "+pathLeave, f.refusals.Explained(f.resumeLogout))
	site.Door("GET "+pathNext, f.refusals.Explained(f.goOn(true)))
	site.Door("GET "+pathOn, f.refusals.Explained(f.goOn(false)))
	for path, what := range former() {
		switch what {
		case "GETOUT":
			site.Door("GET "+path, f.refusals.Explained(f.logoutByRedirect))
		case "POSTOUT":
			site.Door("POST "+path, f.refusals.Explained(f.logoutByPost))
		case "SOAPOUT":
			site.Machine("POST "+path, f.called)
		case "GET":
			site.Door("GET "+path, f.refusals.Explained(f.byRedirect))
		case "POST":
			site.Door("POST "+path, f.refusals.Explained(f.byPost))
		case "START":
			site.Door("GET "+path, f.refusals.Explained(f.start))
		case "METADATA":
			site.Machine("GET "+path, f.metadata)
		}
	}
}

// EntityID is the name of this identity provider.
func (f *Front) EntityID() string {
	if f.Settings.EntityID != "" {
		return f.Settings.EntityID
	}
	return f.site.URL(pathMetadata)
}

// StartURL is where people begin a sign-in to a service that they do not come from.
func (f *Front) StartURL(id string) string {
	return pathStart + "?providerId=" + url.QueryEscape(id)
}

// MetadataURL is where the signed metadata is.
func (f *Front) MetadataURL() string { return f.site.URL(pathMetadata) }

// door is an endpoint of ours, by its path.
type door string

// The doors: for sign-in, for sign-out with the browser, and without it.
const (
	doorIn   door = pathSSO
	doorOut  door = pathLogout
	doorSOAP door = pathCalled
)

// ours tells whether an address is that of a door, or of its former paths.
func (f *Front) ours(address string, at door) bool {
	kinds := map[door][]string{doorIn: {"GET", "POST"}, doorOut: {"GETOUT", "POSTOUT"}, doorSOAP: {"SOAPOUT"}}[at]
	if address == f.site.URL(string(at)) {
		return true
	}
	for path, what := range former() {
		if slices.Contains(kinds, what) && address == f.site.URL(path) {
			return true
		}
	}
	return false
}

// Sweep forgets what is over.
func (f *Front) Sweep(tx *store.Tx) error {
	if _, err := tx.Exec("DELETE FROM saml_answered WHERE until < $1", store.Millis(tx.Now)); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM saml_visit WHERE until < $1", store.Millis(tx.Now)); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM saml_logout WHERE until < $1", store.Millis(tx.Now)); err != nil {
		return err
	}
	return sweepFetches(tx)
}

// Refresh reads the keys that other nodes have changed, and writes down who has read
// our metadata.
func (f *Front) Refresh(ctx context.Context) error {
	return errors.Join(f.load(ctx), f.writeFetches(ctx))
}
