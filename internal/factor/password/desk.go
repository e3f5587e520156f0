package password

import (
	"context"
	"fmt"

	"seimon/internal/factor"
	"seimon/internal/store"
)

// Actions of the desk: the owner must choose a new password at the next sign-in.
// Nobody but the owner ever chooses one (OWASP ASVS 5.0, 6.4.6).
func (f *Factor) Actions() []factor.Action {
	return []factor.Action{
		{Name: "expire", Label: "password.action.expire"},
		{Name: "breached", Label: "password.action.breached"},
	}
}

// Act runs an action of Actions.
func (f *Factor) Act(_ context.Context, tx *store.Tx, a factor.Attempt, action string, _ factor.Answer) error {
	b, _, err := current(a)
	if err != nil {
		return err
	}
	if b, err = f.bindings.Get(tx, b.ID); err != nil {
		return err
	}
	rec, err := readRecord(b.Payload)
	if err != nil {
		return err
	}
	switch action {
	case "expire":
		rec.Must = "P8.expired"
	case "breached":
		rec.Must = "P8.breached"
	default:
		return fmt.Errorf("password: no action %q", action)
	}
	b.Payload = rec.bytes()
	return f.bindings.Save(tx, b)
}
