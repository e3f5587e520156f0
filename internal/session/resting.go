package session

import (
	"slices"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// EndResting ends the sessions of an account that rest on a binding: among whose
// evidence a proof by it is. It returns them as they were. What outlives sessions
// is the caller's to end.
func (k *Keeper) EndResting(tx *store.Tx, account authn.AccountID, binding, why string) ([]Session, error) {
	all, err := k.Of(tx, account)
	if err != nil {
		return nil, err
	}
	var out []Session
	for _, s := range all {
		rests := slices.ContainsFunc(s.Evidence, func(e authn.Evidence) bool { return e.Binding == binding && binding != "" })
		if !rests {
			continue
		}
		if err := k.End(tx, s.ID, why); err != nil {
			return out, err
		}
		out = append(out, s)
	}
	return out, nil
}
