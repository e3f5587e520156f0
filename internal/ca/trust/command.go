package trust

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Office is what the commands work with.
type Office struct {
	DB    *store.DB
	Trust *Trust
	// User finds the account of a user name.
	User func(tx *store.Tx, name string) (authn.AccountID, error)
	// Bind lets the person to whom a certificate leads be asked for it from now on.
	Bind func(tx *store.Tx, c *x509.Certificate) error
	// Name gives the user name of an account.
	Name func(tx *store.Tx, account authn.AccountID) (string, error)
	// Note writes an audit event.
	Note func(tx *store.Tx, event string, facts map[string]string) error
}

// Env is what the building gives to the commands.
type Env interface {
	Context() context.Context
	Trusting() (Office, error)
	// Open opens a named file, or standard input for "-".
	Open(name string) (io.ReadCloser, error)
	Out() io.Writer
}

// Command is "seimon ca trust" with its verbs.
type Command struct {
	List    ListCommand    `cmd:"" help:"List issuers of other houses."`
	Add     AddCommand     `cmd:"" help:"Add an issuer of another house, switched off."`
	Pin     PinCommand     `cmd:"" help:"Bind one certificate to an account by hand."`
	Check   CheckCommand   `cmd:"" help:"Try the rules against every known account and certificate."`
	Enable  EnableCommand  `cmd:"" help:"Switch an issuer on, after a check without conflicts."`
	Disable DisableCommand `cmd:"" help:"Switch an issuer off."`
	Remove  RemoveCommand  `cmd:"" help:"Forget an issuer with its pins and lists."`
}

// ListCommand is "seimon ca trust list".
type ListCommand struct {
	JSON bool `help:"Print JSON."`
}

// listed is an anchor for programs.
type listed struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
	Rules   Rules  `json:"rules"`
	Checked Report `json:"checked"`
	Lists   []List `json:"fetched,omitempty"`
}

// Run prints the anchors.
func (c *ListCommand) Run(env Env) error {
	o, err := env.Trusting()
	if err != nil {
		return err
	}
	out := []listed{}
	err = o.DB.Read(env.Context(), func(tx *store.Tx) error {
		out = out[:0]
		anchors, err := o.Trust.Anchors(tx)
		if err != nil {
			return err
		}
		lists, err := o.Trust.Lists(tx)
		for _, a := range anchors {
			one := listed{ID: a.ID, Name: a.Name, Enabled: a.Enabled, Rules: a.Rules, Checked: a.Checked}
			for _, l := range lists {
				if l.Anchor == a.ID {
					one.Lists = append(one.Lists, l)
				}
			}
			out = append(out, one)
		}
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), out)
	}
	table := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSTATE\tRULES\tREVOCATION\tNAME")
	for _, a := range out {
		state := "off"
		if a.Enabled {
			state = "on"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", a.ID, state, a.Rules, a.revocation(), a.Name)
	}
	return table.Flush()
}

// String writes the mapping as it is given on the command line.
func (r Rules) String() string {
	var out []string
	for _, m := range r.Map {
		text := m.Kind
		if m.Domain != "" {
			text += "=" + m.Domain
		}
		out = append(out, text)
	}
	return strings.Join(out, ",")
}

func (a listed) revocation() string {
	if a.Rules.Status == StatusNone {
		return "none"
	}
	var until time.Time // the earliest end
	for _, l := range a.Lists {
		if l.Fault != "" {
			return "fault: " + l.Fault
		}
		if until.IsZero() || l.NextUpdate.Before(until) {
			until = l.NextUpdate
		}
	}
	if until.IsZero() {
		return "no list yet"
	}
	return "list until " + until.UTC().Format(time.RFC3339)
}

// AddCommand is "seimon ca trust add".
type AddCommand struct {
	File     string        `arg:"" help:"Certificates in PEM: the issuer that is trusted, then issuers below it; - for standard input."`
	Name     string        `help:"Name for people; the issuer's own by default."`
	Rule     []string      `help:"How a certificate leads to an account: serial, ski, mail=DOMAIN, upn=DOMAIN; may be repeated." required:""`
	Crl      []string      `name:"crl" help:"Address of a revocation list; may be repeated." placeholder:"URL"`
	NoCrl    bool          `name:"no-crl" help:"The issuer has no revocation lists, and the university accepts that."`
	Stale    time.Duration `help:"How long a list still counts after its end, such as 24h." default:"0"`
	Policy   []string      `help:"Policy that must stand in a certificate; may be repeated." placeholder:"OID"`
	Hardware []string      `help:"Policy that says that the key is in hardware; may be repeated." placeholder:"OID"`
}

