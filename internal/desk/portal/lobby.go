package portal

import (
	"net/http"
	"net/url"
	"strings"

	"seimon/internal/desk"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Pages of other desks that belong to a signed-in person stand behind the portal's
// own door: the same sign-in, the same proofs, the same menu.

// Page lets a signed-in person read a page; after a sign-in the same page follows.
func (p *Portal) Page(h func(desk.Visit) error) web.Handler { return p.page(visiting(h)) }

// Form lets a signed-in person send a form; whoever has to sign in first comes back
// to the page at back, never to the form's action.
func (p *Portal) Form(back string, h func(desk.Visit) error) web.Handler {
	return p.form(back, visiting(h))
}

// Changing is Page or Form for what changes a credential: the proof must be fresh
// and as strong as the account can give.
func (p *Portal) Changing(back string, h func(desk.Visit) error) web.Handler {
	return p.changing(back, visiting(h))
}

func visiting(h func(desk.Visit) error) func(*guest) error {
	return func(g *guest) error {
		return h(desk.Visit{Visitor: g.Visitor, W: g.w, R: g.r, Back: g.back})
	}
}

// AddPlace puts an entry into the menu behind "sign-in methods". words names the
// sentence WORDS.nav. It is called before the first page is shown.
func (p *Portal) AddPlace(path, words string) { p.more = append(p.more, place{path, words}) }

// AddTodo lets another desk say what needs attention. It is called before the first
// page is shown.
func (p *Portal) AddTodo(of func(tx *store.Tx, v desk.Visit) ([]desk.Todo, error)) {
	p.todo = append(p.todo, of)
}

// Show renders a page in the portal's frame.
func (p *Portal) Show(v desk.Visit, view web.View) error {
	g := &guest{Visitor: v.Visitor, Portal: p, w: v.W, r: v.R, back: v.Back}
	for _, at := range p.places() {
		if at.path == v.R.URL.Path || strings.HasPrefix(v.R.URL.Path, at.path+"/") {
			g.here = at.path
		}
	}
	return g.render(view)
}

// Leave leads to a page that says what was done: post, redirect, get. word is the
// message id of the sentence.
func (p *Portal) Leave(v desk.Visit, to, word string) error {
	g := &guest{Visitor: v.Visitor, Portal: p, w: v.W, r: v.R}
	q := url.Values{"done": {word + "." + g.mark(word)}}
	http.Redirect(v.W, v.R, to+"?"+q.Encode(), http.StatusSeeOther)
	return nil
}

// JustDone gives the sentence that Leave promised to this session, or "".
func (p *Portal) JustDone(v desk.Visit) string {
	return (&guest{Visitor: v.Visitor, Portal: p, w: v.W, r: v.R}).justDone()
}
