// Package page is what the pages of a sign-in show: the frame around a step, the
// other ways, the agreement and what a service would be told.
//
// It owns these shapes and how they are put into words. It does not own which step
// comes next or what a factor asks (login), nor the templates (login/templates).
package page

import (
	"net/url"
	"slices"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/lang"
	"seimon/internal/login/transaction"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/web"
)

// Step is what every page of a sign-in shows around its fields.
type Step struct {
	Action   string // where the form goes
	Pass     string
	Kind     authn.Kind
	Title    string // message id of the heading
	Button   string // message id of the primary button
	Template string // of the factor's fields
	After    string // template below the primary button
	Data     any
	Problem  *diagnosis.Advice
	Hints    []string // what looks wrong in the user name, from its text alone
	Support  string
	Ways     []Way
	Trust    string // length of trust in words; empty when this browser may not be trusted
	Auto     bool
	Again    bool // what is wrong can be mended right now, and then tried again
	Who      string
	Service  string

	// Of single steps.
	UserName  string
	Agreement []string // paragraphs
	Version   string
	Items     []Item
	Shown     string // what the items are, for the answer to name
	Anew      bool   // what was shown before has changed meanwhile
}

// News tells that the person agreed before, and that something has changed since.
func (s *Step) News() bool {
	return slices.ContainsFunc(s.Items, func(i Item) bool { return i.News != "" })
}

// Way is another factor that would do.
type Way struct {
	Kind authn.Kind
	Path string
}

// Item is one attribute that a service asks for.
type Item struct {
	Attribute string
	Name      string
	Values    []string
	Required  bool
	Chosen    bool
	News      string // message id; empty when nothing is new
}

// Items names what a service would be told.
func Items(p lang.Printer, r rp.Released) []Item {
	var out []Item
	for _, i := range r.Items {
		name := i.Attribute
		if id := "rp.attribute." + i.Attribute; p.Has(id) {
			name = p.T(id)
		}
		news := ""
		if i.News != "" {
			news = "login.consent." + string(i.News)
		}
		out = append(out, Item{i.Attribute, name, i.Values, i.Required, i.Chosen, news})
	}
	return out
}

// Agreement gives the version of the agreement and its paragraphs in a language.
func Agreement(doc *policy.Document, tag lang.Tag) (version string, paragraphs []string) {
	version, ja, text := doc.Agreement()
	if tag == lang.JA {
		text = ja
	}
	return version, strings.Split(strings.TrimSpace(text), "\n\n")
}

// Path is where a sign-in goes on.
func Path(t *transaction.Transaction) string { return "/login/" + t.ID }

// Badge is how a page shows the service that the person is going to.
func Badge(p rp.Party, tag lang.Tag) *web.Party {
	return &web.Party{Name: p.Name(tag), LogoURL: p.LogoURL}
}

// Origins gives the origin of an address, for the page's form-action.
func Origins(address string) []string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil
	}
	return []string{u.Scheme + "://" + u.Host}
}
