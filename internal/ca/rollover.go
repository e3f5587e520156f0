package ca

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"seimon/internal/store"
)

// Step is one move of an issuer in its life.
type Step string

// The steps. Activate moves two issuers: the one that was active signs only lists and
// answers from then on.
const (
	Distribute Step = "distribute"
	Activate   Step = "activate"
	Retire     Step = "retire"
	Discard    Step = "discard"
	Revoke     Step = "revoke" // taken by RevokeIssuer, with a reason
)

// moves says from which states each step leads where. What is not here is refused.
func moves() map[Step]map[IssuerState]IssuerState {
	return map[Step]map[IssuerState]IssuerState{
		Distribute: {IssuerPrepared: IssuerDistributed},
		Activate:   {IssuerDistributed: IssuerActive},
		Retire:     {IssuerStatusOnly: IssuerRetired, IssuerRevoked: IssuerRetired},
		Discard:    {IssuerPrepared: IssuerRetired, IssuerDistributed: IssuerRetired},
		Revoke: {
			IssuerPrepared: IssuerRevoked, IssuerDistributed: IssuerRevoked, IssuerActive: IssuerRevoked, IssuerStatusOnly: IssuerRevoked,
		},
	}
}

// Refusal says why a step is not possible now, and what would be.
type Refusal struct {
	Step   Step
	Issuer string
	State  IssuerState
	Reason string
}

// Error names step, issuer, state and reason.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s of %s is not possible: it is %s; %s", r.Step, r.Issuer, r.State, r.Reason)
}

// Possible lists the steps that an issuer in a state can take.
func Possible(s IssuerState) []Step {
	var out []Step
	for _, step := range []Step{Distribute, Activate, Retire, Discard, Revoke} {
		if _, ok := moves()[step][s]; ok {
			out = append(out, step)
		}
	}
	return out
}

// Move takes an issuer one step further. The error is ErrNone or a *Refusal.
func (a *Authority) Move(tx *store.Tx, id string, step Step, actor string) (Issuer, error) {
	i, err := a.Issuer(tx, id)
	if err != nil {
		return i, err
	}
	to, ok := moves()[step][i.State]
	if !ok {
		return i, a.refusal(i, step)
	}
	if step == Revoke {
		return i, &Refusal{step, i.Name, i.State, "it needs a reason: seimon ca revoke"}
	}
	if step == Retire {
		if err := a.nothingValid(tx, i); err != nil {
			return i, err
		}
	}
	if step == Activate {
		if !tx.Now.Before(i.Certificate.NotAfter) {
			return i, &Refusal{step, i.Name, i.State, "its certificate has expired"}
		}
		if err := a.relieve(tx, actor); err != nil {
			return i, err
		}
	}
	if err := a.setState(tx, &i, to, actor); err != nil {
		return i, err
	}
	return i, nil
}

// refusal says why a step is not possible, and which are.
func (a *Authority) refusal(i Issuer, step Step) *Refusal {
	reason := "nothing follows"
	switch next := Possible(i.State); {
	case i.State == IssuerActive:
		reason = "activate its successor, and it will sign only lists and answers; or revoke it"
	case len(next) > 0:
		reason = "from there it can only " + strings.Join(texts(next), " or ")
	case i.State == Anchor:
		reason = "a root has no such life"
	}
	return &Refusal{step, i.Name, i.State, reason}
}

func texts(steps []Step) []string {
	out := make([]string, len(steps))
	for i, s := range steps {
		out[i] = string(s)
	}
	return out
}

// setState moves an issuer only if nobody else has moved it since it was read.
func (a *Authority) setState(tx *store.Tx, i *Issuer, to IssuerState, actor string) error {
	n, err := tx.Exec("UPDATE ca_issuer SET state = $1, since = $2 WHERE id = $3 AND state = $4", string(to), store.Millis(tx.Now), i.ID, string(i.State))
	if err != nil {
		return err
	}
	if n == 0 {
		return &Refusal{"", i.Name, i.State, "somebody else has just moved it: look again"}
	}
	from := i.State
	i.State, i.Since = to, tx.Now
	return a.note(tx, "ca.issuer", actor, Certificate{}, map[string]string{"issuer_id": i.ID, "issuer": i.Name, "from": string(from), "to": string(to)})
}

