package saml

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"seimon/internal/store"
)

// ServicesCommand is "seimon saml keys services".
type ServicesCommand struct {
	Kind    `embed:""`
	Pending bool `help:"Only those that are not ready."`
	JSON    bool `help:"Print JSON."`
}

// Run lists the services and what is known of them and the key.
func (c *ServicesCommand) Run(env Env) error {
	k, list, err := uptake(env, c.Kind.Kind)
	if err != nil {
		return err
	}
	if c.Pending {
		list = pending(list)
	}
	if c.JSON {
		e := json.NewEncoder(env.Out())
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(map[string]any{"key": k.ID, "state": k.State, "services": list})
	}
	return printUptake(env.Out(), k, list)
}

// uptake judges the services for the key of a kind that they have to learn.
func uptake(env Env, kind string) (k Key, list []Uptake, err error) {
	db, f, err := env.SAML()
	if err != nil {
		return k, nil, err
	}
	ok := false
	err = db.Read(env.Context(), func(tx *store.Tx) error {
		k, ok, err = Rolling(tx, kind)
		return err
	})
	if err == nil && !ok {
		err = fmt.Errorf("there is no key of the kind %s", kind)
	}
	if err != nil {
		return k, nil, err
	}
	around, err := env.Surroundings()
	if err != nil {
		return k, nil, err
	}
	list, err = f.Uptake(env.Context(), k, around)
	return k, list, err
}

func pending(list []Uptake) []Uptake {
	out := []Uptake{}
	for _, u := range list {
		if u.State != Ready {
			out = append(out, u)
		}
	}
	return out
}

func printUptake(w io.Writer, k Key, list []Uptake) error {
	count := map[Readiness]int{}
	for _, u := range list {
		count[u.State]++
	}
	fmt.Fprintf(w, "%s (%s, %s since %s): services: %d; ready: %d, seen: %d, not seen: %d\n", k.ID, k.Algorithm, k.State,
		k.Since.UTC().Format(time.DateOnly), len(list), count[Ready], count[Seen], count[NotSeen])
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tSTATE\tLAST USE\tEVIDENCE")
	for _, u := range list {
		var why []string
		if u.Trial {
			why = append(why, "the key signs for it already, on trial")
		}
		for _, e := range u.Evidence {
			why = append(why, fmt.Sprintf("%s %s: %s", e.Kind, e.At.UTC().Format(time.DateOnly), e.Says))
		}
		if len(why) == 0 {
			why = append(why, "-")
		}
		last := "-"
		if !u.LastUse.IsZero() {
			last = u.LastUse.UTC().Format(time.DateOnly)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", u.Service, u.State, last, strings.Join(why, "; "))
	}
	return table.Flush()
}

// NoteCommand is "seimon saml keys note".
type NoteCommand struct {
	Service string `arg:"" help:"Id of the service."`
	Kind    `embed:""`
	Why     string `help:"How you know: who said so, what you have seen."`
	Back    bool   `help:"Take the note back."`
}

// Run puts the note on record.
func (c *NoteCommand) Run(env Env) error {
	if len(strings.TrimSpace(c.Why)) < 4 && !c.Back {
		return fmt.Errorf("say how you know: --why")
	}
	r := remark{"saml.key.noted", c.Service, c.Kind.Kind, map[string]string{"why": c.Why, "back": fmt.Sprint(c.Back)}}
	return r.make(env, func(tx *store.Tx, f *Front, k Key) error {
		return f.NoteReady(tx, k.ID, c.Service, c.Why, c.Back)
	})
}

// TryCommand is "seimon saml keys try".
type TryCommand struct {
	Service string `arg:"" help:"Id of the service."`
	Kind    `embed:""`
	Back    bool `help:"End the trial: the key in use signs for it again."`
}

// Run begins or ends a trial.
func (c *TryCommand) Run(env Env) error {
	r := remark{"saml.key.tried", c.Service, c.Kind.Kind, map[string]string{"back": fmt.Sprint(c.Back)}}
	return r.make(env, func(tx *store.Tx, f *Front, _ Key) error {
		return f.Try(tx, c.Kind.Kind, c.Service, c.Back)
	})
}

// remark is something to be put on record about a service and the key it has to learn.
type remark struct {
	event, service, kind string
	facts                map[string]string
}

func (m remark) make(env Env, fn func(tx *store.Tx, f *Front, k Key) error) error {
	db, f, err := env.SAML()
	if err != nil {
		return err
	}
	err = db.Write(env.Context(), func(tx *store.Tx) error {
		p, err := f.Parties.Get(tx, m.service)
		if err != nil || p.Protocol != Name {
			return fmt.Errorf("there is no SAML service %q", m.service)
		}
		k, ok, err := Rolling(tx, m.kind)
		if err != nil || !ok {
			return fmt.Errorf("there is no key of the kind %s: %w", m.kind, err)
		}
		if err := fn(tx, f, k); err != nil {
			return err
		}
		m.facts["kind"], m.facts["key"] = m.kind, k.ID
		return env.Record(tx, m.event, m.service, m.facts)
	})
	if err == nil {
		_, err = fmt.Fprintf(env.Out(), "%s: noted.\n", m.service)
	}
	return err
}

// ready refuses to let a key sign while services are not known to be ready for it.
func (c *ActivateCommand) ready(env Env) error {
	k, list, err := uptake(env, c.Kind.Kind)
	if err != nil || k.State != KeyNext {
		return err
	}
	left := pending(list)
	if len(left) == 0 {
		return nil
	}
	if err := printUptake(env.Out(), k, left); err != nil {
		return err
	}
	if !c.Anyway {
		return fmt.Errorf("%d of %d services are not known to be ready for the key: look at each (seimon saml keys note, try), or say --anyway", len(left), len(list))
	}
	fmt.Fprintf(env.Out(), "The key signs from now on; %d of %d services were not known to be ready.\n", len(left), len(list))
	return nil
}
