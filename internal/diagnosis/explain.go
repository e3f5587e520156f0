package diagnosis

import (
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/policy"
	"seimon/internal/store"
)

// Errors of Explain.
var (
	ErrMalformed = errors.New("diagnosis: this is not a support code")
	ErrNone      = errors.New("diagnosis: nothing is recorded under this support code")
)

// Outcomes of a sign-in.
const (
	Done   = "done"   // signed in
	Denied = "denied" // the decision was no
	Failed = "failed" // the last answer was refused and no other came
	Open   = "open"   // nothing went wrong yet, and nothing ended
)

// Report is the desk's view of one sign-in, in no language yet: Speak puts it into words.
type Report struct {
	Support   string          `json:"support"`
	Account   authn.AccountID `json:"account,omitempty"`
	Party     string          `json:"party,omitempty"`
	Address   string          `json:"address,omitempty"`
	Headers   string          `json:"ignored_headers,omitempty"` // forwarding headers that came and were not believed
	Outcome   string          `json:"outcome"`
	Cause     authn.Code      `json:"cause,omitempty"` // why it did not go on; empty when it did
	Zone      ZoneView        `json:"zone"`
	Timeline  []Entry         `json:"timeline"`
	Decisions []Replay        `json:"decisions,omitempty"`

	facts map[string]string // of Cause
}

// Entry is one event of the timeline.
type Entry struct {
	At    time.Time         `json:"at"`
	Type  string            `json:"type"`
	Actor string            `json:"actor,omitempty"`
	Facts map[string]string `json:"facts,omitempty"`

	party, address string
	verdict        *policy.Verdict
}

// Replay is one recorded decision, taken again from its recorded case.
type Replay struct {
	At     time.Time      `json:"at"`
	Case   policy.Case    `json:"case"`
	Then   policy.Verdict `json:"then"`
	Now    policy.Verdict `json:"now"`
	Same   bool           `json:"same"`
	Rule   string         `json:"rule,omitempty"`
	Policy int64          `json:"policy"`
}

// ZoneView is where the gate saw the person, then and under the policy in force.
type ZoneView struct {
	Then   authn.Zone `json:"then"`
	Now    authn.Zone `json:"now"`
	Gap    bool       `json:"gap,omitempty"` // an IPv6 address while the campus zones list only IPv4
	Rule   string     `json:"rule,omitempty"`
	Policy int64      `json:"policy"` // version that the decision rests on
	Latest int64      `json:"latest"` // version in force now
}

// mostEvents bounds a timeline.
const mostEvents = 1000

// Explain reads what is recorded under a support code, as people type it, and
// takes its decisions again. The error is ErrMalformed or ErrNone when there is
// nothing to explain.
func Explain(tx *store.Tx, log *audit.Log, book *policy.Book, code string) (Report, error) {
	support, ok := ParseCode(code)
	if !ok {
		return Report{}, ErrMalformed
	}
	events, err := log.Find(tx, audit.Query{Support: support, Limit: mostEvents})
	if err != nil {
		return Report{}, err
	}
	if len(events) == 0 {
		return Report{}, ErrNone
	}
	r := Report{Support: support, Outcome: Open}
	for _, e := range events {
		r.add(e)
	}
	r.judge()
	return r, r.locate(tx, book)
}

// add takes one event into the report.
func (r *Report) add(e audit.Event) {
	if e.Account != "" {
		r.Account = e.Account
	}
	if e.Party != "" {
		r.Party = e.Party
	}
	if e.Address != "" {
		r.Address = e.Address
	}
	if h := e.Facts["ignored_headers"]; h != "" {
		r.Headers = h
	}
	entry := Entry{At: e.At, Type: e.Type, Actor: e.Actor, Facts: maps.Clone(e.Facts), party: e.Party, address: e.Address}
	if e.Actor == string(e.Account) {
		entry.Actor = ""
	}
	delete(entry.Facts, "case")
	delete(entry.Facts, "verdict")
	if kase := e.Facts["case"]; kase != "" {
		if again, ok := replay(e); ok {
			entry.verdict = &again.Then
			r.Decisions = append(r.Decisions, again)
		}
	}
	if name := e.Facts["zone"]; name != "" {
		kind := authn.ZoneKind(e.Facts["kind"])
		if r.Zone.Then.Name != name || e.Facts["prefix"] != "" {
			r.Zone.Then = authn.Zone{Name: name, Kind: kind, Prefix: e.Facts["prefix"]}
		}
	}
	if rule := e.Facts["rule"]; rule != "" {
		r.Zone.Rule = rule
		r.Zone.Policy, _ = strconv.ParseInt(e.Facts["policy"], 10, 64)
	}
	r.Timeline = append(r.Timeline, entry)
}

// replay decides a recorded case again.
func replay(e audit.Event) (Replay, bool) {
	again := Replay{At: e.At, Rule: e.Facts["rule"]}
	again.Policy, _ = strconv.ParseInt(e.Facts["policy"], 10, 64)
	if json.Unmarshal([]byte(e.Facts["case"]), &again.Case) != nil ||
		json.Unmarshal([]byte(e.Facts["verdict"]), &again.Then) != nil {
		return again, false
	}
	again.Now = policy.Decide(again.Case)
	again.Same = again.Now.Step == again.Then.Step && again.Now.Cause == again.Then.Cause && slices.Equal(again.Now.Kinds, again.Then.Kinds)
	return again, true
}

// judge finds the outcome and its cause: the last thing that counts wins.
func (r *Report) judge() {
	for _, e := range r.Timeline {
		code := authn.Code(e.Facts["code"])
		switch {
		case e.Type == "signin.done":
			r.conclude(Done, "", nil)
		case e.Type == "signin.denied":
			// Going back to the service after a denial does not hide why it was denied.
			if r.Outcome != Denied || code != "cancelled" {
				r.conclude(Denied, code, e.Facts)
			}
		case e.Type == "signin.failed", e.Type == "certificate.broken":
			r.conclude(Failed, code, e.Facts)
		case e.Type == "signin.proved", e.Type == "signin.enrolled":
			r.conclude(Open, "", nil)
		case code != "" && strings.HasSuffix(e.Type, ".refused"):
			r.conclude(Denied, code, e.Facts)
		}
		if v := e.verdict; v != nil && e.Type != "signin.done" && e.Type != "signin.denied" {
			switch v.Step {
			case policy.StepDenied:
				r.conclude(Denied, v.Cause, e.Facts)
			case policy.StepEnroll:
				r.conclude(Open, v.Cause, e.Facts)
			}
		}
	}
}

func (r *Report) conclude(outcome string, code authn.Code, facts map[string]string) {
	r.Outcome, r.Cause, r.facts = outcome, code, facts
}

// locate compares the recorded zone with the one of the policy in force.
func (r *Report) locate(tx *store.Tx, book *policy.Book) error {
	doc, version, err := book.Active(tx)
	if err != nil {
		return err
	}
	r.Zone.Latest = version
	addr, err := netip.ParseAddr(r.Address)
	if err != nil {
		return nil //nolint:nilerr // an event without an address has no zone to compare
	}
	r.Zone.Now = doc.Zone(addr)
	r.Zone.Gap = r.Zone.Then.Kind == authn.Elsewhere && doc.Gap(addr)
	return nil
}

// fault is the cause with its facts, as it was told to the person.
func (r *Report) fault() *authn.Fault {
	facts := map[string]string{"address": r.Address, "zone": r.Zone.Then.Name}
	maps.Copy(facts, r.facts)
	facts["zone"] = r.Zone.Then.Name
	return &authn.Fault{Code: r.Cause, Facts: facts}
}
