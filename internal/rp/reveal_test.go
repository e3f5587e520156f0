package rp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// registry is where one person gives commands.
type registry struct {
	house
	clock  *storetest.Clock
	actor  string
	out    bytes.Buffer
	events []string
	looked int
}

func (d *registry) Context() context.Context { return d.t.Context() }
func (d *registry) Out() io.Writer           { return &d.out }
func (d *registry) Reveals() (rp.RevealOffice, error) {
	return rp.RevealOffice{
		DB: d.db, Book: d.book, Actor: d.actor,
		Who: func(_ context.Context, p rp.Party, identifier string) (authn.AccountID, string, bool, error) {
			d.looked++
			return "acc_1", "s1000017", p.ID == "library" && identifier == "KZPL", nil
		},
		Note: func(_ *store.Tx, event string, r rp.Reveal, account authn.AccountID) error {
			d.events = append(d.events, event+" "+r.AskedBy+" "+r.DecidedBy+" "+string(account))
			return nil
		},
	}, nil
}

func (d *registry) as(actor string, c interface{ Run(rp.RevealEnv) error }) (string, error) {
	d.actor = actor
	d.out.Reset()
	err := c.Run(d)
	return d.out.String(), err
}

func (d *registry) ask() string {
	d.t.Helper()
	out, err := d.as("alice", &rp.RevealRequest{Service: "library", Identifier: "KZPL", Reason: "Incident 7, asked by the library", JSON: true})
	if err != nil {
		d.t.Fatal(err)
	}
	var r rp.Reveal
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		d.t.Fatal(err)
	}
	return r.ID
}

func newRegistry(t *testing.T) *registry {
	db, clock := storetest.Open(t, rp.Schema())
	d := &registry{house: house{t, db, rp.New(db, mac)}, clock: clock}
	d.put(library())
	return d
}

func TestTwoPeopleRevealWhoIsBehindAnIdentifier(t *testing.T) {
	d := newRegistry(t)
	id := d.ask()
	for _, step := range []struct {
		actor string
		c     interface{ Run(rp.RevealEnv) error }
		want  error
	}{
		{"alice", &rp.RevealApprove{ID: id}, rp.ErrSameActor},
		{"alice", &rp.RevealApprove{ID: "rev_none"}, rp.ErrNoReveal},
	} {
		if _, err := d.as(step.actor, step.c); !errors.Is(err, step.want) {
			t.Error(err)
		}
	}
	if _, err := d.as("alice", &rp.RevealAnswer{ID: id}); err == nil || d.looked != 0 {
		t.Error("one person alone gets the answer", err)
	}
	if _, err := d.as("bob", &rp.RevealApprove{ID: id}); err != nil {
		t.Fatal(err)
	}
	if out, err := d.as("carol", &rp.RevealAnswer{ID: id}); err == nil || out != "" {
		t.Error("a third person gets the answer", out)
	}
	out, err := d.as("alice", &rp.RevealAnswer{ID: id})
	if err != nil || out != "KZPL at library is s1000017 (acc_1)\n" {
		t.Error(out, err)
	}
	if _, err := d.as("alice", &rp.RevealAnswer{ID: id}); err == nil {
		t.Error("the answer is given twice")
	}
	want := []string{"reveal.asked alice  ", "reveal.approved alice bob ", "reveal.answered alice bob acc_1"}
	if !slices.Equal(d.events, want) {
		t.Errorf("%q", d.events)
	}
	if out, err := d.as("dave", &rp.RevealList{}); err != nil || !strings.Contains(out, "answered") || !strings.Contains(out, "Incident 7") {
		t.Error(out, err)
	}
}

func TestRequestsEndInTime(t *testing.T) {
	d := newRegistry(t)
	late, slow, denied := d.ask(), d.ask(), d.ask()
	if _, err := d.as("bob", &rp.RevealApprove{ID: slow}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.as("alice", &rp.RevealDeny{ID: denied}); err != nil {
		t.Fatal("her own request cannot be taken back", err)
	}
	if _, err := d.as("bob", &rp.RevealApprove{ID: denied}); err == nil {
		t.Error("a denied request is approved")
	}
	d.clock.Add(25 * time.Hour)
	if _, err := d.as("alice", &rp.RevealAnswer{ID: slow}); err == nil {
		t.Error("an old approval counts")
	}
	d.clock.Add(48 * time.Hour)
	if _, err := d.as("bob", &rp.RevealApprove{ID: late}); err == nil {
		t.Error("an old request is approved")
	}
}

func TestRequestsThatCannotBeMeant(t *testing.T) {
	d := newRegistry(t)
	for want, c := range map[string]*rp.RevealRequest{
		"reason":     {Service: "library", Identifier: "x", Reason: "because"},
		"identifier": {Service: "library", Identifier: " ", Reason: "Incident 7, asked by the library"},
		"no party":   {Service: "nowhere", Identifier: "x", Reason: "Incident 7, asked by the library"},
	} {
		if _, err := d.as("alice", c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
