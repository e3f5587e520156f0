package password

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// Kind is the name of the factor.
const Kind authn.Kind = "password"

//go:embed words/*.toml
var words embed.FS

//go:embed templates/*.html
var templates embed.FS

// Words are the room's words for people.
func Words() lang.Source { return lang.Source{Room: "password", Files: words} }

// Templates are the room's form fields.
func Templates() fs.FS { return templates }

// Factor proves knowledge of a password.
type Factor struct {
	params   params
	arena    *arena
	bindings *factor.Bindings
	block    *blockList
	decoys   []string
	secret   []byte // picks a decoy for an unknown account
}

// New makes the factor. It panics when cfg.Check does not hold.
func New(cfg Config, bindings *factor.Bindings) *Factor {
	if err := cfg.Check(); err != nil {
		panic(err)
	}
	cfg = cfg.filled()
	f := &Factor{
		params:   params{memory: cfg.Memory, time: cfg.Time, threads: cfg.Threads},
		arena:    newArena(cfg.Parallel, cfg.Queue),
		bindings: bindings,
		block:    newBlockList(cfg.Words),
		secret:   randomBytes(32),
	}
	f.decoys = append(f.decoys, encode(f.params, randomBytes(saltLength), randomBytes(tagLength)))
	f.decoys = append(f.decoys, cfg.Decoys...)
	return f
}

// Kind is "password".
func (f *Factor) Kind() authn.Kind { return Kind }

// Traits: something known, that may be asked first.
func (f *Factor) Traits() authn.Traits {
	return authn.Traits{Class: authn.Know, First: true, AMR: "pwd"}
}

// Challenge asks for the password.
func (f *Factor) Challenge(context.Context, factor.Attempt) (factor.Prompt, error) {
	return factor.Prompt{Template: "password.prove", Title: "password.prove.title", Button: "password.prove.button"}, nil
}

// Verify judges the form field "password". Faults: P1 wrong (or no such account, or
// no password), P3 a password of before, O1.busy too many sign-ins at once.
func (f *Factor) Verify(ctx context.Context, a factor.Attempt, ans factor.Answer) (factor.Verified, error) {
	typed := ans.Get("password")
	binding, rec, err := current(a)
	if err != nil {
		return factor.Verified{}, err
	}
	hash := rec.Hash
	if hash == "" {
		hash = f.decoy(string(a.Subject.Account))
	}
	var j judgement
	if err := f.arena.run(ctx, func() { j, err = f.judge(typed, hash, rec.Previous) }); err != nil {
		return factor.Verified{}, err
	}
	if err != nil {
		return factor.Verified{}, err
	}
	switch {
	case rec.Hash == "" || (!j.right && j.previous < 0):
		return factor.Verified{}, wrong(typed)
	case !j.right:
		changed := store.Time(rec.Previous[j.previous].Until)
		return factor.Verified{}, authn.NewFault("P3", "changed", factor.TimeFact(changed))
	}
	return factor.Verified{
		Evidence:   authn.Evidence{Kind: Kind, Traits: f.Traits(), Binding: binding.ID, Label: binding.Label, At: a.Now},
		Commit:     f.commit(binding, rec, j),
		MustChange: f.mustChange(a, rec, typed),
		Facts:      typedFacts(typed),
	}, nil
}

// commit notes the use and saves the better hash that judging has produced. A
// password that was changed since it was judged no longer counts.
func (f *Factor) commit(judged factor.Binding, rec record, j judgement) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		now, err := f.bindings.Get(tx, judged.ID)
		if errors.Is(err, factor.ErrNone) || (err == nil && (now.State != factor.Active || now.Counter != judged.Counter)) {
			return authn.NewFault("P1").Because(errors.New("password: changed while it was being checked"))
		}
		if err != nil {
			return err
		}
		if stored, err := readRecord(now.Payload); err != nil {
			return err
		} else if j.better != "" && stored.Hash == rec.Hash {
			stored.Hash, stored.Previous = j.better, nil
			now.Payload = stored.bytes()
			if err := f.bindings.Save(tx, now); err != nil {
				return err
			}
		}
		return f.bindings.Touch(tx, judged.ID)
	}
}

// mustChange names why a right password may not be kept.
func (f *Factor) mustChange(a factor.Attempt, rec record, typed string) authn.Code {
	s := settings{a.Settings}
	switch age := s.Duration("max_age", 0); {
	case rec.Must != "":
		return rec.Must
	case f.block.listed(typed):
		return "P8.breached"
	case !a.Requirement.SecondStep() && length(typed) < s.alone():
		return "P8.short"
	case age > 0 && a.Now.Sub(store.Time(rec.Set)) > age:
		return "P8.expired"
	}
	return ""
}

// current finds the password among the bindings; without one the record is empty.
func current(a factor.Attempt) (factor.Binding, record, error) {
	if a.Subject.Account == "" {
		return factor.Binding{}, record{}, nil
	}
	for _, b := range a.Active() {
		if b.Kind == Kind {
			rec, err := readRecord(b.Payload)
			return b, rec, err
		}
	}
	return factor.Binding{}, record{}, nil
}

// wrong is fault P1 with the hints that the typed text gives.
func wrong(typed string) error {
	return &authn.Fault{Code: "P1", Facts: typedFacts(typed)}
}

// SetOn tells when the password of a binding was last chosen by its owner.
func SetOn(b factor.Binding) time.Time {
	rec, err := readRecord(b.Payload)
	if err != nil {
		return time.Time{}
	}
	return store.Time(rec.Set)
}
