package ca

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
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
	DB         *store.DB
	CA         *Authority
	Actor      string
	University string // its name in English
	// Holder finds an account by user name and says what may stand in its certificates.
	Holder func(tx *store.Tx, user string) (Holder, error)
	// User gives the user name of an account.
	User func(tx *store.Tx, account authn.AccountID) string
	// SignLists signs the lists of a root anew; may be nil.
	SignLists func(ctx context.Context, root string) error
	// Trail is the time line of a certificate; may be nil.
	Trail func(tx *store.Tx, c Certificate) ([]Moment, error)
}

// Moment is one thing that happened to a certificate.
type Moment struct {
	At      time.Time `json:"at"`
	After   float64   `json:"seconds_after_revocation,omitempty"`
	Event   string    `json:"event,omitempty"`
	Service string    `json:"service,omitempty"`
	Text    string    `json:"text"`
}

// Env is what the building gives to the commands.
type Env interface {
	Context() context.Context
	Authority() (Office, error)
	// Open opens a named file, or standard input for "-".
	Open(name string) (io.ReadCloser, error)
	Out() io.Writer
	// Create makes a file that only its owner can read; it refuses to overwrite.
	Create(name string) (io.WriteCloser, error)
	// Line reads a line from whoever gives the command, and Passphrase one that nobody
	// sees.
	Asker
}

// Asker asks whoever gives a command.
type Asker interface {
	Line() (string, error)
	Passphrase(prompt string) (authn.Secret, error)
}

// Command is "seimon ca" with its verbs.
type Command struct {
	Init     InitCommand         `cmd:"" help:"Make the root and the first issuer."`
	Issuers  IssuersCommand      `cmd:"" help:"List roots and issuers."`
	Show     ShowCommand         `cmd:"" help:"Show an issuer, or what is to be handed to everything that checks certificates."`
	Rollover RolloverCommand     `cmd:"" help:"Change to the next issuer, step by step."`
	Revoke   RevokeIssuerCommand `cmd:"" help:"Revoke an issuer: nothing of it counts any more."`
	Root     RootCommand         `cmd:"" help:"Keep the root's key offline."`
	Profiles ProfilesCommand     `cmd:"" help:"Show what stands in certificates."`
	Orphans  OrphansCommand      `cmd:"" help:"Find serials that never became a certificate."`
}

// Making are the flags of making an issuer.
type Making struct {
	Algorithm string `help:"Algorithm of the keys (${enum}); RSA for cards and devices that know nothing else." enum:"P-256,P-384,RSA-2048,RSA-3072" default:"P-256"`
	Issuer    string `help:"Name of the issuer, as people see it when they choose a certificate." placeholder:"NAME"`
	Root      string `help:"Name of the root." placeholder:"NAME"`
	Helper    bool   `help:"Keep the keys in the helper (PKCS#11) instead of the database."`
}

func (m Making) plan(o Office) Plan {
	return Plan{Algorithm: m.Algorithm, Issuer: m.Issuer, Root: m.Root, Helper: m.Helper, Actor: o.Actor}
}

// InitCommand is "seimon ca init".
type InitCommand struct {
	Organization string `help:"Name of the university in certificates; its English name by default." placeholder:"NAME"`
	Country      string `help:"Country of the university, two capital letters." placeholder:"JP"`
	Arc          string `help:"Object identifier of the university below which the policies lie; a random one below 2.25 by default." placeholder:"OID"`
	Making       `embed:""`
}

// Run founds the authority.
func (c *InitCommand) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	plan := c.plan(o)
	plan.Organization, plan.Country, plan.Arc = c.Organization, c.Country, c.Arc
	if plan.Organization == "" {
		plan.Organization = o.University
	}
	i, err := o.CA.Found(env.Context(), plan)
	if errors.Is(err, ErrFounded) {
		return errors.New("the authority exists already (seimon ca issuers); a further issuer is made with: seimon ca rollover prepare")
	}
	if err != nil {
		return err
	}
	key, err := o.CA.LogKey(env.Context())
	if err != nil {
		return err
	}
	w := env.Out()
	fmt.Fprintf(w, "The root %q and the issuer %q are made.\n", i.Root.Subject.CommonName, i.Name)
	fmt.Fprintf(w, "  root    %s  SHA-256 %s\n", i.RootID, fingerprint(i.Root.Raw))
	fmt.Fprintf(w, "  issuer  %s  SHA-256 %s\n", i.ID, fingerprint(i.Certificate.Raw))
	for _, a := range Assurances() {
		fmt.Fprintf(w, "  policy  %s  %s\n", o.CA.Policy(a), a)
	}
	fmt.Fprintf(w, "  log key SHA-256 %s\n", fingerprint(key))
	fmt.Fprintln(w, "Note the fingerprints on paper. Hand the certificates to RADIUS and VPN servers: seimon ca show --bundle")
	return nil
}

