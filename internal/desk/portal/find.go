package portal

import (
	"errors"
	"strings"
	"unicode/utf8"

	"seimon/internal/authn"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// findPage is the search among the services of federations.
type findPage struct {
	view
	Text  string
	Asked bool
	Found []serviceLink
	More  bool
}

// Bounds of a search.
const (
	mostFound = 20
	longest   = 100 // characters of the text
)

// find looks for services of federations; there may be thousands, so nothing is listed
// before somebody asks for it.
func (g *guest) find() error {
	g.here = "/portal"
	text := strings.Join(strings.Fields(g.r.URL.Query().Get("q")), " ")
	if utf8.RuneCountInString(text) > longest {
		text = string([]rune(text)[:longest])
	}
	page := &findPage{view: g.top(), Text: text, Asked: text != ""}
	ids, more, err := g.Parties.Search(g.r.Context(), text, mostFound)
	if err != nil {
		return err
	}
	page.More = more
	err = g.DB.Read(g.r.Context(), func(tx *store.Tx) error {
		var parties []rp.Party
		for _, id := range ids {
			p, err := g.Parties.Get(tx, id)
			switch {
			case errors.Is(err, rp.ErrNone) || authn.AsFault(err) != nil:
			case err != nil:
				return err
			case !p.Disabled:
				parties = append(parties, p)
			}
		}
		f, s, err := g.outlook(tx)
		if err != nil {
			return err
		}
		page.Found, err = g.open(tx, f, s, parties)
		return err
	})
	if err != nil {
		return err
	}
	return g.show("portal.find", page)
}
