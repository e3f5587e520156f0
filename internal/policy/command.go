package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"text/tabwriter"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// Env is what the building gives to the commands.
type Env interface {
	Context() context.Context
	Out() io.Writer
	// Open opens a named file, or standard input for "-".
	Open(name string) (io.ReadCloser, error)
	// Words speaks the language of whoever gives the command.
	Words() (lang.Printer, error)
	// Rules opens the database and what belongs to changing the policy.
	Rules() (Office, error)
}

// Office is the book of policies together with what a change needs elsewhere.
type Office struct {
	DB    *store.DB
	Book  *Book
	Actor string // who gives the commands, for the record
	// Known gives the test for services that exist, read in the transaction.
	Known func(tx *store.Tx) (func(service string) bool, error)
	// Note writes an audit event in the caller's transaction.
	Note func(tx *store.Tx, event string, facts map[string]string) error
}

// Command is "seimon policy" with its verbs.
type Command struct {
	Apply    ApplyCommand    `cmd:"" help:"Put a document in force, after showing what changes."`
	Diff     DiffCommand     `cmd:"" help:"Say what a document would change."`
	Check    CheckCommand    `cmd:"" help:"Say what is wrong with a document, and what is unwise."`
	Show     ShowCommand     `cmd:"" help:"Print the document in force, or an earlier version."`
	Versions VersionsCommand `cmd:"" help:"List the versions, newest first."`
	Ask      AskCommand      `cmd:"" help:"Say what somebody would have to prove, from an address, for a service."`
	Example  ExampleCommand  `cmd:"" help:"Print a commented document to begin from."`
}

// ErrUnwise is returned by "check --strict" when the document has findings.
var ErrUnwise = errors.New("the document is valid, but unwise")

// EventApplied is the audit event of a new version.
const EventApplied = "policy.applied"

// report is what apply, diff and check tell, in sentences or as JSON.
type report struct {
	Valid    bool     `json:"valid"`
	Version  int64    `json:"version,omitempty"`
	Problems []string `json:"problems,omitempty"`
	Changes  []told   `json:"changes,omitempty"`
	Findings []told   `json:"findings,omitempty"`
}

