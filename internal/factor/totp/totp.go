package totp

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"strconv"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// Kind is the name of the factor.
const Kind authn.Kind = "totp"

//go:embed words/*.toml
var words embed.FS

//go:embed templates/*.html
var templates embed.FS

// Words are the room's words for people.
func Words() lang.Source { return lang.Source{Room: "totp", Files: words} }

// Templates are the room's form fields.
func Templates() fs.FS { return templates }

// How far from the present step a code may lie, in time.
const (
	enrolReach = 5 * time.Minute  // counts while registering, and is learnt
	nameReach  = 10 * time.Minute // never counts; is named as a clock that is off
)

// window is how many steps around a centre count (RFC 6238, 5.2 recommends one).
const window = 1

// Config is the room's part of the configuration. Zero values mean the defaults.
type Config struct {
	Issuer    string        // the name that apps show, in any script; default "Seimon"
	Algorithm Algorithm     // default SHA1, the only one that all apps know
	Digits    int           // default 6
	Period    time.Duration // default 30 s
	// Zone is where the days are counted that become part of names in the app; default UTC.
	Zone *time.Location
}

func (c Config) filled() Config {
	if c.Issuer == "" {
		c.Issuer = "Seimon"
	}
	if c.Algorithm == "" {
		c.Algorithm = SHA1
	}
	if c.Digits == 0 {
		c.Digits = 6
	}
	if c.Period == 0 {
		c.Period = 30 * time.Second
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	return c
}

func (c Config) shape() shape {
	return shape{Algorithm: c.Algorithm, Digits: c.Digits, Period: int(c.Period / time.Second)}
}

// Check tells what is wrong with the configuration.
func (c Config) Check() error { return c.filled().shape().check() }

// Factor proves possession of the device that holds a shared secret.
type Factor struct {
	issuer   string
	shape    shape
	zone     *time.Location
	bindings *factor.Bindings
}

// New makes the factor. It panics when cfg.Check does not hold.
func New(cfg Config, bindings *factor.Bindings) *Factor {
	if err := cfg.Check(); err != nil {
		panic(err)
	}
	cfg = cfg.filled()
	return &Factor{issuer: cfg.Issuer, shape: cfg.shape(), zone: cfg.Zone, bindings: bindings}
}

// Kind is "totp".
func (f *Factor) Kind() authn.Kind { return Kind }

// Traits: something the person has, each code once.
func (f *Factor) Traits() authn.Traits {
	return authn.Traits{Class: authn.Have, SingleUse: true, AMR: "otp"}
}

// device is a registration as its owner sees it.
type device struct {
	Label      string
	Registered time.Time
	Used       time.Time
}

// question is the dot of totp.prove.
type question struct {
	Digits  int
	Devices []device
}

// Challenge asks for the code that an app shows now.
func (f *Factor) Challenge(_ context.Context, a factor.Attempt) (factor.Prompt, error) {
	q := question{Digits: f.shape.Digits}
	for _, b := range a.Active() {
		r, err := readRecord(b.Payload)
		if err != nil {
			return factor.Prompt{}, err
		}
		q.Digits = r.Digits
		q.Devices = append(q.Devices, device{b.Label, b.Created, b.Used})
	}
	return factor.Prompt{Template: "totp.prove", Title: "totp.prove.title", Button: "totp.prove.button", Data: q}, nil
}

// Verify judges the form field "code". Faults: T1, T1.form, T2, T3, T4, T5.
func (f *Factor) Verify(ctx context.Context, a factor.Attempt, ans factor.Answer) (factor.Verified, error) {
	j, err := f.open(ctx, a, ans)
	if err != nil {
		return factor.Verified{}, err
	}
	hit, ok := j.inWindow(j.active)
	if !ok {
		return factor.Verified{}, f.explain(ctx, j)
	}
	if hit.used() {
		return factor.Verified{}, j.used(hit)
	}
	return factor.Verified{
		Evidence: f.evidence(hit.Binding, a.Now),
		Commit:   f.commit(hit, j),
		Facts:    map[string]string{"device": hit.Label, "drift": hit.seconds(j.now)},
	}, nil
}

func (f *Factor) evidence(b factor.Binding, at time.Time) authn.Evidence {
	return authn.Evidence{Kind: Kind, Traits: f.Traits(), Binding: b.ID, Label: b.Label, At: at}
}

// commit uses the step up and keeps the drift that was learnt.
func (f *Factor) commit(hit hit, j judge) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		first, err := f.bindings.Advance(tx, hit.ID, hit.step)
		if err != nil {
			return err
		}
		b, err := f.bindings.Get(tx, hit.ID)
		if err != nil && !errors.Is(err, factor.ErrNone) {
			return err
		}
		if !first {
			hit.Counter = b.Counter
			return j.used(hit)
		}
		r, err := readRecord(b.Payload)
		if err != nil {
			return err
		}
		drift := hit.step - r.step(j.now)
		if drift == r.Drift {
			return nil
		}
		r.Drift = drift
		b.Payload = r.bytes()
		return f.bindings.Save(tx, b)
	}
}

// strike keeps a code from counting later that was named as one of the future.
func (f *Factor) strike(ctx context.Context, h hit, now time.Time) error {
	return f.bindings.Write(ctx, func(tx *store.Tx) error {
		b, err := f.bindings.Get(tx, h.ID)
		if err != nil || b.State == factor.Removed {
			return err
		}
		r, err := readRecord(b.Payload)
		if err != nil {
			return err
		}
		r.strike(h.step, r.step(now))
		b.Payload = r.bytes()
		return f.bindings.Save(tx, b)
	})
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
