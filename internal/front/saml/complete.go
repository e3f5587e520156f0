package saml

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"seimon/internal/authn"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/login"
	"seimon/internal/login/page"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Complete implements login.Front: an assertion about whoever signed in, or the
// status that the service is told. It is signed after the transaction.
func (f *Front) Complete(tx *store.Tx, o login.Outcome) (login.Respond, error) {
	var q request
	if err := json.Unmarshal(o.Request, &q); err != nil {
		return nil, err
	}
	s, err := f.services.of(o.Party)
	if err != nil {
		return nil, err
	}
	if moved := s.moved(&q, tx.Now); moved != nil {
		return login.Respond(f.refusals.Ending(moved)), nil
	}
	no := f.short(&q, o)
	var a *answer
	if no == nil {
		fits, err := answered(tx, &q, o.Session.ID)
		if err != nil {
			return nil, err
		}
		if !fits {
			return f.replayed(s, &q), nil
		}
		if a, no, err = f.about(tx, s, &q, o); err != nil {
			return nil, err
		}
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		return f.send(w, r, reply{s, &q, a, no})
	}, nil
}

// replayed tells the person that the request was answered already, in another session.
func (f *Front) replayed(s *service, q *request) login.Respond {
	return func(w http.ResponseWriter, r *http.Request) error {
		words := web.Lang(r)
		t := web.Trouble{
			Status: http.StatusBadRequest, Cause: words.T("saml.replayed.cause"), Next: words.T("saml.replayed.next"),
			Support: f.refusals.Put(r, fault(badRequest, q.Party, "ID", q.ID)), Party: page.Badge(s.Party, words.Tag()),
		}
		if s.HomeURL != "" {
			t.Actions = []web.Action{{Label: words.T("saml.replayed.home", "service", s.Party.Name(words.Tag())), URL: s.HomeURL}}
		}
		return f.site.Trouble(w, r, t)
	}
}

// short tells what the outcome lacks of what the service asked for. The hall has seen
// to most of it; an assertion that falls short is refused here once more.
func (f *Front) short(q *request, o login.Outcome) *status {
	switch {
	case o.Fault != nil:
		return explain(o.Fault, q)
	case o.Party.ID != q.Party || o.Session.ID == "" || o.Assurance.Level == authn.LevelNone:
		return refuse(statusResponder, statusFailed, "the sign-in and the request do not belong together")
	case q.Force && o.Assurance.AuthTime.Unix() < q.At: // SAML Core 2.0, 3.4.1, ForceAuthn
		return refuse(statusResponder, statusFailed, "the person did not sign in again")
	}
	return nil
}

// explain says in SAML's words why there is no sign-in. The service learns what it can
// act on, and nothing about the person.
func explain(cause *authn.Fault, q *request) *status {
	switch cause.Code {
	case login.NeedsLogin, login.NeedsConsent, login.NeedsInteraction:
		return refuse(statusResponder, statusNoPassive, "the person would have to be asked") // SAML Core 2.0, 3.4.1.1
	case login.Cancelled:
		return refuse(statusResponder, statusFailed, "the person went back without signing in")
	}
	switch cause.Code.Family() {
	case "O1", "O2":
		return refuse(statusResponder, "", "signing in is not possible at the moment")
	case "R1", "Z1", "Z2", "Z3", "Z4":
		if !q.Want.empty() {
			return refuse(statusResponder, statusNoContext, "the person cannot prove what was asked")
		}
		return refuse(statusResponder, statusFailed, "the person cannot prove what is needed")
	}
	return refuse(statusResponder, statusDenied, "the person may not use this service now")
}

