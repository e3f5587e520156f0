package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"seimon/test/campus"
)

// starts measures the start with few and with very many accounts, and whether
// sign-ins take longer with many.
func (b *bench) starts(ctx context.Context) error {
	small, err := b.campus(ctx, people)
	if err != nil {
		return err
	}
	begun := time.Now()
	large, err := b.campus(ctx, b.crowd)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.progress, "%d accounts were added in %v\n", b.crowd, time.Since(begun).Round(time.Second))
	federated, err := b.campus(ctx, people)
	if err != nil {
		return err
	}
	entity, err := federated.Federate(ctx, b.services)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		*campus.Campus
		what, target, service string
	}{
		{small, fmt.Sprintf("%d accounts", people), "≤ 150 ms", campus.Library},
		{large, fmt.Sprintf("%d accounts", b.crowd), "≤ 1 s", campus.Library},
		{federated, fmt.Sprintf("a feed of %d services loaded", b.services), "≤ 300 ms", entity},
	} {
		if err := b.startTime(ctx, c.Campus, c.what, c.target, c.service); err != nil {
			return err
		}
	}
	return b.sideBySide(ctx, small, large)
}

// startTime starts the program several times, until it is ready and until it has
// answered the first request of a service.
func (b *bench) startTime(ctx context.Context, c *campus.Campus, what, target, service string) error {
	var took, used, first []time.Duration
	for range 5 {
		p, err := c.Start(ctx, b.binary)
		if err != nil {
			return err
		}
		cpu, err := p.CPU()
		if err != nil {
			return err
		}
		took, used = append(took, p.Ready), append(used, cpu)
		w := newBrowser(c, 0)
		if _, err := w.get("/readyz"); err != nil { // the connection is no part of the service's first use
			return err
		}
		from := time.Now()
		if err := w.ask(service); err != nil {
			return err
		}
		first = append(first, time.Since(from))
		if err := p.Stop(); err != nil {
			return err
		}
	}
	middle := func(d []time.Duration) time.Duration { slices.Sort(d); return d[len(d)/2] }
	b.row(row{
		what:   fmt.Sprintf("start to ready with %s, median of %d", what, len(took)),
		figure: millis(middle(took)) + " ms", target: target, cost: cost{each: millis(middle(used))},
	})
	b.row(row{what: "the same program: the first request of a SAML service, to the sign-in page", figure: millis(middle(first)) + " ms"})
	return nil
}

// sideBySide signs in on both campuses in turn, so that both meet the same machine.
func (b *bench) sideBySide(ctx context.Context, small, large *campus.Campus) error {
	var results [2]result
	var pairs [2]*browser
	both := [2]*campus.Campus{small, large}
	for i, c := range both {
		p, err := c.Start(ctx, b.binary)
		if err != nil {
			return err
		}
		defer p.Kill() //nolint:errcheck // the campus goes away
		pairs[i] = newBrowser(c, 0)
	}
	for begun := time.Now(); time.Since(begun) < 2*b.span; {
		for i, c := range both {
			from := time.Now()
			if _, err := pairs[i].signIn(c.Person(rand.IntN(c.People))); err != nil {
				return fmt.Errorf("with %d accounts: %w", c.People, err)
			}
			results[i].took = append(results[i].took, time.Since(from))
		}
	}
	for i, c := range both {
		slices.Sort(results[i].took)
		r := row{what: fmt.Sprintf("one sign-in at a time with %d accounts, in turn with the other campus", c.People), latency: results[i].latency()}
		r.figure = "p50 " + millis(results[i].at(.5)) + " ms"
		if i == 1 {
			r.floor, r.target = fmt.Sprintf("the same with %d accounts", small.People), "≤ 1.10"
			r.ratio = ratio(float64(results[1].at(.5)), float64(results[0].at(.5)))
		}
		b.row(r)
	}
	return nil
}
