package diagnosis

import (
	"context"
	"slices"
	"time"

	"seimon/internal/lang"
)

// Severity says how much a finding matters.
type Severity string

// The severities.
const (
	Broken Severity = "broken" // people cannot sign in, or the gate is not safe
	Warn   Severity = "warn"   // it will break, or is unwise
	Good   Severity = "good"   // looked at and in order
)

// Finding is one thing that the doctor saw.
type Finding struct {
	Code     string            `json:"code"` // stable, such as "clock" or "proxy"; documented in the manual
	Severity Severity          `json:"severity"`
	Facts    map[string]string `json:"facts,omitempty"`
}

// Check looks at one thing. An error means that it could not look, which is a
// finding as well.
type Check struct {
	Code string // of the thing it looks at
	Run  func(ctx context.Context) ([]Finding, error)
}

// checkTime is how long one check may take.
const checkTime = 15 * time.Second

// Examine runs the checks one after another and returns what they found, the
// worst first. A check that found nothing says that all is good.
func Examine(ctx context.Context, checks []Check) []Finding {
	var out []Finding
	for _, c := range checks {
		out = append(out, examine(ctx, c)...)
	}
	order := []Severity{Broken, Warn, Good}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return slices.Index(order, a.Severity) - slices.Index(order, b.Severity)
	})
	return out
}

func examine(ctx context.Context, c Check) []Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	found, err := c.Run(ctx)
	if err != nil {
		return append(found, Finding{"failed", Broken, map[string]string{"check": c.Code, "reason": err.Error()}})
	}
	if len(found) == 0 {
		return []Finding{{"good", Good, map[string]string{"check": c.Code}}}
	}
	return found
}

// Worst is the worst severity among findings; Good when there are none.
func Worst(findings []Finding) Severity {
	worst := Good
	for _, f := range findings {
		if f.Severity == Broken || f.Severity == Warn && worst == Good {
			worst = f.Severity
		}
	}
	return worst
}

// Says gives the sentence of a finding and the one that says what to do.
func (f Finding) Says(p lang.Printer) (text, next string) {
	id := "diagnosis.doctor." + f.Code
	facts := map[string]string{}
	for name, value := range f.Facts {
		facts[name] = value
		switch name {
		case "until":
			facts[name], _ = day.show(p, value, time.Time{})
		case "seconds", "age":
			facts[name], _ = span.show(p, value, time.Time{})
		}
	}
	return p.Text(id, facts), p.Text(id+".next", facts)
}
