package ca

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// CertCommand is "seimon cert" with its verbs.
type CertCommand struct {
	List    CertList    `cmd:"" help:"List certificates."`
	Show    CertShow    `cmd:"" help:"Show one certificate."`
	Issue   CertIssue   `cmd:"" help:"Issue a certificate for a request (PKCS#10) of somebody's device."`
	Revoke  CertRevoke  `cmd:"" help:"Take a certificate out of use."`
	Restore CertRestore `cmd:"" help:"End a hold."`
	Log     LogCommand  `cmd:"" help:"The record of everything issued, which nobody can change unseen."`
}

// certView is a certificate for programs.
type certView struct {
	ID         string     `json:"id"`
	User       string     `json:"user,omitempty"`
	Account    string     `json:"account"`
	Name       string     `json:"name"`
	Label      string     `json:"label,omitempty"`
	Device     string     `json:"device,omitempty"`
	Mail       string     `json:"mail,omitempty"`
	UPN        string     `json:"upn,omitempty"`
	Profile    string     `json:"profile"`
	Issuer     string     `json:"issuer"`
	Serial     string     `json:"serial"`
	Shard      int        `json:"shard"`
	NotBefore  time.Time  `json:"not_before"`
	NotAfter   time.Time  `json:"not_after"`
	State      State      `json:"state"`
	Revoked    *time.Time `json:"revoked,omitempty"`
	Reason     Reason     `json:"reason,omitempty"`
	Replaces   string     `json:"replaces,omitempty"`
	ReplacedBy string     `json:"replaced_by,omitempty"`
	Card       string     `json:"card,omitempty"`
	PEM        string     `json:"pem,omitempty"`
	Trail      []Moment   `json:"time_line,omitempty"`
}

func viewCertificate(tx *store.Tx, o Office, c Certificate) certView {
	v := certView{
		ID: c.ID, Account: string(c.Account), Name: c.Name, Label: c.Label, Device: c.Device, Mail: c.Mail, UPN: c.UPN,
		Profile: c.Profile, Issuer: c.Issuer, Serial: c.Serial, Shard: c.Shard, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		State: c.State, Reason: c.Reason, Replaces: c.Replaces, ReplacedBy: c.ReplacedBy, Card: c.Card,
	}
	if !c.Revoked.IsZero() {
		v.Revoked = &c.Revoked
	}
	if len(c.DER) > 0 {
		v.PEM = pemOf(c.DER)
	}
	if o.User != nil {
		v.User = o.User(tx, c.Account)
	}
	return v
}

// viewWhole adds its time line.
func viewWhole(tx *store.Tx, o Office, c Certificate) (v certView, err error) {
	v = viewCertificate(tx, o, c)
	if o.Trail != nil && !c.Issued.IsZero() {
		v.Trail, err = o.Trail(tx, c)
	}
	return v, err
}

func printCertificates(w io.Writer, o Office, ctx context.Context, list []Certificate) error {
	out := []certView{}
	err := o.DB.Read(ctx, func(tx *store.Tx) error {
		out = []certView{}
		for _, c := range list {
			out = append(out, viewCertificate(tx, o, c))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return printJSON(w, out)
}

// CertList is "seimon cert list".
type CertList struct {
	User    string `arg:"" optional:"" help:"Only those of this user."`
	Profile string `help:"Only those of this profile."`
	State   string `help:"Only those in this state (${enum})." enum:"prepared,active,revoked," default:""`
	Within  int    `help:"Only those that end within so many days." placeholder:"DAYS"`
	Limit   int    `help:"How many at most." default:"100"`
	After   string `help:"Go on after this id." placeholder:"ID"`
	JSON    bool   `help:"Print JSON."`
}

// Run lists certificates.
func (c *CertList) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	var views []certView
	err = o.DB.Read(env.Context(), func(tx *store.Tx) error {
		f := Filter{Profile: c.Profile, State: State(c.State), Limit: c.Limit, Before: c.After}
		if c.Within > 0 {
			f.Ending = tx.Now.AddDate(0, 0, c.Within)
		}
		if c.User != "" {
			holder, err := o.Holder(tx, c.User)
			if err != nil {
				return err
			}
			f.Account = holder.Account
		}
		list, err := o.CA.List(tx, f)
		views = []certView{}
		for _, k := range list {
			views = append(views, viewCertificate(tx, o, k))
		}
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), views)
	}
	t := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tUSER\tPROFILE\tSTATE\tUNTIL\tENDS WITH\tNAME")
	for _, v := range views {
		state := string(v.State)
		if v.ReplacedBy != "" && v.State == Active {
			state = "replaced"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.User, v.Profile, state, day(v.NotAfter), TailOf(v.Serial), v.Name)
	}
	return t.Flush()
}

// CertShow is "seimon cert show".
type CertShow struct {
	Certificate string `arg:"" help:"Id, serial, or USER/LABEL of the certificate."`
	PEM         bool   `help:"Print the certificate as PEM." name:"pem" xor:"form"`
	Chain       bool   `help:"Print the certificate and those above it as PEM." xor:"form"`
	JSON        bool   `help:"Print JSON." xor:"form"`
}

// Run shows the certificate.
func (c *CertShow) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	var k Certificate
	var view certView
	err = o.DB.Read(env.Context(), func(tx *store.Tx) error {
		if k, err = locate(tx, o, c.Certificate); err != nil {
			return err
		}
		view, err = viewWhole(tx, o, k)
		return err
	})
	if err != nil {
		return named(err, "certificate", c.Certificate)
	}
	switch {
	case c.JSON:
		return printJSON(env.Out(), view)
	case !c.PEM && !c.Chain:
		return view.print(env.Out())
	case len(k.DER) == 0:
		return fmt.Errorf("%s was never issued", k.ID)
	}
	fmt.Fprint(env.Out(), pemOf(k.DER))
	if c.Chain {
		for _, above := range o.CA.Chain(k.Issuer) {
			fmt.Fprint(env.Out(), pemOf(above.Raw))
		}
	}
	return nil
}

