package owners_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/audit"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/rp"
	"seimon/internal/rp/owners"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

type bench struct {
	t     *testing.T
	db    *store.DB
	clock *storetest.Clock
	log   *audit.Log
	book  *rp.Book
	box   *mail.Memory
	queue *mail.Queue
	*owners.Owners
}

func open(t *testing.T) *bench {
	db, clock := storetest.Open(t, rp.Schema(), audit.Schema(), mail.Schema(), keyring.Schema())
	ring := keyringtest.Open(t, db, bytes.Repeat([]byte{7}, 32))
	words, err := lang.New(time.UTC, mail.Words(), owners.Words())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, db: db, clock: clock, log: audit.New(db, bytes.Clone), box: &mail.Memory{}}
	b.book = rp.New(db, func(string, []byte) []byte { return make([]byte, 32) })
	b.queue, err = mail.New(db, words, ring, mail.Config{
		From: "gate@example.ac.jp", Transport: b.box, University: map[lang.Tag]string{lang.JA: "正門大学", lang.EN: "Seimon University"},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Owners = owners.New(owners.Config{DB: db, Audit: b.log, Parties: b.book, Mail: b.queue, Words: words, Reply: "desk@example.ac.jp"})
	return b
}

func (b *bench) write(fn func(tx *store.Tx) error) {
	b.t.Helper()
	if err := b.db.Write(b.t.Context(), fn); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) party(id string, change func(*rp.Party)) {
	p := rp.Party{ID: id, Protocol: "saml", Names: map[lang.Tag]string{lang.EN: "Wiki"}, Contact: "wiki@example.org", Consent: rp.ConsentAsk, Registration: []byte("{}")}
	if change != nil {
		change(&p)
	}
	b.write(func(tx *store.Tx) error { return b.book.Put(tx, p) })
}

func (b *bench) refused(party, support string, facts ...string) {
	m := map[string]string{}
	for i := 0; i < len(facts); i += 2 {
		m[facts[i]] = facts[i+1]
	}
	b.write(func(tx *store.Tx) error {
		return b.log.Append(tx, audit.Event{Type: "request.refused", Party: party, Support: support, Facts: m})
	})
}

// told runs a round and gives what arrived in it.
func (b *bench) told() []mail.Received {
	b.t.Helper()
	before := len(b.box.Messages(""))
	if err := b.Tell(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if err := b.queue.Deliver(context.WithoutCancel(b.t.Context())); err != nil {
		b.t.Fatal(err)
	}
	return b.box.Messages("")[before:]
}

func TestTheContactLearnsTheFieldOnce(t *testing.T) {
	b := open(t)
	b.party("https://wiki.example.org/sp", nil)
	b.refused("https://wiki.example.org/sp", "7KQ2-MHXD", "code", "R3.redirect", "field", "AssertionConsumerServiceURL",
		"sent", "https://wiki.example.org/new\r\nBcc: all@example.org\u202e", "registered", "0=https://wiki.example.org/acs")
	got := b.told()
	if len(got) != 1 || got[0].To != "wiki@example.org" || got[0].Header.Get("Reply-To") == "" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{
		"Wiki", "7KQ2-MHXD", "> Field: AssertionConsumerServiceURL", "> What came: https://wiki.example.org/newBcc: all@example.org\n",
		"> What is registered: 0=https://wiki.example.org/acs", "Seimon University",
	} {
		if !strings.Contains(strings.ReplaceAll(got[0].Text, "\r\n", "\n"), want) {
			t.Errorf("%q is missing in\n%s", want, got[0].Text)
		}
	}
	var seen []audit.Event
	b.write(func(tx *store.Tx) (err error) {
		seen, err = b.log.Find(tx, audit.Query{Support: "7KQ2-MHXD", TypePrefix: owners.Event})
		return err
	})
	if len(seen) != 1 || seen[0].Facts["to"] == "wiki@example.org" {
		t.Errorf("on record: %+v", seen)
	}
	// The same is not told again before a week has passed, however often it happens.
	b.refused("https://wiki.example.org/sp", "AAAA-BBBB", "code", "R3.redirect", "field", "AssertionConsumerServiceURL")
	if got := b.told(); len(got) != 0 {
		t.Errorf("told again: %+v", got)
	}
	b.clock.Add(8 * 24 * time.Hour)
	if got := b.told(); len(got) != 0 {
		t.Errorf("told of what is long over: %+v", got)
	}
	b.refused("https://wiki.example.org/sp", "CCCC-DDDD", "code", "R3.redirect", "field", "AssertionConsumerServiceURL")
	if got := b.told(); len(got) != 1 {
		t.Error("it is wrong again and nobody is told")
	}
}

func TestClocksAndLanguages(t *testing.T) {
	b := open(t)
	b.party("wiki", func(p *rp.Party) { p.Names[lang.JA] = "ウィキ" })
	b.refused("wiki", "7KQ2-MHXD", "code", "B3.fast", "field", "IssueInstant", "direction", "fast", "seconds", "600", "sent", "2026-04-06T05:15:00Z")
	got := b.told()
	if len(got) != 1 || !strings.Contains(got[0].Subject, "ウィキ") || !strings.Contains(got[0].Text, "600秒") || !strings.Contains(got[0].Text, "IssueInstant") {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsNotForTheContact(t *testing.T) {
	b := open(t)
	b.party("wiki", nil)
	b.party("silent", func(p *rp.Party) { p.Contact = "" })
	b.party("off", func(p *rp.Party) { p.Disabled = true })
	for _, e := range [][]string{
		{"nobody", "code", "R3.redirect", "field", "x"},
		{"", "code", "R3.request", "field", "SAMLRequest"},
		{"silent", "code", "R3.redirect", "field", "x"},
		{"off", "code", "R3.redirect", "field", "x"},
		{"wiki", "code", "R3.request", "field", "ID"}, // opened a second time
		{"wiki", "code", "B3.slow", "field", "IssueInstant", "seconds", "90000"},
		{"wiki", "code", "B3.here", "field", "IssueInstant", "direction", "fast"},
		{"wiki", "code", "R3.unknown", "field", "Issuer"},
		{"wiki", "code", "R2", "groups", "staff"},
	} {
		b.refused(e[0], "7KQ2-MHXD", e[1:]...)
	}
	if got := b.told(); len(got) != 0 {
		t.Errorf("told: %+v", got)
	}
}

// Whoever sends nonsense in the name of every service does not make the gate write to all.
func TestForgersCannotMakeTheGateWriteToEverybody(t *testing.T) {
	b := open(t)
	for i := range 60 {
		id := fmt.Sprintf("sp%02d", i)
		b.party(id, nil)
		for field := range 5 {
			b.refused(id, "7KQ2-MHXD", "code", "R3.request", "field", fmt.Sprint("field", field))
		}
	}
	if got := b.told(); len(got) != 20 {
		t.Errorf("%d messages in a day", len(got))
	}
	b.clock.Add(25 * time.Hour)
	for field := range 9 {
		b.refused("sp00", "7KQ2-MHXD", "code", "R3.request", "field", fmt.Sprint("other", field))
	}
	if got := b.told(); len(got) != 3 {
		t.Errorf("%d messages to one service in a day", len(got))
	}
}

// feed is what a federation says of its services.
type feed map[string]rp.Party

func (f feed) Get(_ *store.Tx, id string) (rp.Party, error) { return f[id], nil }

// TestAMalformedContactStopsNobodyElse: a service of a federation writes its contact itself.
func TestAMalformedContactStopsNobodyElse(t *testing.T) {
	b := open(t)
	services := feed{}
	b.Parties, b.To = services, owners.All
	for i, contact := range []string{"wiki@example.org\r\nBcc: everybody@example.ac.jp", "a b@example.org", "<script>@example.org", "x@", "@", strings.Repeat("x", 300) + "@example.org", "technical@example.org"} {
		id := fmt.Sprintf("https://sp%d.example.org/sp", i)
		services[id] = rp.Party{ID: id, Protocol: "saml", Names: map[lang.Tag]string{lang.EN: "Wiki"}, Contact: contact, Source: "gakunin"}
		b.refused(id, "AAAA-BBBB", "code", "R3.signature", "field", "Signature", "front", "saml")
	}
	got := b.told()
	if len(got) != 1 || got[0].To != "technical@example.org" {
		t.Errorf("%d messages: %+v", len(got), got)
	}
}

// TestWhoIsWrittenTo: strangers of federations only where the university says so, and nobody
// where it says that.
func TestWhoIsWrittenTo(t *testing.T) {
	for to, want := range map[string]string{
		"": "here@example.ac.jp", owners.Registered: "here@example.ac.jp", owners.All: "here@example.ac.jp there@example.org", owners.Nobody: "",
	} {
		b := open(t)
		b.To = to
		b.Parties = feed{
			"here":  rp.Party{ID: "here", Protocol: "saml", Names: map[lang.Tag]string{lang.EN: "Wiki"}, Contact: "here@example.ac.jp"},
			"there": rp.Party{ID: "there", Protocol: "saml", Names: map[lang.Tag]string{lang.EN: "Journals"}, Contact: "there@example.org", Source: "gakunin"},
		}
		for _, id := range []string{"here", "there"} {
			b.refused(id, "AAAA-BBBB", "code", "R3.signature", "field", "Signature", "front", "saml")
		}
		var got []string
		for _, m := range b.told() {
			got = append(got, m.To)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q are written to", to, got)
		}
	}
}
