package app

import (
	"errors"
	"fmt"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/directory"
	"seimon/internal/store"
)

// authorityCommand is "seimon ca": our own issuers, and those of other houses.
type authorityCommand struct {
	ca.Command `embed:""`
	Trust      trust.Command `cmd:"" help:"Issuers of other houses whose certificates sign in here too."`
}

// Trusting is what the commands about issuers of other houses work with.
func (d *Desk) Trusting() (trust.Office, error) {
	h, err := d.House()
	if err != nil {
		return trust.Office{}, err
	}
	return trust.Office{
		DB: h.DB, Trust: h.Trust,
		User: func(tx *store.Tx, name string) (authn.AccountID, error) {
			a, _, err := h.People.ByUserName(tx, name)
			if errors.Is(err, directory.ErrNone) {
				return "", fmt.Errorf("there is no user %q", name)
			}
			return a.ID, err
		},
		Bind: houses{h}.bind,
		Name: func(tx *store.Tx, account authn.AccountID) (string, error) {
			a, _, err := h.People.ByID(tx, account)
			return a.UserName, err
		},
		Note: func(tx *store.Tx, event string, facts map[string]string) error {
			return h.Audit.Append(tx, audit.Event{Type: event, Actor: d.Actor(), Facts: facts})
		},
	}, nil
}
