package card_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"seimon/internal/app/demo/vcard"
	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/card"
	"seimon/internal/card/pcsc"
	"seimon/internal/card/piv"
	"seimon/internal/directory"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/lang"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// counter is the desk of a small university with a virtual reader.
type counter struct {
	t     *testing.T
	db    *store.DB
	clock *storetest.Clock
	ring  *keyring.Ring
	log   *audit.Log
	words *lang.Words
	card.Office

	in    *vcard.Card // in the reader; nil: empty
	cut   int         // after how many commands the card is pulled out; 0: never
	sent  int
	files map[string]string
	out   bytes.Buffer
	asked []string // prompts for what is typed unseen
	lines []string // what is typed then
}

func open(t *testing.T) *counter {
	t.Helper()
	h := &counter{t: t, files: map[string]string{}}
	h.db, h.clock = storetest.Open(t, card.Schema(), ca.Schema(), keyring.Schema(), directory.Schema(), audit.Schema(), trust.Schema())
	var err error
	h.ring = keyringtest.Open(t, h.db, bytes.Repeat([]byte("k"), 32))
	h.words, err = lang.New(time.UTC, card.Words())
	h.must(err)
	book := card.NewBook()
	authority, err := ca.Open(t.Context(), h.db, ca.Config{Seal: h.ring, MAC: h.ring.MAC, Base: "http://pki.example.ac.jp", OnIssue: book.Restored, OnRevoke: book.Revoked})
	h.must(err)
	_, err = authority.Found(t.Context(), ca.Plan{Organization: "Example University", Country: "JP"})
	h.must(err)
	h.log = audit.New(h.db, func(b []byte) []byte { return h.ring.MAC("audit", b) })
	h.Office = card.Office{
		DB: h.db, Book: book, CA: authority, People: directory.New(h.db), Seal: h.ring, Actor: "cli:desk", Insert: h.insert,
		Holder: func(a directory.Account, p directory.Person) ca.Holder {
			return ca.Holder{Account: a.ID, Person: p.ID, Name: p.Name.Full(lang.EN), Mail: p.Mail}
		},
		Note: func(tx *store.Tx, event string, account authn.AccountID, facts map[string]string) error {
			return h.log.Append(tx, audit.Event{Type: event, Account: account, Actor: "cli:desk", Facts: facts})
		},
	}
	h.person("s2600001", "正門", "花子")
	return h
}

func (h *counter) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *counter) person(user, family, given string) (a directory.Account) {
	h.t.Helper()
	h.must(h.db.Write(h.t.Context(), func(tx *store.Tx) (err error) {
		a, _, err = h.People.Add(tx, directory.Person{
			Name: directory.Names{Family: family, Given: given, FamilyLatin: "Seimon", GivenLatin: "Hanako"}, Mail: user + "@example.ac.jp", MailVerified: tx.Now,
		}, directory.Account{UserName: user, Kind: "student", State: directory.Active})
		return err
	}))
	return a
}

// slot is the virtual reader.
type slot struct{ h *counter }

func (s slot) Transmit(command []byte) ([]byte, error) {
	if s.h.in == nil {
		return nil, pcsc.ErrRemoved
	}
	if s.h.sent++; s.h.cut > 0 && s.h.sent > s.h.cut {
		s.h.in.Reset()
		return nil, pcsc.ErrRemoved
	}
	return s.h.in.Transmit(command)
}

func (s slot) Close() error {
	if s.h.in != nil {
		s.h.in.Reset()
	}
	return nil
}

func (h *counter) insert(context.Context, string) (card.Slot, error) {
	if h.in == nil {
		return nil, pcsc.ErrNoCard
	}
	h.sent = 0
	return slot{h}, nil
}

func (h *counter) fresh() *vcard.Card {
	h.t.Helper()
	v, err := vcard.New("", 3, 3)
	h.must(err)
	return v
}

// The environment of commands.

