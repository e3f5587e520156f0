package certificates

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/desk"
	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/web"
)

//go:embed schema words templates
var files embed.FS

// Schema is the tables of the room.
func Schema() store.Schema { return store.Schema{Room: "certificates", Files: files} }

// Words is what the pages and mails say.
func Words() lang.Source { return lang.Source{Room: "certificates", Files: files} }

// Kind is the kind of factor that a certificate is.
const Kind authn.Kind = "clientcert"

// Profile is the profile of certificates that people order here.
const Profile = "person-device"

// home is the first page of the desk.
const home = "/portal/certificates"

// Lobby is the door that signed-in people come through; the portal is one.
type Lobby interface {
	Page(h func(desk.Visit) error) web.Handler
	Form(back string, h func(desk.Visit) error) web.Handler
	Changing(back string, h func(desk.Visit) error) web.Handler
	Show(v desk.Visit, view web.View) error
	Leave(v desk.Visit, to, word string) error
	JustDone(v desk.Visit) string
}

// Rooms are what the desk arranges beside the rooms below the hall.
type Rooms struct {
	Hall  *login.Hall
	CA    *ca.Authority
	Lobby Lobby
	// Holder says what may stand in the certificates of an account.
	Holder func(directory.Account, directory.Person) ca.Holder
	// Wifi is the wireless network that certificates open; its zero value is none.
	Wifi Wifi
	// Listed gives the number of the newest revocation list when it holds a revoked
	// certificate, and 0 while none does; may be nil.
	Listed func(tx *store.Tx, c ca.Certificate) (int64, error)
	// Answered tells whether the responder says of a certificate that it is revoked, and
	// for how long an answer that was given before may be believed; may be nil.
	Answered func(ctx context.Context, c ca.Certificate) (older time.Duration, revoked bool, err error)
}

// below are the rooms of the hall.
type below = login.Rooms

// Desk is the person's desk for certificates.
type Desk struct {
	below
	Rooms
	teller desk.Teller
}

// New mounts the pages.
func New(r Rooms) (*Desk, error) {
	sub, err := fs.Sub(files, "templates")
	if err != nil {
		return nil, err
	}
	if err := r.Hall.Site.Templates(sub); err != nil {
		return nil, err
	}
	if err := r.Wifi.check(); err != nil {
		return nil, err
	}
	d := &Desk{below: r.Hall.Rooms, Rooms: r, teller: desk.Teller{Mail: r.Hall.Mail, Words: r.Hall.Words}}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	d.mount()
	return d, nil
}

func (d *Desk) mount() {
	at, l := d.Site.Page, d.Lobby
	at("GET /portal/certificates", l.Page(d.list))
	at("GET /portal/certificates/new", l.Changing("/portal/certificates/new", d.wanted(d.ask)))
	at("POST /portal/certificates/new", l.Changing("/portal/certificates/new", d.wanted(d.answer)))
	at("GET /portal/certificates/{id}/renew", l.Changing("/portal/certificates/{id}/renew", d.wanted(d.ask)))
	at("POST /portal/certificates/{id}/renew", l.Changing("/portal/certificates/{id}/renew", d.wanted(d.answer)))
	at("POST /portal/certificates/order", l.Changing("/portal/certificates/new", d.order))
	at("GET /portal/certificates/log", l.Page(d.history))
	at("GET /portal/certificates/{id}/proof", l.Page(d.evidence))
	at("GET /portal/certificates/{id}", l.Page(d.one))
	at("GET /portal/certificates/{id}/file/{form}", l.Page(d.file))
	at("GET /portal/certificates/{id}/revoke", l.Changing("/portal/certificates/{id}/revoke", d.revocation))
	at("POST /portal/certificates/{id}/revoke", l.Changing("/portal/certificates/{id}/revoke", d.revoke))
	at("GET /help/certificates", d.guides)
	at("GET /help/certificates/{system}", d.guide)
	at("GET /help/wifi/{file}", d.wifi)
}

// view is what every page shows beside its own content.
type view struct {
	Done    string // what was just done, as a sentence
	Problem *diagnosis.Advice
}

// show renders a page in the portal's frame; room is the template and its words' prefix.
func (d *Desk) show(v desk.Visit, room string, data any) error {
	return d.Lobby.Show(v, web.View{Template: room, Title: room + ".title", Data: data})
}

// top is the part of a page that says what was just done.
func (d *Desk) top(v desk.Visit) view { return view{Done: d.Lobby.JustDone(v)} }

// wrong is the part of a page that says what went wrong.
func (d *Desk) wrong(v desk.Visit, f *authn.Fault) view {
	a := diagnosis.Advise(v.P(), f, diagnosis.Context{Proved: true, Now: d.DB.Now(), Facts: map[string]string{
		"address": web.ClientOf(v.R).Addr.String(), "user": v.Account.UserName,
	}})
	return view{Problem: &a}
}

// missing answers for a certificate that is not there, or not this person's: the two
// cannot be told apart.
func (d *Desk) missing(v desk.Visit) error {
	return d.Lobby.Show(v, web.View{Template: "certificates.missing", Title: "certificates.missing.title", Status: http.StatusNotFound})
}

// rules reads the document in force.
func (d *Desk) rules(v desk.Visit) (doc *policy.Document, err error) {
	err = d.DB.Read(v.R.Context(), func(tx *store.Tx) error {
		doc, _, err = d.Policy.Active(tx)
		return err
	})
	return doc, err
}

// allowed tells whether the rules let this person have a certificate made from here
// with what was just proved.
func (d *Desk) allowed(v desk.Visit, doc *policy.Document) error {
	if doc.Enrolment(policy.EnrolQuestion{Kind: Kind, Zone: v.Zone, Evidence: v.Session.Evidence, Now: d.DB.Now()}) {
		return nil
	}
	return authn.NewFault("C9.where")
}

// setting reads a number of the rules for certificates.
func devices(doc *policy.Document) int {
	return factor.Settings(doc.Settings(Kind)).Int("devices", 5)
}

// serverMade tells whether the university lets the server make keys.
func serverMade(doc *policy.Document) bool { return doc.Settings(Kind)["serverMade"] == "true" }

// soon is how long before its end a certificate can be renewed.
const soon = 30 * 24 * time.Hour
