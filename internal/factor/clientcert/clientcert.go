package clientcert

import (
	"cmp"
	"context"
	"crypto/x509"
	"embed"
	"errors"
	"io/fs"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca/trust"
	"seimon/internal/factor"
	"seimon/internal/lang"
	"seimon/internal/store"
	"seimon/internal/throttle"
)

// Kind is "clientcert".
const Kind authn.Kind = "clientcert"

// Tries is the ladder for this kind: a wrong choice is no guess at a secret, so that
// somebody who looks for the right card or presses Cancel is not locked out.
func Tries() throttle.Limit {
	return throttle.Limit{Tries: 60, First: time.Minute, Cap: 10 * time.Minute, Forget: 10 * time.Minute}
}

// FieldCode is the form field with the one-time code of an answer.
const FieldCode = "code"

//go:embed words templates
var files embed.FS

// Words are the sentences of this kind.
func Words() lang.Source { return lang.Source{Room: "clientcert", Files: files} }

// Templates are the fields of this kind.
func Templates() fs.FS {
	sub, err := fs.Sub(files, "templates")
	if err != nil {
		panic(err) // embedded
	}
	return sub
}

// witness keeps foreign certificates that signed in, so that later mapping rules are
// tried against them (ca/trust).
type witness interface {
	Seen(tx *store.Tx, anchor string, c *x509.Certificate, account authn.AccountID) error
}

// Judge tells what a chain that somebody showed is worth. It never dials.
type Judge interface {
	Judge(tx *store.Tx, chain []*x509.Certificate) (trust.Verdict, error)
}

// Cards knows the cards that hold our certificates.
type Cards interface {
	// Certificates are named by their id at ca, those of other houses by "x509:" and their
	// SHA-256.
	//
	// CardOf gives the state of the card that holds a certificate and since when: ""
	// for a certificate on no card of ours, "active" for every card that may sign in.
	CardOf(tx *store.Tx, certificate string) (state string, since time.Time, err error)
	// Reading gives the PIN tries that the desk last read from the card that holds a
	// certificate, and when: 0 for a locked card, -1 when nothing is known.
	Reading(tx *store.Tx, certificate string) (tries int, at time.Time, err error)
	// Used notes a sign-in with the card that holds a certificate.
	Used(tx *store.Tx, certificate string) error
}

// People finds what a proof without a user name is judged against.
type People interface {
	Known(tx *store.Tx, id authn.AccountID) (authn.Subject, factor.Profile, error)
	// FormerMail tells until when an address was the university's one of a person;
	// zero when that is not known.
	FormerMail(tx *store.Tx, person authn.PersonID, address string) (time.Time, error)
}

// Rooms are what the factor works with.
type Rooms struct {
	Attempts *Attempts
	Bindings *factor.Bindings
	Judge    Judge
	People   People
	Cards    Cards // nil where there are no cards
	// Start is the path at the gate where a sign-in begins a try.
	Start func(transaction string) string
	// Zone is the campus's time zone, in which days of the policy begin; UTC when nil.
	Zone *time.Location
}

// Factor proves possession of a certificate's private key, by way of a TLS handshake
// at a host that exists for this one try.
type Factor struct{ Rooms }

// New makes the factor.
func New(r Rooms) *Factor {
	if r.Zone == nil {
		r.Zone = time.UTC
	}
	return &Factor{r}
}

// Kind is "clientcert".
func (f *Factor) Kind() authn.Kind { return Kind }

// Traits are those of a certificate in a file, the least there is; a card's proof says
// more in its evidence.
func (f *Factor) Traits() authn.Traits { return traits("") }

// Holds tells a certificate in a file from one on a card. One that was replaced is
// none any more.
func (f *Factor) Holds(bindings []factor.Binding) []authn.Authenticator {
	var out []authn.Authenticator
	seen := map[string]bool{}
	for _, b := range bindings {
		r, err := readRecord(b.Payload)
		if err != nil || b.State != factor.Active || r.Replaced || seen[r.Keeps] {
			continue
		}
		seen[r.Keeps] = true
		out = append(out, authn.Authenticator{Kind: Kind, Traits: traits(r.Keeps)})
	}
	return out
}

// question is the dot of clientcert.prove.
type question struct {
	Path     string
	Card     bool   // a card is asked for, or the person has nothing else
	Mine     []mine // what the person may choose
	Failed   string // family of the last fault: C1, K2, ...
	Stranded bool   // the browser began and did not come back
	Late     bool
}

// Unseen tells whether no certificate came the last time: then there is something to
// look after. A page about one that came says itself what is the matter with it.
func (q question) Unseen() bool { return slices.Contains([]string{"C1", "K1", "K2"}, q.Failed) }

// mine is a certificate of the person as choosers show it.
type mine struct {
	Name, Tail string
	Card       bool
	Until      time.Time
	Used       time.Time // the last sign-in with it
	Spoiled    bool      // it would be refused: issued before the cut-off date, or with a former address
	Cert       string    // as Cards call it
}

// answer is the dot of clientcert.answer: the code of an answer that came, or the try
// of one that broke.
type answer struct{ Code, Try string }

