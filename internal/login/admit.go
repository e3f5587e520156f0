package login

import (
	"cmp"
	"net/netip"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/login/transaction"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Admit decides for a service that comes in the name of a live session without a
// browser, as for a passive request from where the session was last used. The error is
// session.ErrNone when it has ended.
func (h *Hall) Admit(tx *store.Tx, a Ask, sid string) (Outcome, error) {
	live, err := h.Sessions.Get(tx, sid)
	if err != nil {
		return Outcome{}, err
	}
	t := &transaction.Transaction{ID: authn.NewID("t"), Ask: a, Support: diagnosis.NewCode(), Created: tx.Now, Subject: live.Subject, Session: sid}
	from, _ := netip.ParseAddr(live.Address) // what is no address is in no zone
	s, err := h.look(tx, t, visit{client: web.Client{Addr: from}, live: live})
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Party: s.party, Subject: t.Subject, Session: live, Evidence: s.kase.Evidence, Assurance: authn.Assess(s.kase.Evidence), Attributes: s.released.Values, Zone: s.zone, Support: t.Support}
	if s.verdict.Step != policy.StepDone {
		o.Fault = authn.NewFault(cmp.Or(s.verdict.Cause, NeedsInteraction))
	}
	return o, h.ended(tx, t, s, &o)
}
