package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"seimon/test/campus"
)

// tickets measures the CAS front: tickets from live sessions, and their validation.
func (b *bench) tickets(ctx context.Context) error {
	c, p, err := b.started(ctx, people)
	if err != nil {
		return err
	}
	defer p.Kill() //nolint:errcheck // the campus goes away
	all := browsers(c, clients)
	asset, err := all[0].asset()
	if err != nil {
		return err
	}
	pools := make([][]string, len(all))
	for n, w := range all {
		if _, err := w.signIn(c.Person(n)); err != nil {
			return err
		}
	}
	floors, err := b.floors(ctx, c, p, all, asset)
	if err != nil {
		return err
	}
	m := newMeter(p)
	issued := b.check("CAS tickets", closed(ctx, clients, min(b.span, 20*time.Second), func(n int) error {
		ticket, err := all[n].ticket()
		pools[n] = append(pools[n], ticket)
		return err
	}))
	floor := floors.of(1, 1, 0)
	b.row(row{what: "CAS: a ticket with a live session, 16 at a time", figure: perSecond(issued.rate()), latency: issued.latency(),
		floor: perSecond(floor), ratio: ratio(issued.rate(), floor), cost: m.cost(issued)})
	m = newMeter(p)
	spent := b.check("CAS validations", drain(ctx, pools, func(n int, ticket string) error { return all[n].validate(ticket) }))
	b.row(row{what: "CAS: p3/serviceValidate, 16 at a time", figure: perSecond(spent.rate()), latency: spent.latency(),
		floor: perSecond(floor), ratio: ratio(spent.rate(), floor), cost: m.cost(spent)})
	return p.Stop()
}

// drain works through pools of tickets, one worker for each.
func drain(ctx context.Context, pools [][]string, do func(worker int, ticket string) error) *result {
	t := &tally{}
	begun := time.Now()
	var all sync.WaitGroup
	for n, pool := range pools {
		all.Go(func() {
			var took []time.Duration
			defer func() { t.add(took) }()
			for _, ticket := range pool {
				from := time.Now()
				if err := do(n, ticket); err == nil {
					took = append(took, time.Since(from))
				} else if t.fail(err) || ctx.Err() != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return t.end(begun)
}

// ticket asks for a CAS ticket with the session that the browser has.
func (b *browser) ticket() (string, error) {
	r, err := b.get("/cas/login?service=" + url.QueryEscape(campus.Wiki))
	if err != nil {
		return "", err
	}
	_, ticket, ok := strings.Cut(r.location, "?ticket=")
	if !ok {
		return "", fmt.Errorf("no ticket: %d to %q", r.status, r.location)
	}
	return ticket, nil
}

// validate exchanges a ticket, as the service does.
func (b *browser) validate(ticket string) error {
	r, err := b.wire.do("GET", "/cas/p3/serviceValidate?service="+url.QueryEscape(campus.Wiki)+"&ticket="+ticket, "", "")
	if err == nil && !bytes.Contains(r.body, []byte("<cas:authenticationSuccess>")) {
		err = fmt.Errorf("validation answered %d: %s", r.status, r.body)
	}
	return err
}
