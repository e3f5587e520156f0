package mailcode

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/store"
)

// Kind is the name of the factor.
const Kind authn.Kind = "mailcode"

//go:embed schema/*.sql
var schema embed.FS

//go:embed words/*.toml
var words embed.FS

//go:embed templates/*.html
var templates embed.FS

// Schema is the table of codes.
func Schema() store.Schema { return store.Schema{Room: "mailcode", Files: schema} }

// Words are the room's words for people and mails.
func Words() lang.Source { return lang.Source{Room: "mailcode", Files: words} }

// Templates are the room's form fields.
func Templates() fs.FS { return templates }

// Queue sends mail; mail.Queue is one.
type Queue interface {
	Enqueue(tx *store.Tx, m mail.Message) (id string, err error)
	Delivery(tx *store.Tx, id string) (mail.Delivery, error)
}

// Ring keeps the key of the stored hashes; keyring.Ring is one.
type Ring interface {
	MAC(purpose string, data []byte) []byte
}

// Factor proves that a person reads mail at a verified address.
type Factor struct {
	domains  []string
	bindings *factor.Bindings
	queue    Queue
	mac      func(purpose string, data []byte) []byte
}

// New makes the factor. It panics when cfg.Check does not hold.
func New(cfg Config, bindings *factor.Bindings, queue Queue, ring Ring) *Factor {
	if err := cfg.Check(); err != nil {
		panic(err)
	}
	f := &Factor{bindings: bindings, queue: queue, mac: ring.MAC}
	for _, d := range cfg.Behind {
		f.domains = append(f.domains, domainName(d))
	}
	return f
}

// Kind is "mailcode".
func (f *Factor) Kind() authn.Kind { return Kind }

// Traits: no class, each code once.
func (f *Factor) Traits() authn.Traits { return authn.Traits{SingleUse: true} }

// choice is an address that codes may be sent to.
type choice struct {
	ID string
	To string // masked
}

// question is the dot of mailcode.prove and mailcode.confirm.
type question struct {
	Digits  int
	To      string // masked
	Sent    time.Time
	Expires time.Time
	Life    time.Duration
	Mail    mail.Delivery
	Expired bool
	Short   bool // all of it is near: the hour alone tells when
	Others  []choice
}

// Refused tells whether the other mail server will not take the mail.
func (q question) Refused() bool { return q.Mail.State == mail.Refused }

// Handed tells whether the other mail server has taken the mail.
func (q question) Handed() bool { return q.Mail.State == mail.Handed }

// Delayed tells whether the mail still waits after failed tries.
func (q question) Delayed() bool { return q.Mail.State == mail.Queued && q.Mail.Tries > 0 }

// Challenge sends a code, once in a transaction, and asks for it. Faults: M1.none,
// M3 (all addresses are behind this sign-in by now), M1.wait.
func (f *Factor) Challenge(ctx context.Context, a factor.Attempt) (factor.Prompt, error) {
	usable, err := f.usable(a)
	if err != nil {
		return factor.Prompt{}, err
	}
	q, err := f.ask(ctx, a, usable)
	return factor.Prompt{Template: "mailcode.prove", Title: "mailcode.prove.title", Button: "mailcode.prove.button", After: "mailcode.again", Data: q}, err
}

// ask gives the state of this transaction's code, sending the first one.
func (f *Factor) ask(ctx context.Context, a factor.Attempt, usable []entry) (question, error) {
	draft := f.draw()
	var q question
	err := f.bindings.Write(ctx, func(tx *store.Tx) error {
		codes, err := recent(tx, a.Subject.Account)
		if err != nil {
			return err
		}
		c, ok := newest(codes, a.Transaction)
		if !ok || !c.Used.IsZero() {
			first := usable[0]
			if c, err = f.send(tx, parcel{a, first.Binding, first.Address, "mailcode.code", draft}, codes); err != nil {
				return err
			}
		}
		q, err = f.question(tx, c, usable)
		return err
	})
	return q, err
}

// question describes a code that was sent.
func (f *Factor) question(tx *store.Tx, c code, usable []entry) (question, error) {
	q := question{Digits: digits, Sent: c.Sent, Expires: c.Expires, Life: c.Expires.Sub(c.Sent), Expired: !c.Expires.After(tx.Now)}
	for _, e := range usable {
		if e.ID == c.Binding {
			q.To = mail.MaskAddress(e.Address)
		} else {
			q.Others = append(q.Others, choice{e.ID, mail.MaskAddress(e.Address)})
		}
	}
	q.Short = q.Life <= shortLife && tx.Now.Sub(c.Sent) < shortLife
	var err error
	if q.Mail, err = f.queue.Delivery(tx, c.Mail); errors.Is(err, mail.ErrNone) {
		err = nil // swept since
	}
	return q, err
}

