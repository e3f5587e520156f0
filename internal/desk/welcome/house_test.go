package welcome_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/desk/portal"
	"seimon/internal/desk/welcome"
	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/mail"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

const fresh = "mizuumi-to-yama-no-asa-7"

type house struct {
	*logintest.House
	welcome *welcome.Welcome
}

func open(t *testing.T) *house {
	t.Helper()
	h := &house{House: logintest.New(t, []store.Schema{portal.Schema(), welcome.Schema()}, []lang.Source{desk.Words(), portal.Words(), welcome.Words()})}
	h.Must(desk.Templates(h.Site))
	p, err := portal.New(portal.Rooms{
		Hall: h.Hall,
	})
	h.Must(err)
	h.Must(h.Hall.Open(p))
	h.Must(p.Found(t.Context()))
	h.welcome, err = welcome.New(welcome.Rooms{
		Hall: h.Hall, Jobs: h.Jobs, Desk: "desk@example.ac.jp", SignIn: p.Start,
	})
	h.Must(err)
	h.Must(h.Site.Check())
	return h
}

func (h *house) browser() *webtest.Browser {
	b := webtest.New(h.T, logintest.Origin, h.Site.Handler())
	b.Address = logintest.Campus + ":40000"
	return b
}

// work runs the jobs that are due, and delivers the mail.
func (h *house) work() {
	h.T.Helper()
	_, err := h.Jobs.RunDue(h.T.Context())
	h.Must(err)
	h.Must(h.Mail.Deliver(h.T.Context()))
}

func (h *house) account(id authn.AccountID) (a directory.Account) {
	h.T.Helper()
	h.Read(func(tx *store.Tx) (err error) {
		a, _, err = h.People.ByID(tx, id)
		return err
	})
	return a
}

// recovery gives a person a verified address for a forgotten password.
func (h *house) recovery(a directory.Account, address string) {
	h.T.Helper()
	h.Write(func(tx *store.Tx) error {
		if err := h.People.SetMail(tx, a.Person, directory.UseRecovery, address); err != nil {
			return err
		}
		return h.People.VerifyMail(tx, a.Person, directory.UseRecovery, address)
	})
}

func (h *house) to(address string) []mail.Received { return h.Outbox.Messages(address) }

var links = regexp.MustCompile(`https://\S+/reset/\S+`)

// ask asks for a new password and gives the link that comes by mail, or "".
func (h *house) ask(user, address string) string {
	h.T.Helper()
	h.browser().Get("/reset").Submit("リンクを送る", "username", user).WantStatus(http.StatusOK).Want("メールを見てください")
	h.work()
	link := ""
	for _, m := range h.to(address) { // each round delivers one link
		if found := links.FindString(m.Text); found != "" {
			link = found
		}
	}
	return link
}

// enters tells whether a password opens the portal.
func (h *house) enters(user, password string) bool {
	h.T.Helper()
	b := h.browser().Get("/portal").Submit("次へ", "username", user).Submit("次へ", "password", password)
	return strings.HasPrefix(b.Location(), logintest.Origin+"/portal")
}

// pending adds an account that waits for its letter.
func (h *house) pending(user string) (a directory.Account) {
	h.T.Helper()
	h.Write(func(tx *store.Tx) (err error) {
		a, _, err = h.People.Add(tx, directory.Person{
			Name: directory.Names{Family: "佐藤", Given: "花子"}, Mail: user + "@example.ac.jp", MailVerified: tx.Now,
		}, directory.Account{UserName: user, Kind: "student", State: directory.Pending})
		return err
	})
	return a
}

func (h *house) letter(a directory.Account) (code string) {
	h.T.Helper()
	h.Write(func(tx *store.Tx) (err error) {
		code, err = h.People.NewActivation(tx, a.ID)
		return err
	})
	return code
}
