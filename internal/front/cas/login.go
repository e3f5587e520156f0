package cas

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/login"
	"seimon/internal/login/page"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// request is a login request while the person signs in.
type request struct {
	Party   string
	Service string
	Post    bool  // the ticket goes by a form (CAS Protocol 3.0, 2.1.1, method)
	Renew   bool  // earlier sign-ins do not count
	Gateway bool  // no page may be shown
	At      int64 // when it came, Unix milliseconds
}

// login takes a service's request (CAS Protocol 3.0, 2.1).
func (f *Front) login(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if !q.Has("service") { // 2.1.1: nobody to go to, so to the person's own page
		http.Redirect(w, r, "/portal", http.StatusSeeOther)
		return nil
	}
	address, err := f.one(q, "service")
	if err != nil {
		return err
	}
	s, err := f.arriving(r, address)
	if err != nil {
		return err
	}
	method, err := f.one(q, "method")
	if err != nil || !slices.Contains([]string{"", "GET", "POST"}, strings.ToUpper(method)) {
		return errors.Join(err, fault(badRequest, s.ID, "method", method))
	}
	req := request{
		Party: s.ID, Service: address, Post: strings.EqualFold(method, "POST"),
		Renew: flag(q, "renew"), At: f.DB.Now().UnixMilli(),
	}
	req.Gateway = flag(q, "gateway") && !req.Renew // 2.1.1: renew wins
	sealed, err := json.Marshal(req)
	if err != nil {
		return err
	}
	web.Note(r, "party", s.ID)
	if flag(q, "warn") && !req.Renew { // 2.2.1; who is asked to prove something sees where that leads anyway
		if shown, err := f.warn(w, r, s, &req); shown || err != nil {
			return err
		}
	}
	return f.Hall.Begin(w, r, login.Ask{
		Front: Name, Party: s.ID, Request: sealed, Force: req.Renew,
		Passive: req.Gateway,
		Origins: page.Origins(address), Lang: strings.Fields(q.Get("locale")),
	})
}

// onward is the data of the page that asks before a live session takes the person on.
type onward struct{ Service, User, Go string }

// warn asks before a live session takes the person to the service: signing in must
// not go unseen there (CAS Protocol 3.0, 2.2.1). Without a session it shows nothing.
func (f *Front) warn(w http.ResponseWriter, r *http.Request, s *service, req *request) (shown bool, err error) {
	live, err := f.Hall.Current(r)
	if errors.Is(err, session.ErrNone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	again := url.Values{"service": {req.Service}}
	if req.Post {
		again.Set("method", "POST")
	}
	words := web.Lang(r)
	return true, f.site.Render(w, r, web.View{
		Template: "cas.warn", Title: "cas.warn.title", TitleFacts: []any{"service", s.Party.Name(words.Tag())},
		Data:  onward{s.Party.Name(words.Tag()), live.Subject.UserName, "/cas/login?" + again.Encode()},
		Party: page.Badge(s.Party, words.Tag()), Focus: true,
	})
}

// flag reads a parameter that counts as set with any value but "false" (2.1.1).
func flag(q url.Values, name string) bool { return q.Has(name) && q.Get(name) != "false" }

// one reads a parameter that may come once.
func (f *Front) one(q url.Values, name string) (string, error) {
	if len(q[name]) > 1 {
		return "", fault(badRequest, "", name, "more than one")
	}
	return q.Get(name), nil
}

// arriving finds the service that an address belongs to.
func (f *Front) arriving(r *http.Request, address string) (s *service, err error) {
	if u, ok := plain(address); ok && carriesTicket(u) {
		return nil, fault(badAddress, "", "service", address) // two tickets in one answer could be mixed up
	}
	err = f.DB.Read(r.Context(), func(tx *store.Tx) error {
		s, err = f.at(tx, address)
		return err
	})
	if errors.Is(err, rp.ErrNone) {
		return nil, fault(noService, "", "service", address)
	}
	return s, err
}

// bringBack turns a form of another site into the same request by GET, with which
// browsers send the session's cookie.
func (f *Front) bringBack(path string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := r.ParseForm(); err != nil {
			return fault(badRequest, "", "body", "").Because(err)
		}
		q := url.Values{}
		for _, name := range []string{"service", "renew", "gateway", "method", "warn", "locale"} {
			if v, ok := r.PostForm[name]; ok {
				q[name] = v
			}
		}
		if len(q.Encode()) > maxTarget {
			return fault(badRequest, "", "size", "")
		}
		http.Redirect(w, r, path+"?"+q.Encode(), http.StatusSeeOther)
		return nil
	}
}