func (h *counter) Context() context.Context { return h.t.Context() }
func (h *counter) Out() io.Writer           { return &h.out }
func (h *counter) Readers() ([]pcsc.Reader, error) {
	return []pcsc.Reader{{Name: "Virtual", Present: h.in != nil}}, nil
}
func (h *counter) Cards() (card.Desk, error) {
	return card.Desk{Office: h.Office, Words: h.words, University: "正門大学"}, nil
}

// keyboard is standard input into which somebody types, one line for each prompt.
type keyboard struct {
	io.ReadCloser
	h *counter
}

func (k keyboard) Hidden(prompt string) (string, error) {
	k.h.asked = append(k.h.asked, prompt)
	line := k.h.lines[0]
	k.h.lines = k.h.lines[1:]
	return line, nil
}

func (h *counter) Open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return keyboard{io.NopCloser(strings.NewReader("")), h}, nil
	}
	text, ok := h.files[name]
	if !ok {
		return nil, fmt.Errorf("%s: no such file", name)
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

type memoryFile struct {
	bytes.Buffer
	close func(string)
}

func (m *memoryFile) Close() error { m.close(m.String()); return nil }

func (h *counter) Create(name string) (io.WriteCloser, error) {
	if _, there := h.files[name]; there {
		return nil, fmt.Errorf("%s exists", name)
	}
	return &memoryFile{close: func(text string) { h.files[name] = text }}, nil
}

// run gives a command.
func (h *counter) run(args ...string) (string, error) {
	h.t.Helper()
	var c card.Command
	p, err := kong.New(&c, kong.BindTo(h, (*card.Env)(nil)), kong.Exit(func(int) {}))
	h.must(err)
	h.out.Reset()
	parsed, err := p.Parse(args)
	if err != nil {
		return "", err
	}
	err = parsed.Run()
	return h.out.String(), err
}

func (h *counter) ok(args ...string) string {
	h.t.Helper()
	out, err := h.run(args...)
	if err != nil {
		h.t.Fatalf("card %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (h *counter) fails(want string, args ...string) {
	h.t.Helper()
	out, err := h.run(args...)
	if err == nil || !strings.Contains(err.Error(), want) {
		h.t.Fatalf("card %s: %v, want %q\n%s", strings.Join(args, " "), err, want, out)
	}
}

func (h *counter) find(word string) (c card.Card) {
	h.t.Helper()
	h.must(h.db.Read(h.t.Context(), func(tx *store.Tx) (err error) {
		c, err = h.Book.Find(tx, word)
		return err
	}))
	return c
}

func (h *counter) certificate(c card.Card) (out ca.Certificate) {
	h.t.Helper()
	h.must(h.db.Read(h.t.Context(), func(tx *store.Tx) (err error) {
		out, err = h.CA.Get(tx, c.Certificate)
		return err
	}))
	return out
}

func (h *counter) events(kind string) (out []audit.Event) {
	h.t.Helper()
	h.must(h.db.Read(h.t.Context(), func(tx *store.Tx) (err error) {
		out, err = h.log.Find(tx, audit.Query{TypePrefix: kind})
		return err
	}))
	return out
}

var pinForm = regexp.MustCompile(`(?m)^Your PIN: (\d{6})$`)

// letter prints the letter of a card and reads the PIN from it.
func (h *counter) letter(word string) string {
	h.t.Helper()
	name := fmt.Sprintf("letter-%d.txt", len(h.files))
	h.ok("letter", word, "--out", name, "--format", "text")
	m := pinForm.FindStringSubmatch(h.files[name])
	if m == nil {
		h.t.Fatalf("no PIN in the letter:\n%s", h.files[name])
	}
	return m[1]
}

// signs lets the card in the reader sign with a PIN, as a browser would.
func (h *counter) signs(pin string) error {
	h.t.Helper()
	h.in.Reset()
	defer h.in.Reset()
	c, err := piv.Open(h.in)
	h.must(err)
	cert, err := c.Certificate()
	if err != nil {
		return err
	}
	if err := c.Verify(authn.Secret(pin)); err != nil {
		return err
	}
	signer, err := c.Signer(cert.PublicKey)
	h.must(err)
	_, err = signer.Sign(nil, make([]byte, 32), sha256)
	return err
}

// ready makes a card that its person has, and gives its PIN.
func (h *counter) ready(user, label string) (v *vcard.Card, pin string) {
	h.t.Helper()
	v = h.fresh()
	h.in = v
	h.ok("stock", "--label", label)
	h.ok("personalise", user)
	pin = h.letter(label)
	h.ok("handover", label, "--document", "student-card")
	return v, pin
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

func TestTheLifeOfACardThroughTheCommands(t *testing.T) {
	h := open(t)
	h.in = h.fresh()
	h.fails("not registered", "personalise", "s2600001")
	h.ok("stock", "--label", "IC-0001")
	h.fails("registered already", "stock")
	h.fails(`no account "nobody"`, "personalise", "nobody")
	h.ok("personalise", "s2600001")
	c := h.find("IC-0001")
	cert := h.certificate(c)
	if c.State != card.Personalised || cert.State != ca.Active || cert.Profile != ca.CardProfile || cert.Card != c.ID || !strings.Contains(cert.Name, "IC-0001") {
		t.Fatalf("%+v\n%+v", c, cert)
	}
	h.fails("letter of card IC-0001 is not printed", "handover", "IC-0001", "--document", "passport")
	pin := h.letter("IC-0001")
	h.fails("no letter to print", "letter", "IC-0001", "--out", "again.txt")
	if _, there := h.files["again.txt"]; there {
		t.Error("an empty second letter was left behind")
	}
	h.files["pin"] = pin + "\n"
	h.files["wrong"] = "975310"
	if out := h.ok("check", "IC-0001", "--pin", "pin"); !strings.HasPrefix(out, "Yes") {
		t.Error(out)
	}
	if out := h.ok("check", "IC-0001", "--pin", "wrong"); !strings.HasPrefix(out, "No") {
		t.Error(out)
	}
	h.fails("tries left: 9", "handover", "IC-0001", "--document", "student-card", "--pin", "wrong")
	h.fails("cannot become handed", "handover", "IC-0001", "--document", "student-card")
	if out := h.ok("handover", "IC-0001", "--document", "student-card", "--pin", "pin"); !strings.Contains(out, "active") {
		t.Error(out)
	}
	h.must(h.signs(pin))
	var s struct {
		State    string
		User     string
		Inserted struct {
			Tries   int
			Matches bool
		}
		Past []struct{ State string }
	}
	decode(t, h.ok("status", "--json"), &s)
	if s.State != "active" || s.User != "s2600001" || s.Inserted.Tries != 10 || !s.Inserted.Matches || len(s.Past) != 4 {
		t.Errorf("%+v", s)
	}
	h.must(h.db.Read(t.Context(), func(tx *store.Tx) error {
		proofs, err := h.Book.Proofs(tx, c.Person)
		if len(proofs) != 1 || proofs[0].Act != "handover" || proofs[0].Document != "student-card" || proofs[0].By != "cli:desk" {
			t.Errorf("%+v", proofs)
		}
		return err
	}))
	h.ok("suspend", "IC-0001", "--why", "left at home")
	if got := h.certificate(c); got.State != ca.Revoked || got.Reason != ca.Hold {
		t.Errorf("suspended: %s %s", got.State, got.Reason)
	}
	h.ok("resume", "IC-0001")
	if got := h.certificate(c); got.State != ca.Active {
		t.Errorf("resumed: %s %s", got.State, got.Reason)
	}
	h.ok("lost", "IC-0001", "--why", "lost in a train")
	if got := h.certificate(c); got.State != ca.Revoked || got.Reason != ca.KeyCompromise {
		t.Errorf("lost: %s %s", got.State, got.Reason)
	}
	h.fails("not suspended", "resume", "IC-0001")
	h.fails("cannot become suspended", "suspend", "IC-0001", "--why", "x")

	lost := h.in
	h.in = h.fresh()
	h.ok("stock", "--label", "IC-0002")
	h.ok("replace", "IC-0001")
	h.letter("IC-0002")
	if h.find("IC-0001").State != card.Lost {
		t.Error("replaced before the new card was handed over")
	}
	h.ok("handover", "IC-0002", "--document", "passport")
	if old, new := h.find("IC-0001"), h.find("IC-0002"); old.State != card.Replaced || old.ReplacedBy != new.ID || new.Replaces != old.ID {
		t.Errorf("%+v\n%+v", old, new)
	}
	h.fails("another card", "return", "IC-0001", "--wipe")
	h.in = lost
	h.ok("return", "IC-0001", "--wipe")
	if err := h.signs(pin); !errors.Is(err, piv.ErrNotFound) {
		t.Errorf("a wiped card still signs: %v", err)
	}
	if out := h.ok("list", "s2600001"); strings.Count(out, "IC-000") != 2 || !strings.Contains(out, "handed") || !strings.Contains(out, "returned") {
		t.Error(out)
	}
	for _, kind := range []string{"stocked", "begun", "personalised", "letter", "disputed", "handed", "activated", "suspended", "resumed", "lost", "replaced", "returned"} {
		if len(h.events("card."+kind)) == 0 {
			t.Errorf("nothing on record of card.%s", kind)
		}
	}
	for _, e := range h.events("") {
		if text := fmt.Sprint(e); strings.Contains(text, pin) {
			t.Errorf("the PIN is on record: %s", text)
		}
	}
}

func TestAReplacedCardStopsWithTheHandOver(t *testing.T) {
	h := open(t)
	h.ready("s2600001", "OLD")
	h.in = h.fresh()
	h.ok("stock", "--label", "NEW")
	h.ok("replace", "OLD")
	h.letter("NEW")
	if got := h.certificate(h.find("OLD")); got.State != ca.Active {
		t.Errorf("the old card ended too early: %s", got.State)
	}
	h.ok("handover", "NEW", "--document", "passport")
	if err := h.db.Read(t.Context(), func(tx *store.Tx) error {
		_, p, err := directory.New(h.db).ByUserName(tx, "s2600001")
		seen := func(p directory.Proof) bool { return p.Way == directory.InPerson && p.Documents[0] == "passport" }
		if !slices.ContainsFunc(p.Proofs, seen) {
			t.Errorf("what the desk saw is no proof: %+v", p.Proofs)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got := h.certificate(h.find("OLD")); got.State != ca.Revoked || got.Reason != ca.Superseded {
		t.Errorf("the old certificate: %s %s", got.State, got.Reason)
	}
}

func TestALockedCardIsUnblocked(t *testing.T) {
	h := open(t)
	v, pin := h.ready("s2600001", "0001")
	for range 10 {
		if err := h.signs("111112"); !refused(err) {
			t.Fatal(err)
		}
	}
	v.Reset()
	if err := h.signs(pin); !errors.Is(err, piv.ErrBlocked) {
		t.Fatalf("after ten wrong PINs: %v", err)
	}
	if out := h.ok("status"); !strings.Contains(out, "LOCKED") {
		t.Error(out)
	}
	if !h.find("0001").Locked() {
		t.Error("the register does not know that the card is locked")
	}
	h.fails("reason", "unblock", "0001", "--why", "", "--document", "passport")
	h.files["typed"] = "１２３４５６"
	h.fails("six to eight digits", "unblock", "0001", "--why", "forgot", "--document", "passport", "--pin", "typed")
	h.files["typed"] = "234567"
	h.fails("guessed first", "unblock", "0001", "--why", "forgot", "--document", "passport", "--pin", "typed")
	h.asked, h.lines = nil, []string{"271934", "271943"}
	h.fails("the two PINs differ", "unblock", "0001", "--why", "forgot", "--document", "passport", "--pin", "-")
	if strings.Join(h.asked, "") != "PIN: The same PIN again: " {
		t.Errorf("asked for %q", h.asked)
	}
	h.files["typed"] = "271934\nwhat a pipe sends after the line\n"
	h.ok("unblock", "0001", "--why", "ten wrong PINs", "--document", "passport", "--pin", "typed")
	h.must(h.signs("271934"))
	if c := h.find("0001"); c.Locked() || c.Letter() || c.Tries != 10 {
		t.Errorf("%+v", c)
	}
	h.fails("not chosen by the house", "check", "0001", "--pin", "typed")
	out := h.ok("unblock", "0001", "--why", "forgot again", "--document", "student-card")
	if !strings.Contains(out, "letter") {
		t.Error(out)
	}
	h.must(h.signs(h.letter("0001")))
	if e := h.events("card.unblocked"); len(e) != 2 || e[0].Facts["why"] == "" || e[0].Facts["document"] == "" {
		t.Errorf("%+v", e)
	}
}

func refused(err error) bool {
	var wrong *piv.PINError
	return errors.As(err, &wrong) || errors.Is(err, piv.ErrBlocked)
}

// TestPulledOutAtEveryMoment takes the card out after each command of the whole work
// and begins again with the same command.
func TestPulledOutAtEveryMoment(t *testing.T) {
	h := open(t)
	done := false
	for cut := 1; !done; cut++ {
		if cut > 200 {
			t.Fatal("it never ends")
		}
		v := h.fresh()
		h.in = v
		label := fmt.Sprintf("C%d", cut)
		h.ok("stock", "--label", label)
		user := fmt.Sprintf("u%d", cut)
		h.person(user, "正門", "次郎")
		h.cut = cut
		_, err := h.run("personalise", user)
		done = err == nil
		if !done {
			if !errors.Is(err, pcsc.ErrRemoved) {
				t.Fatalf("after %d commands: %v", cut, err)
			}
			if s := h.find(label).State; s != card.Personalising && s != card.Stock {
				t.Fatalf("after %d commands: %s", cut, s)
			}
			v.Reset()
			h.cut = 0
			if _, err := h.run("personalise", user); err != nil {
				t.Fatalf("going on after %d commands: %v", cut, err)
			}
		}
		h.cut = 0
		h.must(h.signs(h.letter(label)))
		c := h.find(label)
		h.must(h.db.Read(t.Context(), func(tx *store.Tx) error {
			list, err := h.CA.Of(tx, c.Account)
			active := 0
			for _, x := range list {
				if x.State == ca.Active {
					active++
				}
			}
			if active != 1 || list[0].ID != c.Certificate {
				t.Errorf("after %d commands: %d certificates", cut, active)
			}
			return err
		}))
	}
}

func TestUnblockingIsRepeatable(t *testing.T) {
	h := open(t)
	_, pin := h.ready("s2600001", "0001")
	done := false
	for cut := 1; !done && cut < 50; cut++ {
		h.cut = cut
		_, err := h.run("unblock", "0001", "--why", "forgot", "--document", "passport")
		if done = err == nil; done {
			break
		}
		h.cut = 0
		h.in.Reset()
		if cut < 8 && h.find("0001").Letter() {
			t.Errorf("after %d commands a letter waits for a PIN that the card may not have", cut)
		}
		h.ok("unblock", "0001", "--why", "forgot", "--document", "passport")
		h.must(h.signs(h.letter("0001")))
	}
	if h.cut = 0; !done {
		t.Fatal("it never ends")
	}
	if err := h.signs(pin); !refused(err) {
		t.Errorf("the first PIN still works: %v", err)
	}
}

func TestAReturnedCardBeginsANewLife(t *testing.T) {
	h := open(t)
	h.person("s2600002", "正門", "次郎")
	v, _ := h.ready("s2600001", "0001")
	h.ok("return", "0001")
	old := h.find("0001")
	h.in = v
	for h.cut = 1; ; h.cut++ {
		if _, err := h.run("stock", "--label", "0001b"); err == nil {
			break
		} else if !errors.Is(err, pcsc.ErrRemoved) || h.cut > 50 {
			t.Fatalf("after %d commands: %v", h.cut, err)
		}
		v.Reset()
	}
	h.cut = 0
	h.ok("personalise", "s2600002", "--algorithm", "RSA-2048")
	h.must(h.signs(h.letter("0001b")))
	c := h.find("0001b")
	if c.ID == old.ID || c.Account == old.Account || c.Serial != old.Serial {
		t.Errorf("%+v\n%+v", old, c)
	}
}

func TestCardsOfOthersAreLeftAlone(t *testing.T) {
	h := open(t)
	v := h.fresh()
	h.in = v
	c, err := piv.Open(v)
	h.must(err)
	h.must(c.Manage(piv.FactoryKey()))
	h.must(c.SetManagementKey(piv.ManagementKey{Type: piv.AES192, Key: make([]byte, 24)}))
	h.ok("stock", "--label", "THEIRS")
	h.fails("personalised elsewhere", "personalise", "s2600001")
	h.ok("return", "THEIRS")

	plain := h.fresh()
	plain.Vendor = false
	h.in = plain
	h.ok("stock", "--label", "PLAIN")
	if c := h.find("PLAIN"); !strings.HasPrefix(c.Serial, "G") {
		t.Errorf("a card without a number is called %s", c.Serial)
	}
	h.fails("must not share one", "personalise", "s2600001")
	h.in = nil
	h.fails("no card is in the reader", "status")
}

func TestNoTwoCardsShareAKey(t *testing.T) {
	h := open(t)
	one, _ := h.ready("s2600001", "0001")
	h.person("s2600002", "正門", "次郎")
	two, _ := h.ready("s2600002", "0002")
	a, b := one.ManagementKey(), two.ManagementKey()
	if bytes.Equal(a, b) || bytes.Equal(a, piv.FactoryKey().Key) || len(a) != 24 {
		t.Error("management keys")
	}
}

func TestWhoMayHaveACard(t *testing.T) {
	h := open(t)
	a := h.person("s2600003", "正門", "三郎")
	h.must(h.db.Write(t.Context(), func(tx *store.Tx) error {
		return h.People.SetState(tx, a.ID, directory.Suspended, "left", "desk")
	}))
	h.person("s2600004", "正門", "四郎")
	h.in = h.fresh()
	h.ok("stock", "--label", "0001")
	h.fails("suspended or has ended", "personalise", "s2600003")
	h.cut = 20
	if _, err := h.run("personalise", "s2600004"); !errors.Is(err, pcsc.ErrRemoved) {
		t.Fatal(err)
	}
	h.cut = 0
	h.in.Reset()
	h.fails("for somebody else", "personalise", "s2600001")
	h.ok("return", "0001", "--why", "wrong person")
	if c := h.find("0001"); c.State != card.Returned {
		t.Errorf("%s", c.State)
	}
}

func TestTheLetter(t *testing.T) {
	h := open(t)
	h.in = h.fresh()
	h.ok("stock", "--label", "<b>&")
	h.ok("personalise", "s2600001")
	h.ok("letter", "<b>&", "--out", "l.html")
	text := h.files["l.html"]
	for _, want := range []string{"正門大学", "正門 花子 様", "For Hanako Seimon", "&lt;b&gt;&amp;", "ICカードのPIN", "PIN of your IC card", `lang="ja"`, `lang="en"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the letter lacks %q", want)
		}
	}
	pins := regexp.MustCompile(`class="pin">(\d{6})<`).FindAllStringSubmatch(text, -1)
	if len(pins) != 2 || pins[0][1] != pins[1][1] {
		t.Fatalf("%v", pins)
	}
	h.must(h.signs(pins[0][1]))
	h.fails("no letter to print", "letter", "<b>&", "--out", "l.html")
}

func TestSecretsOutliveTheMasterKey(t *testing.T) {
	h := open(t)
	h.in = h.fresh()
	h.ok("stock", "--label", "0001")
	h.ok("personalise", "s2600001")
	old := h.ring
	var err error
	h.ring, err = keyring.Open(t.Context(), h.db, keyring.Config{Master: bytes.Repeat([]byte("n"), 32), Old: [][]byte{bytes.Repeat([]byte("k"), 32)}})
	h.must(err)
	n, err := h.Book.Reseal(t.Context(), h.db, h.ring, h.ring.Head())
	if err != nil || n != 1 {
		t.Fatalf("%d cards, %v", n, err)
	}
	h.Seal, err = keyring.Open(t.Context(), h.db, keyring.Config{Master: bytes.Repeat([]byte("n"), 32)})
	h.must(err)
	h.must(h.signs(h.letter("0001")))
	h.ok("handover", "0001", "--document", "passport")
	h.ok("unblock", "0001", "--why", "forgot", "--document", "passport")
	h.must(h.signs(h.letter("0001")))
	h.ok("return", "0001", "--wipe")
	h.Seal = old
	if n, err := h.Book.Reseal(t.Context(), h.db, h.ring, h.ring.Head()); n != 0 || err != nil {
		t.Errorf("sealed twice: %d, %v", n, err)
	}
}

// spy is a card that pretends to be another one and writes down what it is told.
func (h *counter) spy(serial string) (v *vcard.Card, told func() string) {
	h.t.Helper()
	file := h.t.TempDir() + "/spy.json"
	_, err := vcard.New(file, 10, 10)
	h.must(err)
	text, err := os.ReadFile(file)
	h.must(err)
	text = regexp.MustCompile(`"Serial": \d+`).ReplaceAll(text, []byte(`"Serial": `+strings.TrimPrefix(serial, "Y")))
	h.must(os.WriteFile(file, text, 0o600))
	v, err = vcard.Load(file)
	h.must(err)
	var b strings.Builder
	v.Trace = func(s string) { b.WriteString(s) }
	return v, b.String
}

func TestACardThatPretendsLearnsNothing(t *testing.T) {
	h := open(t)
	h.ready("s2600001", "0001")
	v, told := h.spy(h.find("0001").Serial)
	h.in = v
	h.fails("personalised elsewhere", "unblock", "0001", "--why", "forgot", "--document", "passport")
	if strings.Contains(told(), "> 002c") {
		t.Error("the PUK was told to a card that only has the same number")
	}
	h.fails("cannot become personalising", "personalise", "s2600001")
	h.fails("personalised elsewhere", "return", "0001", "--wipe")
	if c := h.find("0001"); c.State != card.Handed {
		t.Errorf("the card is %s", c.State)
	}
	if strings.Contains(told(), "> 00ff") {
		t.Error("a management key was told to the pretender")
	}
	if h.ok("status"); h.find("0001").Tries != 10 {
		t.Error("tries")
	}
}

// TestACardComesBackWithItsCertificate: what was suspended with the account works again
// with it; what the desk suspended waits for the desk.
func TestACardComesBackWithItsCertificate(t *testing.T) {
	for desk, want := range map[bool]card.State{false: card.Handed, true: card.Suspended} {
		h := open(t)
		h.ready("s2600001", "0001")
		c := h.find("0001")
		if desk {
			h.run("suspend", "0001", "--why", "left at home")
		}
		h.must(h.db.Write(t.Context(), func(tx *store.Tx) error {
			if _, err := h.CA.Revoke(tx, c.Certificate, ca.Hold, "system"); err != nil {
				return err
			}
			_, err := h.CA.Restore(tx, c.Certificate, "system")
			return err
		}))
		if got := h.find("0001"); got.State != want {
			t.Errorf("suspended by the desk %v: %s, %q", desk, got.State, got.Why)
		}
	}
}

func TestACertificateRevokedElsewhereEndsTheCard(t *testing.T) {
	for reason, want := range map[ca.Reason]card.State{ca.KeyCompromise: card.Lost, ca.AffiliationChanged: card.Suspended, ca.Hold: card.Suspended} {
		h := open(t)
		h.ready("s2600001", "0001")
		c := h.find("0001")
		h.must(h.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := h.CA.Revoke(tx, c.Certificate, reason, "its person")
			return err
		}))
		if got := h.find("0001"); got.State != want || !strings.Contains(got.Why, string(reason)) {
			t.Errorf("%s: %s, %q", reason, got.State, got.Why)
		}
		if want == card.Suspended && reason != ca.Hold {
			h.fails("revoked meanwhile", "resume", "0001")
		}
	}
}