func (c *AddCommand) rules() Rules {
	r := Rules{Lists: c.Crl, Status: StatusRequired, Stale: int64(c.Stale / time.Second), Policies: c.Policy, Hardware: c.Hardware}
	if c.NoCrl {
		r.Status = StatusNone
	}
	for _, text := range c.Rule {
		kind, domain, _ := strings.Cut(text, "=")
		r.Map = append(r.Map, Rule{Kind: kind, Domain: domain})
	}
	return r
}

// Run stores the anchor.
func (c *AddCommand) Run(env Env) error {
	o, err := env.Trusting()
	if err != nil {
		return err
	}
	text, err := readAll(env, c.File)
	if err != nil {
		return err
	}
	a, err := NewAnchor(c.Name, text, c.rules())
	if err != nil {
		return err
	}
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		if err := o.Trust.Add(tx, a); err != nil {
			return err
		}
		return o.Note(tx, "trust.added", map[string]string{"anchor": a.ID, "name": a.Name, "rules": a.Rules.String()})
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Out(), "%s (%s) is added and switched off. Next: seimon ca trust check %s\n", a.Name, a.ID, a.ID)
	return nil
}

func readAll(env Env, name string) ([]byte, error) {
	f, err := env.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 16<<20))
}

// Chosen is the anchor that a command is about.
type Chosen struct {
	ID string `arg:"" help:"Name or id of the issuer (seimon ca trust list)."`
}

// find turns a name into the id.
func (c *Chosen) find(tx *store.Tx, t *Trust) error {
	all, err := t.Anchors(tx)
	if err != nil {
		return err
	}
	var found []string
	for _, a := range all {
		if a.ID == c.ID {
			return nil
		}
		if a.Name == c.ID {
			found = append(found, a.ID)
		}
	}
	switch len(found) {
	case 0:
		return ErrNone
	case 1:
		c.ID = found[0]
		return nil
	}
	return fmt.Errorf("several issuers are called %q: give the id (seimon ca trust list)", c.ID)
}

// PinCommand is "seimon ca trust pin".
type PinCommand struct {
	Chosen `embed:""`
	File   string `arg:"" help:"The certificate in PEM."`
	User   string `arg:"" help:"User name of the account."`
	By     string `help:"What is pinned: ${enum}." enum:"serial,ski" default:"serial"`
}

// Run binds the certificate.
func (c *PinCommand) Run(env Env) error {
	o, err := env.Trusting()
	if err != nil {
		return err
	}
	certs, err := certificates(env, c.File)
	if err != nil {
		return err
	}
	if len(certs) != 1 {
		return errors.New("the file must hold one certificate")
	}
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		if err := c.find(tx, o.Trust); err != nil {
			return err
		}
		account, err := o.User(tx, c.User)
		if err != nil {
			return err
		}
		if err := o.Trust.Pin(tx, c.ID, c.By, certs[0], account); err != nil {
			return err
		}
		if err := errors.Join(o.Trust.Seen(tx, c.ID, certs[0], account), o.Bind(tx, certs[0])); err != nil {
			return err
		}
		return o.Note(tx, "trust.pinned", map[string]string{"anchor": c.ID, "user": c.User, "by": c.By, "value": pinValue(c.By, certs[0])})
	})
	if err != nil {
		return named(err, c.ID)
	}
	fmt.Fprintf(env.Out(), "%s %s leads to %s.\n", read(certs[0]).Name, read(certs[0]).Tail, c.User)
	return nil
}

func certificates(env Env, name string) ([]*x509.Certificate, error) {
	text, err := readAll(env, name)
	if err != nil {
		return nil, err
	}
	return readPEM(text)
}

// CheckCommand is "seimon ca trust check".
type CheckCommand struct {
	Chosen       `embed:""`
	Certificates string `help:"Certificates of the issuer in PEM, to be tried and remembered." placeholder:"FILE"`
	JSON         bool   `help:"Print JSON."`
}

