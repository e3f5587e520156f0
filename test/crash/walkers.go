package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"seimon/test/campus"
	"seimon/test/walk"
)

// crowd are the walkers while they walk.
type crowd struct {
	end context.CancelFunc
	all sync.WaitGroup
}

// stop lets everybody finish what they are at.
func (c *crowd) stop() {
	c.end()
	c.all.Wait()
}

func (t *trial) crowd(ctx context.Context) *crowd {
	ctx, end := context.WithCancel(ctx)
	c := &crowd{end: end}
	for n := range t.walkers {
		w := t.walker(n)
		c.all.Go(func() {
			for ctx.Err() == nil {
				w.once()
			}
		})
	}
	return c
}

// walker is one person after another at one place, and the service they go to.
type walker struct {
	*trial
	gate   walk.Gate
	http   *http.Client
	number int
	turn   int
}

func (t *trial) walker(n int) *walker {
	gate := t.campus.Gate
	gate.From = fmt.Sprintf("127.0.3.%d", n+1)
	return &walker{trial: t, gate: gate, number: n, http: &http.Client{Transport: patient{gate.Transport()}, Timeout: time.Minute}}
}

// visit is one fresh browser of a person, and the one-time code typed there.
type visit struct {
	browser *walk.Walker
	person  int
	user    string
	step    int64 // of the one-time code that was sent; 0: none
	code    string
}

// visit prepares a fresh browser for a person. code, when not empty, is typed
// instead of what the app shows.
func (w *walker) visit(person int, code string) *visit {
	v := &visit{person: person, user: campus.UserName(person)}
	p := walk.Person{User: v.user, Password: campus.Password, Code: func() string {
		now := time.Now()
		v.step, v.code = now.Unix()/30, code
		if code == "" {
			v.code = campus.Code(person, now)
			w.ledger.typed(v.user, v.step)
		}
		return v.code
	}}
	v.browser = walk.New(w.gate, w.http.Transport, p)
	return v
}

// next is the person whose turn it is: each walker has its own people.
func (w *walker) next() int {
	w.turn++
	return (w.turn*w.walkers + w.number) % people
}

// once is one sign-in and what follows from it.
func (w *walker) once() {
	service := []string{campus.Open, campus.Open, campus.Strict, campus.Strict, campus.Consent}[rand.IntN(5)]
	person := w.next()
	if service == campus.Strict && w.ledger.typedNow(campus.UserName(person)) {
		service = campus.Open // the app shows no new code yet
	}
	v := w.visit(person, "")
	client := w.campus.Client(service)
	grant, err := v.browser.Authorize(context.Background(), client, nil)
	if err != nil {
		w.broken("sign-in", v, err)
		return
	}
	w.arrived(service, v)
	f := &family{grant: grant, client: client, at: time.Now()}
	if rand.IntN(6) == 0 {
		time.Sleep(time.Duration(rand.Int64N(int64(4 * time.Second)))) // long enough for a kill in between
	}
	if !w.redeem(f) {
		return
	}
	for range rand.IntN(4) {
		if !w.refresh(f) {
			return
		}
	}
	w.stillThere(v)
	w.ledger.do(func() { w.ledger.families = append(w.ledger.families, f) })
}

// arrived notes what a finished sign-in acknowledged.
func (w *walker) arrived(service string, v *visit) {
	w.ledger.do(func() {
		l := w.ledger
		l.signIns = append(l.signIns, signIn{v.user, v.browser.Transaction, v.step != 0})
		l.sessions = append(l.sessions, v.browser)
		kind := "password"
		if v.step != 0 {
			kind = "totp"
			l.spent = append(l.spent, spentStep{v.person, v.code, v.step})
		}
		l.counts[kind]++
		if service == campus.Consent {
			l.consents[v.user] = true
			l.counts["consent"]++
		}
	})
}

// broken judges a sign-in that did not end. Only a lost answer is no fault.
func (w *walker) broken(what string, v *visit, err error) {
	if !lost(err) {
		w.ledger.fail("%s of %s: %v", what, v.user, err)
		return
	}
	w.ledger.count("lost")
	if v.step == 0 {
		return
	}
	// Perhaps the code was taken, perhaps not. If it is taken now, it was not then,
	// and it must not be taken once more.
	again := w.visit(v.person, v.code)
	if _, err := again.browser.Authorize(context.Background(), w.campus.Client(campus.Strict), nil); err == nil {
		w.ledger.do(func() { w.ledger.counts["totp after a lost answer"]++ })
		w.refusedStep(spentStep{v.person, v.code, v.step})
	} else if lost(err) {
		w.ledger.count("lost")
	}
}

// refusedStep tries a code that was taken before.
func (w *walker) refusedStep(s spentStep) {
	v := w.visit(s.person, s.code)
	_, err := v.browser.Authorize(context.Background(), w.campus.Client(campus.Strict), nil)
	if err != nil && lost(err) {
		w.ledger.count("lost")
		return
	}
	w.ledger.count("step replayed")
	w.ledger.check(err != nil, "the one-time code of step %d of %s was accepted twice", s.step, v.user)
}

// redeem exchanges the code; it tells whether the tokens are there.
func (w *walker) redeem(f *family) bool {
	return w.exchange(f, "redeemed", "code", func() (walk.Tokens, error) {
		return w.gate.Redeem(context.Background(), w.http, f.client, f.grant)
	})
}

// refresh exchanges the refresh token; it tells whether the family goes on.
func (w *walker) refresh(f *family) bool {
	return w.exchange(f, "refreshed", "refresh token", func() (walk.Tokens, error) {
		return w.gate.Refresh(context.Background(), w.http, f.client, f.tokens.RefreshToken)
	})
}

// exchange tries until there is an answer. A refusal is right only when the answer
// to an earlier try was lost: that try was taken then, and this one ended the family.
func (w *walker) exchange(f *family, done, what string, try func() (walk.Tokens, error)) bool {
	for tries := range 3 {
		tokens, err := try()
		switch {
		case err != nil && lost(err):
			w.ledger.count("lost")
			continue
		case err != nil:
			w.ledger.fail("giving a %s back: %v", what, err)
			return false
		case tokens.Error != "":
			w.ledger.check(tries > 0, "an acknowledged %s was refused, %v after the sign-in: %s %s",
				what, time.Since(f.at).Round(time.Millisecond), tokens.Error, tokens.Description)
			return false
		}
		f.tokens = tokens
		w.ledger.count(done)
		return true
	}
	return false
}

// stillThere asks for another code without a page: the session must be alive.
func (w *walker) stillThere(v *visit) {
	_, err := v.browser.Authorize(context.Background(), w.campus.Client(campus.Open), url.Values{"prompt": {"none"}})
	var refused *walk.ErrRefused
	switch {
	case err == nil:
		w.ledger.count("session")
		w.ledger.pass()
	case errors.As(err, &refused):
		w.ledger.fail("the session of %s is gone: %v", v.user, err)
	case lost(err):
		w.ledger.count("lost")
	default:
		w.ledger.fail("asking again as %s: %v", v.user, err)
	}
}
