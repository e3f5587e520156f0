package saml

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"seimon/internal/store"
)

// RegisteredCommand is "seimon saml services".
type RegisteredCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run lists the registered services and how their metadata stays up to date.
func (c *RegisteredCommand) Run(env Env) error {
	db, f, err := env.SAML()
	if err != nil {
		return err
	}
	var list []Renewal
	err = db.Read(env.Context(), func(tx *store.Tx) error {
		list, err = f.Renewals(tx)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(env.Out())
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(list)
	}
	table := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tVALID UNTIL\tMETADATA FROM\tLAST LOOK\tFAULT")
	for _, n := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", n.Party, dayOr(n.Until), or(n.URL, "by hand"), dayOr(n.Checked), or(n.Fault, "-"))
	}
	return table.Flush()
}

func dayOr(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// RenewCommand is "seimon saml renew".
type RenewCommand struct {
	ID string `arg:"" help:"The service's entityID."`
}

// Run fetches the metadata of a service now.
func (c *RenewCommand) Run(env Env) error {
	_, f, err := env.SAML()
	if err != nil {
		return err
	}
	changed, fault, err := f.RenewOne(env.Context(), c.ID)
	switch {
	case err != nil:
		return err
	case fault != nil:
		return fmt.Errorf("%s stays as it was: %w", c.ID, fault)
	case len(changed) == 0:
		fmt.Fprintf(env.Out(), "%s is as it was.\n", c.ID)
	default:
		fmt.Fprintf(env.Out(), "%s is renewed: %s.\n", c.ID, strings.Join(changed, ", "))
	}
	return nil
}
