package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"seimon/internal/app"
	"seimon/internal/audit"
	"seimon/internal/store"
	"seimon/test/campus"
)

// counters are numbers that only ever grow.
type counters struct {
	event int64            // the newest audit event
	steps map[string]int64 // the counter of each binding
}

// snapshot reads the counters and compares them with those seen before.
func (t *trial) snapshot(ctx context.Context) error {
	h, err := t.campus.Open(ctx)
	if err != nil {
		return err
	}
	now := counters{steps: map[string]int64{}}
	err = h.DB.Read(ctx, func(tx *store.Tx) error {
		newest, err := h.Audit.Find(tx, audit.Query{Newest: true, Limit: 1})
		if err != nil {
			return err
		}
		for _, e := range newest {
			now.event = e.ID
		}
		for n := range people {
			a, _, err := h.People.ByUserName(tx, campus.UserName(n))
			if err != nil {
				return err
			}
			bindings, err := h.Bindings.Of(tx, a.ID)
			if err != nil {
				return err
			}
			for _, b := range bindings {
				now.steps[b.ID] = b.Counter
			}
		}
		return nil
	})
	if err := h.Close(); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	t.ledger.check(now.event >= t.last.event, "the audit log went back from event %d to %d", t.last.event, now.event)
	for id, was := range t.last.steps {
		if now.steps[id] < was {
			t.ledger.fail("the counter of binding %s went back from %d to %d", id, was, now.steps[id])
		}
	}
	t.last = now
	return nil
}

// audit opens the rooms when all is over, and compares them with the ledger.
func (t *trial) audit(ctx context.Context) error {
	t.ledger.enough(t.kills)
	out, err := exec.CommandContext(ctx, t.binary, "audit", "verify", "--config", t.campus.Config).CombinedOutput()
	fmt.Printf("audit verify: %s\n", strings.TrimSpace(string(out)))
	t.ledger.check(err == nil, "seimon audit verify: %v: %s", err, out)
	h, err := t.campus.Open(ctx)
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // it was only read
	return h.DB.Read(ctx, func(tx *store.Tx) error {
		for _, s := range t.ledger.signIns {
			if err := t.recorded(tx, h, s); err != nil {
				return err
			}
		}
		for user := range t.ledger.consents {
			if err := t.consented(tx, h, user); err != nil {
				return err
			}
		}
		for user, steps := range t.ledger.steps {
			if err := t.once(tx, h, user, len(steps)); err != nil {
				return err
			}
		}
		return nil
	})
}

// recorded checks that the events of an acknowledged sign-in are there.
func (t *trial) recorded(tx *store.Tx, h *app.House, s signIn) error {
	events, err := h.Audit.Find(tx, audit.Query{Transaction: s.transaction, Limit: 100})
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, e := range events {
		seen[e.Type+" "+e.Facts["factor"]] = true
	}
	t.ledger.check(seen["signin.done "] && seen["signin.proved password"] && (!s.totp || seen["signin.proved totp"]),
		"events of the sign-in %s of %s are missing: there are %v", s.transaction, s.user, seen)
	return nil
}

func (t *trial) consented(tx *store.Tx, h *app.House, user string) error {
	a, _, err := h.People.ByUserName(tx, user)
	if err != nil {
		return err
	}
	given, err := h.Parties.Consents(tx, a.ID)
	if err != nil {
		return err
	}
	t.ledger.check(len(given) == 1 && given[0].Party == campus.Consent, "the consent of %s is gone", user)
	return nil
}

// once checks that no step was proved twice: there are no more proofs than steps
// whose codes were ever typed.
func (t *trial) once(tx *store.Tx, h *app.House, user string, typed int) error {
	a, _, err := h.People.ByUserName(tx, user)
	if err != nil {
		return err
	}
	events, err := h.Audit.Find(tx, audit.Query{Account: a.ID, TypePrefix: "signin.proved", Limit: 1000})
	if err != nil {
		return err
	}
	proofs := 0
	for _, e := range events {
		if e.Facts["factor"] == "totp" {
			proofs++
		}
	}
	t.ledger.check(proofs <= typed, "%s proved %d one-time codes, but typed only %d different ones", user, proofs, typed)
	return nil
}