// fingerprint is the SHA-256 in groups, as people compare it.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}

// IssuersCommand is "seimon ca issuers".
type IssuersCommand struct {
	JSON bool `help:"Print JSON."`
}

// issuerView is an issuer for programs.
type issuerView struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	State       IssuerState `json:"state"`
	Since       time.Time   `json:"since"`
	Algorithm   string      `json:"algorithm"`
	Helper      bool        `json:"helper"`
	Root        string      `json:"root"`
	NotBefore   time.Time   `json:"not_before"`
	NotAfter    time.Time   `json:"not_after"`
	Fingerprint string      `json:"sha256"`
	Steps       []Step      `json:"possible_steps"`
	PEM         string      `json:"pem"`
	Offline     bool        `json:"key_offline,omitempty"`
}

func (f found) view(i Issuer) issuerView {
	return issuerView{
		Offline: f.away[i.ID],
		ID:      i.ID, Name: i.Name, State: i.State, Since: i.Since, Algorithm: i.Algorithm, Helper: i.Helper, Root: i.RootID,
		NotBefore: i.Certificate.NotBefore, NotAfter: i.Certificate.NotAfter, Fingerprint: fingerprint(i.Certificate.Raw),
		Steps: append([]Step{}, Possible(i.State)...), PEM: pemOf(i.Certificate.Raw),
	}
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Run lists roots and issuers.
func (c *IssuersCommand) Run(env Env) error {
	f, err := everyIssuer(env)
	if err != nil {
		return err
	}
	if c.JSON {
		out := []issuerView{}
		for _, i := range f.all {
			out = append(out, f.view(i))
		}
		return printJSON(env.Out(), out)
	}
	t := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSTATE\tSINCE\tALGORITHM\tUNTIL\tNAME")
	for _, i := range f.all {
		state := string(i.State)
		if f.away[i.ID] {
			state += ", key offline"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", i.ID, state, day(i.Since), i.Algorithm, day(i.Certificate.NotAfter), i.Name)
	}
	return t.Flush()
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("2006-01-02")
}

// found is every root and issuer, and which roots have no key here.
type found struct {
	Office
	all  []Issuer
	away map[string]bool
}

func everyIssuer(env Env) (f found, err error) {
	if f.Office, err = env.Authority(); err != nil {
		return f, err
	}
	err = f.DB.Read(env.Context(), func(tx *store.Tx) (err error) {
		if f.all, err = f.CA.all(tx); err == nil {
			f.away, err = f.CA.RootsOffline(tx)
		}
		return err
	})
	return f, err
}

// pick finds what somebody calls by id or name; "" is the active issuer.
func (f found) pick(word string) (Issuer, error) {
	var called []Issuer
	for _, i := range f.all {
		switch {
		case i.ID == word, word == "" && i.State == IssuerActive:
			return i, nil
		case word != "" && i.Name == word:
			called = append(called, i)
		}
	}
	switch {
	case word == "":
		return Issuer{}, errors.New("no issuer is active: seimon ca init makes the first one")
	case len(called) == 0:
		return Issuer{}, fmt.Errorf("there is no issuer %q", word)
	case len(called) > 1:
		return Issuer{}, fmt.Errorf("several issuers are called %q: give the id (seimon ca issuers)", word)
	}
	return called[0], nil
}

// ShowCommand is "seimon ca show".
type ShowCommand struct {
	Issuer string `arg:"" optional:"" help:"Id or name of the issuer; the active one by default."`
	PEM    bool   `help:"Print the certificate and those above it as PEM." xor:"form" name:"pem"`
	Bundle bool   `help:"Print all roots and the issuers that are distributed, active or sign only lists and answers, as PEM." xor:"form"`
	JSON   bool   `help:"Print JSON." xor:"form"`
}

// Run shows the issuer.
func (c *ShowCommand) Run(env Env) error {
	f, err := everyIssuer(env)
	if err != nil {
		return err
	}
	if c.Bundle {
		for _, i := range f.all {
			if i.Counts() {
				fmt.Fprintf(env.Out(), "# %s (%s)\n%s", i.Name, i.State, pemOf(i.Certificate.Raw))
			}
		}
		return nil
	}
	i, err := f.pick(c.Issuer)
	switch {
	case err != nil:
		return err
	case c.PEM:
		for _, cert := range f.CA.Chain(i.ID) {
			fmt.Fprint(env.Out(), pemOf(cert.Raw))
		}
		return nil
	case c.JSON:
		return printJSON(env.Out(), f.view(i))
	}
	return f.print(env.Out(), i)
}

func (f found) print(w io.Writer, i Issuer) error {
	key, lists, answers := "sealed in the database", f.CA.listURL(i.ID, 1)+" to "+fmt.Sprint(f.CA.Shards()), f.CA.answerURL(i.ID)
	if i.State == Anchor {
		lists, answers = f.CA.listURL(i.ID, 1), "-"
	}
	switch {
	case i.Helper:
		key = "in the helper"
	case f.away[i.ID]:
		key = "offline: seimon ca root import brings it back"
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range [][2]string{
		{"id", i.ID}, {"name", i.Name}, {"state", string(i.State) + " since " + day(i.Since)}, {"algorithm", i.Algorithm},
		{"key", key},
		{"valid", day(i.Certificate.NotBefore) + " to " + day(i.Certificate.NotAfter)}, {"serial", SerialText(i.Certificate.SerialNumber)},
		{"SHA-256", fingerprint(i.Certificate.Raw)}, {"root", i.Root.Subject.CommonName + " (" + i.RootID + ")"},
		{"lists", lists}, {"answers", answers},
		{"next steps", strings.Join(append(texts(Possible(i.State)), "-")[:max(1, len(Possible(i.State)))], ", ")},
	} {
		fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
	}
	return t.Flush()
}

// ProfilesCommand is "seimon ca profiles".
type ProfilesCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run shows the profiles as they are in force.
func (c *ProfilesCommand) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), o.CA.Profiles())
	}
	t := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "PROFILE\tDAYS\tCOMMON NAME\tNAMES\tPURPOSES\tPOLICY\tKEYS")
	for _, p := range o.CA.Profiles() {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s %s\t%s\n", p.Name, p.Days, p.CommonName, strings.Join(p.Names, " "),
			strings.Join(p.ExtendedKeyUsage, " "), p.Assurance, o.CA.Policy(p.Assurance), strings.Join(p.Keys, " "))
	}
	return t.Flush()
}

