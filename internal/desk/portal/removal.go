package portal

import (
	"database/sql"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/factor"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// undoFor is how long a removal can be undone.
const undoFor = 7 * 24 * time.Hour

// Why something is removed. What was lost never comes back.
const (
	whyUnused = "unused"
	whyLost   = "lost"
)

// removalPage asks before something is removed and says what that means.
type removalPage struct {
	view
	Method method
	Kind   string
	Losses []loss
	Last   bool // no second step is left afterwards
	Why    string
	Undo   string // how long it can be undone, in words
}

// loss is a service that would be out of reach.
type loss struct {
	Service string
	Campus  bool
}

func (g *guest) removal() error {
	b, ok := g.own(g.r.PathValue("id"))
	if !ok || b.Kind == policy.Password {
		return g.missing()
	}
	return g.removalPage(b, g.top(), http.StatusOK)
}

func (g *guest) removalPage(b factor.Binding, v view, status int) error {
	g.here = "/portal/factors"
	page := &removalPage{view: v, Method: methodOf(b), Kind: desk.KindName(g.p(), b.Kind), Why: g.r.PostFormValue("why"), Undo: g.p().Span(undoFor)}
	err := g.DB.Read(g.r.Context(), func(tx *store.Tx) (err error) {
		page.Losses, page.Last, err = g.losses(tx, b)
		return err
	})
	if err != nil {
		return err
	}
	return g.showAt(status, "portal.removal", page)
}

// losses tells what the person could no longer enter without a binding, and
// whether it is the last second step.
func (g *guest) losses(tx *store.Tx, b factor.Binding) ([]loss, bool, error) {
	if b.State == factor.Pending {
		return nil, false, nil
	}
	f, before, err := g.outlook(tx)
	if err != nil {
		return nil, false, err
	}
	parties, err := g.services(tx)
	if err != nil {
		return nil, false, err
	}
	left := slices.DeleteFunc(slices.Clone(g.bindings), func(x factor.Binding) bool { return x.ID == b.ID })
	after := desk.StandingOf(g.Factors, g.Account, left, nil)
	var out []loss
	for _, l := range f.Losses(before, after, parties) {
		out = append(out, loss{Service: l.Party.Name(g.p().Tag()), Campus: l.Campus})
	}
	return out, !hasSecond(after.Has), nil
}

// hasSecond tells whether anything but a first factor is left.
func hasSecond(has []authn.Authenticator) bool {
	return slices.ContainsFunc(has, func(a authn.Authenticator) bool {
		return !a.Traits.RecoveryOnly && (!a.Traits.First || a.Traits.Class.Count() > 1)
	})
}

// mostUsed bounds the services of federations in lists.
const mostUsed = 30

// services are the parties that people can enter, the portal among them: those that the
// university registered, and those of federations that this person has used.
func (g *guest) services(tx *store.Tx) ([]rp.Party, error) {
	all, err := g.Parties.List(tx)
	if err != nil {
		return nil, err
	}
	visits, err := g.Sessions.Visits(tx, g.Session.ID)
	if err != nil {
		return nil, err
	}
	var visited []string
	for _, v := range visits {
		visited = append(visited, v.Party)
	}
	used, err := g.Parties.Used(tx, g.Account.ID, visited, mostUsed)
	return slices.DeleteFunc(append(all, used...), func(p rp.Party) bool { return p.Disabled }), err
}

// remove takes a method out of use.
func (g *guest) remove() error {
	b, ok := g.own(g.r.PathValue("id"))
	if !ok || b.Kind == policy.Password {
		return g.missing()
	}
	why := g.r.PostFormValue("why")
	if b.State == factor.Pending {
		why = whyUnused
	}
	if why != whyUnused && why != whyLost {
		return g.removalPage(b, view{Problem: g.say("portal.removal.why.missing")}, http.StatusUnprocessableEntity)
	}
	unread := false
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		losses, last, err := g.losses(tx, b)
		if err != nil {
			return err
		}
		unread = (len(losses) > 0 || last) && g.r.PostFormValue("understood") != "1"
		if unread {
			return nil
		}
		return g.takeOut(tx, b, why, last)
	})
	if errors.Is(err, factor.ErrNone) {
		return g.to("/portal/factors") // gone already: a double click
	}
	if err != nil {
		return err
	}
	if unread {
		return g.removalPage(b, view{Problem: g.say("portal.removal.unread")}, http.StatusUnprocessableEntity)
	}
	if b.State == factor.Pending {
		return g.done("/portal/factors", "dropped")
	}
	return g.done("/portal/factors", "removed")
}

