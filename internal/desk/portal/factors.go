package portal

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/factor"
	"seimon/internal/policy"
	"seimon/internal/store"
)

// factorsPage is "My sign-in methods": what is registered, what was begun, what
// was removed and can still come back, and what could be added from here.
type factorsPage struct {
	view
	Password *method
	Kinds    []kindOf
	Here     string // the name of the network
	OnCampus bool
}

// kindOf is one kind of second step.
type kindOf struct {
	Kind    authn.Kind
	Name    string
	Help    string
	Methods []method
	Removed []method
	MayAdd  bool
	First   bool // the one thing to do now: nothing of any kind is registered
}

// method is one binding as its owner sees it.
type method struct {
	ID      string
	Label   string
	Pending bool
	Created time.Time
	Changed time.Time
	Used    time.Time
	Until   time.Time // of a removed one: until when it can come back
}

func methodOf(b factor.Binding) method {
	return method{ID: b.ID, Label: b.Label, Pending: b.State == factor.Pending, Created: b.Created, Changed: b.Changed, Used: b.Used}
}

func (g *guest) factors() error {
	g.here = "/portal/factors"
	page := &factorsPage{view: g.top()}
	err := g.DB.Read(g.r.Context(), func(tx *store.Tx) error {
		page.Kinds, page.Password = nil, nil
		f, s, err := g.outlook(tx)
		if err != nil {
			return err
		}
		gone, err := g.undoable(tx)
		if err != nil {
			return err
		}
		at := g.hereAt(f.Doc)
		page.Here, page.OnCampus = f.Doc.ZoneLabel(at.Zone.Name, string(g.p().Tag())), at.Zone.Kind.OnCampus()
		may := f.MayEnroll(proving(s, f.Now), at)
		for _, x := range g.Factors {
			if _, ok := x.(factor.Enroller); !ok {
				continue
			}
			k := g.kindOf(x.Kind(), gone)
			k.MayAdd = slices.Contains(may, x.Kind())
			k.First = k.MayAdd && !hasSecond(s.Has) && len(page.Kinds) == 0
			if x.Kind() == policy.Password {
				if len(k.Methods) > 0 {
					page.Password = &k.Methods[0]
				}
				continue
			}
			page.Kinds = append(page.Kinds, k)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return g.show("portal.factors", page)
}

func (g *guest) kindOf(kind authn.Kind, gone []removedBinding) kindOf {
	k := kindOf{Kind: kind, Name: desk.KindName(g.p(), kind), Help: g.p().T(string(kind) + ".help")}
	for _, b := range g.bindings {
		if b.Kind == kind {
			k.Methods = append(k.Methods, methodOf(b))
		}
	}
	for _, r := range gone {
		if r.binding.Kind == kind {
			m := methodOf(r.binding)
			m.Until = r.until
			k.Removed = append(k.Removed, m)
		}
	}
	return k
}

// proving is s as it will stand when everything the account has was just proved,
// which a change of credentials asks for anyway. What was proved lately still counts.
func proving(s desk.Standing, now time.Time) desk.Standing {
	s.Evidence = slices.DeleteFunc(slices.Clone(s.Evidence), func(e authn.Evidence) bool { return now.Sub(e.At) > freshFor })
	for _, a := range s.Has {
		s.Evidence = append(s.Evidence, authn.Evidence{Kind: a.Kind, Traits: a.Traits, At: now})
	}
	return s
}

// labelMax is the greatest length of a label in characters.
const labelMax = 60

// cleanLabel keeps what can be shown on one line.
func cleanLabel(label string) string {
	label = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.ToValidUTF8(label, ""))
	label = strings.Join(strings.Fields(label), " ")
	if runes := []rune(label); len(runes) > labelMax {
		label = strings.TrimSpace(string(runes[:labelMax]))
	}
	return label
}

// rename gives one of the person's own methods another name.
func (g *guest) rename() error {
	b, ok := g.own(g.r.PathValue("id"))
	label := cleanLabel(g.r.PostFormValue("label"))
	if !ok || b.Kind == policy.Password {
		return g.missing()
	}
	if label == "" || label == b.Label {
		return g.to("/portal/factors")
	}
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		if err := g.Bindings.Rename(tx, b.ID, label); err != nil {
			return err
		}
		return g.Audit.Append(tx, g.event("factor.renamed", "", map[string]string{"factor": string(b.Kind), "label": label, "before": b.Label}))
	})
	if err != nil {
		return err
	}
	return g.done("/portal/factors", "renamed")
}

// missing answers for something that is not there, or not this person's: the two
// cannot be told apart.
func (g *guest) missing() error {
	g.here = ""
	return g.showAt(http.StatusNotFound, "portal.missing", nil)
}
