package main

import (
	"context"
	"fmt"
	"time"

	"seimon/internal/app"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/store"
	"seimon/test/campus"
)

// kind is one way in which a user name can be more or less real.
type kind struct {
	name    string
	arrange func(tx *store.Tx, h *app.House, a directory.Account, p directory.Person) error // nil: leave as it is
}

// perKind is how many names there are of each kind.
const perKind = 200

// unknown names exist nowhere; the others are kinds of accounts.
const unknown = "unknown"

func kinds() []kind {
	return []kind{
		{"active", nil},
		{"suspended", func(tx *store.Tx, h *app.House, a directory.Account, _ directory.Person) error {
			return h.People.SetState(tx, a.ID, directory.Suspended, "left", "test")
		}},
		{"expired", func(tx *store.Tx, h *app.House, a directory.Account, p directory.Person) error {
			a.ValidUntil = tx.Now.Add(-time.Hour)
			return h.People.Update(tx, a, p)
		}},
		{"not activated", func(tx *store.Tx, h *app.House, a directory.Account, _ directory.Person) error {
			return h.People.SetState(tx, a.ID, directory.Pending, "new", "test")
		}},
		{"without a password", func(tx *store.Tx, h *app.House, a directory.Account, _ directory.Person) error {
			bindings, err := h.Bindings.Of(tx, a.ID)
			return each(bindings, err, func(b factor.Binding) error { return h.Bindings.Remove(tx, b.ID) })
		}},
	}
}

func each(bindings []factor.Binding, err error, do func(factor.Binding) error) error {
	for _, b := range bindings {
		if err == nil {
			err = do(b)
		}
	}
	return err
}

// names lists all kinds of names, the existing ones first.
func names() []string {
	var out []string
	for _, k := range kinds() {
		out = append(out, k.name)
	}
	return append(out, unknown)
}

// user is the n-th name of a kind. All have the same form.
func user(kind string, n int) string {
	for i, k := range kinds() {
		if k.name == kind {
			return campus.UserName(i*perKind + n%perKind)
		}
	}
	return fmt.Sprintf("q%07d", n%perKind)
}

// arrange makes the accounts what their kind says.
func (a *attack) arrange(ctx context.Context) error {
	h, err := a.campus.Open(ctx)
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // everything was committed
	return h.DB.Write(ctx, func(tx *store.Tx) error {
		for _, k := range kinds() {
			for n := range perKind {
				account, person, err := h.People.ByUserName(tx, user(k.name, n))
				if err == nil && k.arrange != nil {
					err = k.arrange(tx, h, account, person)
				}
				if err != nil {
					return fmt.Errorf("%s: %w", k.name, err)
				}
			}
		}
		return nil
	})
}
