package desk

import (
	"errors"
	"maps"

	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/store"
)

// Notice tells the owner of an account that something changed.
type Notice struct {
	Account  directory.Account
	Person   directory.Person
	To       []string // empty: where notices for the person go
	Template string   // words TEMPLATE.subject and TEMPLATE.body
	Facts    map[string]string
	Support  string
}

// Teller sends notices.
type Teller struct {
	Mail  *mail.Queue
	Words *lang.Words
}

// Tell queues a notice in the caller's transaction. Beside its own facts the
// message may use user, at and support. A person without an address is told
// nothing; an address that mail cannot be sent to is no reason to fail.
func (t Teller) Tell(tx *store.Tx, n Notice) error {
	to := n.To
	if len(to) == 0 {
		to = []string{n.Person.NoticeAddress()}
	}
	facts := map[string]string{
		"name": n.Person.Name.Full(t.lang(n.Person)), "user": n.Account.UserName,
		"at": t.Words.In(t.lang(n.Person)).Moment(tx.Now), "support": n.Support,
	}
	maps.Copy(facts, n.Facts)
	told := map[string]bool{"": true}
	for _, address := range to {
		if told[address] {
			continue
		}
		told[address] = true
		_, err := t.Mail.Enqueue(tx, mail.Message{
			To: address, Lang: t.lang(n.Person), Template: n.Template, Facts: facts, Account: n.Account.ID, Purpose: "notice",
		})
		if err != nil && !errors.Is(err, mail.ErrAddress) {
			return err
		}
	}
	return nil
}

func (t Teller) lang(p directory.Person) lang.Tag { return t.Words.In(p.Lang).Tag() }

// In speaks the language that a person reads mail in.
func (t Teller) In(p directory.Person) lang.Printer { return t.Words.In(p.Lang) }
