package lang

import (
	"strings"

	"golang.org/x/text/language"
)

// longestAccept is how much of an Accept-Language header or ui_locales value is read.
const longestAccept = 256

// Match chooses a language from an Accept-Language header or from ui_locales
// (space-separated tags). Nothing asked means Japanese; only foreign languages asked
// means English.
func (w *Words) Match(accept string) Tag {
	if len(accept) > longestAccept {
		accept = accept[:longestAccept]
		accept = accept[:strings.LastIndexAny(accept, ", ")+1]
	}
	accept = strings.Trim(strings.Join(strings.FieldsFunc(accept, func(r rune) bool { return r == ' ' || r == ',' }), ","), ",")
	accept = strings.ReplaceAll(accept, ";,", ";")
	if accept == "" {
		return JA
	}
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil || len(wanted) == 0 {
		return JA
	}
	matcher := language.NewMatcher([]language.Tag{language.English, language.Japanese})
	if _, i, _ := matcher.Match(wanted...); i == 1 {
		return JA
	}
	return EN
}
