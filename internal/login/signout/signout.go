package signout

import (
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"slices"

	"seimon/internal/audit"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/login/page"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

//go:embed words
var words embed.FS

//go:embed templates
var templates embed.FS

// Words is what the pages around signing out say.
func Words() lang.Source { return lang.Source{Room: "login/signout", Files: words} }

// Sealer keeps the question behind a form from being changed.
type Sealer interface {
	Seal(context string, plain []byte) []byte
	Unseal(context string, sealed []byte) ([]byte, error)
}

// Rooms are the rooms that signing out needs.
type Rooms struct {
	DB       *store.DB
	Site     *web.Site
	Sessions *session.Keeper
	Parties  *rp.Book
	Audit    *audit.Log
	Ring     Sealer
	Hall     *login.Hall
}

// Farewell leads the browser on to services that can be told of the end of a session
// there alone.
type Farewell interface {
	// Farewell is asked in the transaction that ends the session, before the end. It
	// gives the path to go on with, or an empty one. asker is the service whose wish it
	// was, if any, and back is where to go in the end.
	Farewell(tx *store.Tx, session, asker, back string) (path string, err error)
}

// Teller is a front that may know how to tell a service of the end of a session without
// the person's browser.
type Teller interface {
	// CanTell tells whether it can for the service of a visit.
	CanTell(tx *store.Tx, v session.Visit) (bool, error)
}

// Exit ends sessions at the wish of people and services.
type Exit struct {
	farewell Farewell
	db       *store.DB
	site     *web.Site
	sessions *session.Keeper
	parties  *rp.Book
	audit    *audit.Log
	ring     Sealer
	hall     *login.Hall
}

// New mounts the pages around signing out.
func New(r Rooms) (*Exit, error) {
	x := &Exit{db: r.DB, site: r.Site, sessions: r.Sessions, parties: r.Parties, audit: r.Audit, ring: r.Ring, hall: r.Hall}
	pages, err := fs.Sub(templates, "templates")
	if err != nil {
		return nil, err
	}
	if err := x.site.Templates(pages); err != nil {
		return nil, err
	}
	x.site.Page("GET /signout", x.askSignOut)
	x.site.Page("POST /signout", x.doSignOut)
	return x, nil
}

// Lead names who leads the browser on after a sign-out. Call it before serving.
func (x *Exit) Lead(f Farewell) { x.farewell = f }

// SignOut ends the session at once when the service named it, and otherwise asks
// the person, so that no foreign page can sign somebody out unasked.
func (x *Exit) SignOut(w http.ResponseWriter, r *http.Request, a login.SignOutAsk) error {
	r = web.Prefer(r, a.Lang)
	current, err := x.hall.Current(r)
	if errors.Is(err, session.ErrNone) {
		return x.signedOut(w, r, a, visited{})
	}
	if err != nil {
		return err
	}
	if a.Session == current.ID {
		return x.endSession(w, r, a, current)
	}
	return x.confirmSignOut(w, r, a, current)
}

const sealSignOut = "signout:"

// signOutPage is the data of the pages around signing out.
type signOutPage struct {
	Ask     string
	Visited visited
}

// visited are the names of services that a session was used for: those that are told of
// its end without the browser, and the others.
type visited struct{ Told, Untold []string }

// All are both.
func (v visited) All() []string { return slices.Concat(v.Told, v.Untold) }

func (x *Exit) confirmSignOut(w http.ResponseWriter, r *http.Request, a login.SignOutAsk, current session.Session) error {
	raw, err := json.Marshal(a)
	if err != nil {
		return err
	}
	p := &signOutPage{
		Ask: base64.RawURLEncoding.EncodeToString(x.ring.Seal(sealSignOut+current.ID, raw)),
	}
	var party *web.Party
	err = x.db.Read(r.Context(), func(tx *store.Tx) error {
		p.Visited, err = x.visited(tx, r, current.ID)
		if err != nil || a.Party == "" {
			return err
		}
		asker, err := x.parties.Get(tx, a.Party)
		if err == nil {
			party = page.Badge(asker, web.Lang(r).Tag())
		}
		if errors.Is(err, rp.ErrNone) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return x.site.Render(w, r, web.View{
		Template: "signout.ask", Title: "signout.title", Data: p, Who: current.Subject.UserName,
		Party: party, FormAction: page.Origins(a.Return), Focus: true,
	})
}

// visited names the services that this session was used for.
func (x *Exit) visited(tx *store.Tx, r *http.Request, sid string) (visited, error) {
	visits, err := x.sessions.Visits(tx, sid)
	if err != nil {
		return visited{}, err
	}
	var out visited
	for _, v := range visits {
		p, err := x.parties.Get(tx, v.Party)
		if errors.Is(err, rp.ErrNone) {
			continue
		}
		if err != nil {
			return visited{}, err
		}
		can := false
		if t, ok := x.hall.Front(v.Front).(Teller); ok {
			if can, err = t.CanTell(tx, v); err != nil {
				return visited{}, err
			}
		}
		if name := p.Name(web.Lang(r).Tag()); can {
			out.Told = append(out.Told, name)
		} else {
			out.Untold = append(out.Untold, name)
		}
	}
	return out, nil
}

// askSignOut is the person's own wish to sign out (GET /signout).
func (x *Exit) askSignOut(w http.ResponseWriter, r *http.Request) error {
	return x.SignOut(w, r, login.SignOutAsk{})
}

// doSignOut is the person's yes. The form only fits the session it was made for.
func (x *Exit) doSignOut(w http.ResponseWriter, r *http.Request) error {
	current, err := x.hall.Current(r)
	if errors.Is(err, session.ErrNone) {
		return x.signedOut(w, r, login.SignOutAsk{}, visited{})
	}
	if err != nil {
		return err
	}
	var a login.SignOutAsk
	sealed, err := base64.RawURLEncoding.DecodeString(r.PostFormValue("ask"))
	if err == nil {
		var raw []byte
		if raw, err = x.ring.Unseal(sealSignOut+current.ID, sealed); err == nil {
			err = json.Unmarshal(raw, &a)
		}
	}
	if err != nil {
		return x.confirmSignOut(w, r, login.SignOutAsk{}, current)
	}
	return x.endSession(w, r, a, current)
}

func (x *Exit) endSession(w http.ResponseWriter, r *http.Request, a login.SignOutAsk, current session.Session) error {
	var used visited
	on := ""
	err := x.db.Write(r.Context(), func(tx *store.Tx) (err error) {
		if used, err = x.visited(tx, r, current.ID); err != nil {
			return err
		}
		if x.farewell != nil {
			if on, err = x.farewell.Farewell(tx, current.ID, a.Party, a.Return); err != nil {
				return err
			}
		}
		err = x.audit.Append(tx, audit.Event{
			Type: "session.ended", Account: current.Subject.Account, Actor: string(current.Subject.Account),
			Session: current.ID, Party: a.Party, Address: web.ClientOf(r).Addr.String(), Facts: map[string]string{"why": "signout"},
		})
		if err != nil {
			return err
		}
		return x.sessions.End(tx, current.ID, "signout")
	})
	if err != nil {
		return err
	}
	web.ClearCookie(w, login.SessionCookie)
	if on != "" {
		http.Redirect(w, r, on, http.StatusSeeOther)
		return nil
	}
	return x.signedOut(w, r, a, used)
}

func (x *Exit) signedOut(w http.ResponseWriter, r *http.Request, a login.SignOutAsk, used visited) error {
	if a.Return != "" {
		http.Redirect(w, r, a.Return, http.StatusSeeOther)
		return nil
	}
	return x.site.Render(w, r, web.View{
		Template: "signout.done", Title: "signout.done.title", Focus: true, Data: &signOutPage{Visited: used},
	})
}
