package password

import (
	"context"
	"errors"
	"strconv"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/store"
)

// changeForm is what the template password.change shows.
type changeForm struct {
	UserName string
	Minimum  int
	Maximum  int
}

// Begin asks for a new password, twice.
func (f *Factor) Begin(_ context.Context, a factor.Attempt) (factor.Prompt, error) {
	return factor.Prompt{
		Template: "password.change", Title: "password.change.title", Button: "password.change.button",
		Data: changeForm{UserName: a.Subject.UserName, Minimum: settings{a.Settings}.needed(), Maximum: MaxLength},
	}, nil
}

// Finish judges the form fields "new" and "repeat". Faults: P9.empty, P9.mismatch,
// P9.short {minimum, length}, P9.long {maximum}, P9.characters, P9.common, P9.walk,
// P9.repeat, P9.person, P9.university, P9.date, P9.same; O1.busy.
func (f *Factor) Finish(ctx context.Context, a factor.Attempt, ans factor.Answer) (factor.Enrolled, error) {
	chosen := ans.Get("new")
	if err := f.acceptable(a, chosen, ans.Get("repeat")); err != nil {
		return factor.Enrolled{}, err
	}
	binding, rec, err := current(a)
	if err != nil {
		return factor.Enrolled{}, err
	}
	next, same, err := f.replace(ctx, rec, chosen, a.Now)
	if err != nil {
		return factor.Enrolled{}, err
	}
	if same {
		return factor.Enrolled{}, authn.NewFault("P9.same")
	}
	if binding.ID == "" {
		binding = newBinding(a.Subject.Account, next)
		return f.enrolled(a, binding, f.add(binding)), nil
	}
	old := binding.Counter
	binding.Payload, binding.Counter = next.bytes(), old+1
	return f.enrolled(a, binding, func(tx *store.Tx) error {
		done, err := f.bindings.Replace(tx, binding, old)
		if err == nil && !done {
			err = authn.NewFault("P9.race")
		}
		return err
	}), nil
}

func (f *Factor) enrolled(a factor.Attempt, b factor.Binding, commit func(*store.Tx) error) factor.Enrolled {
	return factor.Enrolled{
		Binding:  b,
		Evidence: &authn.Evidence{Kind: Kind, Traits: f.Traits(), Binding: b.ID, At: a.Now},
		Commit:   commit,
	}
}

func (f *Factor) add(b factor.Binding) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		_, err := f.bindings.Add(tx, b)
		if errors.Is(err, factor.ErrTaken) {
			return authn.NewFault("P9.race")
		}
		return err
	}
}

// acceptable applies the rules for new passwords; none of them asks for kinds of
// characters (NIST SP 800-63B-4, 3.1.1.2).
func (f *Factor) acceptable(a factor.Attempt, chosen, repeat string) error {
	need, n := settings{a.Settings}.needed(), length(chosen)
	switch {
	case chosen == "":
		return authn.NewFault("P9.empty")
	case len(chosen) > MaxBytes || n > MaxLength:
		return authn.NewFault("P9.long", "maximum", strconv.Itoa(MaxLength))
	case !writable(chosen):
		return authn.NewFault("P9.characters")
	case normal(chosen) != normal(repeat):
		return authn.NewFault("P9.mismatch")
	case n < need:
		return authn.NewFault("P9.short", "minimum", strconv.Itoa(need), "length", strconv.Itoa(n))
	}
	if why := f.block.judge(chosen, personal(a)); why != "" {
		return authn.NewFault("P9." + authn.Code(why))
	}
	return nil
}

// personal lists the words that belong to the person: names, user name, addresses.
func personal(a factor.Attempt) []string {
	out := append([]string{a.Subject.UserName}, a.Person.Names...)
	for _, addr := range a.Person.Addresses {
		out = append(out, addr.Address)
	}
	return out
}

// replace hashes a chosen password and moves the present one to the previous ones.
func (f *Factor) replace(ctx context.Context, rec record, chosen string, now time.Time) (next record, same bool, err error) {
	p, salt, tag, ours := f.params, randomBytes(saltLength), []byte(nil), false
	if q, s, t, err := decode(rec.Hash); err == nil && q == f.params && len(t) == tagLength {
		salt, tag, ours = s, t, true
	}
	var fresh []byte
	if err := f.arena.run(ctx, func() { fresh = p.tag(normal(chosen), salt, tagLength) }); err != nil {
		return record{}, false, err
	}
	next = record{Version: 1, Hash: encode(p, salt, fresh), Set: store.Millis(now)}
	if !ours {
		return next, false, nil
	}
	next.Previous = append([]past{{Tag: mark(tag), Until: store.Millis(now)}}, rec.Previous...)
	next.Previous = next.Previous[:min(remembered, len(next.Previous))]
	return next, next.Hash == rec.Hash, nil
}

func newBinding(account authn.AccountID, rec record) factor.Binding {
	return factor.Binding{
		ID: authn.NewID("bnd"), Account: account, Kind: Kind, Identifier: string(account),
		State: factor.Active, Payload: rec.bytes(), Counter: 1,
	}
}

// Prepare hashes a password for an account that has none, without judging it; the
// caller stores the binding with Bindings.Add.
func (f *Factor) Prepare(ctx context.Context, account authn.AccountID, password string, now time.Time) (factor.Binding, error) {
	if password == "" || len(password) > MaxBytes || !writable(password) {
		return factor.Binding{}, errors.New("password: empty, too long or not writable")
	}
	rec, _, err := f.replace(ctx, record{}, password, now)
	if err != nil {
		return factor.Binding{}, err
	}
	return newBinding(account, rec), nil
}

// Import makes a binding from a hash of another system (see CheckHash), set at the
// given time; the caller stores it with Bindings.Add.
func Import(account authn.AccountID, hash string, set time.Time) (factor.Binding, error) {
	if err := CheckHash(hash); err != nil {
		return factor.Binding{}, err
	}
	return newBinding(account, record{Hash: tidyHash(hash), Set: store.Millis(set)}), nil
}
