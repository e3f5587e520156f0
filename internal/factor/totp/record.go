package totp

import (
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
)

// record is the payload of a binding, version 1.
type record struct {
	Version int `json:"v"`
	shape
	Secret []byte `json:"secret"`
	// Drift is how many steps the device was ahead (behind: negative) at its last use.
	Drift int64 `json:"drift,omitempty"`
	// Struck are steps whose codes were named to be of the future: they do not count when their time comes.
	Struck []int64 `json:"struck,omitempty"`
	// Transaction is where a pending registration was begun.
	Transaction string `json:"transaction,omitempty"`
}

func readRecord(payload []byte) (record, error) {
	var r record
	if err := json.Unmarshal(payload, &r); err != nil {
		return r, fmt.Errorf("totp: payload: %w", err)
	}
	if r.Version != 1 || len(r.Secret) == 0 {
		return r, fmt.Errorf("totp: payload of version %d", r.Version)
	}
	return r, r.check()
}

func (r record) bytes() []byte {
	r.Version = 1
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a struct of texts and numbers
	}
	return b
}

// find looks for a code up to reach steps around the centres and returns the
// matching step that is nearest to the first centre.
func (r record) find(code string, reach int64, centres ...int64) (step int64, ok bool) {
	for away := range reach + 1 {
		for _, c := range centres {
			for _, s := range [...]int64{c - away, c + away} {
				if r.matches(r.Secret, s, code) {
					return s, true
				}
			}
		}
	}
	return 0, false
}

// strike keeps a step out, and forgets those that are long past.
func (r *record) strike(step, now int64) {
	r.Struck = slices.DeleteFunc(r.Struck, func(s int64) bool { return s < now-2 || s == step })
	r.Struck = append(r.Struck, step)
}

// base32Secret is the secret the way people and apps copy it.
func (r record) base32Secret() string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(r.Secret)
}

// Import makes an active binding from a secret of another system in base32, with
// spaces or not; the caller stores it with Bindings.Add. Its codes have the shape of cfg.
func Import(cfg Config, account authn.AccountID, label, secret string, created time.Time) (factor.Binding, error) {
	text := strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "=", "").Replace(secret))
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil || len(raw) < 10 || len(raw) > 128 {
		return factor.Binding{}, errors.New("totp: not a secret of 80 to 1024 bits in base32")
	}
	r := record{shape: cfg.filled().shape(), Secret: raw}
	if err := r.check(); err != nil {
		return factor.Binding{}, err
	}
	return factor.Binding{
		ID: authn.NewID("bnd"), Account: account, Kind: Kind, Label: labelOf(label),
		State: factor.Active, Payload: r.bytes(), Created: created,
	}, nil
}

// CodeAt gives the code that the app of a binding shows at a moment, and its secret
// in base32: for rehearsals, where the program plays the phone.
func CodeAt(b factor.Binding, at time.Time) (code string, secret authn.Secret, err error) {
	r, err := readRecord(b.Payload)
	if err != nil {
		return "", "", err
	}
	return r.code(r.Secret, r.step(at)), authn.Secret(r.base32Secret()), nil
}