// OrphansCommand is "seimon ca orphans".
type OrphansCommand struct {
	Older time.Duration `help:"Look for intents older than this." default:"1h"`
	Mend  bool          `help:"Revoke their serials."`
	JSON  bool          `help:"Print JSON."`
}

// Run lists orphans, and mends them if asked.
func (c *OrphansCommand) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	if c.Older < 10*time.Minute {
		return errors.New("an intent younger than 10m may still become a certificate")
	}
	var list []Certificate
	if c.Mend {
		list, err = o.CA.MendOrphans(env.Context(), c.Older, o.Actor)
	} else {
		err = o.DB.Read(env.Context(), func(tx *store.Tx) error {
			list, err = o.CA.Orphans(tx, c.Older)
			return err
		})
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printCertificates(env.Out(), o, env.Context(), list)
	}
	for _, k := range list {
		fmt.Fprintf(env.Out(), "%s  serial %s  %s  %s\n", k.ID, k.Serial, k.Created.Format(time.RFC3339), k.Name)
	}
	switch {
	case len(list) == 0:
		fmt.Fprintln(env.Out(), "There are no orphans.")
	case c.Mend:
		fmt.Fprintf(env.Out(), "%d serials are revoked.\n", len(list))
	default:
		fmt.Fprintf(env.Out(), "%d orphans; with --mend their serials are revoked.\n", len(list))
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
