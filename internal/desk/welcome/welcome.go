package welcome

import (
	"embed"
	"io/fs"
	"net/http"
	"time"

	"seimon/internal/desk"
	"seimon/internal/jobs"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/store"
)

//go:embed schema words templates
var files embed.FS

// Schema is the table of links for forgotten passwords.
func Schema() store.Schema { return store.Schema{Room: "welcome", Files: files} }

// Words is what the pages say.
func Words() lang.Source { return lang.Source{Room: "welcome", Files: files} }

// Rooms are what these pages need beside the rooms of the hall.
type Rooms struct {
	Hall *login.Hall
	Jobs *jobs.Board
	// Desk is the mail address of the help desk; without one there is no inquiry form.
	Desk string
	// SignIn begins a sign-in with a user name filled in.
	SignIn func(w http.ResponseWriter, r *http.Request, userName string) error
}

// below are the rooms of the hall.
type below = login.Rooms

// Welcome is the desk for people who are not signed in.
type Welcome struct {
	below
	Rooms
	teller desk.Teller
}

// New mounts the pages and takes over the work that they leave behind.
func New(r Rooms) (*Welcome, error) {
	x := &Welcome{below: r.Hall.Rooms, Rooms: r, teller: desk.Teller{Mail: r.Hall.Mail, Words: r.Hall.Words}}
	sub, err := fs.Sub(files, "templates")
	if err != nil {
		return nil, err
	}
	if err := x.Site.Templates(sub); err != nil {
		return nil, err
	}
	x.Jobs.Handle(resetTask, x.resetMail)
	x.mount()
	return x, nil
}

func (x *Welcome) mount() {
	x.Site.Page("GET /{$}", x.first)
	x.Site.Page("POST /start", x.start)
	x.Site.Page("GET /activate", x.activation)
	x.Site.Page("POST /activate", x.activate)
	x.Site.Page("GET /reset", x.forgotten)
	x.Site.Page("POST /reset", x.forgot)
	x.Site.Page("GET /reset/{token}", x.link)
	x.Site.Page("POST /reset/{token}", x.renew)
	x.Site.Page("GET /help", x.help)
	x.Site.Page("GET /help/{topic}", x.topic)
	x.Site.Page("GET /help/zone", x.zone)
	x.Site.Page("GET /help/lost-phone", x.lostPhone)
	x.Site.Page("GET /help/inquiry", x.inquiry)
	x.Site.Page("POST /help/inquiry", x.inquire)
}

// start goes on to a sign-in with the user name filled in.
func (x *Welcome) start(w http.ResponseWriter, r *http.Request) error {
	return x.SignIn(w, r, r.PostFormValue("user"))
}

// Sweep removes links that are long over; a job calls it.
func (x *Welcome) Sweep(tx *store.Tx) error {
	_, err := tx.Exec("DELETE FROM welcome_reset WHERE expires_at < $1", store.Millis(tx.Now.Add(-24*time.Hour)))
	return err
}
