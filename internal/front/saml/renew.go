package saml

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// How often the metadata of a service that was registered from an address is fetched.
const (
	renewEvery = 6 * time.Hour // unless the document says otherwise
	renewAgain = time.Hour     // after a failure
	renewSoon  = 15 * time.Minute
	renewLate  = 24 * time.Hour
)

// pause is how long metadata is left alone: as its cacheDuration asks, within bounds, and
// never beyond the middle of what is left of its validity, so that several tries remain.
func pause(asked time.Duration, until, now time.Time) time.Duration {
	if !until.IsZero() {
		asked = min(asked, until.Sub(now)/2)
	}
	return min(max(asked, renewSoon), renewLate)
}

// Renewal is how the metadata of a registered service stays up to date.
type Renewal struct {
	Party   string    `json:"party"`
	Name    string    `json:"name"`
	URL     string    `json:"metadata_url,omitempty"` // empty: by hand
	Until   time.Time `json:"valid_until,omitzero"`
	Checked time.Time `json:"checked,omitzero"`
	Good    time.Time `json:"good,omitzero"` // last looked without a fault
	Due     time.Time `json:"due,omitzero"`
	Fails   int       `json:"fails,omitempty"`
	Fault   string    `json:"fault,omitempty"`
}

// Renewals lists the registered services.
func (f *Front) Renewals(tx *store.Tx) ([]Renewal, error) {
	all, err := f.Parties.List(tx)
	if err != nil {
		return nil, err
	}
	var out []Renewal
	for _, p := range all {
		if p.Protocol != Name || p.Disabled {
			continue
		}
		s, err := f.services.of(p)
		if err != nil {
			return nil, err
		}
		n := Renewal{Party: p.ID, Name: p.Name("en"), URL: s.URL, Until: s.ValidUntil}
		var due, checked, good, fails int64
		err = tx.QueryRow("SELECT due_at, checked_at, good_at, fails, fault FROM saml_renewal WHERE party = $1", p.ID).Scan(&due, &checked, &good, &fails, &n.Fault)
		if err != nil && !errors.Is(err, store.ErrNoRows) {
			return nil, err
		}
		if err == nil && s.URL != "" {
			n.Due, n.Checked, n.Good, n.Fails = store.Time(due), store.Time(checked), store.Time(good), int(fails)
		}
		out = append(out, n)
	}
	return out, nil
}

// Renew fetches the metadata of the services that are due. What goes wrong is kept for
// the doctor, and the registration stays as it was.
func (f *Front) Renew(ctx context.Context) error {
	var due []Renewal
	err := f.DB.Read(ctx, func(tx *store.Tx) error {
		all, err := f.Renewals(tx)
		due = slices.DeleteFunc(all, func(n Renewal) bool { return n.URL == "" || tx.Now.Before(n.Due) })
		return err
	})
	for _, n := range due {
		if err == nil {
			_, _, err = f.RenewOne(ctx, n.Party)
		}
	}
	return err
}

// RenewOne fetches the metadata of one service, and gives what has changed, or why it
// could not be taken.
func (f *Front) RenewOne(ctx context.Context, id string) (changed []string, fault, err error) {
	var s *service
	err = f.DB.Read(ctx, func(tx *store.Tx) error {
		p, err := f.Parties.Registered(tx, id)
		if err == nil && p.Protocol == Name {
			s, err = f.services.of(p)
		}
		return err
	})
	if errors.Is(err, rp.ErrNone) {
		return nil, nil, fmt.Errorf("%s is not registered here", id)
	}
	if err != nil {
		return nil, nil, err
	}
	if s == nil || s.URL == "" {
		return nil, nil, fmt.Errorf("%s was not registered from an address: give one with seimon party import", id)
	}
	next, cache, fault := f.fetchService(ctx, s)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	err = f.DB.Write(ctx, func(tx *store.Tx) error {
		changed = nil
		if fault != nil {
			_, err := tx.Exec(`INSERT INTO saml_renewal (party, due_at, checked_at, good_at, fails, fault) VALUES ($1, $2, $3, 0, 1, $4)
				ON CONFLICT (party) DO UPDATE SET due_at = $2, checked_at = $3, fault = $4, fails = saml_renewal.fails + 1`,
				id, store.Millis(tx.Now.Add(pause(renewAgain, s.ValidUntil, tx.Now))), store.Millis(tx.Now), shorten(fault.Error()))
			return err
		}
		if changed, err = f.takeUp(tx, id, next); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO saml_renewal (party, due_at, checked_at, good_at, fails, fault) VALUES ($1, $2, $3, $3, 0, '')
			ON CONFLICT (party) DO UPDATE SET due_at = $2, checked_at = $3, good_at = $3, fault = '', fails = 0`,
			id, store.Millis(tx.Now.Add(pause(cmp.Or(cache, renewEvery), next.ValidUntil, tx.Now))), store.Millis(tx.Now))
		return err
	})
	return changed, fault, err
}

// fetchService fetches what a service says of itself and for how long, and judges it as at
// its registration.
func (f *Front) fetchService(ctx context.Context, s *service) (metadata.Service, time.Duration, error) {
	none := metadata.Service{}
	text, err := metadata.Fetch(ctx, f.Client, s.URL)
	if err != nil {
		return none, 0, err
	}
	root, err := xmldoc.Parse(text, metadata.Limits())
	if err != nil {
		return none, 0, err
	}
	if s.Signer != "" {
		c, err := metadata.Certificate(s.Signer)
		if err != nil {
			return none, 0, err
		}
		if root, err = xmlsig.Verify(root, []crypto.PublicKey{c.PublicKey}, metadata.Limits()); err != nil {
			return none, 0, fmt.Errorf("metadata_signer: %w", err)
		}
	}
	e, err := metadata.ReadOne(root, f.DB.Now())
	if err != nil {
		return none, 0, err
	}
	if e.ID != s.ID {
		return none, 0, fmt.Errorf("entityID: the address has the metadata of %.200q", e.ID)
	}
	then := *s
	then.Service = e.Service
	return e.Service, metadata.Cache(root), then.check()
}

// takeUp puts the new word of a service in force. What the university decided, and the
// names that people read, stay.
func (f *Front) takeUp(tx *store.Tx, id string, next metadata.Service) ([]string, error) {
	p, err := f.Parties.Registered(tx, id)
	if err != nil {
		return nil, err
	}
	s, err := readService(p)
	if err != nil {
		return nil, err
	}
	was, err := json.Marshal(s.Service)
	if err != nil {
		return nil, err
	}
	now, err := json.Marshal(next)
	if err != nil || bytes.Equal(was, now) {
		return nil, err
	}
	changed := differences(was, now)
	s.Service = next
	if p.Registration, err = json.Marshal(s.Registration); err != nil {
		return nil, err
	}
	if _, err := f.Parties.Register(tx, p); err != nil {
		return nil, err
	}
	return changed, f.Audit.Append(tx, audit.Event{
		Type: "party.renewed", Actor: "system", Party: id, Facts: map[string]string{"changed": strings.Join(changed, " "), "from": s.URL},
	})
}

// differences names the members in which two documents differ.
func differences(a, b []byte) []string {
	var was, now map[string]json.RawMessage
	if json.Unmarshal(a, &was) != nil || json.Unmarshal(b, &now) != nil {
		return nil
	}
	var out []string
	for k, v := range now {
		if !bytes.Equal(was[k], v) {
			out = append(out, k)
		}
	}
	for k := range was {
		if _, still := now[k]; !still {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}
