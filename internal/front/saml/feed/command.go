package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"seimon/internal/store"
)

// Env is what the building gives to the commands.
type Env interface {
	Context() context.Context
	// Feeds opens the room.
	Feeds() (*Keeper, error)
	// Open opens a named file, or standard input for "-".
	Open(name string) (io.ReadCloser, error)
	Out() io.Writer
	// Watch shows how far long work is; it may be nil.
	Watch(what string) func(done, total int64)
}

// Command is "seimon feed" with its verbs.
type Command struct {
	Add     AddCommand     `cmd:"" help:"Believe a federation: its metadata, signed by the given certificate."`
	Pin     PinCommand     `cmd:"" help:"Add the next generation of a feed: a new address with a new signer."`
	Unpin   UnpinCommand   `cmd:"" help:"Stop believing a generation of a feed."`
	List    ListCommand    `cmd:"" help:"List the feeds and how they are doing."`
	Show    ShowCommand    `cmd:"" help:"Show a feed, or a service in the feeds and what it receives."`
	Refresh RefreshCommand `cmd:"" help:"Look at a feed now."`
	Check   CheckCommand   `cmd:"" help:"Verify a document without loading it, and say what is wrong with its services."`
	Remove  RemoveCommand  `cmd:"" help:"Forget a feed; its services can be used no more."`
}

// Address is where a feed comes from, and its signer.
type Address struct {
	URL        string `required:"" help:"Address: https://..., or file:/path; for --query the server's base address." placeholder:"URL"`
	Signer     string `required:"" help:"Certificate of the signer, PEM or DER. Get it from the federation by another way than the feed." placeholder:"FILE"`
	Generation int    `help:"Number of the signing key; a higher one is preferred, and never taken back." default:"1"`
}

func (a Address) source(env Env) (Source, error) {
	text, err := readSmall(env, a.Signer)
	if err != nil {
		return Source{}, err
	}
	signers, err := ReadSigners(text)
	if err != nil {
		return Source{}, fmt.Errorf("%s: %w", a.Signer, err)
	}
	return Source{Generation: a.Generation, URL: a.URL, Certificates: signers}, nil
}

func readSmall(env Env, name string) ([]byte, error) {
	file, err := env.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, 1<<20))
}

// AddCommand is "seimon feed add".
type AddCommand struct {
	Name        string `arg:"" help:"A short name of your own: gakunin."`
	Address     `embed:""`
	Query       bool          `help:"The server is asked for one service at a time (MDQ)."`
	Hashed      bool          `help:"Ask by the SHA-1 of the entityID."`
	Precedence  int           `help:"When feeds know the same service, the one with the lower number counts." default:"100"`
	Every       time.Duration `help:"How often to look, if not as the feed says."`
	MaxValidity time.Duration `help:"How far away validUntil may be." default:"744h"`
	MaxMegabyte int64         `help:"Limit of the document's size." default:"0"`
}

// Run stores the feed. Nothing is fetched yet.
func (c *AddCommand) Run(env Env) error {
	source, err := c.source(env)
	if err != nil {
		return err
	}
	f := Feed{
		ID: c.Name, Kind: Aggregate, Precedence: c.Precedence, Sources: []Source{source}, Every: c.Every, MaxValidity: c.MaxValidity,
		MaxBytes: c.MaxMegabyte << 20, Hashed: c.Hashed,
	}
	if c.Query {
		f.Kind = Query
	}
	return change(env, func(tx *store.Tx, k *Keeper) error {
		if _, err := k.Get(tx, f.ID); err == nil {
			return fmt.Errorf("the feed %s exists already: remove it first, or add a generation with pin", f.ID)
		} else if !errors.Is(err, ErrNone) {
			return err
		}
		return k.save(tx, "feed.added", f)
	}, "%s is believed when signed by\n  %s\n", f.ID, Fingerprint(source.Certificates[0]))
}

// change runs fn in a transaction and says that it is done.
func change(env Env, fn func(tx *store.Tx, k *Keeper) error, words string, facts ...any) error {
	k, err := env.Feeds()
	if err != nil {
		return err
	}
	if err := k.DB.Write(env.Context(), func(tx *store.Tx) error { return fn(tx, k) }); err != nil {
		return err
	}
	fmt.Fprintf(env.Out(), words, facts...)
	return nil
}

func (k *Keeper) save(tx *store.Tx, event string, f Feed) error {
	if err := k.Put(tx, f); err != nil {
		return err
	}
	facts := map[string]string{}
	for _, s := range f.Sources {
		facts[fmt.Sprintf("generation_%d", s.Generation)] = s.URL + " " + Fingerprint(s.Certificates[0])
	}
	return k.note(tx, event, f.ID, facts)
}

// named gives the error for people.
func named(err error, id string) error {
	if errors.Is(err, ErrNone) {
		return fmt.Errorf("there is no feed %q", id)
	}
	return err
}

// PinCommand is "seimon feed pin".
type PinCommand struct {
	Name    string `arg:"" help:"Name of the feed."`
	Address `embed:""`
}