// takeOut removes a binding with everything that hangs on it.
func (g *guest) takeOut(tx *store.Tx, b factor.Binding, why string, last bool) error {
	if err := g.Bindings.Remove(tx, b.ID); err != nil {
		return err
	}
	facts := map[string]string{"factor": string(b.Kind), "label": b.Label, "binding": b.ID, "why": why}
	if b.State == factor.Pending {
		return g.Audit.Append(tx, g.event("factor.dropped", "", facts))
	}
	if why == whyLost {
		if err := g.Sessions.EndAll(tx, g.Account.ID, "factor lost", g.Session.ID); err != nil {
			return err
		}
	}
	if why == whyLost || last {
		// A trusted browser stands in for a second step; without one, or when it may
		// be in other hands, it stands for nothing.
		if _, err := g.Sessions.DistrustAll(tx, g.Account.ID); err != nil {
			return err
		}
	}
	if why == whyLost {
		return g.record(tx, change{event: "factor.removed", template: "portal.mail.lost", facts: facts})
	}
	until := tx.Now.Add(undoFor)
	_, err := tx.Exec(`INSERT INTO portal_removal (binding, account, removed_at, undo_until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (binding) DO UPDATE SET removed_at = excluded.removed_at, undo_until = excluded.undo_until`,
		b.ID, string(g.Account.ID), store.Millis(tx.Now), store.Millis(until))
	if err != nil {
		return err
	}
	told := map[string]string{"until": g.teller.In(g.Person).Day(until)}
	maps.Copy(told, facts)
	return g.record(tx, change{event: "factor.removed", template: "portal.mail.removed", facts: told})
}

// removedBinding is a removal that can still be undone.
type removedBinding struct {
	binding factor.Binding
	until   time.Time
}

// undoable lists the account's removals that can still be undone.
func (g *guest) undoable(tx *store.Tx) ([]removedBinding, error) {
	type row struct {
		id    string
		until int64
	}
	var found []row
	rows, err := tx.Query("SELECT binding, undo_until FROM portal_removal WHERE account = $1 AND undo_until > $2 ORDER BY removed_at DESC, binding",
		string(g.Account.ID), store.Millis(tx.Now))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var x row
		err := rows.Scan(&x.id, &x.until)
		found = append(found, x)
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []removedBinding
	for _, x := range found {
		b, err := g.Bindings.Get(tx, x.id)
		if errors.Is(err, factor.ErrNone) || err == nil && (b.State != factor.Removed || b.Account != g.Account.ID) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, removedBinding{b, store.Time(x.until)})
	}
	return out, nil
}

// restore puts a removed method back, under the rules for adding one.
func (g *guest) restore() error {
	var gone []removedBinding
	err := g.DB.Read(g.r.Context(), func(tx *store.Tx) (err error) {
		gone, err = g.undoable(tx)
		return err
	})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(gone, func(x removedBinding) bool { return x.binding.ID == g.r.PathValue("id") })
	if i < 0 {
		return g.missing()
	}
	b := gone[i].binding
	doc, may, err := g.rules(b.Kind)
	if err != nil {
		return err
	}
	if !may {
		return g.notFromHere(b.Kind, doc)
	}
	if full(doc, b.Kind, g.bindings) {
		return g.done("/portal/factors", "full")
	}
	err = g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		n, err := tx.Exec("DELETE FROM portal_removal WHERE binding = $1 AND account = $2 AND undo_until > $3",
			b.ID, string(g.Account.ID), store.Millis(tx.Now))
		if err != nil || n == 0 {
			return err
		}
		if err := g.Bindings.Restore(tx, b.ID); err != nil {
			return err
		}
		return g.record(tx, change{event: "factor.restored", template: "portal.mail.restored",
			facts: map[string]string{"factor": string(b.Kind), "label": b.Label, "binding": b.ID}})
	})
	if errors.Is(err, factor.ErrNone) || errors.Is(err, factor.ErrTaken) {
		return g.done("/portal/factors", "full")
	}
	if err != nil {
		return err
	}
	return g.done("/portal/factors", "restored")
}

// full tells whether the rule allows no further device of a kind.
func full(doc *policy.Document, kind authn.Kind, bindings []factor.Binding) bool {
	most := factor.Settings(doc.Settings(kind)).Int("devices", 0)
	n := 0
	for _, b := range bindings {
		if b.Kind == kind && b.State == factor.Active {
			n++
		}
	}
	return most > 0 && n >= most
}
