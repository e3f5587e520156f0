package transaction

import (
	"slices"
	"time"

	"seimon/internal/authn"
)

// Ask is what a front wants from the hall.
type Ask struct {
	Front   string
	Party   string // id of the relying party
	Request []byte // the front's own state; sealed while the person signs in

	Want    authn.Requirement // on top of the rule, from acr_values and the like
	Wish    authn.Requirement // likewise, but given up for a person who cannot reach it (voluntary acr_values)
	Force   bool              // earlier evidence does not count (prompt=login, ForceAuthn)
	Passive bool              // no page may be shown (prompt=none, IsPassive)
	// Reconsent asks for consent even when it was given (prompt=consent).
	Reconsent bool
	// Pick lets the person choose the account again (prompt=select_account).
	Pick bool
	// MaxAge bounds the age of the evidence when HasMaxAge is set; zero then means now.
	MaxAge    time.Duration
	HasMaxAge bool
	Hint      string          // user name to fill in
	Subject   authn.AccountID // when set, only this account will do (id_token_hint)
	Lang      []string        // languages asked for, best first (ui_locales)
	// Origins are where the answer may send the browser; the page's form may lead there.
	Origins []string
	// Attributes limits what is released to these names; nil means all that the party is granted.
	Attributes []string
}

// Limit keeps the attributes that the service asked for this time.
func (a *Ask) Limit(attrs map[string][]string) map[string][]string {
	if a.Attributes == nil {
		return attrs
	}
	out := map[string][]string{}
	for _, name := range a.Attributes {
		if v, ok := attrs[name]; ok {
			out[name] = v
		}
	}
	return out
}

// Proofs joins what this transaction proved with what was proved earlier in a session
// of account; a session of somebody else proves nothing here.
func (t *Transaction) Proofs(account authn.AccountID, earlier []authn.Evidence) []authn.Evidence {
	out := slices.Clone(t.Evidence)
	if account == "" || account != t.Subject.Account || t.Ask.Force {
		return out
	}
	for _, e := range earlier {
		old := t.Ask.HasMaxAge && t.Created.Sub(e.At) >= max(t.Ask.MaxAge, time.Second)
		known := slices.ContainsFunc(out, func(o authn.Evidence) bool { return o.Kind == e.Kind })
		if !old && !known {
			out = append(out, e)
		}
	}
	return out
}