// print is the certificate as people read it.
func (v certView) print(w io.Writer) error {
	state := string(v.State)
	if v.Revoked != nil {
		state += " since " + v.Revoked.Format(time.RFC3339) + ": " + string(v.Reason)
	} else if v.ReplacedBy != "" {
		state += ", replaced by " + v.ReplacedBy
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range [][2]string{
		{"name", v.Name}, {"id", v.ID}, {"user", v.User}, {"label", v.Label}, {"profile", v.Profile}, {"state", state},
		{"valid", day(v.NotBefore) + " to " + day(v.NotAfter)}, {"serial", v.Serial}, {"ends with", TailOf(v.Serial)},
		{"issuer", v.Issuer}, {"list", fmt.Sprint(v.Shard)}, {"mail", v.Mail}, {"upn", v.UPN}, {"device", v.Device},
		{"card", v.Card}, {"replaces", v.Replaces},
	} {
		if row[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
		}
	}
	for _, m := range v.Trail {
		fmt.Fprintf(t, "%s\t%s\n", m.At.Format(time.RFC3339), m.Text)
	}
	return t.Flush()
}

// CertIssue is "seimon cert issue".
type CertIssue struct {
	User    string `arg:"" help:"User name of the holder."`
	Request string `help:"File with the request, or - for standard input." required:"" placeholder:"FILE"`
	Label   string `help:"The device, as its owner calls it." required:""`
	Profile string `help:"What stands in the certificate." default:"person-device"`
	Days    int    `help:"Let it end earlier than the profile says." placeholder:"DAYS"`
	Replace string `help:"Id of the certificate that this one follows." placeholder:"ID"`
	JSON    bool   `help:"Print JSON."`
}

// Run issues the certificate and prints it.
func (c *CertIssue) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	file, err := env.Open(c.Request)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxRequest+1))
	if err != nil {
		return err
	}
	request, err := ParseRequest(text)
	if err != nil {
		return plainly(err)
	}
	order := Order{Profile: c.Profile, Key: request.PublicKey, Label: c.Label, Replaces: c.Replace, Life: time.Duration(c.Days) * 24 * time.Hour}
	err = o.DB.Read(env.Context(), func(tx *store.Tx) error {
		order.Holder, err = o.Holder(tx, c.User)
		return err
	})
	if err != nil {
		return err
	}
	prepared, err := o.CA.Prepare(env.Context(), order)
	if errors.Is(err, ErrNotReady) {
		return errors.New("no issuer is active: seimon ca init makes the first one")
	}
	if err != nil {
		return plainly(err)
	}
	k, err := o.CA.Issue(env.Context(), prepared)
	if err != nil {
		return plainly(err)
	}
	if c.JSON {
		return printCertificates(env.Out(), o, env.Context(), []Certificate{k})
	}
	fmt.Fprint(env.Out(), pemOf(k.DER))
	return nil
}

