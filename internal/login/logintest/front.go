package logintest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"seimon/internal/authn"
	"seimon/internal/login"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Front is the simplest door there can be: GET /enter/PARTY asks, and the answer
// is a redirect to https://PARTY.example.ac.jp/. It remembers every outcome.
type Front struct {
	mu       sync.Mutex
	hall     *login.Hall
	outcomes []login.Outcome
}

// Enter mounts a Front in the house.
func (h *House) Enter() *Front {
	h.T.Helper()
	f := &Front{hall: h.Hall}
	h.must(h.Hall.Open(f))
	return f
}

// Name is "test".
func (f *Front) Name() string { return "test" }

// Mount adds the one route. Its query sets what is asked: force, passive, pick,
// consent, max_age, classes, hint, subject, lang.
func (f *Front) Mount(site *web.Site) {
	site.Page("GET /enter/{party}", func(w http.ResponseWriter, r *http.Request) error {
		q := r.URL.Query()
		request, err := json.Marshal(q)
		if err != nil {
			return err
		}
		party := r.PathValue("party")
		a := login.Ask{
			Front: "test", Party: party, Request: request, Force: q.Has("force"), Passive: q.Has("passive"),
			Pick: q.Has("pick"), Reconsent: q.Has("consent"), Hint: q.Get("hint"), Subject: authn.AccountID(q.Get("subject")),
			Origins: []string{"https://" + party + ".example.ac.jp"},
		}
		if q.Has("lang") {
			a.Lang = strings.Fields(q.Get("lang"))
		}
		if q.Has("classes") {
			a.Want.Classes = 2
		}
		if q.Has("max_age") {
			a.HasMaxAge = true
			if a.MaxAge, err = time.ParseDuration(q.Get("max_age")); err != nil {
				return err
			}
		}
		return f.hall.Begin(w, r, a)
	})
}

// Complete remembers the outcome and goes back to the service.
func (f *Front) Complete(tx *store.Tx, o login.Outcome) (login.Respond, error) {
	q := url.Values{"user": {o.Subject.UserName}}
	if o.Fault != nil {
		q = url.Values{"error": {string(o.Fault.Code)}}
	}
	tx.After(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.outcomes = append(f.outcomes, o)
	})
	to := "https://" + o.Party.ID + ".example.ac.jp/?" + q.Encode()
	return func(w http.ResponseWriter, r *http.Request) error {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}, nil
}

// Outcomes are the answers given so far.
func (f *Front) Outcomes() []login.Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]login.Outcome(nil), f.outcomes...)
}

// Last is the newest outcome; the zero Outcome when there is none.
func (f *Front) Last() login.Outcome {
	all := f.Outcomes()
	if len(all) == 0 {
		return login.Outcome{}
	}
	return all[len(all)-1]
}