// Challenge leads to a host that the browser has not seen. With an answer that came
// back from there it is a form that sends itself.
func (f *Factor) Challenge(ctx context.Context, a factor.Attempt) (factor.Prompt, error) {
	q := question{Path: f.Start(a.Transaction), Card: a.Requirement.HardwareBound || a.Requirement.UserVerified}
	code := a.Memory[factor.NoteBack]
	sent := answer{Code: code}
	back := false
	err := f.Bindings.Read(ctx, func(tx *store.Tx) error {
		s, err := find(tx, a.Transaction, code)
		if back = s.label != "" && !s.spent && s.refused == ""; back {
			return nil
		}
		if err != nil && !errors.Is(err, errLate) && authn.AsFault(err) == nil {
			return err
		}
		l, err := newest(tx, a.Transaction)
		if back = l.untold(); back {
			sent = answer{Try: l.label}
		}
		q.Stranded, q.Late, q.Failed = l.stranded && l.refused == "", l.late, string(l.refused.Family())
		return err
	})
	if err != nil {
		return factor.Prompt{}, err
	}
	if back {
		return factor.Prompt{
			Template: "clientcert.answer", Title: "clientcert.answer.title", Button: "clientcert.answer.button", Data: sent, Auto: true,
		}, nil
	}
	delete(a.Memory, factor.NoteBack)
	if a.Proved {
		all, err := f.own(a)
		if err != nil {
			return factor.Prompt{}, err
		}
		q.Card = q.Card || len(all) > 0 && !slices.ContainsFunc(all, func(m mine) bool { return !m.Card })
		q.Mine = slices.DeleteFunc(all, func(m mine) bool { return m.Spoiled })
	}
	return factor.Prompt{Template: "clientcert.prove", Title: "clientcert.prove.title", Data: q}, nil
}

// own lists the person's certificates that are within their dates.
func (f *Factor) own(a factor.Attempt) ([]mine, error) {
	var out []mine
	cut, set := f.cutOff(a.Settings)
	for _, b := range a.Active() {
		r, err := readRecord(b.Payload)
		if err != nil {
			return nil, err
		}
		if !r.current(a.Now) {
			continue
		}
		out = append(out, mine{
			Name: r.Name, Tail: r.Tail, Card: r.Keeps == onCard, Until: time.Unix(r.NotAfter, 0), Used: b.Used, Cert: cmp.Or(r.Cert, foreign+b.Identifier),
			Spoiled: set && time.Unix(r.NotBefore, 0).Before(cut) || r.Mail != "" && !hasMail(a.Person, r.Mail),
		})
	}
	return out, nil
}

// Verify judges the answer that the form field "code" names. Faults: C1 to C8, K1 to K4.
func (f *Factor) Verify(ctx context.Context, a factor.Attempt, ans factor.Answer) (factor.Verified, error) {
	_, v, err := f.judge(ctx, a, ans, false)
	return v, err
}

// Identify judges an answer that came before any user name, and finds the account.
func (f *Factor) Identify(ctx context.Context, a factor.Attempt, ans factor.Answer) (authn.AccountID, factor.Verified, error) {
	return f.judge(ctx, a, ans, true)
}

func (f *Factor) judge(ctx context.Context, a factor.Attempt, ans factor.Answer, naming bool) (authn.AccountID, factor.Verified, error) {
	code := ans.Get(FieldCode)
	if label := ans.Get(FieldTry); label != "" && code == "" {
		return "", factor.Verified{}, f.judgeBroken(ctx, a, label)
	}
	var p *proof
	err := f.Bindings.Read(ctx, func(tx *store.Tx) (err error) {
		p, err = f.open(tx, a, code, naming)
		return err
	})
	if fault := authn.AsFault(err); fault != nil {
		// The next challenge asks afresh instead of sending the same answer again.
		if werr := f.Bindings.Write(ctx, func(tx *store.Tx) error { return refuse(tx, a.Transaction, code, fault.Code) }); werr != nil {
			return "", factor.Verified{}, werr
		}
	}
	if err != nil {
		return "", factor.Verified{}, err
	}
	return p.account, factor.Verified{
		Evidence: authn.Evidence{Kind: Kind, Traits: traits(p.keeps), Binding: p.binding.ID, Label: p.binding.Label, At: a.Now},
		Commit:   func(tx *store.Tx) error { return f.commit(tx, p) },
		Facts:    p.facts,
	}, nil
}

// commit uses the answer up. A certificate that was revoked meanwhile has no binding
// any more, in the same transaction.
func (f *Factor) commit(tx *store.Tx, p *proof) error {
	first, err := spend(tx, p.label)
	if err != nil {
		return err
	}
	if !first {
		return authn.NewFault("C1.late")
	}
	if p.fresh {
		switch _, err := f.Bindings.Add(tx, p.binding); {
		case errors.Is(err, factor.ErrTaken):
			return authn.NewFault("C2", factsOf(p.facts)...)
		case err != nil:
			return err
		}
		if w, ok := f.Judge.(witness); ok {
			if err := w.Seen(tx, p.foreign, p.leaf, p.account); err != nil {
				return err
			}
		}
	}
	if err := f.Bindings.Touch(tx, p.binding.ID); errors.Is(err, factor.ErrNone) {
		return authn.NewFault("C4.removed", factsOf(p.facts)...)
	} else if err != nil {
		return err
	}
	if f.Cards == nil {
		return nil
	}
	return f.Cards.Used(tx, p.cert)
}