// plainly says what a fault means to somebody at the command line, where the words of
// the pages are not at hand.
func plainly(err error) error {
	f := authn.AsFault(err)
	if f == nil {
		return err
	}
	what := map[authn.Code]string{
		"C9.form":  "the request or the order is not acceptable: " + wanting(f.Facts["reason"]),
		"C9.key":   fmt.Sprintf("the key (%s) is not acceptable: %s", f.Facts["kind"], f.Facts["reason"]),
		"C9.taken": "the key belongs to somebody else already: make a new one",
		"C9.limit": "the account has " + f.Facts["limit"] + " certificates of this profile, which is the limit: revoke one first",
		"C9.lint":  "what would be signed breaks a rule",
	}[f.Code]
	if f.Cause != nil {
		return fmt.Errorf("%s: %s (%w)", f.Code, what, f.Cause)
	}
	return fmt.Errorf("%s: %s", f.Code, what)
}

// wanting says what is wrong where a fault has one word.
func wanting(reason string) string {
	said, ok := map[string]string{
		"form":     "this is no PKCS#10 request",
		"size":     "the request is too large",
		"proof":    "the request is not signed with its own key",
		"asked":    "the request asks to become an issuer",
		"label":    fmt.Sprintf("the label must have 1 to %d printable characters", maxLabel),
		"name":     "the name of the person must be printable",
		"mail":     "the mail address cannot stand in a certificate",
		"upn":      "the user principal name cannot stand in a certificate",
		"replaces": "the certificate to be replaced must be one of this user, issued and not replaced yet",
	}[reason]
	if !ok {
		return reason
	}
	return said
}

// CertRevoke is "seimon cert revoke".
type CertRevoke struct {
	Certificate string `arg:"" help:"Id, serial, or USER/LABEL of the certificate."`
	Reason      string `help:"Why (${enum})." enum:"unspecified,keyCompromise,affiliationChanged,superseded,cessationOfOperation,certificateHold,privilegeWithdrawn" default:"unspecified"`
	JSON        bool   `help:"Print JSON."`
}

// Run revokes the certificate.
func (c *CertRevoke) Run(env Env) error {
	return change(env, c.Certificate, c.JSON, func(tx *store.Tx, o Office, id string) (Certificate, error) {
		return o.CA.Revoke(tx, id, Reason(c.Reason), o.Actor)
	})
}

// CertRestore is "seimon cert restore".
type CertRestore struct {
	Certificate string `arg:"" help:"Id, serial, or USER/LABEL of the certificate."`
	JSON        bool   `help:"Print JSON."`
}

// Run ends the hold.
func (c *CertRestore) Run(env Env) error {
	return change(env, c.Certificate, c.JSON, func(tx *store.Tx, o Office, id string) (Certificate, error) {
		k, err := o.CA.Restore(tx, id, o.Actor)
		if err == nil && k.State == Revoked {
			err = fmt.Errorf("%s was revoked for good (%s) and does not come back: issue another one", k.Name, k.Reason)
		}
		return k, err
	})
}

// change finds a certificate, changes it and says how it stands then.
func change(env Env, text string, asJSON bool, fn func(tx *store.Tx, o Office, id string) (Certificate, error)) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	var k Certificate
	var view certView
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		if k, err = locate(tx, o, text); err != nil {
			return err
		}
		if k, err = fn(tx, o, k.ID); err != nil || !asJSON {
			return err
		}
		view, err = viewWhole(tx, o, k)
		return err
	})
	if err != nil {
		return named(err, "certificate", text)
	}
	if asJSON {
		return printJSON(env.Out(), view)
	}
	if k.State == Revoked {
		fmt.Fprintf(env.Out(), "%s (%s, ends with %s) is revoked since %s: %s.\n", k.Name, k.ID, k.Tail(), k.Revoked.Format(time.RFC3339), k.Reason)
		return nil
	}
	fmt.Fprintf(env.Out(), "%s (%s, ends with %s) is %s.\n", k.Name, k.ID, k.Tail(), k.State)
	return nil
}

// locate finds a certificate by its id, its serial, or as USER/LABEL: the newest that
// this user has under this label.
func locate(tx *store.Tx, o Office, text string) (Certificate, error) {
	user, label, ok := strings.Cut(text, "/")
	if !ok {
		return o.CA.Find(tx, text)
	}
	holder, err := o.Holder(tx, user)
	if err != nil {
		return Certificate{}, err
	}
	list, err := o.CA.Of(tx, holder.Account)
	if err != nil {
		return Certificate{}, err
	}
	for _, c := range list {
		if c.Label == label {
			return c, nil
		}
	}
	return Certificate{}, ErrNone
}

func named(err error, what, text string) error {
	if errors.Is(err, ErrNone) {
		return fmt.Errorf("there is no %s %q", what, text)
	}
	return err
}
