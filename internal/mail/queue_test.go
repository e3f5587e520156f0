package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/lang"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

const (
	jaNote = `"note.code.subject" = "{{.university}}の確認コード"
"note.code.body" = "確認コードは {{.Code}} です。\n10分以内に入力してください。"
`
	enNote = `"note.code.subject" = "Your confirmation code for {{.university}}"
"note.code.body" = "Your confirmation code is {{.Code}}.\nEnter it within 10 minutes."
`
)

func words(t testing.TB) *lang.Words {
	t.Helper()
	w, err := lang.New(time.UTC, Words(), lang.Source{Room: "note", Files: fstest.MapFS{
		"words/ja.toml": {Data: []byte(jaNote)}, "words/en.toml": {Data: []byte(enNote)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

type office struct {
	t      testing.TB
	db     *store.DB
	clock  *storetest.Clock
	ring   *keyring.Ring
	memory *Memory
	q      *Queue
}

func config(transport Transport) Config {
	return Config{
		From:       "sso@example.ac.jp",
		University: map[lang.Tag]string{lang.JA: "青鳩大学", lang.EN: "Aobato University"},
		Help:       map[lang.Tag]string{lang.JA: "情報センター 内線 1234", lang.EN: "Information Centre, ext. 1234"},
		Origin:     "https://sso.example.ac.jp",
		Transport:  transport,
	}
}

func newOffice(t testing.TB) *office {
	t.Helper()
	db, clock := storetest.Open(t, Schema(), keyring.Schema())
	ring := keyringtest.Open(t, db, bytes.Repeat([]byte{1}, 32))
	o := &office{t: t, db: db, clock: clock, ring: ring, memory: &Memory{}}
	o.q = o.queue(o.memory)
	return o
}

func (o *office) queue(transport Transport) *Queue {
	o.t.Helper()
	q, err := New(o.db, words(o.t), o.ring, config(transport))
	if err != nil {
		o.t.Fatal(err)
	}
	return q
}

func code(to, digits string) Message {
	return Message{To: to, Lang: lang.EN, Template: "note.code", Account: "a_1", Purpose: "mailcode",
		Facts: map[string]string{"name": "Hanako Aoba", "Code": digits}}
}

func (o *office) enqueue(m Message) (id string) {
	o.t.Helper()
	if err := o.db.Write(o.t.Context(), func(tx *store.Tx) (err error) {
		id, err = o.q.Enqueue(tx, m)
		return err
	}); err != nil {
		o.t.Fatal(err)
	}
	return id
}

func (o *office) deliver() {
	o.t.Helper()
	if err := o.q.Deliver(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) delivery(id string) (d Delivery) {
	o.t.Helper()
	if err := o.db.Read(o.t.Context(), func(tx *store.Tx) (err error) {
		d, err = o.q.Delivery(tx, id)
		return err
	}); err != nil {
		o.t.Fatal(err)
	}
	return d
}

func TestAMessageArrivesInTheReadersLanguage(t *testing.T) {
	o := newOffice(t)
	en := code("hanako@example.com", "12345678")
	ja := en
	ja.Lang, ja.Facts = lang.JA, map[string]string{"name": "青葉 花子", "Code": "87654321"}
	id := o.enqueue(en)
	o.enqueue(ja)
	o.clock.Add(2 * time.Second)
	o.deliver()
	got := o.memory.Messages("hanako@example.com")
	if len(got) != 2 {
		t.Fatalf("%d messages", len(got))
	}
	if got[0].Header.Get("Content-Language") != "en" {
		slices.Reverse(got)
	}
	if got[0].Subject != "Your confirmation code for Aobato University" || got[1].Subject != "青鳩大学の確認コード" {
		t.Errorf("subjects %q, %q", got[0].Subject, got[1].Subject)
	}
	wantEN := "Dear Hanako Aoba,\n\nYour confirmation code is 12345678.\nEnter it within 10 minutes.\n\n" +
		"This message was sent automatically. You need not answer it.\n\n-- \nAobato University\nInformation Centre, ext. 1234\nhttps://sso.example.ac.jp\n"
	wantJA := "青葉 花子 様\n\n確認コードは 87654321 です。\n10分以内に入力してください。\n\n" +
		"このメールは自動で送られました。返信の必要はありません。\n\n-- \n青鳩大学\n情報センター 内線 1234\nhttps://sso.example.ac.jp\n"
	if got[0].Text != wantEN || got[1].Text != wantJA {
		t.Errorf("texts\n%s\n%s", got[0].Text, got[1].Text)
	}
	h := got[0].Header
	if h.Get("Auto-Submitted") != "auto-generated" || h.Get("Message-Id") != "<"+id+"@example.ac.jp>" {
		t.Errorf("headers %v", h)
	}
	if !got[0].At.Equal(o.clock.Now()) {
		t.Errorf("dated %v", got[0].At)
	}
	from, err := h.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != "sso@example.ac.jp" || from[0].Name != "Aobato University" {
		t.Errorf("from %v %v", from, err)
	}
	if from, err = got[1].Header.AddressList("From"); err != nil || from[0].Name != "青鳩大学" {
		t.Errorf("from %v %v", from, err)
	}
}

func TestMessagesOnTheWireAreSevenBitWithShortLines(t *testing.T) {
	o := newOffice(t)
	for _, tag := range []lang.Tag{lang.JA, lang.EN} {
		raw, err := o.q.message(content{To: "hanako@example.com", Subject: strings.Repeat("確認コードのお知らせ、", 15), Text: strings.Repeat("長い段落です。", 300) + "\n.\nend\n"},
			envelope{"mail_1", tag, o.clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
			if len(line) > 78 || bytes.ContainsAny(line, "\r\n") || bytes.ContainsFunc(line, func(r rune) bool { return r > 126 || r < ' ' && r != '\t' }) {
				t.Errorf("%s: line %q", tag, line)
			}
		}
		r, err := Read(raw)
		if err != nil || r.Subject != strings.Repeat("確認コードのお知らせ、", 15) {
			t.Errorf("%s: subject %q %v", tag, r.Subject, err)
		}
	}
}

func TestTheTextIsSealedWhileItWaitsAndErasedAfterwards(t *testing.T) {
	o := newOffice(t)
	id := o.enqueue(code("hanako@example.com", "12345678"))
	row := func() (text string, size int) {
		err := o.db.Read(t.Context(), func(tx *store.Tx) error {
			var sealed []byte
			var masked, reply string
			if err := tx.QueryRow("SELECT sealed, masked, reply FROM mail_message WHERE id = $1", id).Scan(&sealed, &masked, &reply); err != nil {
				return err
			}
			text, size = string(sealed)+masked+reply, len(sealed)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return text, size
	}
	for range 2 {
		if text, _ := row(); strings.Contains(text, "12345678") || strings.Contains(text, "hanako") {
			t.Error("code or address lie open in the database")
		}
		o.deliver()
	}
	if _, size := row(); size != 0 {
		t.Error("the text was kept after it was handed over")
	}
	if d := o.delivery(id); d.State != Handed || d.To != "h***@example.com" || d.Server != "memory" || d.Reply != "250 kept in memory" || d.Tries != 1 {
		t.Errorf("%+v", d)
	}
	if len(o.memory.Messages("")) != 1 {
		t.Error("sent more than once")
	}
}

func TestTriesBackOffUntilTheMessageExpires(t *testing.T) {
	o := newOffice(t)
	o.memory.Break(errors.New("dial tcp 192.0.2.25:587: connection refused"))
	m := code("hanako@example.com", "1")
	m.Expires = o.clock.Now().Add(10 * time.Minute)
	id := o.enqueue(m)
	begin := o.clock.Now()
	var at []time.Duration
	for tries := int64(0); o.clock.Now().Before(m.Expires); o.clock.Add(time.Second) {
		o.deliver()
		if d := o.delivery(id); d.Tries != tries {
			tries = d.Tries
			at = append(at, d.At.Sub(begin))
			if d.State != Queued || !strings.Contains(d.Reply, "connection refused") || !d.Next.After(d.At) {
				t.Fatalf("%+v", d)
			}
		}
	}
	want := []time.Duration{0, 5 * time.Second, 20 * time.Second, 50 * time.Second, 110 * time.Second, 230 * time.Second, 530 * time.Second}
	if !slices.Equal(at, want) {
		t.Errorf("tried at %v, want %v", at, want)
	}
	backlog := func() (b Backlog) {
		if err := o.db.Read(t.Context(), func(tx *store.Tx) (err error) { b, err = o.q.Backlog(tx); return err }); err != nil {
			t.Fatal(err)
		}
		return b
	}
	if b := backlog(); b.Waiting != 1 || !b.Since.Equal(begin) || !strings.Contains(b.Reply, "connection refused") {
		t.Errorf("%+v", b)
	}
	o.memory.Break(nil)
	o.deliver()
	if d := o.delivery(id); d.State != Expired || !d.At.Equal(o.clock.Now()) || !strings.Contains(d.Reply, "connection refused") {
		t.Errorf("%+v", d)
	}
	if len(o.memory.Messages("")) != 0 || backlog().Waiting != 0 {
		t.Error("an expired message was sent or still counts")
	}
}

// answers is a transport that says to each address what a mail server would say.
type answers struct {
	mu    sync.Mutex
	say   map[string]error
	order []string
}

func (a *answers) Send(_ context.Context, _, to string, _ []byte) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.order = append(a.order, to)
	return "250 ok", a.say[to]
}

func TestOneRefusalDoesNotHoldUpTheOthers(t *testing.T) {
	o := newOffice(t)
	a := &answers{say: map[string]error{
		"gone@example.com": &Refusal{Code: 550, Reply: "5.1.1 <gone@example.com>: no such\r\nmailbox GONE@EXAMPLE.COM", Final: true},
		"grey@example.com": &Refusal{Code: 451, Reply: "4.7.1 come back later"},
	}}
	o.q = o.queue(a)
	gone := o.enqueue(code("gone@example.com", "1"))
	grey := o.enqueue(code("grey@example.com", "2"))
	good := o.enqueue(code("good@example.com", "3"))
	o.deliver()
	if d := o.delivery(gone); d.State != Refused || d.Reply != "550 5.1.1 <g***@example.com>: no such  mailbox g***@example.com" {
		t.Errorf("%+v", d)
	}
	if d := o.delivery(grey); d.State != Queued || d.Reply != "451 4.7.1 come back later" || !d.Next.Equal(o.clock.Now().Add(5*time.Second)) {
		t.Errorf("%+v", d)
	}
	if d := o.delivery(good); d.State != Handed {
		t.Errorf("%+v", d)
	}
	delete(a.say, "grey@example.com")
	o.clock.Add(5 * time.Second)
	o.deliver()
	if d := o.delivery(grey); d.State != Handed || d.Tries != 2 || d.Reply != "250 ok" {
		t.Errorf("%+v", d)
	}
	if len(a.order) != 4 {
		t.Errorf("a refused message was tried again: %v", a.order)
	}
}

func TestAnUnreachableServerEndsTheRound(t *testing.T) {
	o := newOffice(t)
	a := &answers{say: map[string]error{}}
	o.q = o.queue(a)
	for i := range 50 {
		to := fmt.Sprintf("p%d@example.com", i)
		a.say[to] = errors.New("no route to host")
		o.enqueue(code(to, "1"))
	}
	o.deliver()
	if len(a.order) > batch {
		t.Errorf("%d messages waited for a server that is away", len(a.order))
	}
}

func TestTheMostUrgentGoesFirst(t *testing.T) {
	o := newOffice(t)
	a := &answers{}
	o.q = o.queue(a)
	for i := range 3 * batch {
		o.enqueue(code(fmt.Sprintf("p%d@example.com", i), "1"))
	}
	m := code("urgent@example.com", "1")
	m.Expires = o.clock.Now().Add(10 * time.Minute)
	o.enqueue(m)
	o.deliver()
	if i := slices.Index(a.order, "urgent@example.com"); i < 0 || i >= batch || len(a.order) != 3*batch+1 {
		t.Errorf("came at place %d of %d", i, len(a.order))
	}
}

func TestSeveralNodesSendEachMessageOnce(t *testing.T) {
	o := newOffice(t)
	const messages, nodes = 60, 4
	for i := range messages {
		o.enqueue(code(fmt.Sprintf("p%d@example.com", i), "1"))
	}
	errs := make([]error, nodes)
	var wg sync.WaitGroup
	for i := range nodes {
		q := o.queue(o.memory)
		wg.Go(func() { errs[i] = q.Deliver(t.Context()) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, r := range o.memory.Messages("") {
		seen[r.To]++
	}
	for to, n := range seen {
		if n != 1 {
			t.Errorf("%s got %d messages", to, n)
		}
	}
	if len(seen) != messages {
		t.Errorf("%d of %d arrived", len(seen), messages)
	}
}

func TestWhatADeadNodeCarriedIsSentByAnother(t *testing.T) {
	o := newOffice(t)
	id := o.enqueue(code("hanako@example.com", "1"))
	if claims, err := o.q.claim(t.Context()); err != nil || len(claims) != 1 {
		t.Fatal(claims, err) // and the node that took it is never heard of again
	}
	o.deliver()
	if d := o.delivery(id); d.State != Queued || len(o.memory.Messages("")) != 0 {
		t.Fatal("sent while another node may be sending it")
	}
	o.clock.Add(2 * o.q.cfg.Timeout)
	o.deliver()
	if d := o.delivery(id); d.State != Handed || d.Tries != 2 {
		t.Errorf("%+v", d)
	}
}

func TestEnqueueWakesAfterTheCommitOnly(t *testing.T) {
	o := newOffice(t)
	refused := errors.New("refused")
	err := o.db.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := o.q.Enqueue(tx, code("hanako@example.com", "1")); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) || len(o.q.Wake()) != 0 {
		t.Error("woken by a transaction that failed", err)
	}
	o.enqueue(code("hanako@example.com", "1"))
	o.enqueue(code("hanako@example.com", "2"))
	<-o.q.Wake()
	if len(o.q.Wake()) != 0 {
		t.Error("woken twice for one round")
	}
	o.deliver()
	if n := len(o.memory.Messages("")); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestLatestDeliveriesAndSweep(t *testing.T) {
	o := newOffice(t)
	first := o.enqueue(code("hanako@example.com", "1"))
	second := o.enqueue(code("hanako@example.com", "2"))
	other := code("hanako@example.com", "3")
	other.Purpose = "notice"
	third := o.enqueue(other)
	o.deliver()
	o.clock.Add(24 * time.Hour)
	o.memory.Break(errors.New("away"))
	waiting := o.enqueue(code("hanako@example.com", "4"))
	err := o.db.Write(t.Context(), func(tx *store.Tx) error {
		d, err := o.q.Latest(tx, "a_1", "mailcode")
		if err != nil || d.ID != waiting {
			t.Errorf("latest %+v %v", d, err)
		}
		if _, err := o.q.Latest(tx, "a_1", "reset"); !errors.Is(err, ErrNone) {
			t.Errorf("latest of nothing: %v", err)
		}
		list, err := o.q.Deliveries(tx, "a_1", 3)
		if err != nil || len(list) != 3 || list[0].ID != waiting || list[1].ID != third || list[2].ID != second {
			t.Errorf("%+v %v", list, err)
		}
		if n, err := o.q.Sweep(tx, tx.Now.Add(time.Hour), 100); n != 3 || err != nil {
			t.Errorf("swept %d %v", n, err)
		}
		if _, err := o.q.Delivery(tx, first); !errors.Is(err, ErrNone) {
			t.Errorf("swept message is still there: %v", err)
		}
		_, err = o.q.Delivery(tx, waiting)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNewRefusesAnImpossibleConfiguration(t *testing.T) {
	o := newOffice(t)
	for name, change := range map[string]func(*Config){
		"no sender":        func(c *Config) { c.From = "" },
		"a sender's name":  func(c *Config) { c.From = "SSO <sso@example.ac.jp>" },
		"a broken answer":  func(c *Config) { c.ReplyTo = "help desk" },
		"no way to send":   func(c *Config) { c.Transport = nil },
		"a header in From": func(c *Config) { c.From = "sso@example.ac.jp\r\nBcc: x@example.com" },
	} {
		cfg := config(o.memory)
		change(&cfg)
		if _, err := New(o.db, words(t), o.ring, cfg); err == nil {
			t.Error(name, "is accepted")
		}
	}
}