// Run tries the rules and prints the report.
func (c *CheckCommand) Run(env Env) error {
	o, err := env.Trusting()
	if err != nil {
		return err
	}
	var given []*x509.Certificate
	if c.Certificates != "" {
		if given, err = certificates(env, c.Certificates); err != nil {
			return err
		}
	}
	var r Report
	var leads []string
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		if err := c.find(tx, o.Trust); err != nil {
			return err
		}
		if r, err = o.Trust.Try(tx, c.ID, given); err != nil {
			return err
		}
		if leads, err = o.leads(tx, c.ID, given); err != nil {
			return err
		}
		return o.Note(tx, "trust.checked", map[string]string{"anchor": c.ID, "conflicts": fmt.Sprint(len(r.Conflicts) + r.More)})
	})
	if err != nil {
		return named(err, c.ID)
	}
	if c.JSON {
		return printJSON(env.Out(), r)
	}
	w := env.Out()
	for _, line := range leads {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "Accounts tried: %d. Certificates tried: %d, of which %d lead to an account.\n", r.Accounts, r.Certificates, r.Mapped)
	for _, k := range r.Conflicts {
		fmt.Fprintf(w, "conflict: %s %s\n", k.What, k.Detail)
	}
	switch {
	case r.More > 0:
		fmt.Fprintf(w, "and %d more conflicts\n", r.More)
	case len(r.Conflicts) == 0:
		fmt.Fprintf(w, "No conflicts. Next: seimon ca trust enable %s\n", c.ID)
	}
	return nil
}

// leads says of each given certificate whose it would be.
func (o Office) leads(tx *store.Tx, anchor string, given []*x509.Certificate) (out []string, err error) {
	nobody := false
	for _, c := range given {
		account, err := o.Trust.Leads(tx, anchor, c)
		whose := "nobody"
		if err == nil && account != "" {
			whose, err = o.Name(tx, account)
		}
		if err != nil {
			return nil, err
		}
		nobody = nobody || account == ""
		out = append(out, fmt.Sprintf("%s %s leads to %s.", read(c).Name, read(c).Tail, whose))
	}
	if nobody {
		out = append(out, "An address in a certificate counts once its person has proved to own it.")
	}
	return out, nil
}

// EnableCommand is "seimon ca trust enable".
type EnableCommand struct {
	Chosen `embed:""`
}

// Run switches the anchor on.
func (c *EnableCommand) Run(env Env) error {
	err := change(env, &c.Chosen, "trust.enabled", func(o Office, tx *store.Tx) error {
		if err := o.Trust.Switch(tx, c.ID, true); err != nil {
			return err
		}
		known, err := o.Trust.known(tx, c.ID)
		for _, k := range known {
			if err == nil {
				err = o.Bind(tx, k.certificate)
			}
		}
		return err
	})
	if errors.Is(err, ErrUntried) {
		return fmt.Errorf("there was no check with the present rules, or it found conflicts: seimon ca trust check %s", c.ID)
	}
	if err == nil {
		fmt.Fprintf(env.Out(), "%s is switched on.\n", c.ID)
	}
	return err
}

// DisableCommand is "seimon ca trust disable".
type DisableCommand struct {
	Chosen `embed:""`
}

// Run switches the anchor off.
func (c *DisableCommand) Run(env Env) error {
	err := change(env, &c.Chosen, "trust.disabled", func(o Office, tx *store.Tx) error { return o.Trust.Switch(tx, c.ID, false) })
	if err == nil {
		fmt.Fprintf(env.Out(), "%s is switched off.\n", c.ID)
	}
	return err
}

// RemoveCommand is "seimon ca trust remove".
type RemoveCommand struct {
	Chosen `embed:""`
}

// Run forgets the anchor.
func (c *RemoveCommand) Run(env Env) error {
	err := change(env, &c.Chosen, "trust.removed", func(o Office, tx *store.Tx) error { return o.Trust.Remove(tx, c.ID) })
	if err == nil {
		fmt.Fprintf(env.Out(), "%s is removed.\n", c.ID)
	}
	return err
}

func change(env Env, c *Chosen, event string, fn func(o Office, tx *store.Tx) error) error {
	o, err := env.Trusting()
	if err != nil {
		return err
	}
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		if err := c.find(tx, o.Trust); err != nil {
			return err
		}
		if err := fn(o, tx); err != nil {
			return err
		}
		return o.Note(tx, event, map[string]string{"anchor": c.ID})
	})
	return named(err, c.ID)
}

func named(err error, id string) error {
	if errors.Is(err, ErrNone) {
		return fmt.Errorf("there is no trusted issuer %q (seimon ca trust list)", id)
	}
	return err
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
