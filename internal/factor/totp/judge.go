package totp

import (
	"context"
	"slices"
	"strconv"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/store"
)

// entry is a registration with its payload read.
type entry struct {
	factor.Binding
	record
}

// hit is an entry and the step whose code was typed.
type hit struct {
	entry
	step int64
}

// used tells whether the step is spent: a code of it or of a later one was used, or
// it was struck out.
func (h hit) used() bool { return h.step <= h.Counter || slices.Contains(h.Struck, h.step) }

// ahead is how far the device's clock is ahead of ours, taking the middle of the step.
func (h hit) ahead(now time.Time) time.Duration {
	return h.begin(h.step).Add(time.Duration(h.Period) * time.Second / 2).Sub(now)
}

func (h hit) seconds(now time.Time) string {
	return decimal(int64(h.ahead(now).Round(time.Second) / time.Second))
}

// judge holds one typed code and what it may belong to.
type judge struct {
	account authn.AccountID
	code    string
	now     time.Time
	browser string // the PC's own clock error in seconds; "" when unknown
	active  []entry
	pending []entry
}

// open reads the typed code and the bindings.
func (f *Factor) open(_ context.Context, a factor.Attempt, ans factor.Answer) (judge, error) {
	j := judge{account: a.Subject.Account, now: a.Now}
	var err error
	if j.active, err = read(a.Active()); err != nil {
		return j, err
	}
	if j.pending, err = read(a.Pending()); err != nil {
		return j, err
	}
	j.browser, _ = browserError(ans, a.Now)
	j.code = factor.Digits(ans.Get("code"))
	lengths := map[int]bool{}
	for _, e := range slices.Concat(j.active, j.pending) {
		lengths[e.Digits] = true
	}
	if len(lengths) == 0 {
		lengths[f.shape.Digits] = true
	}
	if !lengths[len(j.code)] {
		digits := f.shape.Digits
		if len(j.active) > 0 {
			digits = j.active[0].Digits
		}
		return j, authn.NewFault("T1.form", "digits", strconv.Itoa(digits))
	}
	return j, nil
}

func read(bindings []factor.Binding) ([]entry, error) {
	var out []entry
	for _, b := range bindings {
		if b.Kind != Kind {
			continue
		}
		r, err := readRecord(b.Payload)
		if err != nil {
			return nil, err
		}
		out = append(out, entry{b, r})
	}
	return out, nil
}

// inWindow looks for the code where codes count. An unused one wins over a used one.
func (j judge) inWindow(entries []entry) (best hit, ok bool) {
	for _, e := range entries {
		now := e.record.step(j.now)
		step, found := e.find(j.code, window, now, now+e.Drift)
		if h := (hit{e, step}); found && (!ok || best.used() && !h.used()) {
			best, ok = h, true
		}
	}
	return best, ok
}

// nearby looks for the code where it only tells of a clock that is off.
func (j judge) nearby(entries []entry) (best hit, ok bool) {
	for _, e := range entries {
		now := e.record.step(j.now)
		reach := int64(nameReach/time.Second) / int64(e.Period)
		step, found := e.find(j.code, reach, now)
		if h := (hit{e, step}); found && (!ok || h.ahead(j.now).Abs() < best.ahead(j.now).Abs()) {
			best, ok = h, true
		}
	}
	return best, ok
}

// explain names why a code that counts nowhere is wrong.
func (f *Factor) explain(ctx context.Context, j judge) error {
	var old []entry
	err := f.bindings.Read(ctx, func(tx *store.Tx) error {
		retired, err := f.bindings.Retired(tx, j.account, Kind)
		if err != nil {
			return err
		}
		old, err = read(retired)
		return err
	})
	if err != nil {
		return err
	}
	if h, ok := j.inWindow(old); ok && h.Counter == 0 {
		return j.unfinished(h.entry)
	} else if ok {
		return j.replaced(h)
	}
	if h, ok := j.inWindow(j.pending); ok {
		return j.unfinished(h.entry)
	}
	if h, ok := j.nearby(j.active); ok {
		if h.step <= h.Counter {
			return j.used(h)
		}
		if h.step > h.record.step(j.now) {
			if err := f.strike(ctx, h, j.now); err != nil {
				return err
			}
		}
		return j.clock(h)
	}
	if len(j.active) == 0 && len(j.pending) > 0 {
		return j.unfinished(j.pending[0])
	}
	return j.wrong()
}

// wrong is T1: the device that was used last is the one that is probably in hand.
func (j judge) wrong() *authn.Fault {
	fault := authn.NewFault("T1")
	if len(j.active) > 0 {
		last := slices.MaxFunc(j.active, func(a, b entry) int { return lastSeen(a).Compare(lastSeen(b)) })
		fault = authn.NewFault("T1", "device", last.Label, "registered", factor.TimeFact(last.Created))
	}
	return j.with(fault)
}

func lastSeen(e entry) time.Time {
	if e.Used.After(e.Created) {
		return e.Used
	}
	return e.Created
}

// clock is T2.
func (j judge) clock(h hit) *authn.Fault {
	ahead, direction := h.ahead(j.now), "fast"
	if ahead < 0 {
		direction = "slow"
	}
	return j.with(authn.NewFault("T2", "device", h.Label, "seconds", decimal(int64(ahead.Abs().Round(time.Second)/time.Second)), "direction", direction))
}

// used is T3 with the seconds until this device shows a code that can count.
func (j judge) used(h hit) *authn.Fault {
	next := h.begin(h.Counter + 1 - h.Drift).Sub(j.now)
	if next <= 0 || next > 2*nameReach {
		next = h.begin(h.record.step(j.now) + 1).Sub(j.now)
	}
	seconds := int64((next + time.Second - 1) / time.Second)
	return authn.NewFault("T3", "device", h.Label, "seconds", decimal(seconds))
}

// replaced is T4.
func (j judge) replaced(h hit) *authn.Fault {
	facts := []string{"device", h.Label, "registered", factor.TimeFact(h.Created)}
	if len(j.active) > 0 {
		newest := slices.MaxFunc(j.active, func(a, b entry) int { return a.Created.Compare(b.Created) })
		facts = append(facts, "current", newest.Label)
	}
	return authn.NewFault("T4", facts...)
}

// unfinished is T5.
func (j judge) unfinished(e entry) *authn.Fault {
	return authn.NewFault("T5", "begun", factor.TimeFact(e.Created))
}

func (j judge) with(fault *authn.Fault) *authn.Fault {
	if j.browser == "" {
		return fault
	}
	if fault.Facts == nil {
		fault.Facts = map[string]string{}
	}
	fault.Facts["browser"] = j.browser
	return fault
}
