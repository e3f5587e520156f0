package mailcode

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/mail"
	"seimon/internal/store"
)

// otherAddress is the value of the field "again" that goes back to the first question.
const otherAddress = "other"

// form is the dot of mailcode.address.
type form struct {
	Suggested []string // addresses that the directory knows and codes may be sent to
	Behind    []string // domains that cannot be used
}

// Begin asks for an address, and after that for the code that was sent there.
func (f *Factor) Begin(ctx context.Context, a factor.Attempt) (factor.Prompt, error) {
	mine, ok, err := begun(a)
	if err != nil {
		return factor.Prompt{}, err
	}
	if !ok {
		data := form{Behind: f.domains, Suggested: f.suggested(a)}
		return factor.Prompt{Template: "mailcode.address", Title: "mailcode.address.title", Button: "mailcode.address.button", Data: data}, nil
	}
	var q question
	err = f.bindings.Read(ctx, func(tx *store.Tx) error {
		codes, err := recent(tx, a.Subject.Account)
		if err != nil {
			return err
		}
		c, _ := newest(codes, a.Transaction)
		q, err = f.question(tx, c, []entry{mine})
		return err
	})
	return factor.Prompt{Template: "mailcode.confirm", Title: "mailcode.confirm.title", Button: "mailcode.confirm.button", After: "mailcode.confirm.again", Data: q}, err
}

// begun finds the address that is being verified in this transaction.
func begun(a factor.Attempt) (entry, bool, error) {
	pending, err := read(a.Pending())
	if err != nil {
		return entry{}, false, err
	}
	at := slices.IndexFunc(pending, func(e entry) bool { return e.Transaction == a.Transaction })
	if at < 0 {
		return entry{}, false, nil
	}
	return pending[at], true, nil
}

func (f *Factor) suggested(a factor.Attempt) []string {
	var out []string
	for _, known := range a.Person.Addresses {
		if f.behind(known.Address) == "" && !slices.Contains(out, known.Address) && !registered(a, known.Address) {
			out = append(out, known.Address)
		}
	}
	return out
}

func registered(a factor.Attempt, address string) bool {
	active, err := read(a.Active())
	return err == nil && slices.ContainsFunc(active, func(e entry) bool { return strings.EqualFold(e.Address, address) })
}

// Finish takes the form field "address", sends a code there and returns ErrMore;
// then it judges the field "code". The field "again" sends another code ("1") or goes
// back to the question for the address ("other"). Faults: M3, M3.form, M3.taken,
// M3.full, M1.wait, M1.refused, and those of Verify on the code.
func (f *Factor) Finish(ctx context.Context, a factor.Attempt, ans factor.Answer) (factor.Enrolled, error) {
	mine, ok, err := begun(a)
	again := ans.Get(factor.FieldAgain)
	switch {
	case err != nil:
		return factor.Enrolled{}, err
	case ok && again == otherAddress:
		return factor.Enrolled{}, f.forget(ctx, mine)
	case ok && again != "":
		return factor.Enrolled{}, f.again(ctx, a, "1", "mailcode.verify", []entry{mine})
	case ok && !ans.Form.Has("address"):
		return f.confirm(ctx, a, ans, mine)
	}
	return factor.Enrolled{}, f.take(ctx, a, ans.Get("address"))
}

// forget goes back to the question for the address.
func (f *Factor) forget(ctx context.Context, e entry) error {
	err := f.bindings.Write(ctx, func(tx *store.Tx) error { return f.bindings.Remove(tx, e.ID) })
	if err == nil || errors.Is(err, factor.ErrNone) {
		return factor.ErrMore
	}
	return err
}

// take notes an address as pending and sends the first code there.
func (f *Factor) take(ctx context.Context, a factor.Attempt, typed string) error {
	address, err := f.acceptable(a, typed)
	if err != nil {
		return err
	}
	draft := f.draw()
	payload := record{Address: address, Transaction: a.Transaction}.bytes()
	err = f.bindings.Write(ctx, func(tx *store.Tx) error {
		if err := f.clear(tx, a.Subject.Account); err != nil {
			return err
		}
		b, err := f.bindings.Add(tx, factor.Binding{
			Account: a.Subject.Account, Kind: Kind, State: factor.Pending, Label: mail.MaskAddress(address), Payload: payload,
		})
		if err != nil {
			return err
		}
		codes, err := recent(tx, a.Subject.Account)
		if err != nil {
			return err
		}
		_, err = f.send(tx, parcel{a, b, address, "mailcode.verify", draft}, codes)
		return err
	})
	switch {
	case errors.Is(err, mail.ErrAddress):
		return authn.NewFault("M3.form").Because(err)
	case err != nil:
		return err
	}
	return factor.ErrMore
}

// acceptable reads an address and applies the rules for addresses.
func (f *Factor) acceptable(a factor.Attempt, typed string) (string, error) {
	address := strings.TrimSpace(norm.NFKC.String(typed))
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" || domain == "" || len(address) > 254 {
		return "", authn.NewFault("M3.form")
	}
	address = local + "@" + domainName(domain)
	if d := f.behind(address); d != "" {
		return "", authn.NewFault("M3", "domain", d)
	}
	if registered(a, address) {
		return "", authn.NewFault("M3.taken", "to", mail.MaskAddress(address))
	}
	if len(a.Active()) >= addressesMost {
		return "", authn.NewFault("M3.full", "maximum", strconv.Itoa(addressesMost))
	}
	return address, nil
}

// clear throws unfinished addresses away: only the newest can be confirmed.
func (f *Factor) clear(tx *store.Tx, account authn.AccountID) error {
	all, err := f.bindings.Of(tx, account)
	if err != nil {
		return err
	}
	for _, b := range all {
		if b.Kind == Kind && b.State == factor.Pending {
			if err := f.bindings.Remove(tx, b.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Factor) confirm(ctx context.Context, a factor.Attempt, ans factor.Answer, mine entry) (factor.Enrolled, error) {
	c, err := f.judge(ctx, a, ans, []entry{mine})
	if err != nil {
		return factor.Enrolled{}, err
	}
	if c.Binding != mine.ID {
		return factor.Enrolled{}, authn.NewFault("M2").Because(errors.New("mailcode: a code for another address"))
	}
	b := mine.Binding
	b.State, b.Payload = factor.Active, record{Address: mine.Address}.bytes()
	evidence := f.evidence(b, a.Now)
	return factor.Enrolled{
		Binding: b, Evidence: &evidence, Facts: map[string]string{"to": mail.MaskAddress(mine.Address)},
		Commit: func(tx *store.Tx) error {
			if err := use(tx, c); err != nil {
				return err
			}
			if err := f.bindings.Activate(tx, b.ID); errors.Is(err, factor.ErrNone) {
				return authn.NewFault("M2").Because(err)
			} else if err != nil {
				return err
			}
			return f.bindings.Save(tx, b)
		},
	}, nil
}

// Prepare makes an active binding for an address that is known to reach its owner;
// the caller stores it with Bindings.Add. Fault M3 when it is behind this sign-in.
func (f *Factor) Prepare(account authn.AccountID, address string) (factor.Binding, error) {
	if d := f.behind(address); d != "" {
		return factor.Binding{}, authn.NewFault("M3", "domain", d)
	}
	return factor.Binding{
		ID: authn.NewID("bnd"), Account: account, Kind: Kind, Label: mail.MaskAddress(address),
		State: factor.Active, Payload: record{Address: address}.bytes(),
	}, nil
}