// about gathers what the assertion says.
func (f *Front) about(tx *store.Tx, s *service, q *request, o login.Outcome) (*answer, *status, error) {
	a := &answer{Session: o.Visit.ID, At: o.Assurance.AuthTime, Class: f.said(q.Want, o.Evidence, tx.Now)}
	if a.Class == "" {
		return nil, refuse(statusResponder, statusNoContext, "none of the requested authentication contexts was reached"), nil
	}
	who := person{o.Account.ID, f.People.Attributes(o.Account, o.Person), o.Attributes}
	var err error
	a.Name, err = f.name(tx, s, s.format(q), who)
	if errors.Is(err, errNoName) {
		return nil, refuse(statusResponder, statusNamePolicy, "the person has no name of this form"), nil
	}
	if err != nil {
		return nil, nil, err
	}
	a.Name.stay(o.Visit)
	if a.Name.Sealed = q.Sealed || s.sealsNames(); a.Name.Sealed {
		if _, ok := s.recipient(); !ok {
			return nil, refuse(statusRequester, statusNamePolicy, "there is no certificate to encrypt the name for"), nil
		}
	}
	if q.Subject != "" && !mine(q.Subject, a.Name, who) {
		return nil, refuse(statusResponder, statusPrincipal, "somebody else is signed in"), nil
	}
	if err := f.fill(tx, s, a, who, o); err != nil {
		return nil, nil, err
	}
	return a, nil, f.remember(tx, a, f.signing(s), o)
}

// stay keeps a transient name for as long as the visit, whose SessionIndex stays too: what
// the service remembers of its first assertion ends the session as well as what it heard last.
func (n *nameID) stay(v session.Visit) {
	var was known
	if len(v.Detail) > 0 && json.Unmarshal(v.Detail, &was) == nil && n.Format == metadata.Transient && was.Name.Format == metadata.Transient {
		n.Value = was.Name.Value
	}
}

// remember keeps with the visit by which name the service knows it, for its end.
func (f *Front) remember(tx *store.Tx, a *answer, key string, o login.Outcome) error {
	detail, err := json.Marshal(known{a.Name, key})
	if err != nil {
		return err
	}
	v := o.Visit
	if bytes.Equal(v.Detail, detail) && tx.Now.Sub(v.First) < signedOften {
		return nil // all of it is on record
	}
	if err := noteSigned(tx, key, o.Party.ID); err != nil {
		return err
	}
	if !bytes.Equal(v.Detail, detail) {
		v.Detail = detail
		if v, err = f.Sessions.Visit(tx, v); err != nil {
			return err
		}
	}
	return noteName(tx, v, a.Name)
}

// mine tells whether the name that the service expects is that of who signed in. It
// counts by what the service is told anyway: it must not find out the rest by asking.
func mine(expected string, name nameID, who person) bool {
	return expected == name.Value ||
		slices.ContainsFunc([]string{"userName", "mail", "eduPersonPrincipalName"}, func(k string) bool { return slices.Contains(who.released[k], expected) })
}

// format is the form of name for a request: its own, else the registered one, else
// the first of the metadata that we give.
func (s *service) format(q *request) string {
	if q.Format != "" {
		return q.Format
	}
	if s.Format != "" {
		return s.Format
	}
	for _, have := range s.Formats {
		if slices.Contains(formats(), have) && have != metadata.Unspecified && (have != metadata.Persistent || !s.anonymous()) {
			return have
		}
	}
	return metadata.Transient
}

// fill adds what was released, and the old form of the persistent name where it is granted.
func (f *Front) fill(tx *store.Tx, s *service, a *answer, who person, o login.Outcome) error {
	for _, g := range s.Release {
		if v := o.Attributes[g.Attribute]; len(v) > 0 {
			a.Attributes = append(a.Attributes, value{g.Attribute, v})
		}
	}
	if slices.ContainsFunc(s.Release, func(r rp.Release) bool { return r.Attribute == targetedID }) {
		n, err := f.name(tx, s, metadata.Persistent, who)
		if err != nil && !errors.Is(err, errNoName) {
			return err
		}
		if err == nil {
			a.Targeted = &n
		}
	}
	return nil
}
