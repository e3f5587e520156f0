package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"

	"seimon/test/campus"
)

// signers keep all hash slots busy with a queue behind them.
func signers() int { return 8 * runtime.NumCPU() }

const people = 1000

// signIns measures the whole way of a fresh browser against bare Argon2id.
func (b *bench) signIns(ctx context.Context) error {
	c, p, err := b.started(ctx, people)
	if err != nil {
		return err
	}
	defer p.Kill() //nolint:errcheck // the campus goes away
	all := browsers(c, 64)
	do := func(n int) error {
		_, err := all[n].signIn(c.Person(rand.IntN(people)))
		return err
	}
	b.check("warming up", closed(ctx, signers(), b.span/8, do))
	before := floorArgon(ctx, b.span/2)
	m := newMeter(p)
	r := b.check("sign-ins", closed(ctx, signers(), b.span, do))
	used := m.cost(r)
	after := floorArgon(ctx, b.span/2)
	floor := (before.rate() + after.rate()) / 2
	b.row(row{
		what: fmt.Sprintf("password sign-in, whole flow, %d fresh browsers at a time", signers()), figure: perSecond(r.rate()), latency: r.latency(),
		floor: fmt.Sprintf("bare Argon2id %.1f/s and %.1f/s, before and after", before.rate(), after.rate()), ratio: ratio(r.rate(), floor), target: "≥ 0.9", cost: used,
	})
	arrival := .7 * floor
	m = newMeter(p)
	r = b.check("sign-ins, open loop", open(ctx, 64, arrival, b.span, do))
	b.row(row{
		what: fmt.Sprintf("the same, %.0f arrivals a second whether answered or not", arrival), figure: perSecond(r.rate()), latency: r.latency(),
		floor: fmt.Sprintf("one bare hash %s ms", millis(before.at(.5))), cost: m.cost(r),
	})
	return p.Stop()
}

// busy measures what else the program answers while every hash slot is taken.
func (b *bench) busy(ctx context.Context) error {
	c, p, err := b.started(ctx, people)
	if err != nil {
		return err
	}
	defer p.Kill() //nolint:errcheck // the campus goes away
	const others = 16
	all := browsers(c, signers()+others)
	crowd, quiet := all[:signers()], all[signers():]
	tokens := make([]string, others)
	for n, w := range quiet {
		t, err := w.signIn(c.Person(n))
		if err != nil {
			return err
		}
		tokens[n] = t.AccessToken
	}
	asset, err := crowd[0].asset()
	if err != nil {
		return err
	}
	for _, other := range []struct {
		what string
		rate float64
		do   work
	}{
		{"introspection", 50, func(n int) error { return quiet[n].introspect(tokens[n]) }},
		{"code flow with a live session", 20, func(n int) error { _, err := quiet[n].liveFlow(); return err }},
		{"static file", 50, func(n int) error { return quiet[n].static(asset) }},
	} {
		b.beside(ctx, c, p, crowd, others, other.what, other.rate, other.do)
	}
	return p.Stop()
}

// beside measures one kind of request while sign-ins keep the hash slots taken.
func (b *bench) beside(ctx context.Context, c *campus.Campus, p *campus.Process, crowd []*browser, workers int, what string, rate float64, do work) {
	crowded, end := context.WithCancel(ctx)
	done := make(chan *result)
	go func() {
		done <- closed(crowded, len(crowd), longestWait, func(n int) error {
			_, err := crowd[n].signIn(c.Person(100 + rand.IntN(people-100)))
			return err
		})
	}()
	m := newMeter(p)
	r := b.check(what+" beside sign-ins", open(ctx, workers, rate, b.span, do))
	used := m.cost(r)
	end()
	hashes := b.check("the sign-ins beside "+what, <-done)
	b.row(row{
		what:   fmt.Sprintf("%s, %.0f a second, every hash slot taken (%s sign-ins)", what, rate, perSecond(hashes.rate())),
		figure: "p95 " + millis(r.at(.95)) + " ms", latency: r.latency(), target: "p95 ≤ 30 ms", cost: used,
	})
}
