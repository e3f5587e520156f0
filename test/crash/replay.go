package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"seimon/test/campus"
	"seimon/test/walk"
)

// replays is how many of each kind are tried after one restart.
const replays = 3

// replay tries, right after a restart, what was used before it: one-time codes,
// authorization codes and refresh tokens.
func (t *trial) replay() {
	w := t.walker(200)
	for _, s := range t.recentSteps() {
		w.refusedStep(s)
	}
	for i, f := range t.takeFamilies() {
		if i%2 == 0 {
			w.refusedCode(f)
		} else {
			w.refusedRefresh(f)
		}
	}
}

// recentSteps are codes that would still be in the window if they had not been used.
func (t *trial) recentSteps() (out []spentStep) {
	t.ledger.do(func() {
		now := time.Now().Unix() / 30
		spent := t.ledger.spent
		for i := len(spent) - 1; i >= 0 && len(out) < replays && spent[i].step >= now-1; i-- {
			out = append(out, spent[i])
		}
		t.ledger.spent = spent[:max(0, len(spent)-len(out))]
	})
	return out
}

// takeFamilies takes living families out of the ledger, to end them by a replay.
func (t *trial) takeFamilies() (out []*family) {
	t.ledger.do(func() {
		all := t.ledger.families
		for len(out) < 2*replays && len(all) > 10 {
			i := len(all) - 1 - rand.IntN(min(len(all), 30))
			out = append(out, all[i])
			all = append(all[:i], all[i+1:]...)
		}
		t.ledger.families = all
	})
	return out
}

// refusedCode gives a code back that was redeemed, which also ends what it gave.
func (w *walker) refusedCode(f *family) {
	tokens, err := w.gate.Redeem(context.Background(), w.http, f.client, f.grant)
	if err != nil {
		w.unless(err, "replaying a code")
		return
	}
	w.ledger.count("code replayed")
	w.ledger.check(tokens.AccessToken == "", "an authorization code was accepted twice")
	w.ended(f)
}

// refusedRefresh gives a refresh token back that was exchanged.
func (w *walker) refusedRefresh(f *family) {
	old := f.tokens.RefreshToken
	if !w.refresh(f) {
		return
	}
	tokens, err := w.gate.Refresh(context.Background(), w.http, f.client, old)
	if err != nil {
		w.unless(err, "replaying a refresh token")
		return
	}
	w.ledger.count("refresh replayed")
	w.ledger.check(tokens.AccessToken == "", "a refresh token was accepted twice")
	w.ended(f)
}

func (w *walker) unless(err error, what string) {
	if !lost(err) {
		w.ledger.fail("%s: %v", what, err)
	}
}

// ended checks that a family's tokens are worth nothing any more.
func (w *walker) ended(f *family) {
	if active, err := w.active(f); err == nil {
		w.ledger.check(!active, "an access token outlived the replay that must end it")
	}
}

func (w *walker) active(f *family) (bool, error) {
	var answer struct {
		Active bool `json:"active"`
	}
	status, err := w.gate.Post(context.Background(), w.http, f.client, "/oidc/introspect", url.Values{"token": {f.tokens.AccessToken}}, &answer)
	if err == nil && status != http.StatusOK {
		err = errors.New("introspection answered " + http.StatusText(status))
	}
	return answer.Active, err
}

// recall asks for everything that was acknowledged and not ended since.
func (t *trial) recall(ctx context.Context) error {
	w := t.walker(201)
	for _, f := range t.ledger.families {
		active, err := w.active(f)
		w.ledger.check(err == nil && active, "tokens of a redeemed code are gone: %v", err)
	}
	var all sync.WaitGroup
	work := make(chan *walk.Walker)
	for range 4 {
		all.Go(func() {
			for browser := range work {
				_, err := browser.Authorize(ctx, t.campus.Client(campus.Open), url.Values{"prompt": {"none"}})
				t.ledger.check(err == nil, "a session is gone at the end: %v", err)
			}
		})
	}
	for _, s := range t.ledger.sessions {
		work <- s
	}
	close(work)
	all.Wait()
	return t.process.Stop()
}
