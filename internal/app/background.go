package app

import (
	"context"
	"encoding/json"
	"time"

	"seimon/internal/ca"
	"seimon/internal/jobs"
	"seimon/internal/login"
	"seimon/internal/rp/owners"
	"seimon/internal/session"
	"seimon/internal/store"
)

const (
	// sweepRows bounds what one round of clearing removes, so that it never holds up sign-ins.
	sweepRows = 5000
	// sweepSome is the same for what takes more work for each row.
	sweepSome = 200
	// mailKept is how long the facts of a delivery are kept for diagnosis.
	mailKept = 30 * 24 * time.Hour
)

// background hands the rooms' regular work and the sign-outs to the board.
func (h *House) background() {
	h.Jobs.Every("audit.seal", time.Second, h.Audit.Seal)
	h.Jobs.EachNode("audit.settle", time.Minute, func(ctx context.Context) error { return h.Audit.Settle(ctx, false) })
	h.Jobs.EachNode("outage.record", 5*time.Second, h.recordTold)
	h.Jobs.EachNode("keyring.refresh", time.Minute, h.Ring.Refresh)
	h.Jobs.EachNode("saml.refresh", time.Minute, h.samlFront().Refresh)
	h.Jobs.Every("saml.renew", 10*time.Minute, h.samlFront().Renew)
	h.Jobs.Every("factor.reseal", time.Hour, func(ctx context.Context) error {
		_, err := h.Bindings.Reseal(ctx, h.Ring.Head())
		if err == nil {
			_, err = h.Cards.Reseal(ctx, h.DB, h.Ring, h.Ring.Head())
		}
		return err
	})
	h.Jobs.Every("ca.log", time.Second, h.CA.Sequence)
	h.Jobs.Every("ca.orphans", 10*time.Minute, func(ctx context.Context) error {
		_, err := h.CA.MendOrphans(ctx, ca.OrphanAge, "orphan finder")
		return err
	})
	h.publish()
	h.Jobs.Every("service.owners", time.Minute, owners.New(owners.Config{
		DB: h.DB, Audit: h.Audit, Parties: h.Parties, Mail: h.Mail, Words: h.Words, Reply: h.Config.Mail.Desk, To: h.Config.Mail.Services,
	}).Tell)
	h.followFeeds()
	h.Jobs.Every("sweep.login", time.Minute, h.Hall.Sweep)
	h.Jobs.Every("sweep.session", time.Minute, h.sweepSessions)
	h.sweep("mail", func(tx *store.Tx) error {
		_, err := h.Mail.Sweep(tx, tx.Now.Add(-mailKept), sweepRows)
		return err
	})
	h.sweep("throttle", func(tx *store.Tx) error {
		_, err := h.Throttle.Sweep(tx)
		return err
	})
	h.Jobs.Every("sweep.plugins", time.Minute, func(ctx context.Context) error {
		for _, f := range h.sweeps {
			if err := h.DB.Write(ctx, f); err != nil {
				return err
			}
		}
		return nil
	})
	for _, f := range h.Hall.Fronts() {
		if s, ok := f.(login.SignOuter); ok {
			h.Jobs.Handle(session.SignOutKind(f.Name()), func(ctx context.Context, t jobs.Task) error {
				var v session.Visit
				if err := json.Unmarshal(t.Payload, &v); err != nil {
					return jobs.Permanent(err)
				}
				return s.SignOut(ctx, v)
			})
		}
	}
}

// sweepSessions ends the sessions that are over, a few in each transaction, because
// their services are told.
func (h *House) sweepSessions(ctx context.Context) error {
	for {
		var n int64
		err := h.DB.Write(ctx, func(tx *store.Tx) (err error) {
			n, err = h.Sessions.Sweep(tx, sweepSome)
			return err
		})
		if err != nil || n < sweepSome {
			return err
		}
	}
}

func (h *House) sweep(name string, fn func(*store.Tx) error) {
	h.Jobs.Every("sweep."+name, time.Minute, func(ctx context.Context) error { return h.DB.Write(ctx, fn) })
}

// deliver hands mail over as it comes, and looks for what other nodes or a crash left.
func (h *House) deliver(ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.Mail.Wake():
		case <-tick.C:
		}
		if err := h.Mail.Deliver(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("mail delivery failed", "error", err)
		}
	}
}
