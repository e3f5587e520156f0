package rp

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	_ "embed"

	"github.com/pelletier/go-toml/v2"
)

//go:embed rules.toml
var builtin []byte

// maxRules bounds the text of the rules, in bytes.
const maxRules = 256 << 10

// Wish is an attribute that a service asks for in its metadata, under the name that
// the directory has for it.
type Wish struct {
	Attribute string
	Required  bool
}

// Facts are what a federation says of a service, as far as it matters for what the
// service receives.
type Facts struct {
	ID         string
	Feed       string
	Authority  string // who registered it
	Categories []string
	Wishes     []Wish
}

// Rule says what a kind of service receives. Every selector that is given must fit;
// what several rules give adds up.
type Rule struct {
	Name        string   `toml:"name" json:"name"`
	Services    []string `toml:"services,omitempty" json:"services,omitempty"`
	Feeds       []string `toml:"feeds,omitempty" json:"feeds,omitempty"`
	Authorities []string `toml:"authorities,omitempty" json:"authorities,omitempty"`
	Categories  []string `toml:"categories,omitempty" json:"categories,omitempty"` // one of them
	// Attributes may leave. With Wanted only those among them that the service asks
	// for, and then as required as it says itself.
	Attributes []string `toml:"attributes,omitempty" json:"attributes,omitempty"`
	Wanted     bool     `toml:"wanted,omitempty" json:"wanted,omitempty"`
	Required   []string `toml:"required,omitempty" json:"required,omitempty"` // among Attributes
	Withhold   []string `toml:"withhold,omitempty" json:"withhold,omitempty"` // never leave, whatever other rules give
	Groups     []string `toml:"groups,omitempty" json:"groups,omitempty"`     // of people; everybody when empty
	// NotServices and NotCategories keep services out that would fit otherwise.
	NotServices   []string `toml:"not_services,omitempty" json:"not_services,omitempty"`
	NotCategories []string `toml:"not_categories,omitempty" json:"not_categories,omitempty"`
	// Only and Except pick among the values of an attribute, Never holds values back
	// whatever other rules give; each by attribute, as patterns (see Share).
	Only    map[string][]string `toml:"only,omitempty" json:"only,omitempty"`
	Except  map[string][]string `toml:"except,omitempty" json:"except,omitempty"`
	Never   map[string][]string `toml:"never,omitempty" json:"never,omitempty"`
	Consent string              `toml:"consent,omitempty" json:"consent,omitempty"`
	line    int
}

// Rules are the rules of release for services of federations.
type Rules struct {
	Rules   []Rule `toml:"release"`
	Version int64  `toml:"-"` // 0 for the built-in ones
}

// ParseRules reads rules and refuses what cannot be meant, with the line.
func ParseRules(file string, text []byte) (*Rules, error) {
	if len(text) > maxRules {
		return nil, fmt.Errorf("%s: longer than %d bytes", file, maxRules)
	}
	r := &Rules{}
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return nil, tomlPlace(file, err)
	}
	lines := tableLines(text)
	var wrong []error
	for i := range r.Rules {
		if i < len(lines) {
			r.Rules[i].line = lines[i]
		}
		if err := r.Rules[i].judge(r.Rules[:i]); err != nil {
			wrong = append(wrong, fmt.Errorf("%s:%d: %w", file, r.Rules[i].line, err))
		}
	}
	return r, errors.Join(wrong...)
}

// tableLines gives the lines at which the rules begin.
func tableLines(text []byte) []int {
	var out []int
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if bytes.HasPrefix(bytes.ReplaceAll(line, []byte(" "), nil), []byte("[[release]]")) {
			out = append(out, n)
		}
	}
	return out
}

func tomlPlace(file string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		line, _ := unknown.Errors[0].Position()
		return fmt.Errorf("%s:%d: the key %q is unknown", file, line, strings.Join(unknown.Errors[0].Key(), "."))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		return fmt.Errorf("%s:%d: %s", file, line, strings.TrimPrefix(bad.Error(), "toml: "))
	}
	return fmt.Errorf("%s: %w", file, err)
}