type told struct {
	Code string `json:"code"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Text string `json:"text"`
}

func findings(p lang.Printer, d *Document) []told {
	var out []told
	for _, f := range d.Lint() {
		out = append(out, told{f.Code, d.file, f.Line, p.Text(f.ID, f.Facts)})
	}
	return out
}

func changes(p lang.Printer, old, new *Document) []told {
	var out []told
	for _, c := range Diff(old, new) {
		out = append(out, told{Code: c.Thing + "." + c.What, Text: p.Text(c.ID, c.Facts)})
	}
	return out
}

func (t told) String() string {
	if t.File == "" {
		return t.Text
	}
	return fmt.Sprintf("%s:%d: %s (%s)", t.File, t.Line, t.Text, t.Code)
}

// read reads and parses a document named on the command line.
func read(env Env, name string) (*Document, error) {
	f, err := env.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return nil, err
	}
	return Parse(name, text)
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func printLines(out io.Writer, lines []told) {
	for _, l := range lines {
		fmt.Fprintln(out, l)
	}
}

// ApplyCommand is "seimon policy apply".
type ApplyCommand struct {
	File string `arg:"" help:"The document, or - for standard input."`
	JSON bool   `help:"Print JSON."`
}

// Run checks the document, puts it in force with its audit event in one
// transaction, and prints what changed. A bad document changes nothing.
func (c *ApplyCommand) Run(env Env) error {
	d, err := read(env, c.File)
	if err != nil {
		return err
	}
	p, o, err := begin(env)
	if err != nil {
		return err
	}
	var out report
	var same bool
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		old, before, err := o.Book.Active(tx)
		if err != nil {
			return err
		}
		known, err := o.Known(tx)
		if err != nil {
			return err
		}
		out = report{Valid: true, Changes: changes(p, old, d), Findings: findings(p, d)}
		if out.Version, err = o.Book.Apply(tx, o.Actor, d.file, d.text, known); err != nil {
			return err
		}
		if same = out.Version == before; same {
			return nil
		}
		return o.Note(tx, EventApplied, map[string]string{
			"version": strconv.FormatInt(out.Version, 10), "before": strconv.FormatInt(before, 10),
			"sum": sumOf(d.text), "file": d.file, "changes": strconv.Itoa(len(out.Changes)),
		})
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), out)
	}
	printLines(env.Out(), out.Changes)
	printLines(env.Out(), out.Findings)
	id := "policy.command.applied"
	if same {
		id = "policy.command.unchanged"
	}
	fmt.Fprintln(env.Out(), p.T(id, "version", out.Version))
	return nil
}

func begin(env Env) (lang.Printer, Office, error) {
	p, err := env.Words()
	if err != nil {
		return p, Office{}, err
	}
	o, err := env.Rules()
	return p, o, err
}

// DiffCommand is "seimon policy diff".
type DiffCommand struct {
	File string `arg:"" help:"The document, or - for standard input."`
	From *int64 `help:"Version to compare with; the one in force otherwise." placeholder:"NUMBER"`
	JSON bool   `help:"Print JSON."`
}

// Run prints one sentence for each change.
func (c *DiffCommand) Run(env Env) error {
	d, err := read(env, c.File)
	if err != nil {
		return err
	}
	p, o, err := begin(env)
	if err != nil {
		return err
	}
	_, old, err := fetch(env, o, c.From)
	if err != nil {
		return err
	}
	out := report{Valid: true, Changes: changes(p, old, d)}
	if c.JSON {
		return printJSON(env.Out(), out)
	}
	printLines(env.Out(), out.Changes)
	if len(out.Changes) == 0 {
		fmt.Fprintln(env.Out(), p.T("policy.command.same"))
	}
	return nil
}

// fetch reads a version, or the one in force when number is nil.
func fetch(env Env, o Office, number *int64) (v Version, d *Document, err error) {
	err = o.DB.Read(env.Context(), func(tx *store.Tx) error {
		n := int64(0)
		if number != nil {
			n = *number
		} else if _, n, err = o.Book.Active(tx); err != nil {
			return err
		}
		v, d, err = o.Book.Version(tx, n)
		if errors.Is(err, store.ErrNoRows) {
			return fmt.Errorf("there is no policy version %d", n)
		}
		return err
	})
	return v, d, err
}

// CheckCommand is "seimon policy check".
type CheckCommand struct {
	File   string `arg:"" help:"The document, or - for standard input."`
	Alone  bool   `help:"Do not look whether the services exist; needs no database."`
	Strict bool   `help:"End with an error when something is unwise."`
	JSON   bool   `help:"Print JSON."`
}

// Run prints every problem, or every finding when there is none. A document with
// problems is an error.
func (c *CheckCommand) Run(env Env) error {
	p, err := env.Words()
	if err != nil {
		return err
	}
	d, err := read(env, c.File)
	if err == nil && !c.Alone {
		err = c.services(env, d)
	}
	var invalid *Invalid
	if err != nil && !(c.JSON && errors.As(err, &invalid)) {
		return err
	}
	out := report{Valid: err == nil}
	if invalid != nil {
		for _, problem := range invalid.Problems {
			out.Problems = append(out.Problems, problem.String())
		}
		return errors.Join(printJSON(env.Out(), out), err)
	}
	out.Findings = findings(p, d)
	if c.JSON {
		err = printJSON(env.Out(), out)
	} else {
		printLines(env.Out(), out.Findings)
		fmt.Fprintln(env.Out(), p.T("policy.command.valid", "file", c.File))
	}
	if c.Strict && len(out.Findings) > 0 {
		return ErrUnwise
	}
	return err
}

func (c *CheckCommand) services(env Env, d *Document) error {
	o, err := env.Rules()
	if err != nil {
		return err
	}
	return o.DB.Read(env.Context(), func(tx *store.Tx) error {
		known, err := o.Known(tx)
		if err != nil {
			return err
		}
		return d.Check(known)
	})
}

// ShowCommand is "seimon policy show".
type ShowCommand struct {
	Version *int64 `arg:"" optional:"" help:"Number of the version; the one in force otherwise."`
	JSON    bool   `help:"Print JSON."`
}

// Run prints the text of a version.
func (c *ShowCommand) Run(env Env) error {
	o, err := env.Rules()
	if err != nil {
		return err
	}
	v, d, err := fetch(env, o, c.Version)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), struct {
			Version
			Text string `json:"text"`
		}{v, string(d.text)})
	}
	_, err = env.Out().Write(d.text)
	return err
}

// VersionsCommand is "seimon policy versions".
type VersionsCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run lists the versions.
func (c *VersionsCommand) Run(env Env) error {
	p, o, err := begin(env)
	if err != nil {
		return err
	}
	var all []Version
	err = o.DB.Read(env.Context(), func(tx *store.Tx) error {
		all, err = o.Book.Versions(tx)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), append([]Version{}, all...))
	}
	for _, v := range all {
		fmt.Fprintln(env.Out(), p.T("policy.command.version", "version", v.Number, "at", p.Moment(v.At), "actor", v.Actor, "file", v.File))
	}
	if len(all) == 0 {
		fmt.Fprintln(env.Out(), p.T("policy.command.builtin"))
	}
	return nil
}

// AskCommand is "seimon policy ask".
type AskCommand struct {
	Service string     `arg:"" help:"The service."`
	Address netip.Addr `arg:"" help:"The address of the person."`
	Groups  []string   `help:"Groups of the account." placeholder:"GROUP" name:"group" sep:","`
	File    string     `help:"Ask this document instead of the policy in force." placeholder:"FILE"`
	JSON    bool       `help:"Print JSON."`
}

// Answer is what AskCommand tells.
type Answer struct {
	Zone        authn.Zone        `json:"zone"`
	Rule        string            `json:"rule"`
	Requirement authn.Requirement `json:"requirement"`
	Refused     authn.Code        `json:"refused,omitempty"`
	For         []string          `json:"for,omitempty"`
	Gap         bool              `json:"gap,omitempty"`
	Why         []string          `json:"why"`
}

// Run prints zone, rule and requirement.
func (c *AskCommand) Run(env Env) error {
	d, err := c.document(env)
	if err != nil {
		return err
	}
	z := d.Zone(c.Address)
	r := d.Rule(Question{Service: c.Service, Groups: c.Groups, Zone: z, Addr: c.Address})
	a := Answer{z, r.Name, r.Requirement, r.Refused, r.For, r.Place == Gap, r.Why}
	if c.JSON {
		return printJSON(env.Out(), a)
	}
	w := tabwriter.NewWriter(env.Out(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "zone\t%s (%s) %s\n", z.Name, z.Kind, z.Prefix)
	fmt.Fprintf(w, "rule\t%s\n", r.Name)
	fmt.Fprintf(w, "asks\t%s\n", Describe(r.Requirement))
	if r.Refused != "" {
		fmt.Fprintf(w, "refused\t%s: only for %s\n", r.Refused, strings.Join(r.For, ", "))
	}
	fmt.Fprintf(w, "why\t%s\n", strings.Join(r.Why, "; "))
	return w.Flush()
}

func (c *AskCommand) document(env Env) (*Document, error) {
	if c.File != "" {
		return read(env, c.File)
	}
	o, err := env.Rules()
	if err != nil {
		return nil, err
	}
	_, d, err := fetch(env, o, nil)
	return d, err
}

// ExampleCommand is "seimon policy example".
type ExampleCommand struct{}

// Run prints the example.
func (c *ExampleCommand) Run(env Env) error {
	_, err := env.Out().Write(example)
	return err
}
