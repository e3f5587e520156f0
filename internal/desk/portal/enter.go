package portal

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/web"
)

// guest is one request of a person whom the hall let in.
type guest struct {
	login.Visitor
	*Portal
	w http.ResponseWriter
	r *http.Request
	// bindings are what the account has, read just now.
	bindings []factor.Binding
	here     string // the place of the menu that this page belongs to
	back     string // the page to come back to with GET
}

// request is the portal's own part of an Ask: where to go on.
type request struct {
	Path string `json:"path"`
}

// ask is what the portal wants of the hall for a page.
func ask(back string) login.Ask {
	raw, err := json.Marshal(request{Path: back})
	if err != nil {
		panic(err) // a struct of one text
	}
	return login.Ask{Front: name, Party: name, Request: raw}
}

// page lets a signed-in person read a page; after a sign-in the same page follows.
func (p *Portal) page(h func(*guest) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return p.enter(w, r, r.URL.RequestURI(), h)
	}
}

// form lets a signed-in person send a form; whoever has to sign in first comes back
// to the page of the form, never to its action.
func (p *Portal) form(back string, h func(*guest) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return p.enter(w, r, filled(back, r), h)
	}
}

// changing is page or form for what changes a credential: the proof must be fresh
// and as strong as the account can give.
func (p *Portal) changing(back string, h func(*guest) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		back := filled(back, r)
		return p.enter(w, r, back, func(g *guest) error {
			want, err := g.proof()
			if err != nil {
				return err
			}
			a := ask(back)
			a.Want = want
			v, ok, err := p.Hall.Enter(w, g.r, a)
			if err != nil || !ok {
				return err
			}
			g.Visitor = v
			return h(g)
		})
	}
}

func (p *Portal) enter(w http.ResponseWriter, r *http.Request, back string, h func(*guest) error) error {
	v, ok, err := p.Hall.Enter(w, r, ask(back))
	if err != nil || !ok {
		return err
	}
	g := &guest{Visitor: v, Portal: p, w: w, r: web.WithLang(r, v.Person.Lang), back: back}
	err = p.DB.Read(r.Context(), func(tx *store.Tx) error {
		g.bindings, err = p.Bindings.Of(tx, v.Account.ID)
		return err
	})
	if err != nil {
		return err
	}
	if err := g.touch(); err != nil {
		return err
	}
	return h(g)
}

// proof is what must be proved, and how lately, before a credential changes: the
// password and, where the account has one, a second step.
func (g *guest) proof() (authn.Requirement, error) {
	want := authn.Requirement{Fresh: freshFor}
	var classes authn.Class
	var weak []authn.Kind
	for _, a := range g.Factors.Authenticators(g.bindings) {
		if !g.atHand(a.Kind) {
			continue
		}
		classes |= a.Traits.Class
		if a.Traits.Class == 0 && !a.Traits.RecoveryOnly {
			weak = append(weak, a.Kind)
		}
	}
	if classes.Count() > 1 {
		want.Classes = 2
		return want, nil
	}
	if len(weak) == 0 {
		return want, nil
	}
	// Mail codes are no second class, but better than the password alone. A rule
	// that names other kinds decides for itself.
	err := g.DB.Read(g.r.Context(), func(tx *store.Tx) error {
		doc, _, err := g.Policy.Active(tx)
		if err != nil {
			return err
		}
		rule := doc.Rule(policy.Question{Service: name, Groups: g.Account.Groups, Zone: g.Zone}).Requirement
		common := slices.ContainsFunc(rule.Kinds, func(k authn.Kind) bool { return slices.Contains(weak, k) })
		if len(rule.Kinds) == 0 || common {
			want.Kinds = weak
		}
		return nil
	})
	return want, err
}

// atHand tells whether the person can be asked for a kind here. A certificate stays
// on one device: whoever adds the next device, or has lost this one, cannot show it.
// Who has signed in with it can.
func (g *guest) atHand(kind authn.Kind) bool {
	return kind != policy.ClientCert ||
		slices.ContainsFunc(g.Session.Evidence, func(e authn.Evidence) bool { return e.Kind == kind })
}

// Complete leads back to the page that was asked for.
func (p *Portal) Complete(_ *store.Tx, o login.Outcome) (login.Respond, error) {
	to := "/portal"
	var asked request
	if err := json.Unmarshal(o.Request, &asked); err == nil && inside(asked.Path) {
		to = asked.Path
	}
	if o.Fault != nil {
		to = "/help"
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}, nil
}

// inside tells whether a path leads to a page of the portal and nowhere else.
func inside(to string) bool {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || strings.ContainsAny(to, "\\\r\n\t") {
		return false
	}
	clean := path.Clean(u.Path)
	return clean == u.Path && (clean == "/portal" || strings.HasPrefix(clean, "/portal/"))
}

// filled puts the path values of a request into a pattern.
func filled(pattern string, r *http.Request) string {
	for _, name := range []string{"id", "kind", "use"} {
		pattern = strings.ReplaceAll(pattern, "{"+name+"}", url.PathEscape(r.PathValue(name)))
	}
	return pattern
}

// p speaks the language of the page.
func (g *guest) p() lang.Printer { return web.Lang(g.r) }
