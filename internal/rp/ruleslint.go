package rp

import (
	"fmt"
	"slices"
	"strings"
)

// Advice is something in the rules that is allowed but unwise, in English, for the
// person who writes them.
type Advice struct {
	Line int    `json:"line"`
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// The entity categories that rules usually name.
const (
	categoryAnonymous    = "https://refeds.org/category/anonymous"
	categoryPseudonymous = "https://refeds.org/category/pseudonymous"
)

func knownCategories() []string {
	return []string{
		"http://refeds.org/category/research-and-scholarship", "https://refeds.org/category/code-of-conduct/v2",
		"http://www.geant.net/uri/dataprotection-code-of-conduct/v1", categoryAnonymous, categoryPseudonymous,
		"https://refeds.org/category/personalized", "http://refeds.org/category/hide-from-discovery",
	}
}

// lasting are the attributes by which a person is known again.
func lasting() []string {
	return []string{"subject-id", "eduPersonPrincipalName", "eduPersonUniqueId", "mail", "userName", "employeeNumber",
		"displayName", "displayName;ja", "familyName", "familyName;ja", "gakuninScopedPersonalUniqueCode"}
}

// Lint tells what is allowed but unwise. known tells whether people can be shown a
// name for an attribute.
func (r *Rules) Lint(known func(attribute string) bool) []Advice {
	var out []Advice
	for _, rule := range r.Rules {
		note := func(format string, args ...any) {
			out = append(out, Advice{rule.line, rule.Name, fmt.Sprintf(format, args...)})
		}
		for _, a := range slices.Concat(rule.Attributes, rule.Withhold) {
			if !known(a) {
				note("no account has the attribute %q, or people are not told its name", a)
			}
		}
		for _, c := range rule.Categories {
			near := func(k string) bool {
				return k != c && strings.EqualFold(strings.TrimRight(bare(k), "/"), strings.TrimRight(bare(c), "/"))
			}
			if i := slices.IndexFunc(knownCategories(), near); i >= 0 {
				note("the category %q is written %q by federations", c, knownCategories()[i])
			} else if !slices.Contains(knownCategories(), c) {
				note("the category %q is not among the usual ones", c)
			}
		}
		selectors := len(rule.Services) + len(rule.Feeds) + len(rule.Authorities) + len(rule.Categories)
		if selectors == 0 && !rule.Wanted && len(rule.Attributes) > 0 {
			note("every service of every federation receives these attributes, asked for or not")
		}
		if selectors == 0 && rule.Consent == ConsentNone {
			note("nobody is told what leaves for services of any federation")
		}
		for _, c := range []string{categoryAnonymous, categoryPseudonymous} {
			if slices.Contains(rule.Categories, c) {
				for _, a := range rule.Attributes {
					if slices.Contains(lasting(), a) || c == categoryAnonymous && (a == "pairwise-id" || a == "eduPersonTargetedID") {
						note("%s tells who a person is, which the category %q promises not to need", a, c)
					}
				}
			}
		}
	}
	return out
}

// bare is a name without its scheme.
func bare(uri string) string {
	_, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return uri
	}
	return rest
}
