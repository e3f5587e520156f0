package directory

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"seimon/internal/store"
)

// ProofCommand is "seimon user proof" with its verbs.
type ProofCommand struct {
	Add  ProofAdd  `cmd:"" help:"Put on record how a person was found to be who they say."`
	List ProofList `cmd:"" help:"List a person's proofs and what services are told because of them."`
	End  ProofEnd  `cmd:"" help:"Take a proof back; it stays on record."`
}

// ProofAdd is "seimon user proof add".
type ProofAdd struct {
	UserName string   `arg:"" help:"User name of one of the person's accounts."`
	Way      string   `required:"" help:"How: in-person-chip, in-person, supervised, chip, photo, register or address."`
	Document []string `help:"Kind of document that was looked at; repeat for several. Never a number." placeholder:"KIND"`
	At       string   `help:"Day of the proof; today when empty." placeholder:"DAY"`
	Until    string   `help:"Last day on which it counts; for ever when empty." placeholder:"DAY"`
	Place    string   `help:"Where: the desk, the office."`
	By       string   `help:"Who looked, when it was not you." placeholder:"NAME"`
	JSON     bool     `help:"Print JSON."`
}

// Run puts the proof on record.
func (c *ProofAdd) Run(env Env) error {
	o, err := env.Office()
	if err != nil {
		return err
	}
	p := Proof{Way: Way(c.Way), Documents: c.Document, Place: strings.TrimSpace(c.Place), By: o.Actor}
	if by := strings.TrimSpace(c.By); by != "" {
		p.By = by + " (noted by " + o.Actor + ")"
	}
	if p.At, err = parseDay(c.At, o.Zone, false); err != nil {
		return err
	}
	if p.Until, err = parseDay(c.Until, o.Zone, true); err != nil {
		return err
	}
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		a, person, err := o.named(tx, c.UserName)
		if err != nil {
			return err
		}
		fresh := p
		fresh.Person = person.ID
		if fresh, err = o.People.Prove(tx, fresh); err != nil {
			return err
		}
		p = fresh
		return o.Note(tx, "account.proofed", a.ID, p.told())
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out(), p)
	}
	fmt.Fprintf(env.Out(), "%s is on record for the person of %s.\n", p.ID, c.UserName)
	return nil
}

// told is a proof as the record of events has it.
func (p Proof) told() map[string]string {
	out := map[string]string{"proof": p.ID, "way": string(p.Way), "documents": strings.Join(p.Documents, " "), "at": p.At.Format(time.RFC3339), "by": p.By}
	if p.Place != "" {
		out["place"] = p.Place
	}
	if !p.Until.IsZero() {
		out["until"] = p.Until.Format(time.RFC3339)
	}
	return out
}

// ProofList is "seimon user proof list".
type ProofList struct {
	UserName string `arg:"" help:"User name."`
	JSON     bool   `help:"Print JSON."`
}

// Run prints the proofs and the claims.
func (c *ProofList) Run(env Env) error {
	o, err := env.Office()
	if err != nil {
		return err
	}
	var a Account
	var p Person
	var all []Proof
	err = o.DB.Read(env.Context(), func(tx *store.Tx) (err error) {
		if a, p, err = o.named(tx, c.UserName); err != nil {
			return err
		}
		all, err = o.People.Proofs(tx, p.ID)
		return err
	})
	if err != nil {
		return err
	}
	values := o.People.Attributes(a, p)["eduPersonAssurance"]
	if c.JSON {
		return printJSON(env.Out(), map[string]any{
			"user": a.UserName, "proofs": append([]Proof{}, all...), "affiliations_affirmed": orNil(a.Affirmed), "assurance": append([]string{}, values...),
		})
	}
	return printProofs(env.Out(), a, all, values, o.DB.Now())
}

func printProofs(w io.Writer, a Account, all []Proof, values []string, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tDAY\tWAY\tDOCUMENTS\tBY\tSTATE")
	for _, p := range all {
		state := "counts"
		switch {
		case !p.Ended.IsZero():
			state = "taken back " + day(p.Ended) + " by " + p.EndedBy + ": " + p.EndedWhy
		case !p.counts(now):
			state = "over since " + day(p.Until)
		}
		by := strings.TrimSpace(p.By + " " + p.Place)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, day(p.At), p.Way, strings.Join(p.Documents, " "), by, state)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	affirmed := "never"
	if !a.Affirmed.IsZero() {
		affirmed = day(a.Affirmed)
	}
	fmt.Fprintf(w, "affiliations %q last confirmed: %s\n", strings.Join(a.Affiliations, " "), affirmed)
	if len(values) == 0 {
		fmt.Fprintln(w, "services are told nothing (eduPersonAssurance)")
		return nil
	}
	fmt.Fprintln(w, "services that receive eduPersonAssurance are told:")
	for _, v := range slices.Sorted(slices.Values(values)) {
		fmt.Fprintf(w, "  %s\n", v)
	}
	return nil
}

// ProofEnd is "seimon user proof end".
type ProofEnd struct {
	UserName string `arg:"" help:"User name of one of the person's accounts."`
	ID       string `arg:"" optional:"" help:"Id of the proof; the newest that counts when empty."`
	Why      string `required:"" help:"Reason, kept on record."`
}

// Run takes the proof back.
func (c *ProofEnd) Run(env Env) error {
	o, err := env.Office()
	if err != nil {
		return err
	}
	var ended Proof
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		a, p, err := o.named(tx, c.UserName)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(p.Proofs, func(have Proof) bool { return have.ID == c.ID || c.ID == "" })
		if i < 0 {
			return errors.New("the person has no such proof that counts")
		}
		if ended, err = o.People.Disprove(tx, p.Proofs[i].ID, c.Why, o.Actor); err != nil {
			return err
		}
		facts := ended.told()
		facts["why"] = c.Why
		return o.Note(tx, "account.proof.ended", a.ID, facts)
	})
	if err == nil {
		fmt.Fprintf(env.Out(), "%s is taken back.\n", ended.ID)
	}
	return err
}
