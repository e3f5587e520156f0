package diagnosis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/policy"
	"seimon/internal/store"
)

// Spoken is a report in one language.
type Spoken struct {
	Outcome  string   `json:"outcome"`
	Cause    string   `json:"cause,omitempty"`
	Told     string   `json:"told,omitempty"` // the next step that the person was shown
	Desk     string   `json:"desk,omitempty"` // what the desk does
	Zone     []string `json:"zone"`
	Timeline []Line   `json:"timeline"`
	Replay   []string `json:"replay,omitempty"`
}

// Line is one event in words.
type Line struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Speak puts a report into the language of p.
func (r *Report) Speak(p lang.Printer) Spoken {
	s := Spoken{Outcome: p.T("diagnosis.explain.outcome." + r.Outcome), Zone: r.place(p), Replay: r.again(p)}
	if r.Cause != "" {
		a := r.advice(p)
		s.Cause, s.Told, s.Desk = a.Cause, a.Next, Desk(p, a.Code)
	}
	for _, e := range r.Timeline {
		s.Timeline = append(s.Timeline, Line{e.At, r.line(p, e)})
	}
	return s
}

func (r *Report) advice(p lang.Printer) Advice {
	return Advise(p, r.fault(), Context{Proved: true, Operator: true, Now: r.Timeline[len(r.Timeline)-1].At})
}

// line puts one event into words.
func (r *Report) line(p lang.Printer, e Entry) string {
	text := ""
	switch id := "diagnosis.event." + e.Type; {
	case e.Type == "signin.decided" && e.verdict != nil:
		text = decided(p, *e.verdict)
	case p.Has(id):
		text = p.T(id, "party", e.party, "address", e.address, "zone", e.Facts["zone"],
			"factor", kindName(p, authn.Kind(e.Facts["factor"])), "cause", r.causeOf(p, e), "to", e.Facts["to"])
	default:
		text = p.T("diagnosis.event.other", "type", e.Type)
		for _, k := range slices.Sorted(maps.Keys(e.Facts)) {
			text += " " + k + "=" + e.Facts[k]
		}
	}
	if e.Type == "signin.begun" && e.verdict != nil {
		text += " " + decided(p, *e.verdict)
	}
	if p.Has("diagnosis.event." + e.Type) {
		text += field(p, e.Facts)
	}
	if more := e.Facts["more"]; more != "" {
		since, _ := time.Parse(time.RFC3339, e.Facts["more_since"])
		text += " " + p.T("diagnosis.explain.more."+e.Facts["more_of"], "more", more, "since", p.Moment(since))
	}
	if e.Actor != "" {
		text += " [" + e.Actor + "]"
	}
	return text
}

// field names the field of a service's message that did not fit, and what was sent in
// it: foreign text, so it is quoted.
func field(p lang.Printer, facts map[string]string) string {
	out := ""
	if facts["field"] == "" {
		return out
	}
	out += " " + p.T("diagnosis.explain.field", "field", strconv.QuoteToGraphic(facts["field"]))
	for _, k := range []string{"sent", "registered", "why"} {
		if facts[k] != "" {
			out += " " + p.T("diagnosis.explain.field."+k, "text", strconv.QuoteToGraphic(facts[k]))
		}
	}
	return out
}

// causeOf is the cause sentence of an event that carries a code, with the code.
func (r *Report) causeOf(p lang.Printer, e Entry) string {
	code := authn.Code(e.Facts["code"])
	if code == "" {
		return "-"
	}
	a := Advise(p, &authn.Fault{Code: code, Facts: e.Facts}, Context{Proved: true, Operator: true, Now: e.At})
	return fmt.Sprintf("%s (%s)", a.Cause, code)
}

func decided(p lang.Printer, v policy.Verdict) string {
	names := make([]string, len(v.Kinds))
	for i, k := range v.Kinds {
		names[i] = kindName(p, k)
	}
	return p.T("diagnosis.decided."+string(v.Step), "kinds", strings.Join(names, ", "), "cause", string(v.Cause))
}

// kindName is the name that a factor's own room gives to it.
func kindName(p lang.Printer, kind authn.Kind) string {
	switch id := string(kind) + ".name"; {
	case kind == "":
		return "-"
	case p.Has(id):
		return p.T(id)
	}
	return string(kind)
}

