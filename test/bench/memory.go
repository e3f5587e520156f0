package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"seimon/internal/authn"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/test/campus"
)

// settle is how long the program is left alone before its memory is read.
const settle = 3 * time.Second

// memory measures resident memory: idle, with many sessions that are all used,
// and with every hash slot busy.
func (b *bench) memory(ctx context.Context) error {
	c, err := b.campus(ctx, people)
	if err != nil {
		return err
	}
	tokens, err := b.openSessions(ctx, c)
	if err != nil {
		return err
	}
	p, err := c.Start(ctx, b.binary)
	if err != nil {
		return err
	}
	defer p.Kill() //nolint:errcheck // the campus goes away
	all := browsers(c, 64)
	if err := b.resident(p, "resident memory, idle after the start", "≤ 64 MiB"); err != nil {
		return err
	}
	var next atomic.Int64
	m := newMeter(p)
	r := b.check("flows under many sessions", b.everySession(ctx, all, tokens, &next))
	b.row(row{
		what: fmt.Sprintf("one code flow under each of %d sessions", len(tokens)), figure: perSecond(r.rate()), latency: r.latency(),
		target: "≥ 1000/s", cost: m.cost(r),
	})
	if err := b.resident(p, fmt.Sprintf("resident memory after these %d sessions", len(tokens)), "≤ 200 MiB"); err != nil {
		return err
	}
	b.check("sign-ins under many sessions", closed(ctx, signers(), b.span/2, func(n int) error {
		_, err := all[n].signIn(c.Person(rand.IntN(people)))
		return err
	}))
	busy, err := p.Memory()
	if err != nil {
		return err
	}
	b.row(row{what: "resident memory while every hash slot is busy", figure: mebibytes(busy), floor: "19 MiB for each slot"})
	return p.Stop()
}

func (b *bench) resident(p *campus.Process, what, target string) error {
	time.Sleep(settle)
	n, err := p.Memory()
	if err == nil {
		b.row(row{what: what, figure: mebibytes(n), target: target})
	}
	return err
}

// everySession enters a service once under each session.
func (b *bench) everySession(ctx context.Context, all []*browser, tokens []pair, next *atomic.Int64) *result {
	ctx, end := context.WithCancel(ctx)
	defer end()
	return closed(ctx, clients, time.Hour, func(n int) error {
		i := int(next.Add(1)) - 1
		if i >= len(tokens) {
			end()
			i = rand.IntN(len(tokens))
		}
		all[n].forget()
		all[n].cookies["__Host-session"], all[n].cookies["__Host-browser"] = tokens[i].session, tokens[i].browser
		_, err := all[n].liveFlow()
		return err
	})
}

// pair are the cookies of one browser.
type pair struct{ session, browser string }

// openSessions opens sessions through the room itself: each in its own browser.
func (b *bench) openSessions(ctx context.Context, c *campus.Campus) ([]pair, error) {
	h, err := c.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer h.Close() //nolint:errcheck // everything was committed
	var subjects []authn.Subject
	err = h.DB.Read(ctx, func(tx *store.Tx) error {
		subjects = nil
		for n := range people {
			a, _, err := h.People.ByUserName(tx, campus.UserName(n))
			if err != nil {
				return err
			}
			subjects = append(subjects, a.Subject())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	keeper := session.New(session.Config{PerAccount: b.sessions}, h.Jobs)
	tokens := make([]pair, b.sessions)
	const each = 1000
	for from := 0; from < b.sessions; from += each {
		err := h.DB.Write(ctx, func(tx *store.Tx) error {
			for i := from; i < min(from+each, b.sessions); i++ {
				if tokens[i], err = openSession(tx, keeper, subjects[i%len(subjects)]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

func openSession(tx *store.Tx, k *session.Keeper, who authn.Subject) (pair, error) {
	browser, browserToken, err := k.NewBrowser(tx, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	if err != nil {
		return pair{}, err
	}
	_, token, err := k.Open(tx, session.Session{
		Subject: who, Browser: browser.ID, Address: "127.0.1.1", Agent: "Firefox on Linux",
		Evidence: []authn.Evidence{{Kind: "password", Traits: authn.Traits{Class: authn.Know, First: true, AMR: "pwd"}, At: tx.Now}},
	})
	return pair{token, browserToken}, err
}
