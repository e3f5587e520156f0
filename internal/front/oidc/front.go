package oidc

import (
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/directory"
	"seimon/internal/keyring"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/login/refused"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Name is the front's name in parties, transactions and visits.
const Name = "oidc"

//go:embed schema
var schema embed.FS

//go:embed words
var words embed.FS

//go:embed templates
var templates embed.FS

// Schema is the front's tables.
func Schema() store.Schema { return store.Schema{Room: Name, Files: schema} }

// Words is what the front says to people.
func Words() lang.Source { return lang.Source{Room: "front/oidc", Files: words} }

// Hall signs people in.
type Hall interface {
	Begin(w http.ResponseWriter, r *http.Request, a login.Ask) error
	// Current gives the browser's live session or session.ErrNone.
	Current(r *http.Request) (session.Session, error)
}

// Exit signs people out.
type Exit interface {
	SignOut(w http.ResponseWriter, r *http.Request, a login.SignOutAsk) error
}

// Rooms are the rooms that the front works with.
type Rooms struct {
	DB       *store.DB
	Hall     Hall
	Exit     Exit
	Parties  *rp.Book
	People   *directory.Directory
	Sessions *session.Keeper
	Ring     *keyring.Ring
	Audit    *audit.Log
	Words    *lang.Words
	// Client carries sign-outs to services. It should have a time-out; redirects
	// are never followed.
	Client *http.Client
	Log    *slog.Logger
	Lives  Lives
}

// Lives are how long what the front gives out is good for. Zero means the default.
type Lives struct {
	Code    time.Duration // 1 minute: RFC 9700 2.1.1, ASVS 5.0 10.4.3
	Access  time.Duration // 10 minutes
	IDToken time.Duration // 10 minutes
	Refresh time.Duration // 30 days without use
	Grant   time.Duration // 180 days in all
	Pushed  time.Duration // 90 seconds: RFC 9126 2.2
}

func (l Lives) withDefaults() Lives {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&l.Code, time.Minute}, {&l.Access, 10 * time.Minute}, {&l.IDToken, 10 * time.Minute},
		{&l.Refresh, 30 * 24 * time.Hour}, {&l.Grant, 180 * 24 * time.Hour}, {&l.Pushed, 90 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	return l
}

// Front answers OpenID Connect and OAuth requests.
type Front struct {
	Rooms
	site     *web.Site
	issuer   string
	clients  clients
	signers  signers
	skews    skews
	refusals refused.Record
	known    []byte // the discovery document
}

// New makes the front; Mount adds its routes.
func New(r Rooms) *Front {
	r.Lives = r.Lives.withDefaults()
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	if r.Client == nil {
		r.Client = &http.Client{Timeout: 10 * time.Second}
	}
	return &Front{Rooms: r, refusals: refused.Record{Front: Name, DB: r.DB, Audit: r.Audit, Log: r.Log}}
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
	pathDiscovery  = "/.well-known/openid-configuration"
	pathMetadata   = "/.well-known/oauth-authorization-server"
	pathKeys       = "/oidc/jwks"
	pathAuthorize  = "/oidc/authorize"
	pathPushed     = "/oidc/par"
	pathToken      = "/oidc/token"
	pathUserInfo   = "/oidc/userinfo"
	pathIntrospect = "/oidc/introspect"
	pathRevoke     = "/oidc/revoke"
	pathLogout     = "/oidc/logout"
)

// Mount adds the front's routes to the site.
func (f *Front) Mount(site *web.Site) {
	f.site = site
	f.issuer = strings.TrimSuffix(site.URL("/"), "/")
	f.known = f.describe()

	site.Machine("GET "+pathDiscovery, f.discovery)
	site.Machine("GET "+pathMetadata, f.discovery)
	site.Machine("GET "+pathKeys, f.keys)

	site.Door("GET "+pathAuthorize, f.refusals.Explained(f.authorize))
	site.Door("POST "+pathAuthorize, f.refusals.Explained(f.bringBack(pathAuthorize)))
	site.Door("GET "+pathLogout, f.refusals.Explained(f.logout))
	site.Door("POST "+pathLogout, f.refusals.Explained(f.bringBack(pathLogout)))

	site.Machine("POST "+pathPushed, f.push)
	site.Machine("POST "+pathToken, f.token)
	site.Machine("GET "+pathUserInfo, f.userInfo)
	site.Machine("POST "+pathUserInfo, f.userInfo)
	site.Machine("POST "+pathIntrospect, f.introspect)
	site.Machine("POST "+pathRevoke, f.revoke)
	for _, path := range []string{pathToken, pathUserInfo, pathRevoke, pathPushed} {
		site.Machine("OPTIONS "+path, preflight)
	}
}