// maxTarget is the longest query that we send a browser to, in bytes.
const maxTarget = 8 << 10

// Complete implements login.Front: a ticket for whoever signed in; no ticket for a
// gateway request that nobody answered; otherwise a page, since CAS has no words to
// tell a service no.
func (f *Front) Complete(tx *store.Tx, o login.Outcome) (login.Respond, error) {
	var q request
	if err := json.Unmarshal(o.Request, &q); err != nil {
		return nil, err
	}
	s, err := f.registry.of(o.Party)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(s.Addresses, func(a Address) bool { return a.covers(q.Service) }) { // taken back meanwhile
		moved := fault(badAddress, s.ID, "service", q.Service)
		return login.Respond(f.refusals.Ending(moved)), nil
	}
	if no := short(&q, o); no != nil {
		return f.without(s, &q, o.Support), nil
	}
	about := f.about(s, o, q)
	if about.User == "" { // nobody: a service might let such a person in as anybody
		return f.nameless(tx, s, o)
	}
	text, err := f.issue(tx, ticket{
		kind: kindService, party: s.ID, session: o.Session.ID, visit: o.Visit.ID, content: about,
	}, tx.Now.Add(s.life()))
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) error { return f.send(w, r, s, q, text) }, nil
}

// short tells what the outcome lacks. The hall has seen to it; a ticket that falls
// short is refused here once more.
func short(q *request, o login.Outcome) *authn.Fault {
	switch {
	case o.Fault != nil:
		return o.Fault
	case o.Party.ID != q.Party || o.Session.ID == "" || o.Assurance.Level == authn.LevelNone:
		return authn.NewFault("internal")
	case q.Renew && o.Assurance.AuthTime.UnixMilli() < q.At: // CAS Protocol 3.0, 2.1.1
		return authn.NewFault(login.NeedsLogin)
	}
	return nil
}

// about gathers what a ticket says.
func (f *Front) about(s *service, o login.Outcome, q request) content {
	c := content{
		Service: q.Service, Subject: o.Subject, Attributes: maps.Clone(o.Attributes), At: o.Assurance.AuthTime,
		Renewed: o.Assurance.AuthTime.UnixMilli() >= max(q.At, o.Began.UnixMilli()), ACR: o.Assurance.Level.String(), AMR: o.Assurance.AMR,
	}
	if s.User == userSubject {
		c.User = f.Parties.SubjectFor(s.Party, o.Subject.Account)
	} else if v := o.Attributes[s.User]; len(v) > 0 {
		c.User = v[0]
	}
	return c
}

// nameless ends a sign-in of somebody who has no value for what the service takes as
// the name of the person. The service's people learn which one.
func (f *Front) nameless(tx *store.Tx, s *service, o login.Outcome) (login.Respond, error) {
	err := f.Audit.Append(tx, audit.Event{
		Type: "request.refused", Account: o.Subject.Account, Session: o.Session.ID, Support: o.Support, Party: s.ID,
		Facts: map[string]string{"code": string(noUser), "front": Name, "field": "user", "sent": s.User},
	})
	return func(w http.ResponseWriter, r *http.Request) error {
		words := web.Lang(r)
		return f.site.Trouble(w, r, web.Trouble{
			Status: http.StatusForbidden, Title: words.T("cas.nameless.title", "service", s.Party.Name(words.Tag())), Cause: words.T("cas.nameless.cause"),
			Next: words.T("cas.nameless.next"), Support: o.Support, Party: page.Badge(s.Party, words.Tag()), Who: o.Subject.UserName,
		})
	}, err
}

// ticketForm is the data of the page that posts a ticket.
type ticketForm struct{ Action, Ticket string }

