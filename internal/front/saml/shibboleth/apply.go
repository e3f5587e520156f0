package shibboleth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"seimon/internal/authn"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// Office is what taking over needs of the building.
type Office struct {
	DB    *store.DB
	Book  *rp.Book
	Feeds *feed.Keeper
	Files fs.FS // the folder of the provider
	// Person finds an account by its user name, with its attributes; ok is false
	// when there is none.
	Person func(tx *store.Tx, name string) (account authn.AccountID, attributes map[string][]string, ok bool, err error)
	Open   func(name string) (io.ReadCloser, error)
	Create func(name string) (io.WriteCloser, error)
	// Note puts an event on record.
	Note func(tx *store.Tx, event, party string, facts map[string]string) error
}

// Report is what was done, or would be.
type Report struct {
	*Plan
	Dry   bool   `json:"dry_run,omitempty"`
	Proof *Proof `json:"proof,omitempty"`
	// Names counts the stored names that were taken over, and Nobody those whose
	// principal has no account here.
	Names   int      `json:"names"`
	Nobody  int      `json:"nobody"`
	Missing []string `json:"missing,omitempty"` // examples of such principals
	// Settings is what belongs into the configuration.
	Settings string `json:"settings"`
}

// Run reads the folder, takes over what can be, and reports.
func (o Office) Run(ctx context.Context, t rp.TakeOver) (*Report, error) {
	plan, err := Read(o.Files, o.DB.Now())
	if err != nil {
		return nil, err
	}
	r := &Report{Plan: plan, Dry: t.Dry}
	var stored []Stored
	if t.Stored != "" {
		if stored, err = o.stored(t.Stored); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Stored, err)
		}
	}
	if !t.Dry {
		if err := o.apply(ctx, plan); err != nil {
			return nil, err
		}
	}
	if err := o.names(ctx, r, stored); err != nil {
		return nil, err
	}
	if t.Salt != "" && len(plan.Salt()) > 0 && !t.Dry {
		if err := o.writeSalt(t.Salt, plan); err != nil {
			return nil, err
		}
	}
	r.Settings = plan.settings(t.Salt)
	return r, nil
}

func (o Office) stored(name string) ([]Stored, error) {
	file, err := o.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return ReadStored(file)
}

func (o Office) writeSalt(name string, p *Plan) error {
	file, err := o.Create(name)
	if err != nil {
		return err
	}
	text := p.Computed.Salt
	if p.Computed.Salt64 != "" {
		text = p.Computed.Salt64
	}
	_, err = io.WriteString(file, text+"\n")
	return errors.Join(err, file.Close())
}

// apply stores services, feeds and rules together, or none of them.
func (o Office) apply(ctx context.Context, p *Plan) error {
	return o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, party := range p.Parties {
			if err := o.Book.Put(tx, party); err != nil {
				return err
			}
			if err := o.Note(tx, "party.imported", party.ID, map[string]string{"protocol": "saml", "from": "shibboleth"}); err != nil {
				return err
			}
		}
		for _, f := range p.Feeds {
			if _, err := o.Feeds.Get(tx, f.ID); err == nil {
				return fmt.Errorf("the feed %s exists already: remove it first (seimon feed remove)", f.ID)
			} else if !errors.Is(err, feed.ErrNone) {
				return err
			}
			if err := o.Feeds.Put(tx, f); err != nil {
				return fmt.Errorf("the feed %s: %w", f.ID, err)
			}
			if err := o.Note(tx, "feed.added", "", map[string]string{"feed": f.ID, "from": "shibboleth"}); err != nil {
				return err
			}
		}
		return o.addRules(tx, p.Rules)
	})
}

// addRules puts the rules behind those in force; one that is there already is
// replaced.
func (o Office) addRules(tx *store.Tx, rules []rp.Rule) error {
	if len(rules) == 0 {
		return nil
	}
	have, err := o.Book.Rules(tx)
	if err != nil {
		return err
	}
	text, err := o.Book.RulesText(tx)
	if err != nil {
		return err
	}
	fresh := slices.DeleteFunc(slices.Clone(rules), func(r rp.Rule) bool {
		return slices.ContainsFunc(have.Rules, func(h rp.Rule) bool { return h.Name == r.Name })
	})
	if len(fresh) == 0 {
		return nil
	}
	more, err := toml.Marshal(struct {
		Rules []rp.Rule `toml:"release"`
	}{fresh})
	if err != nil {
		return err
	}
	if err := o.Book.ApplyRules(tx, "rules", slices.Concat(text, []byte("\n"), more)); err != nil {
		return err
	}
	return o.Note(tx, "rules.applied", "", map[string]string{"from": "shibboleth"})
}

