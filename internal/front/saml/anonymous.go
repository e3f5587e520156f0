package saml

import (
	"slices"
	"strings"
)

// anonymous tells whether a service of a federation says that it wants to recognise nobody
// (REFEDS Anonymous Access 1.0), and nothing speaks for more: neither another category that
// means identifiers nor a rule of the university that gives it one.
func (s *service) anonymous() bool {
	const refeds = "https://refeds.org/category/"
	says := func(c string) bool { return slices.Contains(s.Categories, c) }
	if s.Source == "" || !says(refeds+"anonymous") ||
		says(refeds+"pseudonymous") || says(refeds+"personalized") || says("http://refeds.org/category/research-and-scholarship") {
		return false
	}
	for _, r := range s.Release {
		if slices.Contains([]string{targetedID, pairwiseID, subjectID}, r.Attribute) || strings.HasPrefix(r.Attribute, "eduPersonPrincipalName") {
			return false
		}
	}
	return true
}
