package main

import (
	"context"
	"fmt"

	"seimon/test/campus"
)

// clients is how many ask at the same time in closed loops.
const clients = 16

// flows measures what services ask most often, with the floors of their parts.
func (b *bench) flows(ctx context.Context) error {
	c, p, err := b.started(ctx, people)
	if err != nil {
		return err
	}
	defer p.Kill() //nolint:errcheck // the campus goes away
	all := browsers(c, 4*clients)
	asset, err := all[0].asset()
	if err != nil {
		return err
	}
	refresh, access := make([]string, len(all)), make([]string, len(all))
	for n, w := range all {
		t, err := w.signIn(c.Person(n))
		if err != nil {
			return err
		}
		refresh[n], access[n] = t.RefreshToken, t.AccessToken
	}
	floors, err := b.floors(ctx, c, p, all, asset)
	if err != nil {
		return err
	}
	flow := func(n int) error { _, err := all[n].liveFlow(); return err }
	b.both(ctx, p, load{what: "code flow with a live session (authorize and token)", target: 1000, floor: floors.of(2, 2, 1), do: flow})
	b.both(ctx, p, load{what: "refresh", target: 3000, floor: floors.of(1, 1, 1), do: func(n int) error {
		t, err := all[n].refresh(refresh[n])
		if err == nil {
			refresh[n] = t.RefreshToken
		}
		return err
	}})
	b.both(ctx, p, load{what: "introspection", target: 4000, floor: floors.of(1, 0, 0), do: func(n int) error {
		return all[n].introspect(access[n])
	}})
	return p.Stop()
}

// floors are the rates of the parts, measured with as many at a time.
type floors struct{ static, commit, signature float64 }

// of is the rate of so many static answers, durable commits and signatures one
// after another.
func (f floors) of(answers, commits, signatures float64) float64 {
	return 1 / (answers/f.static + commits/f.commit + signatures/f.signature)
}

func (b *bench) floors(ctx context.Context, c *campus.Campus, p *campus.Process, all []*browser, asset string) (floors, error) {
	m := newMeter(p)
	static := b.check("static file", closed(ctx, clients, b.span/2, func(n int) error { return all[n].static(asset) }))
	b.row(row{what: "floor: static file over the same TLS", figure: perSecond(static.rate()), latency: static.latency(), cost: m.cost(static)})
	url, err := c.Beside(ctx, b.dir)
	if err != nil {
		return floors{}, err
	}
	one, err := floorCommit(ctx, url, 1, b.span/4)
	if err != nil {
		return floors{}, err
	}
	commit, err := floorCommit(ctx, url, clients, b.span/4)
	if err != nil {
		return floors{}, err
	}
	b.check("commit", commit)
	b.row(row{what: "floor: durable commit of two writes, one writer", figure: perSecond(one.rate()), latency: one.latency()})
	b.row(row{what: fmt.Sprintf("floor: the same, %d writers", clients), figure: perSecond(commit.rate()), latency: commit.latency()})
	sign, err := floorSignature(ctx, b.span/8)
	if err != nil {
		return floors{}, err
	}
	b.row(row{what: "floor: bare ES256 signature, all cores", figure: perSecond(sign.rate())})
	return floors{static: static.rate(), commit: commit.rate(), signature: sign.rate()}, nil
}

// load is one kind of request.
type load struct {
	what   string
	target float64 // a second, in the closed loop
	floor  float64
	do     work
}

// both measures a load in a closed loop, and in an open one at half that rate.
func (b *bench) both(ctx context.Context, p *campus.Process, l load) {
	b.check(l.what+", warming up", closed(ctx, clients, b.span/8, l.do))
	m := newMeter(p)
	r := b.check(l.what, closed(ctx, clients, b.span, l.do))
	b.row(row{
		what: fmt.Sprintf("%s, %d at a time", l.what, clients), figure: perSecond(r.rate()), latency: r.latency(),
		floor: perSecond(l.floor), ratio: ratio(r.rate(), l.floor), target: fmt.Sprintf("≥ %.0f/s", l.target), cost: m.cost(r),
	})
	arrival := min(l.target/2, r.rate()/2)
	m = newMeter(p)
	r = b.check(l.what+", open loop", open(ctx, 4*clients, arrival, b.span, l.do))
	b.row(row{
		what: fmt.Sprintf("the same, %.0f arrivals a second whether answered or not", arrival), figure: perSecond(r.rate()), latency: r.latency(),
		cost: m.cost(r),
	})
}
