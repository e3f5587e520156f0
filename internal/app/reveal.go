package app

import (
	"context"
	"errors"
	"os"
	"strings"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/front/saml"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// Reveals is what the commands about requests to know a person work with.
func (d *Desk) Reveals() (rp.RevealOffice, error) {
	h, err := d.House()
	if err != nil {
		return rp.RevealOffice{}, err
	}
	actor := d.Actor()
	if behind := os.Getenv("SUDO_USER"); behind != "" { // two people who both became root are two people
		actor += " (" + behind + ")"
	}
	return rp.RevealOffice{
		DB: h.DB, Book: h.Parties, Actor: actor,
		Who: func(ctx context.Context, p rp.Party, identifier string) (authn.AccountID, string, bool, error) {
			return h.whoIs(ctx, p, identifier, d.progress("accounts"))
		},
		Note: func(tx *store.Tx, event string, r rp.Reveal, account authn.AccountID) error {
			return h.Audit.Append(tx, audit.Event{Type: event, Account: account, Actor: actor, Party: r.Party, Facts: map[string]string{
				"request": r.ID, "reason": r.Reason, "asked_by": r.AskedBy, "decided_by": r.DecidedBy,
			}})
		},
	}, nil
}

// whoIs finds the account that a service knows by an identifier: among the stored
// names, else by making those of every account anew.
func (h *House) whoIs(ctx context.Context, p rp.Party, identifier string, progress func(done, total int64)) (id authn.AccountID, name string, ok bool, err error) {
	identifier = identifier[strings.LastIndexByte(identifier, '!')+1:] // idp!sp!name
	var total int64
	err = h.DB.Read(ctx, func(tx *store.Tx) error {
		if id, ok, err = saml.StoredHolder(tx, p.ID, identifier); err != nil || !ok {
			n, err2 := h.People.Count(tx)
			total = int64(n)
			return errors.Join(err, err2)
		}
		a, _, err := h.People.ByID(tx, id)
		name = a.UserName
		return err
	})
	if err != nil || ok {
		return id, name, ok, err
	}
	after := ""
	for done := int64(0); ; {
		var page []directory.Entry
		err := h.DB.Read(ctx, func(tx *store.Tx) (err error) {
			if page, err = h.People.List(tx, directory.Filter{After: after, Limit: 1000}); err != nil {
				return err
			}
			for _, e := range page {
				if ok, err = h.knownBy(tx, p, e, identifier); err != nil || ok {
					id, name = e.Account.ID, e.Account.UserName
					return err
				}
			}
			return nil
		})
		if err != nil || ok || len(page) == 0 {
			return id, name, ok, err
		}
		after = page[len(page)-1].Account.UserName
		if done += int64(len(page)); progress != nil {
			progress(done, max(total, done))
		}
	}
}

func (h *House) knownBy(tx *store.Tx, p rp.Party, e directory.Entry, identifier string) (bool, error) {
	if p.Protocol == saml.Name {
		return h.samlFront().KnownBy(tx, p, e.Account.ID, h.People.Attributes(e.Account, e.Person), identifier)
	}
	return h.Parties.SubjectFor(p, e.Account.ID) == identifier, nil
}
