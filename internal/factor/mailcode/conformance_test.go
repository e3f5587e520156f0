package mailcode_test

import (
	"strings"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/factor/factortest"
	"seimon/internal/factor/mailcode"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/store"
)

func TestConformance(t *testing.T) {
	factortest.Run(t, factortest.Harness{
		Kind:   "mailcode",
		Traits: authn.Traits{SingleUse: true},
		Words:  mailcode.Words(), Templates: mailcode.Templates(),
		More:    []lang.Source{mail.Words()},
		Schemas: []store.Schema{mail.Schema(), mailcode.Schema()},
		Tables:  []string{"mailcode_code", "mail_message"},
		Open:    subject,
	})
}

func subject(h factortest.House) factortest.Subject {
	box := &mail.Memory{}
	queue, err := mail.New(h.DB, h.Words, h.Ring, mail.Config{From: "gate@example.ac.jp", Transport: box})
	if err != nil {
		h.T.Fatal(err)
	}
	f := mailcode.New(mailcode.Config{Behind: []string{"example.ac.jp"}}, h.Bindings, queue, h.Ring)
	address := func(account authn.AccountID) string { return string(account) + "@example.net" }
	var last string
	read := func(to string) string {
		if err := queue.Deliver(h.T.Context()); err != nil {
			h.T.Fatal(err)
		}
		all := box.Messages(to)
		found := eight.FindStringSubmatch(all[len(all)-1].Text)
		last = strings.ReplaceAll(found[1], " ", "")
		return last
	}
	return factortest.Subject{
		Factor: f,
		Give: func(account authn.AccountID) {
			row, err := f.Prepare(account, address(account))
			if err != nil {
				h.T.Fatal(err)
			}
			if err := h.DB.Write(h.T.Context(), func(tx *store.Tx) error {
				_, err := h.Bindings.Add(tx, row)
				return err
			}); err != nil {
				h.T.Fatal(err)
			}
		},
		Right: func(a factor.Attempt) factor.Answer { return typed("code", read(address(a.Subject.Account))) },
		Wrong: func(a factor.Attempt) factor.Answer {
			right := read(address(a.Subject.Account))
			return typed("code", strings.Map(func(r rune) rune { return '0' + (r-'0'+5)%10 }, right))
		},
		Secrets: func() []string { return []string{last, last[:4] + " " + last[4:], address(factortest.Owner)} },
		Enrol: func(_ factor.Attempt, shown factor.Prompt) factor.Answer {
			if shown.Template == "mailcode.address" {
				return typed("address", "new@example.net")
			}
			return typed("code", read("new@example.net"))
		},
	}
}