// Run adds the generation.
func (c *PinCommand) Run(env Env) error {
	source, err := c.source(env)
	if err != nil {
		return err
	}
	return change(env, func(tx *store.Tx, k *Keeper) error {
		s, err := k.Get(tx, c.Name)
		if err != nil {
			return named(err, c.Name)
		}
		f := s.Feed
		f.Sources = append(slices.Clone(f.Sources), source)
		return k.save(tx, "feed.changed", f)
	}, "%s: generation %d is believed when signed by\n  %s\n", c.Name, source.Generation, Fingerprint(source.Certificates[0]))
}

// UnpinCommand is "seimon feed unpin".
type UnpinCommand struct {
	Name       string `arg:"" help:"Name of the feed."`
	Generation int    `required:"" help:"Number of the generation."`
}

// Run takes the generation away.
func (c *UnpinCommand) Run(env Env) error {
	return change(env, func(tx *store.Tx, k *Keeper) error {
		s, err := k.Get(tx, c.Name)
		if err != nil {
			return named(err, c.Name)
		}
		f := s.Feed
		f.Sources = slices.DeleteFunc(slices.Clone(f.Sources), func(o Source) bool { return o.Generation == c.Generation })
		if len(f.Sources) == len(s.Sources) {
			return fmt.Errorf("%s has no generation %d", c.Name, c.Generation)
		}
		if err := k.save(tx, "feed.changed", f); err != nil {
			return err
		}
		if s.Kind == Query || s.Loaded.Generation == c.Generation {
			return k.Disown(tx, c.Name)
		}
		return nil
	}, "%s: generation %d is not believed any more, nor what was loaded from it.\n", c.Name, c.Generation)
}

// RemoveCommand is "seimon feed remove".
type RemoveCommand struct {
	Name string `arg:"" help:"Name of the feed."`
}

// Run forgets the feed.
func (c *RemoveCommand) Run(env Env) error {
	return change(env, func(tx *store.Tx, k *Keeper) error {
		if err := k.Remove(tx, c.Name); err != nil {
			return named(err, c.Name)
		}
		return k.note(tx, "feed.removed", c.Name, map[string]string{})
	}, "%s is removed.\n", c.Name)
}

// ListCommand is "seimon feed list".
type ListCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run prints the feeds.
func (c *ListCommand) Run(env Env) error {
	k, err := env.Feeds()
	if err != nil {
		return err
	}
	var list []State
	var now time.Time
	err = k.DB.Read(env.Context(), func(tx *store.Tx) (err error) {
		now = tx.Now
		list, err = k.List(tx)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), append([]State{}, list...))
	}
	t := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tKIND\tPRECEDENCE\tSERVICES\tGENERATION\tSTATE")
	for _, s := range list {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%s\n", s.ID, s.Kind, s.Precedence, s.Loaded.Services, s.Loaded.Generation, s.says(now))
	}
	return t.Flush()
}

// says tells how a feed is doing, in a few words.
func (s State) says(now time.Time) string {
	if s.Kind == Query {
		if s.Fault != "" {
			return "last answer: " + s.Fault
		}
		return "asked when needed"
	}
	days := fmt.Sprintf("dies in %d days, on %s", int(s.Loaded.ValidUntil.Sub(now).Hours()/24), s.Loaded.ValidUntil.Format(time.DateOnly))
	switch s.alarm(now).Code {
	case AlarmNever:
		days = "not loaded yet"
	case AlarmExpired:
		days = "dead since " + s.Loaded.ValidUntil.Format(time.DateOnly)
	}
	if s.Fault != "" {
		days += fmt.Sprintf("; failed %d times: %s", s.Fails, s.Fault)
	}
	return days
}

// ShowCommand is "seimon feed show".
type ShowCommand struct {
	Name string `arg:"" help:"Name of a feed, or entityID of a service."`
	JSON bool   `help:"Print JSON."`
}

// Run prints the feed or the service.
func (c *ShowCommand) Run(env Env) error {
	k, err := env.Feeds()
	if err != nil {
		return err
	}
	var s State
	var service *Service
	var now time.Time
	err = k.DB.Read(env.Context(), func(tx *store.Tx) (err error) {
		now = tx.Now
		if s, err = k.Get(tx, c.Name); errors.Is(err, ErrNone) {
			var found Service
			found, err = k.Describe(tx, c.Name)
			service = &found
		}
		return err
	})
	switch {
	case err != nil && service != nil:
		return fmt.Errorf("%q is neither a feed nor a service that a feed knows: %w", c.Name, err)
	case err != nil:
		return err
	case service != nil && c.JSON:
		return printJSON(env.Out(), service.told())
	case service != nil:
		service.print(env.Out(), now)
		return nil
	case c.JSON:
		return printJSON(env.Out(), s)
	}
	s.print(env.Out(), now)
	return nil
}

