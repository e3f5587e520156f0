package diagnosis

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/lang"
)

// Advice is what a person is told about a failure: the cause, one next step, and
// at most three quiet ways on.
type Advice struct {
	Code    authn.Code
	Cause   string
	Next    string
	Actions []Action
}

// Action is a way on: a label in the person's language and a path on the gate, or
// the address of the help desk's page.
type Action struct {
	Label string
	Path  string
}

// Context is what the page knows when it asks for advice.
type Context struct {
	// Proved says that the password, or an equal factor, was right. Without it
	// nothing is told that only the owner of the account may know.
	Proved bool
	// Operator is somebody in charge: the desk, the owner of a service, an administrator.
	Operator bool
	// HelpURL is the university's own help page; empty means the built-in topic.
	HelpURL string
	// Facts fill sentences beside those of the fault, such as "service" or "address".
	Facts map[string]string
	// Now decides whether a time is shown with its date.
	Now time.Time
}

// Advise puts a fault into words. A code without words of its own gets those of
// its family. A code that this person may not be told gets the words for a wrong
// user name or password if it is about the password, and says nothing otherwise.
// nil asks for the words of a failure inside the house.
func Advise(p lang.Printer, f *authn.Fault, ctx Context) Advice {
	if f == nil {
		f = &authn.Fault{Code: internalCode}
	}
	c := find(refine(f))
	if !c.may(ctx) {
		c = find(substitute(c.code))
		f = &authn.Fault{}
	}
	facts := shown(p, c, f.Facts, ctx)
	a := Advice{Code: c.code, Cause: sentence(p, c, "cause", facts), Next: sentence(p, c, "next", facts)}
	for _, name := range c.actions {
		a.Actions = append(a.Actions, action(p, name, ctx))
	}
	return a
}

// substitute is the code shown in place of one that may not be told.
func substitute(code authn.Code) authn.Code {
	if code[0] == 'P' {
		return "P1"
	}
	return hiddenCode
}

// refine picks the code whose words fit the facts best.
func refine(f *authn.Fault) authn.Code {
	has := func(name string) bool { return f.Facts[name] == "yes" }
	switch f.Code {
	case "P1":
		switch {
		case has("caps_lock"):
			return "P1.caps"
		case has("kana"):
			return "P1.kana"
		case has("full_width"):
			return "P1.wide"
		}
	case "T2":
		if n, err := strconv.Atoi(f.Facts["browser"]); err == nil && max(n, -n) >= tooFar {
			return "T2.computer"
		}
		switch f.Facts["direction"] {
		case "slow", "fast":
			return f.Code + "." + authn.Code(f.Facts["direction"])
		}
	case "C4":
		switch f.Facts["reason"] {
		case "certificateHold":
			return "C4.hold"
		case "keyCompromise", "cACompromise":
			return "C4.compromise"
		case "superseded":
			return "C4.superseded"
		case "affiliationChanged", "cessationOfOperation", "privilegeWithdrawn":
			return "C4.left"
		}
	case "C6":
		if f.Facts["since"] != "" {
			return "C6.since"
		}
	case "M1", "M2.wrong":
		switch state := f.Facts["state"]; {
		case state == "refused" || state == "queued":
			return "M1." + authn.Code(state)
		case state == "handed" && f.Code == "M1":
			return "M1.handed"
		}
	}
	return f.Code
}

// tooFar is from how many seconds on a clock spoils one-time codes.
const tooFar = 25

// Desk is the sentence that tells the help desk what to do about a code.
func Desk(p lang.Printer, code authn.Code) string {
	for _, c := range []authn.Code{find(code).code, find(code).code.Family()} {
		if id := "diagnosis." + string(c) + ".desk"; p.Has(id) {
			return p.T(id)
		}
	}
	return p.T("diagnosis.internal.desk")
}

func action(p lang.Printer, name string, ctx Context) Action {
	for _, w := range ways() {
		if w.name == name {
			path := w.path
			if name == "contact" && ctx.HelpURL != "" {
				path = ctx.HelpURL
			}
			return Action{Label: p.T("diagnosis.action." + name), Path: path}
		}
	}
	return Action{}
}

// sentence fills the words of a code, or its plain words when a fact is missing.
func sentence(p lang.Printer, c cause, part string, facts map[string]string) string {
	id := "diagnosis." + string(c.code) + "."
	for _, f := range c.facts {
		if strings.HasPrefix(f.name, "right") && part != "next" {
			continue // which certificate is right belongs to the next step alone
		}
		if _, ok := facts[f.name]; !ok && p.Has(id+"plain."+part) {
			return p.T(id + "plain." + part)
		}
	}
	return p.Text(id+part, facts)
}

// shown turns recorded facts into the form in which people read them.
func shown(p lang.Printer, c cause, facts map[string]string, ctx Context) map[string]string {
	out := map[string]string{}
	for _, f := range c.facts {
		v, ok := facts[f.name]
		if !ok {
			v, ok = ctx.Facts[f.name]
		}
		if !ok || v == "" {
			continue
		}
		if text, ok := f.form.show(p, v, ctx.Now); ok {
			out[f.name] = text
		}
	}
	return out
}

// form is how a recorded fact is read and shown.
type form int

const (
	text   form = iota
	number      // a count
	span        // seconds, shown as a length of time
	day         // RFC 3339, shown as a date
	moment      // RFC 3339, shown with the time of day, and with the date if it is another day
)

func (f form) show(p lang.Printer, value string, now time.Time) (string, bool) {
	switch f {
	case number:
		_, err := strconv.Atoi(value)
		return value, err == nil
	case span:
		n, err := strconv.ParseFloat(value, 64)
		return p.Span(time.Duration(n * float64(time.Second))), err == nil
	case day:
		t, err := time.Parse(time.RFC3339, value)
		return p.Day(t), err == nil
	case moment:
		t, err := time.Parse(time.RFC3339, value)
		if err == nil && p.Day(t) == p.Day(now) {
			return p.Clock(t), true
		}
		return p.Moment(t), err == nil
	}
	return value, true
}

// Words are the sentences of this room.
func Words() lang.Source { return lang.Source{Room: "diagnosis", Files: words} }

// Codes lists every code that has words, sorted.
func Codes() []authn.Code {
	var out []authn.Code
	for _, c := range everything() {
		out = append(out, c.code)
	}
	slices.Sort(out)
	return out
}

// FactsOf lists the facts that the sentences of a code may use.
func FactsOf(code authn.Code) []string {
	var out []string
	for _, f := range find(code).facts {
		out = append(out, f.name)
	}
	return out
}
