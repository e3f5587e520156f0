package logintest

import (
	"net"
	"strings"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/mail"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

// Must ends the test with an error.
func (h *House) Must(err error) {
	h.T.Helper()
	h.must(err)
}

// Read runs fn in a transaction that must succeed.
func (h *House) Read(fn func(tx *store.Tx) error) {
	h.T.Helper()
	h.must(h.DB.Read(h.T.Context(), fn))
}

// At opens a browser at an address.
func (h *House) At(address string) *webtest.Browser {
	b := webtest.New(h.T, Origin, h.Site.Handler())
	b.Address = net.JoinHostPort(address, "40000")
	return b
}

// Prove answers the name and the password, whichever is asked.
func (h *House) Prove(b *webtest.Browser, user string) {
	h.T.Helper()
	if !Asks(b, "password") {
		b.Submit("次へ", "username", user)
	}
	b.Submit("次へ", "password", Password)
}

// Asks tells whether the page has a field.
func Asks(b *webtest.Browser, field string) bool {
	for _, in := range b.Page().All("input") {
		if in.Attr["name"] == field {
			return true
		}
	}
	return false
}

// PersonOf reads the person of an account.
func (h *House) PersonOf(a directory.Account) (p directory.Person) {
	h.T.Helper()
	h.Read(func(tx *store.Tx) (err error) {
		_, p, err = h.People.ByID(tx, a.ID)
		return err
	})
	return p
}

// Events reads the record of an account, "" for everybody's, by the beginning of the type.
func (h *House) Events(account authn.AccountID, kind string) (out []audit.Event) {
	h.T.Helper()
	h.Read(func(tx *store.Tx) (err error) {
		out, err = h.Audit.Find(tx, audit.Query{Account: account, TypePrefix: kind})
		return err
	})
	return out
}

// SessionsOf reads the sessions of an account.
func (h *House) SessionsOf(account authn.AccountID) (out []session.Session) {
	h.T.Helper()
	h.Read(func(tx *store.Tx) (err error) {
		out, err = h.Sessions.Of(tx, account)
		return err
	})
	return out
}

// Mails delivers what waits and gives the messages to an address whose subject begins so.
func (h *House) Mails(to, subject string) (out []mail.Received) {
	h.T.Helper()
	h.must(h.Mail.Deliver(h.T.Context()))
	for _, m := range h.Outbox.Messages(to) {
		if strings.HasPrefix(m.Subject, subject) {
			out = append(out, m)
		}
	}
	return out
}
