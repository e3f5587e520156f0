package factor

import (
	"context"
	"crypto/x509"
	"errors"
	"net/url"
	"time"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// ErrMore says that an answer was accepted and another question follows: the
// caller shows what Challenge or Begin gives now. It is not a failed try.
var ErrMore = errors.New("factor: another question follows")

// Form fields that have the same meaning in every kind.
const (
	// FieldAgain is sent by the button that asks for the same challenge anew, such as another mail.
	FieldAgain = "again"
	// FieldClock holds the browser's clock in Unix milliseconds at the moment of sending; script fills it.
	FieldClock = "clock"
)

// NoteBack is the note in an attempt's Memory under which the caller keeps the
// one-time code that a person brought back from a place outside the page, such as
// the host that asks for certificates.
const NoteBack = "back"

// Factor is one kind of proof. It is safe for concurrent use.
type Factor interface {
	// Kind names the factor.
	Kind() authn.Kind
	// Traits say how strong its proof is.
	Traits() authn.Traits
	// Challenge gives the question. It may be asked any number of times for one
	// transaction (reload, back, two tabs) and then gives the same question.
	Challenge(ctx context.Context, a Attempt) (Prompt, error)
	// Verify judges an answer. The error is a *authn.Fault, ErrMore, or internal.
	// Nothing is used up until Verified.Commit runs.
	Verify(ctx context.Context, a Attempt, ans Answer) (Verified, error)
}

// Enroller is a factor that people can set up.
type Enroller interface {
	// Begin gives the first or, after ErrMore, the next question of the set-up.
	Begin(ctx context.Context, a Attempt) (Prompt, error)
	// Finish judges the answer. Nothing is active until Enrolled.Commit runs.
	Finish(ctx context.Context, a Attempt, ans Answer) (Enrolled, error)
}

// Operator is a factor that offers actions at the desk.
type Operator interface {
	Actions() []Action
	// Act runs one action in the transaction that also writes its audit event.
	Act(ctx context.Context, tx *store.Tx, a Attempt, action string, ans Answer) error
}

// Action is something the desk can do with a factor.
type Action struct {
	Name  string // stable name, for the log and the command line
	Label string // message id
}

// Holder is a factor whose bindings are not all worth the same, such as a
// certificate in a file and one on an IC card.
type Holder interface {
	// Holds tells what the active ones of the bindings are worth, each worth once.
	Holds(bindings []Binding) []authn.Authenticator
}

// Former is a factor that can say why nothing that an account had of its kind counts
// any more, where its person cannot know it, such as a card that the desk suspended.
type Former interface {
	// Former gives the cause, or nil.
	Former(tx *store.Tx, account authn.AccountID) (*authn.Fault, error)
}

// Former asks each factor; the first cause counts.
func (s Set) Former(tx *store.Tx, account authn.AccountID) (*authn.Fault, error) {
	for _, f := range s {
		x, ok := f.(Former)
		if !ok {
			continue
		}
		if fault, err := x.Former(tx, account); fault != nil || err != nil {
			return fault, err
		}
	}
	return nil, nil
}

// Identifier is a factor whose proof tells by itself who is proving, so that it may
// come before a user name where the rules allow it.
type Identifier interface {
	// Identify judges an answer as Verify does, for an attempt without subject and
	// bindings, and returns the account that the proof belongs to.
	Identify(ctx context.Context, a Attempt, ans Answer) (authn.AccountID, Verified, error)
}

// Checker is a factor that can judge its own installation.
type Checker interface {
	Check(ctx context.Context) []Finding
}

// Finding is one result of a check.
type Finding struct {
	Code  string // stable, for example "TOTP001"
	Grave bool   // must be mended before people can be served
	Text  string // message id
	Facts map[string]string
}

// Attempt is everything a factor may know about who is proving and why.
type Attempt struct {
	// Subject is empty when the name that was typed belongs to no account; a factor
	// with the trait First then does the same work and gives the same answer.
	Subject authn.Subject
	Person  Profile
	// Bindings of this kind: active and pending.
	Bindings    []Binding
	Transaction string
	// Proved says that something was proved already, so that a page may show what
	// only the owner of the account may know.
	Proved      bool
	Requirement authn.Requirement
	Settings    Settings
	Lang        lang.Tag
	Now         time.Time
	// Memory holds the factor's own notes within this transaction. What Challenge
	// and Begin change in it is kept, sealed, by the caller; it may be nil.
	Memory map[string]string
}

// Active returns the bindings that may be used for a proof.
func (a Attempt) Active() []Binding { return a.in(Active) }

// Pending returns the set-ups that were begun and never finished.
func (a Attempt) Pending() []Binding { return a.in(Pending) }

func (a Attempt) in(s State) []Binding {
	var out []Binding
	for _, b := range a.Bindings {
		if b.State == s {
			out = append(out, b)
		}
	}
	return out
}

// Profile is what a factor may need of the person.
type Profile struct {
	Names     []string // every part of the name in every script: kanji, kana, Latin
	Addresses []Address
	Kind      string // kind of the account, for example "student"
}

// Address is a mail address that the directory knows.
type Address struct {
	Use      string // "mail", "notify" or "recovery"
	Address  string
	Verified time.Time // zero: nobody has shown that mail arrives there
}

// Answer is what came back from the person.
type Answer struct {
	Form url.Values
	Peer []*x509.Certificate
}

// Get returns the first value of a form field.
func (a Answer) Get(field string) string { return a.Form.Get(field) }

// Prompt is a question: the fields of a form.
type Prompt struct {
	Template string // name of a template of the kind
	Title    string // message id of the page's heading
	Data     any    // the template's dot
	Button   string // message id of the primary button
	After    string // name of a template for what stands below the primary button, such as "send again"; "" for nothing
	Auto     bool   // the form may send itself without the person doing anything
}

// Verified is a proof that holds once Commit has run in a committed transaction.
type Verified struct {
	Evidence authn.Evidence
	// Commit uses the answer up. It may run more than once when a transaction is
	// retried. It returns a *authn.Fault when another request was first.
	Commit func(tx *store.Tx) error
	// MustChange, when set, is why the secret has to be changed now (P8.*).
	MustChange authn.Code
	Facts      map[string]string
}

// Enrolled is a finished set-up that becomes active when Commit has run.
type Enrolled struct {
	Binding Binding
	// Evidence is set when the set-up itself proved possession or knowledge.
	Evidence *authn.Evidence
	Commit   func(tx *store.Tx) error
	// Replaced are the bindings that Commit takes out of use.
	Replaced []Binding
	// Show, when set, is shown once afterwards.
	Show  *Prompt
	Facts map[string]string
}

// Set is the list of factors of an installation, in the order of preference.
type Set []Factor

// Of returns the factor of a kind, or nil.
func (s Set) Of(kind authn.Kind) Factor {
	for _, f := range s {
		if f.Kind() == kind {
			return f
		}
	}
	return nil
}

// Enroller returns the factor of a kind when people can set it up, or nil.
func (s Set) Enroller(kind authn.Kind) Enroller {
	e, _ := s.Of(kind).(Enroller)
	return e
}

// Operator returns the factor of a kind when the desk can act on it, or nil.
func (s Set) Operator(kind authn.Kind) Operator {
	o, _ := s.Of(kind).(Operator)
	return o
}

// Identifier returns the factor of a kind when its proof tells who is proving, or nil.
func (s Set) Identifier(kind authn.Kind) Identifier {
	i, _ := s.Of(kind).(Identifier)
	return i
}

// Authenticators lists what an account with these bindings could use now: for each
// kind one entry, or one for each worth that its bindings have (Holder).
func (s Set) Authenticators(bindings []Binding) []authn.Authenticator {
	var out []authn.Authenticator
	for _, f := range s {
		own := activeOf(bindings, f.Kind())
		if h, ok := f.(Holder); ok {
			out = append(out, h.Holds(own)...)
		} else if len(own) > 0 {
			out = append(out, authn.Authenticator{Kind: f.Kind(), Traits: f.Traits()})
		}
	}
	return out
}

func activeOf(all []Binding, kind authn.Kind) []Binding {
	var out []Binding
	for _, b := range all {
		if b.Kind == kind && b.State == Active {
			out = append(out, b)
		}
	}
	return out
}
