package policy

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"seimon/internal/authn"
)

// maxText bounds a document, in bytes.
const maxText = 4 << 20

//go:embed default.toml
var defaultText []byte

// Problem is one reason why a document is refused.
type Problem struct {
	File   string
	Line   int
	Reason string
}

// String gives "file:line: reason".
func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Reason) }

// Invalid says why a document is refused: everything that is wrong, in line order.
type Invalid struct{ Problems []Problem }

// Error gives one line for each problem.
func (e *Invalid) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Default is the document in force before the campus applied one: two classes
// everywhere, enrolment only with proof.
func Default() *Document {
	d, err := Parse("built-in", defaultText)
	if err != nil {
		panic("policy: the built-in document: " + err.Error())
	}
	return d
}

// Parse reads a document. The error is an *Invalid with every problem found. It
// does not tell whether the services exist: Check does.
func Parse(file string, text []byte) (*Document, error) {
	r := &reader{file: file}
	d := &Document{file: file, text: slices.Clone(text)}
	if len(text) > maxText {
		r.fault(1, "the document is longer than %d bytes", maxText)
	} else if t := readTOML(r, text); t != nil {
		b := &builder{r, d}
		b.document(t)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	d.table = newZoneTable(d.zones)
	return d, nil
}

func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
	return &Invalid{r.problems}
}

// builder fills a document from its tables.
type builder struct {
	*reader
	d *Document
}

func (b *builder) document(t *table) {
	b.readGroups(t.table("group"))
	b.readZones(t.tables("zone"))
	b.readServices(t.table("service"))
	b.readRules(t.tables("rule"))
	b.readEnrolment(t.table("enrolment"))
	b.readCertificates(t.table("clientcert"))
	b.readSettings(t)
	t.end()
}

// labels reads the names of a thing in the two languages; both or none.
func (t *table) labels() map[string]string {
	ja, en := t.text("ja"), t.text("en")
	if t.has("ja") != t.has("en") {
		t.r.fault(t.here(), "give the name in both languages: ja and en")
	}
	if ja == "" || en == "" {
		return nil
	}
	return map[string]string{"ja": ja, "en": en}
}

func (b *builder) readGroups(t *table) {
	if t == nil {
		return
	}
	for _, name := range t.names() {
		g := t.table(name)
		if g == nil {
			continue
		}
		b.name("group", name, g.here())
		b.d.groups = append(b.d.groups, Group{name, g.labels(), g.here()})
		g.end()
	}
}

// name checks that a name can be written in a rule and on a command line.
func (b *builder) name(what, name string, line int) {
	bad := strings.IndexFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.:/@+", r)
	})
	if name == "" || len(name) > 200 || bad >= 0 {
		b.fault(line, "%s %q: a name is made of letters, digits and - _ . : / @ +", what, name)
	}
}

func (b *builder) readServices(t *table) {
	if t == nil {
		return
	}
	for _, name := range t.names() {
		s := t.table(name)
		if s == nil {
			continue
		}
		groups := s.list("groups")
		b.checkGroups(groups)
		if len(groups) == 0 {
			b.fault(s.here(), "service %q: say in groups who may use it, or leave the table out: then everybody may", name)
		}
		b.d.services = append(b.d.services, Service{name, texts(groups), s.here()})
		s.end()
	}
}

func (b *builder) checkGroups(groups []item) {
	var names []string
	for _, g := range b.d.groups {
		names = append(names, g.Name)
	}
	for _, g := range groups {
		b.member("group", g, names, "declare it with [group."+g.text+"]")
	}
}

// member checks that a word is one of words, and otherwise says what to do.
func (b *builder) member(what string, word item, words []string, remedy string) {
	if slices.Contains(words, word.text) {
		return
	}
	reason := fmt.Sprintf("there is no %s %q", what, word.text)
	if near := nearest(word.text, words); near != "" {
		reason += fmt.Sprintf("; did you mean %q?", near)
	} else if remedy != "" {
		reason += "; " + remedy
	}
	b.fault(word.line, "%s", reason)
}

func (b *builder) readSettings(t *table) {
	b.d.trust = 7 * 24 * time.Hour
	if s := t.table("trusted_browser"); s != nil {
		b.d.trust = time.Duration(s.number("days", 7, 0, 365)) * 24 * time.Hour
		b.d.trustLine = s.line("days")
		s.end()
	}
	b.readAgreement(t.table("agreement"))
	b.d.password = passwordSettings{Minimum: 8, Alone: 15}
	if s := t.table("password"); s != nil {
		b.d.password = passwordSettings{s.number("minimum", 8, 8, 64), s.number("alone", 15, 8, 64), s.line("alone")}
		if b.d.password.Alone < b.d.password.Minimum {
			b.fault(s.line("alone"), "alone must not be smaller than minimum (%d)", b.d.password.Minimum)
		}
		s.end()
	}
	b.d.totp = totpSettings{Devices: 5}
	if s := t.table("totp"); s != nil {
		b.d.totp = totpSettings{s.number("devices", 5, 1, 20), s.flag("last_wins"), s.line("last_wins")}
		s.end()
	}
	b.d.mailcode = mailcodeSettings{Lifetime: 10 * time.Minute}
	if s := t.table("mailcode"); s != nil {
		b.d.mailcode = mailcodeSettings{s.duration("lifetime", 10*time.Minute, time.Minute, 24*time.Hour), s.line("lifetime")}
		s.end()
	}
}

func (b *builder) readAgreement(t *table) {
	if t == nil {
		return
	}
	b.d.agreement = agreement{t.text("version"), map[string]string{"ja": t.text("ja"), "en": t.text("en")}, t.here()}
	for _, key := range []string{"version", "ja", "en"} {
		if !t.has(key) {
			b.fault(t.here(), "agreement: %s is missing", key)
		}
	}
	t.end()
}

// kinds reads a list of factor kinds that may be a step after the first factor.
func (b *builder) kinds(items []item) []authn.Kind {
	var out []authn.Kind
	for _, i := range items {
		b.member("factor kind", i, kindNames(), "the kinds are "+strings.Join(kindNames(), ", "))
		traits, _ := traitsOf(authn.Kind(i.text))
		switch {
		case i.text == string(Password):
			b.fault(i.line, "password is the first step; name only what may come after it")
		case traits.RecoveryOnly:
			b.fault(i.line, "%s opens enrolment and recovery only, never a service", i.text)
		}
		out = append(out, authn.Kind(i.text))
	}
	return out
}
