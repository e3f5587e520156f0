package portal

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"net/http"
	"time"

	"seimon/internal/desk"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web"
)

//go:embed schema words templates
var files embed.FS

// Schema is the tables of the room.
func Schema() store.Schema { return store.Schema{Room: "portal", Files: files} }

// Words is what the pages say.
func Words() lang.Source { return lang.Source{Room: "portal", Files: files} }

// name is the front, the protocol and the party of these pages.
const name = desk.Portal

// Rooms are what the portal arranges: the rooms of the hall it signs people in with.
type Rooms struct {
	Hall *login.Hall
	// Loop tells whether the mailbox of an address opens only through this very
	// sign-in; nil means that none does.
	Loop func(address string) bool
	// Enter gives the address at which a sign-in to a party begins that has no first
	// page of its own; empty when there is none. May be nil.
	Enter func(p rp.Party) string
}

// below are the rooms of the hall.
type below = login.Rooms

// Portal is the front of a person's own pages.
type Portal struct {
	below
	Rooms
	teller desk.Teller
	more   []place // what other desks put into the menu
	todo   []func(tx *store.Tx, v desk.Visit) ([]desk.Todo, error)
}

// New makes the portal; the hall mounts it.
func New(r Rooms) (*Portal, error) {
	if r.Loop == nil {
		r.Loop = func(string) bool { return false }
	}
	sub, err := fs.Sub(files, "templates")
	if err != nil {
		return nil, err
	}
	if err := r.Hall.Site.Templates(sub); err != nil {
		return nil, err
	}
	return &Portal{below: r.Hall.Rooms, Rooms: r, teller: desk.Teller{Mail: r.Hall.Mail, Words: r.Hall.Words}}, nil
}

// Name is "portal".
func (p *Portal) Name() string { return name }

// Mount adds every route of the portal.
func (p *Portal) Mount(site *web.Site) {
	site.Page("GET /portal", p.page((*guest).start))
	site.Page("GET /portal/services", p.page((*guest).find))
	site.Page("GET /portal/factors", p.page((*guest).factors))
	site.Page("GET /portal/add/{kind}", p.changing("/portal/add/{kind}", (*guest).setup))
	site.Page("POST /portal/add/{kind}", p.changing("/portal/add/{kind}", (*guest).setUp))
	site.Page("POST /portal/factors/{id}/name", p.form("/portal/factors", (*guest).rename))
	site.Page("GET /portal/factors/{id}/remove", p.changing("/portal/factors/{id}/remove", (*guest).removal))
	site.Page("POST /portal/factors/{id}/remove", p.changing("/portal/factors/{id}/remove", (*guest).remove))
	site.Page("POST /portal/factors/{id}/restore", p.changing("/portal/factors", (*guest).restore))
	site.Page("GET /portal/password", p.changing("/portal/password", (*guest).setup))
	site.Page("POST /portal/password", p.changing("/portal/password", (*guest).setUp))
	site.Page("GET /portal/mail/{use}", p.changing("/portal/mail/{use}", (*guest).address))
	site.Page("POST /portal/mail/{use}", p.changing("/portal/mail/{use}", (*guest).setAddress))
	site.Page("GET /portal/sessions", p.page((*guest).sessions))
	site.Page("POST /portal/sessions/{id}/end", p.form("/portal/sessions", (*guest).endSession))
	site.Page("POST /portal/sessions/end", p.form("/portal/sessions", (*guest).endOthers))
	site.Page("POST /portal/browsers/{id}/name", p.form("/portal/sessions", (*guest).renameBrowser))
	site.Page("POST /portal/browsers/{id}/remove", p.form("/portal/sessions", (*guest).removeBrowser))
	site.Page("GET /portal/history", p.page((*guest).history))
	site.Page("GET /portal/consents", p.page((*guest).consents))
	site.Page("POST /portal/consents/withdraw", p.form("/portal/consents", (*guest).withdraw))
	site.Page("GET /portal/settings", p.page((*guest).settings))
	site.Page("POST /portal/settings/language", p.form("/portal/settings", (*guest).setLanguage))
	site.Page("POST /portal/settings/notices", p.form("/portal/settings", (*guest).setNotices))
	site.Page("GET /portal/zone", p.page((*guest).zone))
	site.Page("GET /portal/test", p.page((*guest).test))
}

// Found puts the portal among the parties, unless it is there already.
func (p *Portal) Found(ctx context.Context) error {
	return p.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := p.Parties.Get(tx, name)
		if !errors.Is(err, rp.ErrNone) {
			return err
		}
		return p.Parties.Put(tx, rp.Party{
			ID: name, Protocol: name, Consent: rp.ConsentNone, HomeURL: p.home(),
			Names: map[lang.Tag]string{lang.JA: p.Words.In(lang.JA).T("portal.name"), lang.EN: p.Words.In(lang.EN).T("portal.name")},
		})
	})
}

// home is the address of the first page, when it is one that a party may have.
func (p *Portal) home() string {
	if at := p.Site.URL("/portal"); len(at) > 8 && at[:8] == "https://" {
		return at
	}
	return ""
}

// Check lets the portal be a party of its own protocol: nothing has to be registered.
func Check() rp.Check {
	return rp.Check{Protocol: name, Verify: func(p, _ *rp.Party) (map[string]string, error) {
		if p.ID != name {
			return nil, errors.New("only the portal itself speaks this protocol")
		}
		return nil, nil
	}}
}

// Sweep removes errands, codes and removals that are over; a job calls it.
func (p *Portal) Sweep(tx *store.Tx) error {
	now := store.Millis(tx.Now)
	for _, stmt := range []string{
		"DELETE FROM portal_errand WHERE expires_at < $1",
		"DELETE FROM portal_address WHERE expires_at < $1",
		"DELETE FROM portal_removal WHERE undo_until < $1",
	} {
		if _, err := tx.Exec(stmt, now); err != nil {
			return err
		}
	}
	return nil
}

// Start begins a sign-in that leads to the portal's first page, with the user name
// filled in: the way on for a page without sign-in.
func (p *Portal) Start(w http.ResponseWriter, r *http.Request, userName string) error {
	a := ask("/portal")
	a.Hint = userName
	return p.Hall.Begin(w, r, a)
}

// freshFor is how old a proof may be when a credential is changed.
const freshFor = 10 * time.Minute