// send gives a ticket to the service (CAS Protocol 3.0, 2.2.4).
func (f *Front) send(w http.ResponseWriter, r *http.Request, s *service, q request, text string) error {
	w.Header().Set("Cache-Control", "no-store")
	if !q.Post {
		http.Redirect(w, r, withTicket(q.Service, text), http.StatusSeeOther)
		return nil
	}
	return f.site.Render(w, r, web.View{
		Template: "cas.post", Title: "cas.post.title", Data: ticketForm{q.Service, text},
		Party: page.Badge(s.Party, web.Lang(r).Tag()), FormAction: page.Origins(q.Service), Focus: true,
	})
}

// withTicket adds a ticket to the query that an address may have already.
func withTicket(address, text string) string {
	switch {
	case strings.HasSuffix(address, "?") || strings.HasSuffix(address, "&"):
		return address + "ticket=" + text
	case strings.Contains(address, "?"):
		return address + "&ticket=" + text
	}
	return address + "?ticket=" + text
}

// without answers when there is no sign-in.
func (f *Front) without(s *service, q *request, support string) login.Respond {
	return func(w http.ResponseWriter, r *http.Request) error {
		if q.Gateway { // CAS Protocol 3.0, 2.1.1
			http.Redirect(w, r, q.Service, http.StatusSeeOther)
			return nil
		}
		words := web.Lang(r)
		t := web.Trouble{
			Status: http.StatusForbidden, Title: words.T("cas.none.title"), Cause: words.T("cas.none.cause", "service", s.Party.Name(words.Tag())),
			Next: words.T("cas.none.next"), Support: support, Party: page.Badge(s.Party, words.Tag()),
			Actions: []web.Action{{Label: words.T("cas.again"), URL: "/cas/login?" + url.Values{"service": {q.Service}}.Encode()}},
		}
		if s.HomeURL != "" {
			t.Actions = append(t.Actions, web.Action{Label: s.Party.Name(words.Tag()), URL: s.HomeURL})
		}
		return f.site.Trouble(w, r, t)
	}
}

// logout takes a service's wish to sign out (CAS Protocol 3.0, 2.3). Nothing in it
// proves who asks, so the person is asked; only a registered address is a way back, and
// "url" of CAS 2 is none (2.3.1).
func (f *Front) logout(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	address, err := f.one(q, "service")
	if err != nil {
		return err
	}
	var ask login.SignOutAsk
	if address != "" {
		s, err := f.arriving(r, address)
		switch no := authn.AsFault(err); {
		case err == nil:
			ask.Party, ask.Return = s.ID, address
		case no == nil:
			return err
		default: // the person wants to leave all the same, but goes nowhere from here
			f.refusals.Put(r, no)
		}
	}
	return f.Exit.SignOut(w, r, ask)
}

// The causes why a person cannot even be sent back to the service (R3).
const (
	noService  authn.Code = "R3.unknown"
	badRequest authn.Code = "R3.request"
	badAddress authn.Code = "R3.redirect"
	noUser     authn.Code = "R3.user"
)

// fault makes such a cause. sent is what the service sent in that field.
func fault(code authn.Code, party, field, sent string) *authn.Fault {
	return authn.NewFault(code, "party", party, "field", field, "sent", shorten(sent))
}

// shorten keeps foreign text in the audit log small, and tickets out of it.
func shorten(text string) string {
	text = ticketForms.ReplaceAllString(text, "$1-...")
	return text[:min(len(text), 300)]
}

// ticketForms is everything that a CAS server may have made as a ticket.
var ticketForms = regexp.MustCompile(`\b(ST|PT|PGT|PGTIOU|TGT|LT)-[A-Za-z0-9.\-]+`)

// note puts what happened to a ticket on record.
func (f *Front) note(tx *store.Tx, t ticket, event string, facts map[string]string) error {
	return f.Audit.Append(tx, t.event(event, facts))
}

func (t ticket) event(kind string, facts map[string]string) audit.Event {
	return audit.Event{
		Type: kind, Account: t.Subject.Account, Actor: "service:" + t.party, Session: t.session, Party: t.party, Facts: facts,
	}
}
