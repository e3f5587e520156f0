package desk

import (
	"embed"
	"io/fs"

	"seimon/internal/lang"
	"seimon/internal/web"
)

//go:embed words
var words embed.FS

//go:embed templates
var templates embed.FS

// Words is what the desks say in common.
func Words() lang.Source { return lang.Source{Room: "desk", Files: words} }

// Templates adds the pieces of page that the desks share.
func Templates(site *web.Site) error {
	sub, err := fs.Sub(templates, "templates")
	if err != nil {
		return err
	}
	return site.Templates(sub)
}
