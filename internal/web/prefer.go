package web

import (
	"net/http"
	"strings"

	"seimon/internal/lang"
)

// Prefer is WithLang for a list of language tags, best first (ui_locales): the
// first that we speak is used.
func Prefer(r *http.Request, tags []string) *http.Request {
	for _, t := range tags {
		base, _, _ := strings.Cut(strings.ToLower(t), "-")
		if base == string(lang.JA) || base == string(lang.EN) {
			return WithLang(r, lang.Tag(base))
		}
	}
	return r
}
