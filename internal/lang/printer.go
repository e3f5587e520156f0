package lang

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
)

// Printer speaks one language. Its zero value says nothing; get one from Words.In.
type Printer struct {
	words *Words
	tag   Tag
}

// Tag is the language spoken.
func (p Printer) Tag() Tag { return p.tag }

// Has tells whether a message exists.
func (p Printer) Has(id string) bool { return p.words != nil && p.words.find(p.tag, id) != nil }

// Fixed gives a sentence that has nothing to fill in; false when there is no such message
// or it has facts.
func (p Printer) Fixed(id string) (string, bool) {
	if p.words == nil {
		return "", false
	}
	m := p.words.find(p.tag, id)
	if m == nil || !m.plain {
		return "", false
	}
	return m.source.Other, true
}

// T gives a sentence, filled with alternating fact names and values. A mistake in
// the call (unknown id, missing fact) stops a test; in service it is logged and the
// id or a dash is shown. The result is plain text: the caller escapes it.
func (p Printer) T(id string, facts ...any) string {
	if len(facts) == 0 {
		return p.say(id, nil)
	}
	filled := make(map[string]any, len(facts)/2)
	for i := 0; i+1 < len(facts); i += 2 {
		filled[fmt.Sprint(facts[i])] = facts[i+1]
	}
	return p.say(id, filled)
}

// Text gives a sentence filled with the facts of a fault or an event.
func (p Printer) Text(id string, facts map[string]string) string {
	filled := make(map[string]any, len(facts))
	for name, value := range facts {
		filled[name] = value
	}
	return p.say(id, filled)
}

// say fills a message.
func (p Printer) say(id string, facts map[string]any) string {
	if p.words == nil {
		return id
	}
	m := p.words.find(p.tag, id)
	if m == nil {
		p.words.miss("unknown message", id)
		return id
	}
	if m.plain {
		return m.source.Other
	}
	if facts == nil {
		facts = map[string]any{}
	}
	for _, name := range m.facts {
		if _, ok := facts[name]; !ok {
			p.words.miss("missing fact "+name, id)
			facts[name] = "-"
		}
	}
	text, err := m.voice.Localize(&i18n.LocalizeConfig{MessageID: id, TemplateData: facts, PluralCount: m.count(facts)})
	if err != nil {
		p.words.miss(err.Error(), id)
		return id
	}
	return text
}

// count gives the number that chooses the plural form, or nil for the general form.
func (m *message) count(facts map[string]any) any {
	if !m.plural {
		return nil
	}
	for _, name := range []string{"Count", "count"} {
		if n, err := strconv.Atoi(fmt.Sprint(facts[name])); err == nil {
			return n
		}
	}
	return nil
}

// Day gives a date with its weekday: 2026年4月6日(月), Mon, 6 April 2026.
func (p Printer) Day(t time.Time) string {
	t = p.local(t)
	if p.tag == EN {
		return t.Format("Mon, 2 January 2006")
	}
	return t.Format("2006年1月2日(") + string([]rune("日月火水木金土")[t.Weekday()]) + ")"
}

// Moment gives a date with its weekday and the time in hours and minutes.
func (p Printer) Moment(t time.Time) string {
	if p.tag == EN {
		return p.Day(t) + ", " + p.Clock(t)
	}
	return p.Day(t) + " " + p.Clock(t)
}

// Clock gives the time of day: 14:05.
func (p Printer) Clock(t time.Time) string { return p.local(t).Format("15:04") }

// Span gives a length of time in its two greatest units: 7日, 10 minutes, 1 hour 30
// minutes. The sign is dropped; less than a second is nought seconds.
func (p Printer) Span(d time.Duration) string {
	d = d.Abs().Round(time.Second)
	units := []struct {
		id   string
		size time.Duration
	}{{"lang.span.day", 24 * time.Hour}, {"lang.span.hour", time.Hour}, {"lang.span.minute", time.Minute}, {"lang.span.second", time.Second}}
	var parts []string
	for i, unit := range units {
		n := int64(d / unit.size)
		d %= unit.size
		last := i == len(units)-1 && len(parts) == 0
		if n > 0 || last {
			parts = append(parts, p.T(unit.id, "Count", n))
		}
		if len(parts) == 2 || (len(parts) == 1 && d < time.Second) || (len(parts) == 1 && n == 0) {
			break
		}
	}
	if p.tag == EN {
		return strings.Join(parts, " ")
	}
	return strings.Join(parts, "")
}

// local moves an instant to the zone of the university.
func (p Printer) local(t time.Time) time.Time {
	if p.words == nil {
		return t.UTC()
	}
	return t.In(p.words.zone)
}

// inTest tells whether a Go test is running.
func inTest() bool { return testing.Testing() }
