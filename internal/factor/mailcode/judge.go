package mailcode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/mail"
	"seimon/internal/store"
)

// record is the payload of a binding, version 1.
type record struct {
	Version     int    `json:"v"`
	Address     string `json:"address"`
	Transaction string `json:"transaction,omitempty"` // where a pending one was begun
}

func (r record) bytes() []byte {
	r.Version = 1
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a struct of texts
	}
	return b
}

// entry is an address of an account with its payload read.
type entry struct {
	factor.Binding
	record
}

func (e entry) seen() time.Time {
	if e.Used.After(e.Created) {
		return e.Used
	}
	return e.Created
}

func read(bindings []factor.Binding) ([]entry, error) {
	var out []entry
	for _, b := range bindings {
		if b.Kind != Kind {
			continue
		}
		e := entry{Binding: b}
		if err := json.Unmarshal(b.Payload, &e.record); err != nil {
			return nil, fmt.Errorf("mailcode: payload: %w", err)
		}
		if e.Version != 1 || e.Address == "" {
			return nil, fmt.Errorf("mailcode: payload of version %d", e.Version)
		}
		out = append(out, e)
	}
	return out, nil
}

// AddressOf gives the address of a binding, for those who write to its owner; "" if
// the binding is of another kind.
func AddressOf(b factor.Binding) string {
	entries, err := read([]factor.Binding{b})
	if err != nil || len(entries) == 0 {
		return ""
	}
	return entries[0].Address
}

// judge finds the code that was typed, or says why it does not count.
func (f *Factor) judge(ctx context.Context, a factor.Attempt, ans factor.Answer, known []entry) (code, error) {
	typed := factor.Digits(ans.Get("code"))
	if len(typed) != digits {
		return code{}, authn.NewFault("M2.form", "digits", strconv.Itoa(digits))
	}
	var codes []code
	var state mail.Delivery
	err := f.bindings.Read(ctx, func(tx *store.Tx) (err error) {
		if codes, err = recent(tx, a.Subject.Account); err != nil {
			return err
		}
		if c, ok := newest(codes, a.Transaction); ok {
			if state, err = f.queue.Delivery(tx, c.Mail); errors.Is(err, mail.ErrNone) {
				err = nil
			}
		}
		return err
	})
	if err != nil {
		return code{}, err
	}
	last, ok := newest(codes, a.Transaction)
	if !ok {
		return code{}, authn.NewFault("M2").Because(errors.New("mailcode: no code was sent in this transaction"))
	}
	facts := []string{"to", masked(known, last.Binding), "sent", factor.TimeFact(last.Sent)}
	if f.matches(last, typed) {
		switch {
		case !last.Used.IsZero():
			return code{}, authn.NewFault("M2.used", "used", factor.TimeFact(last.Used))
		case !last.Expires.After(a.Now):
			return code{}, authn.NewFault("M2.expired", append(facts, "expired", factor.TimeFact(last.Expires))...)
		}
		return last, nil
	}
	return code{}, f.other(codes, last, typed, append(facts, delivery(state)...))
}

// other names a code that was sent and is not the one that counts.
func (f *Factor) other(codes []code, last code, typed string, facts []string) error {
	for _, c := range codes {
		switch {
		case c.ID == last.ID || !f.matches(c, typed):
		case c.Number < last.Number:
			return authn.NewFault("M2.older", facts...)
		default:
			return authn.NewFault("M2").Because(errors.New("mailcode: a code that was sent for another window"))
		}
	}
	return authn.NewFault("M2.wrong", facts...)
}

// delivery gives what is known about the mail as facts.
func delivery(d mail.Delivery) []string {
	if d.State == "" {
		return nil
	}
	facts := []string{"state", string(d.State)}
	if d.State == mail.Handed {
		facts = append(facts, "handed", factor.TimeFact(d.At))
	}
	if d.Reply != "" {
		facts = append(facts, "reply", d.Reply)
	}
	return facts
}

func masked(known []entry, binding string) string {
	for _, e := range known {
		if e.ID == binding {
			return mail.MaskAddress(e.Address)
		}
	}
	return ""
}