func (s State) print(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "%s (%s, precedence %d): %s\n", s.ID, s.Kind, s.Precedence, s.says(now))
	for _, o := range s.Sources {
		mark := ""
		if o.Generation == s.Loaded.Generation {
			mark = ", in force"
		}
		fmt.Fprintf(w, "  generation %d%s: %s\n", o.Generation, mark, o.URL)
		for _, c := range o.Certificates {
			fmt.Fprintf(w, "    signed by %s\n", Fingerprint(c))
		}
	}
	if !s.Loaded.At.IsZero() {
		fmt.Fprintf(w, "  loaded %s: %d bytes, %d entities, %d of them services\n", s.Loaded.At.Format(time.RFC3339), s.Loaded.Bytes, s.Loaded.Entities, s.Loaded.Services)
		fmt.Fprintf(w, "  next look %s\n", s.Due.Format(time.RFC3339))
	}
}

// told is a service as programs read it.
type told struct {
	ID         string              `json:"id"`
	Feed       string              `json:"feed"`
	Authority  string              `json:"authority,omitempty"`
	Categories []string            `json:"categories,omitempty"`
	Until      time.Time           `json:"valid_until"`
	Gone       bool                `json:"gone,omitempty"`
	Names      map[string]string   `json:"names"`
	Release    any                 `json:"release"`
	Consent    string              `json:"consent"`
	Because    map[string][]string `json:"because"`
	Withheld   map[string][]string `json:"withheld,omitempty"`
	Notes      []string            `json:"notes,omitempty"`
}

func (s Service) told() told {
	out := told{
		ID: s.ID, Feed: s.Feed, Authority: s.Authority, Categories: s.Service.Categories, Until: s.Until, Gone: s.Gone, Names: s.Names,
		Release: s.Grant.Release, Consent: s.Grant.Consent, Because: s.Grant.Because, Withheld: s.Grant.Withheld,
	}
	for _, n := range s.Lint(s.Until.Add(-time.Second)) {
		if n.Field != "validUntil" { // its feed renews it
			out.Notes = append(out.Notes, n.String())
		}
	}
	return out
}

func (s Service) print(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "%s, from the feed %s\n", s.ID, s.Feed)
	for _, tag := range []string{"ja", "en"} {
		if s.Names[tag] != "" {
			fmt.Fprintf(w, "  %s\n", s.Names[tag])
		}
	}
	switch {
	case !now.Before(s.Until):
		fmt.Fprintf(w, "  refused since %s\n", s.Until.Format(time.RFC3339))
	case s.Gone:
		fmt.Fprintf(w, "  no longer published; refused from %s on\n", s.Until.Format(time.RFC3339))
	default:
		fmt.Fprintf(w, "  valid until %s\n", s.Until.Format(time.RFC3339))
	}
	if s.Authority != "" {
		fmt.Fprintf(w, "  registered by %s\n", s.Authority)
	}
	for _, c := range s.Service.Categories {
		fmt.Fprintf(w, "  category %s\n", c)
	}
	fmt.Fprintf(w, "  receives (consent: %s)\n", s.Grant.Consent)
	for _, r := range s.Grant.Release {
		how := "optional"
		if r.Required {
			how = "required"
		}
		if len(r.Groups) > 0 {
			how += ", for " + strings.Join(r.Groups, ", ")
		}
		for what, patterns := range map[string][]string{"only": r.Only, "except": r.Except, "never": r.Never} {
			if len(patterns) > 0 {
				how += ", " + what + " " + strings.Join(patterns, " ")
			}
		}
		if len(r.More) > 0 {
			how += fmt.Sprintf(", and %d other shares (--json)", len(r.More))
		}
		fmt.Fprintf(w, "    %s: %s; by the rule %s\n", r.Attribute, how, strings.Join(s.Grant.Because[r.Attribute], ", "))
	}
	for _, n := range s.told().Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
}

// RefreshCommand is "seimon feed refresh".
type RefreshCommand struct {
	Name  string `arg:"" help:"Name of the feed."`
	Older bool   `help:"Take a document that is older than the one in force, or of an older generation."`
	Fresh bool   `help:"Fetch it even if the server says that it has not changed."`
	JSON  bool   `help:"Print JSON."`
}

// Run looks at the feed.
func (c *RefreshCommand) Run(env Env) error {
	k, err := env.Feeds()
	if err != nil {
		return err
	}
	r, err := k.Refresh(env.Context(), c.Name, Options{Progress: env.Watch("bytes"), Older: c.Older, Fresh: c.Fresh})
	if err != nil {
		return named(err, c.Name)
	}
	if c.JSON {
		return printJSON(env.Out(), r)
	}
	for _, t := range r.Tried {
		fmt.Fprintf(env.Out(), "passed over: %s\n", t)
	}
	if r.Same {
		fmt.Fprintf(env.Out(), "%s has not changed. It lives until %s.\n", c.Name, r.ValidUntil.Format(time.RFC3339))
		return nil
	}
	fmt.Fprintf(env.Out(), "%s: generation %d, %d entities, %d of them services: %d new, %d changed, %d gone. It lives until %s.\n",
		c.Name, r.Generation, r.Entities, r.Services, r.Added, r.Changed, r.Gone, r.ValidUntil.Format(time.RFC3339))
	return nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
