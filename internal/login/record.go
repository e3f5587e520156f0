package login

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"seimon/internal/audit"
	"seimon/internal/login/transaction"
	"seimon/internal/session"
	"seimon/internal/store"
)

// The types of audit event that the hall writes. A decision carries its whole
// case, so that it can be replayed.
const (
	eventBegun   = "signin.begun"
	eventDecided = "signin.decided"
	eventProved  = "signin.proved"
	eventDone    = "signin.done"
	eventDenied  = "signin.denied"
)

func itoa(n int) string { return strconv.Itoa(n) }

// shown is the short form of a decision, to tell whether it changed.
func shown(s *sight) string {
	parts := []string{string(s.verdict.Step), string(s.verdict.Cause), s.zone.Name, s.ruling.Name}
	for _, k := range s.verdict.Kinds {
		parts = append(parts, string(k))
	}
	return strings.Join(parts, " ")
}

func (h *Hall) event(t *transaction.Transaction, v visit, kind string, facts map[string]string) audit.Event {
	return audit.Event{
		Type: kind, Account: t.Subject.Account, Actor: string(t.Subject.Account), Session: t.Session,
		Transaction: t.ID, Support: t.Support, Party: t.Ask.Party, Address: v.client.Addr.String(), Facts: facts,
	}
}

func (h *Hall) note(tx *store.Tx, t *transaction.Transaction, s *sight, kind string, facts map[string]string) error {
	all := map[string]string{"zone": s.zone.Name, "kind": string(s.zone.Kind), "agent": session.Classify(s.visit.agent).String()}
	maps.Copy(all, facts)
	return h.append(tx, s, h.event(t, s.visit, kind, all))
}

// record is note for what the sign-in itself brings about.
func (h *Hall) record(tx *store.Tx, t *transaction.Transaction, s *sight, kind string, facts map[string]string) error {
	e := h.event(t, visit{}, kind, facts)
	e.Address, e.Session = s.session.Address, s.session.ID
	return h.Audit.Append(tx, e)
}

// decision is what is needed to replay a decision and to explain it.
func decision(s *sight) (map[string]string, error) {
	kase, err := json.Marshal(s.kase)
	if err != nil {
		return nil, err
	}
	verdict, err := json.Marshal(s.verdict)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"case": string(kase), "verdict": string(verdict), "rule": s.ruling.Name, "zone": s.zone.Name,
		"kind": string(s.zone.Kind), "prefix": s.zone.Prefix, "policy": strconv.FormatInt(s.version, 10),
		"agent": session.Classify(s.visit.agent).String(),
	}, nil
}

func (h *Hall) begun(tx *store.Tx, t *transaction.Transaction, s *sight) error {
	facts, err := decision(s)
	if err != nil {
		return err
	}
	t.Shown = shown(s)
	facts["front"] = t.Ask.Front
	if len(s.visit.client.Ignored) > 0 {
		facts["ignored_headers"] = strings.Join(s.visit.client.Ignored, " ")
	}
	return h.append(tx, s, h.event(t, s.visit, eventBegun, facts))
}

// decided puts a decision on record when it is not the one recorded last.
func (h *Hall) decided(tx *store.Tx, t *transaction.Transaction, s *sight) error {
	if t.Shown == shown(s) {
		return nil
	}
	t.Shown = shown(s)
	facts, err := decision(s)
	if err != nil {
		return err
	}
	return h.append(tx, s, h.event(t, s.visit, eventDecided, facts))
}

// ended puts the end of a sign-in on record, with the decision that it rests on.
func (h *Hall) ended(tx *store.Tx, t *transaction.Transaction, s *sight, o *Outcome) error {
	facts, err := decision(s)
	if err != nil {
		return err
	}
	kind := eventDone
	if o.Fault != nil {
		kind = eventDenied
		facts["code"] = string(o.Fault.Code)
	} else {
		facts["level"], facts["amr"] = o.Assurance.Level.String(), strings.Join(o.Assurance.AMR, " ")
		if len(t.Evidence) == 0 {
			facts["sso"] = "1"
		}
	}
	return h.append(tx, s, h.event(t, s.visit, kind, facts))
}

// append writes an event. While nothing is proved anybody can bring it about, so then it
// is written only as far as the budget of its source goes, and counted beyond.
func (h *Hall) append(tx *store.Tx, s *sight, e audit.Event) error {
	if len(s.kase.Evidence) == 0 && e.Type != eventProved {
		about := e
		about.Support, about.Transaction, about.Facts = "", "", map[string]string{"code": e.Facts["code"]}
		if _, room := h.Audit.Afford(audit.Many(), about); !room {
			return nil
		}
	}
	return h.Audit.Append(tx, e)
}