func (r *Report) place(p lang.Printer) []string {
	var out []string
	z := r.Zone
	kind := func(k authn.ZoneKind) string {
		if id := "diagnosis.kind." + string(k); p.Has(id) {
			return p.T(id)
		}
		return string(k)
	}
	switch {
	case z.Then.Kind == authn.Elsewhere || z.Then.Kind == "":
		out = append(out, p.T("diagnosis.explain.zone.none"))
	case z.Then.Prefix == "":
		out = append(out, p.T("diagnosis.explain.zone.then", "zone", z.Then.Name, "kind", kind(z.Then.Kind), "range", "-"))
	default:
		out = append(out, p.T("diagnosis.explain.zone.then", "zone", z.Then.Name, "kind", kind(z.Then.Kind), "range", z.Then.Prefix))
	}
	if z.Now.Name != "" && z.Then.Name != "" && z.Now.Name != z.Then.Name {
		out = append(out, p.T("diagnosis.explain.zone.changed", "zone", z.Now.Name, "kind", kind(z.Now.Kind)))
	}
	if z.Gap {
		out = append(out, p.T("diagnosis.explain.zone.gap"))
	}
	if z.Rule != "" {
		out = append(out, p.T("diagnosis.explain.rule", "rule", z.Rule, "version", z.Policy))
	}
	if r.Headers != "" {
		out = append(out, p.T("diagnosis.explain.headers", "headers", r.Headers))
	}
	return out
}

// again tells whether the last decision would be the same today.
func (r *Report) again(p lang.Printer) []string {
	if len(r.Decisions) == 0 {
		return nil
	}
	last := r.Decisions[len(r.Decisions)-1]
	out := []string{decided(p, last.Then)}
	if last.Same {
		out = append(out, p.T("diagnosis.explain.replay.same"))
	} else {
		out = append(out, p.T("diagnosis.explain.replay.other"), decided(p, last.Now))
	}
	if len(last.Then.Why) > 0 {
		out = append(out, p.T("diagnosis.explain.replay.missing", "why", strings.Join(last.Then.Why, "; ")))
	}
	if r.Zone.Latest != last.Policy {
		out = append(out, p.T("diagnosis.explain.replay.policy", "then", last.Policy, "now", r.Zone.Latest))
	}
	return out
}

// Print writes a report for people.
func (r *Report) Print(w io.Writer, p lang.Printer) {
	s := r.Speak(p)
	label := func(id string) string { return p.T("diagnosis.explain." + id) }
	fmt.Fprintln(w, p.T("diagnosis.explain.title", "code", r.Support))
	for _, f := range [][2]string{{"account", string(r.Account)}, {"service", r.Party}, {"address", r.Address}, {"outcome", s.Outcome}} {
		if f[1] != "" {
			fmt.Fprintf(w, "  %s: %s\n", label(f[0]), f[1])
		}
	}
	part := func(title string, lines ...string) {
		if len(lines) == 0 || lines[0] == "" {
			return
		}
		fmt.Fprintf(w, "\n%s\n", title)
		for _, l := range lines {
			fmt.Fprintf(w, "  %s\n", l)
		}
	}
	if r.Cause != "" {
		part(label("cause")+" ("+string(r.Cause)+")", s.Cause)
	}
	part(label("desk"), s.Desk)
	part(label("told"), s.Told)
	part(label("zone"), s.Zone...)
	lines := make([]string, len(s.Timeline))
	for i, l := range s.Timeline {
		lines[i] = p.Moment(l.At) + l.At.Format(":05") + "  " + l.Text
	}
	part(label("timeline"), lines...)
	part(label("replay"), s.Replay...)
}

// Env is what the building gives to the command.
type Env interface {
	Context() context.Context
	Out() io.Writer
	// Records opens what is on record.
	Records() (Records, error)
}

// Records is where sign-ins are on record.
type Records struct {
	DB    *store.DB
	Log   *audit.Log
	Book  *policy.Book
	Words *lang.Words
	Tag   lang.Tag // the language of whoever asks
}

// Command is "seimon explain".
type Command struct {
	Code string `arg:"" help:"The support code, such as 7KQ2-MHXD."`
	JSON bool   `help:"Print JSON, in both languages."`
}

// Run explains one sign-in.
func (c *Command) Run(env Env) error {
	rec, err := env.Records()
	if err != nil {
		return err
	}
	p := rec.Words.In(rec.Tag)
	var r Report
	err = rec.DB.Read(env.Context(), func(tx *store.Tx) error {
		r, err = Explain(tx, rec.Log, rec.Book, c.Code)
		return err
	})
	switch {
	case errors.Is(err, ErrMalformed):
		return errors.New(p.T("diagnosis.explain.malformed"))
	case errors.Is(err, ErrNone):
		return errors.New(p.T("diagnosis.explain.none"))
	case err != nil:
		return err
	}
	if !c.JSON {
		r.Print(env.Out(), p)
		return nil
	}
	e := json.NewEncoder(env.Out())
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		Report
		JA Spoken `json:"ja"`
		EN Spoken `json:"en"`
	}{r, r.Speak(rec.Words.In(lang.JA)), r.Speak(rec.Words.In(lang.EN))})
}
