package policy

import "strings"

// GroupLabels names groups in a language ("ja", "en"), as an enumeration.
func (d *Document) GroupLabels(groups []string, lang string) string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = d.GroupLabel(g, lang)
	}
	if lang == "ja" {
		return strings.Join(names, "、")
	}
	return strings.Join(names, ", ")
}
