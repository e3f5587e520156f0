package app

import (
	"errors"
	"fmt"
	"os"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/front/saml/shibboleth"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// TakeOver imports what another provider keeps.
func (d *Desk) TakeOver(t rp.TakeOver) error {
	h, err := d.House()
	if err != nil {
		return err
	}
	if t.From != "shibboleth" {
		return fmt.Errorf("nothing is known of %s", t.From)
	}
	folder, err := os.OpenRoot(t.Folder) // nothing outside of the folder is read
	if err != nil {
		return err
	}
	defer folder.Close()
	report, err := shibboleth.Office{
		DB: h.DB, Book: h.Parties, Feeds: h.Feeds, Files: folder.FS(), Open: d.Open, Create: d.Create, Note: d.Record,
		Person: func(tx *store.Tx, name string) (authn.AccountID, map[string][]string, bool, error) {
			a, p, err := h.People.ByUserName(tx, name)
			if errors.Is(err, directory.ErrNone) {
				return "", nil, false, nil
			}
			return a.ID, h.People.Attributes(a, p), err == nil, err
		},
	}.Run(d.ctx, t)
	if err != nil {
		return err
	}
	if t.JSON {
		return report.JSON(d.Out())
	}
	report.Print(d.Out())
	return nil
}