// namesAtOnce is how many stored names one transaction takes over.
const namesAtOnce = 500

// names takes over the stored names and proves the computed ones.
func (o Office) names(ctx context.Context, r *Report, stored []Stored) error {
	if len(stored) == 0 {
		return nil
	}
	sources := map[string]string{}
	run := o.DB.Write
	if r.Dry {
		run = o.DB.Read
	}
	for part := range slices.Chunk(stored, namesAtOnce) {
		var done, nobody int
		var missing []string
		found := map[string]string{}
		err := run(ctx, func(tx *store.Tx) error {
			done, nobody, missing = 0, 0, nil
			for _, s := range part {
				if s.Ended {
					continue
				}
				account, attributes, ok, err := o.Person(tx, s.Principal)
				if err != nil {
					return err
				}
				if !ok {
					nobody++
					missing = append(missing, s.Principal)
					continue
				}
				if v := attributes[r.Computed.Source]; len(v) > 0 {
					found[s.Principal] = v[0]
				}
				done++
				if r.Dry {
					continue
				}
				if err := saml.StorePersistent(tx, s.Service, account, s.Name, false); err != nil {
					return fmt.Errorf("the name of %s at %s: %w", s.Principal, s.Service, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.Names, r.Nobody = r.Names+done, r.Nobody+nobody
		r.Missing = append(r.Missing, missing[:min(len(missing), max(0, 10-len(r.Missing)))]...)
		for k, v := range found {
			sources[k] = v
		}
	}
	if r.Persistent != "" {
		proof := Prove(r.Computed, stored, func(principal string) string { return sources[principal] })
		r.Proof = &proof
	}
	return nil
}

// settings are the lines that belong into the configuration.
func (p *Plan) settings(salt string) string {
	type persistent struct {
		SaltFile string `toml:"salt_file"`
		Base64   bool   `toml:"salt_base64,omitempty"`
		Source   string `toml:"source"`
		Encoding string `toml:"encoding"`
	}
	var c struct {
		University *struct {
			Scopes []string `toml:"scopes"`
		} `toml:"university,omitempty"`
		SAML struct {
			EntityID   string      `toml:"entity_id,omitempty"`
			Persistent *persistent `toml:"persistent,omitempty"`
		} `toml:"saml"`
	}
	c.SAML.EntityID = p.EntityID
	if p.Scope != "" {
		c.University = &struct {
			Scopes []string `toml:"scopes"`
		}{[]string{p.Scope}}
	}
	if p.Persistent != "" {
		if salt == "" {
			salt = "salt"
		}
		c.SAML.Persistent = &persistent{salt, p.Computed.Salt64 != "", p.Computed.Source, p.Computed.Encoding}
	}
	text, err := toml.Marshal(c)
	if err != nil {
		return ""
	}
	return string(text)
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) {
	head := "Carried:"
	if r.Dry {
		head = "Would be carried:"
	}
	fmt.Fprintln(w, head)
	for _, c := range r.Carried {
		fmt.Fprintf(w, "  %s: %s\n", c.File, c.What)
	}
	fmt.Fprintln(w, "Not carried:")
	for _, l := range r.Left {
		fmt.Fprintf(w, "  %s: %s\n", l.File, l.What)
	}
	fmt.Fprintf(w, "Services %d, feeds %d, rules %d.\n", len(r.Parties), len(r.Feeds), len(r.Rules))
	if r.Names+r.Nobody > 0 {
		fmt.Fprintf(w, "Stored names: %d carried, %d of people without an account.\n", r.Names, r.Nobody)
		for _, m := range r.Missing {
			fmt.Fprintf(w, "  no account: %s\n", m)
		}
	}
	if p := r.Proof; p != nil {
		fmt.Fprintf(w, "Proof: %d of %d known names come out equal when computed; %d had ended.\n", p.Equal, p.Known, p.Ended)
		for _, d := range p.Different {
			fmt.Fprintf(w, "  computed differently (the stored name stays): %s\n", d)
		}
	}
	fmt.Fprintf(w, "For seimon.toml:\n\n%s", r.Settings)
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}