// usable lists the verified addresses, the one used last first.
func (f *Factor) usable(a factor.Attempt) ([]entry, error) {
	all, err := read(a.Active())
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, authn.NewFault("M1.none")
	}
	domain := ""
	out := slices.DeleteFunc(slices.Clone(all), func(e entry) bool {
		d := f.behind(e.Address)
		domain = max(domain, d)
		return d != ""
	})
	if len(out) == 0 {
		return nil, authn.NewFault("M3", "domain", domain)
	}
	slices.SortStableFunc(out, func(a, b entry) int { return b.seen().Compare(a.seen()) })
	return out, nil
}

// Verify judges the form field "code". With the field "again" it sends another code
// instead, to the address whose binding the field names, and returns ErrMore.
// Faults: M1.none, M1.wait, M1.refused, M1 (with the state of the mail), M2.form, M2.wrong, M2.expired, M2.older,
// M2.used, M2 (a code for another window), M3.
func (f *Factor) Verify(ctx context.Context, a factor.Attempt, ans factor.Answer) (factor.Verified, error) {
	usable, err := f.usable(a)
	if err != nil {
		return factor.Verified{}, err
	}
	if again := ans.Get(factor.FieldAgain); again != "" {
		return factor.Verified{}, f.again(ctx, a, again, "mailcode.code", usable)
	}
	c, err := f.judge(ctx, a, ans, usable)
	if err != nil {
		return factor.Verified{}, err
	}
	at := slices.IndexFunc(usable, func(e entry) bool { return e.ID == c.Binding })
	if at < 0 {
		return factor.Verified{}, authn.NewFault("M2").Because(errors.New("mailcode: the address was removed"))
	}
	b := usable[at].Binding
	return factor.Verified{
		Evidence: f.evidence(b, a.Now),
		Facts:    map[string]string{"to": mail.MaskAddress(usable[at].Address)},
		Commit: func(tx *store.Tx) error {
			if err := use(tx, c); err != nil {
				return err
			}
			err := f.bindings.Touch(tx, b.ID)
			if errors.Is(err, factor.ErrNone) {
				return authn.NewFault("M2").Because(err)
			}
			return err
		},
	}, nil
}

func (f *Factor) evidence(b factor.Binding, at time.Time) authn.Evidence {
	return authn.Evidence{Kind: Kind, Traits: f.Traits(), Binding: b.ID, Label: b.Label, At: at}
}

// again sends another code in the transaction, after a pause.
func (f *Factor) again(ctx context.Context, a factor.Attempt, where, template string, usable []entry) error {
	draft := f.draw()
	err := f.bindings.Write(ctx, func(tx *store.Tx) error {
		codes, err := recent(tx, a.Subject.Account)
		if err != nil {
			return err
		}
		to := usable[0]
		last, sent := newest(codes, a.Transaction)
		for _, e := range usable {
			if e.ID == where || sent && e.ID == last.Binding && where == "1" {
				to = e
			}
		}
		if sent && last.Binding == to.ID {
			if pause := last.Sent.Add(interval).Sub(tx.Now); pause > 0 {
				return f.tooSoon(tx, last, to, pause)
			}
		}
		_, err = f.send(tx, parcel{a, to.Binding, to.Address, template, draft}, codes)
		return err
	})
	if err == nil {
		err = factor.ErrMore
	}
	return err
}

// tooSoon says why no other mail is sent yet: M1.refused when it would not help, M1 with
// what is known of the mail when that tells more than to wait, else M1.wait.
func (f *Factor) tooSoon(tx *store.Tx, last code, to entry, pause time.Duration) error {
	d, err := f.queue.Delivery(tx, last.Mail)
	if err != nil && !errors.Is(err, mail.ErrNone) {
		return err
	}
	if d.State == mail.Refused {
		return authn.NewFault("M1.refused", "to", mail.MaskAddress(to.Address), "reply", d.Reply)
	}
	if d.State == mail.Handed || d.State == mail.Queued && d.Tries > 0 {
		facts := []string{"to", mail.MaskAddress(to.Address), "sent", factor.TimeFact(last.Sent), "seconds", seconds(pause)}
		return authn.NewFault("M1", append(facts, delivery(d)...)...)
	}
	return wait(pause, to.Address)
}

// Check warns when no domain is declared as behind this sign-in.
func (f *Factor) Check(context.Context) []factor.Finding {
	if len(f.domains) > 0 {
		return nil
	}
	return []factor.Finding{{Code: "MAILCODE001", Text: "mailcode.check.behind"}}
}
