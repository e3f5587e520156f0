package desk

import (
	"net/http"

	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/web"
)

// Visit is one request of a person whom the hall let in to a desk's page.
type Visit struct {
	login.Visitor
	W http.ResponseWriter
	R *http.Request
	// Back is the page to come back to with GET.
	Back string
}

// Todo is one thing that needs a person's attention, on the portal's first page.
type Todo struct {
	Tone  string // "warn" or "info"
	Text  string
	Label string
	Path  string
}

// P speaks the language of the page.
func (v Visit) P() lang.Printer { return web.Lang(v.R) }

// To leads to another page.
func (v Visit) To(path string) error {
	http.Redirect(v.W, v.R, path, http.StatusSeeOther)
	return nil
}
