package saml

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"seimon/internal/lang"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
)

// What is on record about a service and a key of ours.
const (
	// uptakeUsed: the service acted on what this key alone had signed. It named the
	// session of an assertion, confirmed a LogoutRequest, or encrypted for it.
	uptakeUsed = "used"
	// uptakeNoted: an administrator says so.
	uptakeNoted = "noted"
	// uptakeTrial: the key signs for this service although it still waits.
	uptakeTrial = "trial"
	// uptakeSigned: responses for the service were signed with the key; that tells who
	// is in use, and nothing about whether they were accepted.
	uptakeSigned = "signed"
)

// noteUptake puts a fact on record.
func noteUptake(tx *store.Tx, key, party, kind, detail string) error {
	if key == "" {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO saml_uptake (key, party, kind, first_at, last_at, detail) VALUES ($1, $2, $3, $4, $4, $5)
		ON CONFLICT (key, party, kind) DO UPDATE SET last_at = $4, detail = $5`, key, party, kind, store.Millis(tx.Now), detail)
	return err
}

// saysConfirmed and saysNamed are what is kept of a use.
const (
	saysConfirmed = "it confirmed a LogoutRequest that this key had signed"
	saysSealed    = "it encrypted a name for this key in a request that it signed"
	saysNamed     = "it asked to end a session that only an assertion signed by this key had told it"
)

// took notes that a service read an assertion: its LogoutRequest names the session. A
// session that began there before the key first signed for the service proves nothing,
// because an assertion by the former key had the same index.
func (q *leaving) took(tx *store.Tx, v session.Visit) error {
	if err := noteUptake(tx, q.Opened, q.Party, uptakeUsed, saysSealed); err != nil {
		return err
	}
	var k known
	if err := json.Unmarshal(v.Detail, &k); err != nil || len(q.Indexes) == 0 {
		return err
	}
	var first int64
	err := tx.QueryRow("SELECT first_at FROM saml_uptake WHERE key = $1 AND party = $2 AND kind = $3", k.Key, q.Party, uptakeSigned).Scan(&first)
	if errors.Is(err, store.ErrNoRows) || err == nil && v.First.Before(store.Time(first)) {
		return nil
	}
	if err != nil {
		return err
	}
	return noteUptake(tx, k.Key, q.Party, uptakeUsed, saysNamed)
}

// signedOften is how often it is put on record that a key signs for a service.
const signedOften = 12 * time.Hour

// noteSigned puts on record which key signs for a service, now and then.
func noteSigned(tx *store.Tx, key, party string) error {
	var last int64
	err := tx.QueryRow("SELECT coalesce(max(last_at), 0) FROM saml_uptake WHERE key = $1 AND party = $2 AND kind = $3", key, party, uptakeSigned).Scan(&last)
	if err != nil || tx.Now.Sub(store.Time(last)) < signedOften {
		return err
	}
	return noteUptake(tx, key, party, uptakeSigned, "")
}

// Readiness is what the evidence says of a service and a key.
type Readiness string

// The values of readiness, the best first.
const (
	Ready   Readiness = "ready"    // it uses the key, somebody vouches for it, or its federation has published it long enough
	Seen    Readiness = "seen"     // it may have read the key
	NotSeen Readiness = "not seen" // nothing tells that it knows the key
)

// Evidence is one reason for a readiness.
type Evidence struct {
	Kind string    `json:"kind"` // used, noted, published or fetched
	At   time.Time `json:"at"`
	Says string    `json:"says"`
	// Proves tells that the service is ready by this alone.
	Proves bool `json:"proves"`
}

// Uptake tells how far a service is with a key.
type Uptake struct {
	Service  string     `json:"service"`
	Name     string     `json:"name"`
	Feed     string     `json:"feed,omitempty"`
	State    Readiness  `json:"state"`
	Trial    bool       `json:"trial,omitempty"`
	LastUse  time.Time  `json:"last_use,omitzero"` // when a response was last signed for it, by any key
	Evidence []Evidence `json:"evidence"`
}

// Published is what a federation says of us: since when it has a certificate of ours,
// and from when on no copy without it counts any more.
type Published struct{ Since, Settled time.Time }

// Surroundings are what the judgement of uptake needs of others; both may be nil.
type Surroundings struct {
	// Published tells whether a feed carries a certificate (its SHA-256) of ours.
	Published func(tx *store.Tx, feed, certificate string) (Published, bool, error)
	// Lookup gives the addresses of a host name.
	Lookup func(ctx context.Context, host string) ([]string, error)
}

// Rolling gives the key of a kind that services have to learn: the one that waits, else
// the one that signs. ok is false without either.
func Rolling(tx *store.Tx, kind string) (k Key, ok bool, err error) {
	err = eachKey(tx, func(have Key, _ []byte) error {
		if have.Algorithm == kind && (have.State == KeyNext || have.State == KeyActive && !ok) {
			k, ok = have, true
		}
		return nil
	})
	return k, ok, err
}

// grace is within which all nodes publish a new key.
const grace = 2 * time.Minute

// Uptake judges every service that a key is for: those registered here, and those of
// federations for which a response was ever signed.
func (f *Front) Uptake(ctx context.Context, k Key, s Surroundings) ([]Uptake, error) {
	j := judgement{key: k, around: s}
	err := f.DB.Read(ctx, func(tx *store.Tx) error { return j.read(f, tx) })
	if err != nil {
		return nil, err
	}
	j.resolve(ctx)
	out := make([]Uptake, 0, len(j.list))
	for _, c := range j.list {
		out = append(out, j.judge(c))
	}
	slices.SortStableFunc(out, func(a, b Uptake) int {
		order := []Readiness{NotSeen, Seen, Ready}
		if d := slices.Index(order, a.State) - slices.Index(order, b.State); d != 0 {
			return d
		}
		return strings.Compare(a.Service, b.Service)
	})
	return out, nil
}

// fact is a row of what is on record.
type fact struct {
	kind, detail string
	first, last  time.Time
}

// fetch is a reading of our metadata.
type fetch struct {
	address, agent string
	last           time.Time
}

// candidate is a service whose uptake is judged.
type candidate struct {
	party     rp.Party
	hosts     []string
	facts     []fact
	fetches   []fetch // at its own address of our metadata
	published Published
	carried   bool
	use       time.Time
}

type judgement struct {
	key       Key
	now       time.Time
	around    Surroundings
	list      []candidate
	strangers []fetch // by nobody in particular
	at        map[string][]string
}

func (j *judgement) read(f *Front, tx *store.Tx) error {
	j.list, j.strangers, j.now = nil, nil, tx.Now
	facts, uses, err := j.records(tx)
	if err != nil {
		return err
	}
	fetches, err := j.fetches(tx)
	if err != nil {
		return err
	}
	parties, err := f.Parties.Speaking(tx, Name)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, p := range parties {
		known[p.ID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(uses)) {
		if known[id] {
			continue
		}
		if p, err := f.Parties.Get(tx, id); err == nil && p.Protocol == Name {
			parties = append(parties, p)
		}
	}
	sum := sha256.Sum256(j.key.Certificate.Raw)
	for _, p := range parties {
		s, err := f.services.of(p)
		if p.Disabled || err != nil || (s.Key == EC) != (j.key.Algorithm == EC) {
			continue
		}
		c := candidate{party: p, hosts: s.hosts(), facts: facts[p.ID], fetches: fetches[p.ID], use: uses[p.ID]}
		if p.Source != "" && j.around.Published != nil {
			if c.published, c.carried, err = j.around.Published(tx, p.Source, hex.EncodeToString(sum[:])); err != nil {
				return err
			}
		}
		j.list = append(j.list, c)
	}
	j.strangers = fetches[""]
	return nil
}

// records reads the facts about the key, and when each service was last used.
func (j *judgement) records(tx *store.Tx) (facts map[string][]fact, uses map[string]time.Time, err error) {
	facts, uses = map[string][]fact{}, map[string]time.Time{}
	rows, err := tx.Query("SELECT key, party, kind, first_at, last_at, detail FROM saml_uptake ORDER BY party, kind")
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var key, party string
		var v fact
		var first, last int64
		if err := rows.Scan(&key, &party, &v.kind, &first, &last, &v.detail); err != nil {
			return err
		}
		v.first, v.last = store.Time(first), store.Time(last)
		if key == j.key.ID {
			facts[party] = append(facts[party], v)
		}
		if v.kind == uptakeSigned && v.last.After(uses[party]) {
			uses[party] = v.last
		}
		return nil
	})
	return facts, uses, err
}

// fetches reads who has fetched our metadata since the key is in it.
func (j *judgement) fetches(tx *store.Tx) (map[string][]fetch, error) {
	out := map[string][]fetch{}
	rows, err := tx.Query("SELECT party, address, agent, last_at FROM saml_fetch WHERE last_at > $1 ORDER BY last_at DESC", store.Millis(j.key.Made.Add(grace)))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var party string
		var v fetch
		var last int64
		if err := rows.Scan(&party, &v.address, &v.agent, &last); err != nil {
			return err
		}
		v.last = store.Time(last)
		out[party] = append(out[party], v)
		return nil
	})
	return out, err
}

// hosts lists the hosts at which a service takes what we send.
func (s *service) hosts() []string {
	var out []string
	for _, e := range slices.Concat(s.Consumers, s.Logout) {
		if u, err := url.Parse(e.Location); err == nil && u.Hostname() != "" && !slices.Contains(out, u.Hostname()) {
			out = append(out, u.Hostname())
		}
	}
	return out
}

// mostLookups bounds the names that are looked up for one list.
const mostLookups = 500

// resolve finds the addresses of services that nothing better is known of.
func (j *judgement) resolve(ctx context.Context) {
	j.at = map[string][]string{}
	if j.around.Lookup == nil || len(j.strangers) == 0 {
		return
	}
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	for _, c := range j.list {
		for _, host := range c.hosts {
			if _, done := j.at[host]; done || len(j.at) >= mostLookups || j.judge(c).State == Ready {
				continue
			}
			found, err := j.around.Lookup(ctx, host)
			if err != nil {
				found = nil // a name that cannot be found is no evidence
			}
			j.at[host] = found
		}
	}
}

// judge weighs what is known about one service.
func (j *judgement) judge(c candidate) Uptake {
	u := Uptake{Service: c.party.ID, Name: c.party.Name(lang.EN), Feed: c.party.Source, State: NotSeen, LastUse: c.use, Evidence: []Evidence{}}
	add := func(proves bool, kind string, at time.Time, says string, args ...any) {
		u.Evidence = append(u.Evidence, Evidence{kind, at, fmt.Sprintf(says, args...), proves})
	}
	for _, v := range c.facts {
		switch v.kind {
		case uptakeUsed:
			add(true, "used", v.last, "%s", v.detail)
		case uptakeNoted:
			add(true, "noted", v.last, "%s", v.detail)
		case uptakeTrial:
			u.Trial = true
		}
	}
	if c.carried {
		settled := !j.now.Before(c.published.Settled)
		says := "the federation publishes the key; the last copy without it ends %s"
		if settled {
			says = "the federation publishes the key; the last copy without it ended %s"
		}
		add(settled, "published", c.published.Since, says, c.published.Settled.UTC().Format(time.DateOnly))
	}
	for _, v := range c.fetches[:min(len(c.fetches), 1)] {
		add(false, "fetched", v.last, "somebody at %s fetched our metadata at this service's own address (%s)", v.address, v.agent)
	}
	if v, host, ok := j.neighbour(c); ok {
		add(false, "fetched", v.last, "our metadata was fetched from %s, an address of %s (%s)", v.address, host, v.agent)
	}
	for _, e := range u.Evidence {
		if e.Proves {
			u.State = Ready
		} else if u.State == NotSeen {
			u.State = Seen
		}
	}
	return u
}

// neighbour finds a reading of our metadata from an address of one of the hosts.
func (j *judgement) neighbour(c candidate) (fetch, string, bool) {
	for _, v := range j.strangers {
		for _, host := range c.hosts {
			if slices.Contains(j.at[host], v.address) {
				return v, host, true
			}
		}
	}
	return fetch{}, "", false
}