func (r Rule) judge(before []Rule) error {
	switch {
	case r.Name == "":
		return errors.New("a rule needs a name")
	case slices.ContainsFunc(before, func(b Rule) bool { return b.Name == r.Name }):
		return fmt.Errorf("two rules have the name %q", r.Name)
	case len(r.Attributes)+len(r.Withhold)+len(r.Never) == 0:
		return fmt.Errorf("the rule %q says nothing: give attributes, withhold or never", r.Name)
	case r.Consent != "" && r.Consent != ConsentAsk && r.Consent != ConsentInform && r.Consent != ConsentNone:
		return fmt.Errorf("the rule %q: consent is ask, inform or none, not %q", r.Name, r.Consent)
	case r.Wanted && len(r.Required) > 0:
		return fmt.Errorf("the rule %q: with wanted the service itself says what is required", r.Name)
	}
	for _, a := range slices.Concat(r.Attributes, r.Withhold) {
		if !attributeForm.MatchString(a) {
			return fmt.Errorf("the rule %q: %q is not the name of an attribute", r.Name, a)
		}
	}
	for _, a := range r.Required {
		if !slices.Contains(r.Attributes, a) {
			return fmt.Errorf("the rule %q: %q is required, yet not among its attributes", r.Name, a)
		}
	}
	return r.judgeValues()
}

// judgeValues looks at what the rule says of single values.
func (r Rule) judgeValues() error {
	for key, by := range map[string]map[string][]string{"only": r.Only, "except": r.Except, "never": r.Never} {
		for a, patterns := range by {
			if err := CheckPatterns(patterns); err != nil {
				return fmt.Errorf("the rule %q: %s of %s: %w", r.Name, key, a, err)
			}
			if !attributeForm.MatchString(a) || len(patterns) == 0 {
				return fmt.Errorf("the rule %q: %s of %q says nothing", r.Name, key, a)
			}
			if key != "never" && !slices.Contains(r.Attributes, a) {
				return fmt.Errorf("the rule %q: %s is about %q, which is not among its attributes", r.Name, key, a)
			}
		}
	}
	return nil
}

func (r Rule) fits(f Facts) bool {
	one := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	if slices.Contains(r.NotServices, f.ID) || slices.ContainsFunc(f.Categories, func(c string) bool { return slices.Contains(r.NotCategories, c) }) {
		return false
	}
	return one(r.Services, f.ID) && one(r.Feeds, f.Feed) && one(r.Authorities, f.Authority) &&
		(len(r.Categories) == 0 || slices.ContainsFunc(f.Categories, func(c string) bool { return slices.Contains(r.Categories, c) }))
}

// Grant is what rules give a service.
type Grant struct {
	Release []Release
	Consent string
	// Because names the rules behind each attribute, and behind those withheld.
	Because, Withheld map[string][]string
}

// Apply works out what a service receives. When rules differ about consent the most
// careful one counts: ask, then inform, then none.
func (r *Rules) Apply(f Facts) Grant {
	g := Grant{Because: map[string][]string{}, Withheld: map[string][]string{}}
	given, never := map[string]*Release{}, map[string][]string{}
	for _, rule := range r.Rules {
		if !rule.fits(f) {
			continue
		}
		for _, a := range rule.Withhold {
			g.Withheld[a] = append(g.Withheld[a], rule.Name)
		}
		for a, patterns := range rule.Never {
			never[a] = append(never[a], patterns...)
		}
		gives := false
		for _, a := range rule.Attributes {
			required, ok := rule.requires(a, f)
			if ok {
				gives = true
				g.Because[a] = append(g.Because[a], rule.Name)
				add(given, Release{Attribute: a, Required: required, Groups: rule.Groups, Only: rule.Only[a], Except: rule.Except[a]})
			}
		}
		if gives || len(rule.Attributes) == 0 {
			g.Consent = careful(g.Consent, rule.Consent)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if g.Withheld[name] == nil {
			given[name].Never = never[name]
			g.Release = append(g.Release, *given[name])
		}
	}
	if g.Consent == "" {
		g.Consent = ConsentAsk
	}
	return g
}

// requires tells whether the rule gives the attribute, and whether the service needs it.
func (r Rule) requires(attribute string, f Facts) (required, ok bool) {
	i := slices.IndexFunc(f.Wishes, func(w Wish) bool { return w.Attribute == attribute })
	if r.Wanted {
		return i >= 0 && f.Wishes[i].Required, i >= 0
	}
	return slices.Contains(r.Required, attribute) || i >= 0 && f.Wishes[i].Required, true
}

// add joins what two rules give.
func add(given map[string]*Release, r Release) {
	old := given[r.Attribute]
	if old == nil {
		r.Groups = slices.Clone(r.Groups)
		given[r.Attribute] = &r
		return
	}
	old.Join(r)
}

func careful(a, b string) string {
	for _, c := range []string{ConsentAsk, ConsentInform, ConsentNone} {
		if a == c || b == c {
			return c
		}
	}
	return ""
}