// relieve lets the active issuer sign only lists and answers.
func (a *Authority) relieve(tx *store.Tx, actor string) error {
	id, err := activeIssuer(tx)
	if errors.Is(err, ErrNotReady) {
		return nil
	}
	if err != nil {
		return err
	}
	old, err := a.Issuer(tx, id)
	if err != nil {
		return err
	}
	return a.setState(tx, &old, IssuerStatusOnly, actor)
}

// nothingValid refuses to retire an issuer while something of it could still be used:
// without its lists and answers nobody could tell whether it was revoked.
func (a *Authority) nothingValid(tx *store.Tx, i Issuer) error {
	var n, last int64
	err := tx.QueryRow("SELECT COUNT(*), COALESCE(MAX(not_after), 0) FROM ca_certificate WHERE issuer = $1 AND not_after > $2 AND profile <> $3",
		i.ID, store.Millis(tx.Now), Responder).Scan(&n, &last)
	if err == nil && n > 0 {
		err = &Refusal{Retire, i.Name, i.State, fmt.Sprintf("%d certificates of it have not expired; the last ends %s", n, store.Time(last).Format("2006-01-02"))}
	}
	return err
}

// PrepareIssuer makes a further issuer, below the newest root or below a new one, in
// the state prepared. Names that an issuer has already are refused: whoever checks
// certificates finds issuers by name.
func (a *Authority) PrepareIssuer(ctx context.Context, plan Plan, newRoot bool) (Issuer, error) {
	var all []Issuer
	err := a.db.Read(ctx, func(tx *store.Tx) (err error) {
		all, err = a.all(tx)
		return err
	})
	if err != nil {
		return Issuer{}, err
	}
	if len(all) == 0 {
		return Issuer{}, ErrNotReady
	}
	generation, number, root := int64(1), int64(0), all[0]
	for _, i := range all {
		number = max(number, i.Number)
		if i.State == Anchor {
			root = i
		} else {
			generation++
		}
	}
	plan.inherit(root, newRoot, generation)
	if err := plan.complete(generation); err != nil {
		return Issuer{}, err
	}
	made, err := a.makeBelow(ctx, plan, root, newRoot, number)
	if err != nil {
		return Issuer{}, err
	}
	err = a.db.Write(ctx, func(tx *store.Tx) error {
		for _, i := range made {
			if err := a.unnamed(tx, i.name); err != nil {
				return err
			}
			if err := i.insert(tx); err != nil {
				return err
			}
			facts := map[string]string{"issuer_id": i.id, "issuer": i.name, "to": string(i.state)}
			if err := a.note(tx, "ca.issuer", plan.Actor, Certificate{}, facts); err != nil {
				return err
			}
		}
		return nil
	})
	if store.IsUnique(err) {
		err = errors.New("ca: another issuer was made at the same moment: look again")
	}
	if err != nil {
		return Issuer{}, err
	}
	if err := a.load(ctx); err != nil {
		return Issuer{}, err
	}
	return a.read(ctx, made[len(made)-1].id)
}

// inherit takes from the root what the plan leaves out.
func (p *Plan) inherit(root Issuer, newRoot bool, generation int64) {
	s := root.Certificate.Subject
	if p.Organization == "" && len(s.Organization) > 0 {
		p.Organization = s.Organization[0]
	}
	if p.Country == "" && len(s.Country) > 0 {
		p.Country = s.Country[0]
	}
	if p.Root == "" && newRoot {
		p.Root = p.Organization + " Root CA G" + strconv.FormatInt(generation, 10)
	}
}

// makeBelow makes the issuer, and its root if a new one is wanted.
func (a *Authority) makeBelow(ctx context.Context, plan Plan, root Issuer, newRoot bool, number int64) ([]*newIssuer, error) {
	above := &newIssuer{id: root.ID, certificate: root.Certificate}
	var out []*newIssuer
	var err error
	if newRoot {
		number++
		if above, err = a.makeRoot(ctx, plan); err != nil {
			return nil, err
		}
		above.number = number
		out = append(out, above)
	} else if above.signer, err = a.Sign(ctx, root.ID); err != nil {
		return nil, err
	}
	below, err := a.makeIssuer(ctx, plan, above, number+1)
	return append(out, below), err
}

func (a *Authority) unnamed(tx *store.Tx, name string) error {
	all, err := a.all(tx)
	if err == nil && slices.ContainsFunc(all, func(i Issuer) bool { return i.Name == name }) {
		err = fmt.Errorf("ca: an issuer is called %q already", name)
	}
	return err
}
