package factortest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/url"
	"strings"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/lang"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// The accounts of the suite. Only Owner has the factor; Other gets one where a test says so.
const (
	Owner authn.AccountID = "acc_owner"
	Other authn.AccountID = "acc_other"
)

// Harness is what the suite has to know of a kind.
type Harness struct {
	Kind   authn.Kind
	Traits authn.Traits // as the table of the house gives them
	// Evidence are the traits of a proof by what Give sets up, where a kind holds
	// bindings of different worth; the zero value says that they are Traits.
	Evidence authn.Traits
	// Spent says that an answer is used up although it is no one-time code.
	Spent     bool
	Words     lang.Source
	Templates fs.FS
	// More are further words that the kind needs, such as those of mail.
	More []lang.Source
	// Tables lists the tables in which nothing secret may be readable; Schemas makes them.
	Tables  []string
	Schemas []store.Schema
	// Open makes the factor in a house.
	Open func(h House) Subject
}

// House is what a factor is built from.
type House struct {
	T        testing.TB
	DB       *store.DB
	Clock    *storetest.Clock
	Ring     *keyring.Ring
	Bindings *factor.Bindings
	Words    *lang.Words
}

// Subject is a factor under test and the hands of a person who has it.
type Subject struct {
	Factor factor.Factor
	// Give sets the factor up for an account without its enrolment.
	Give func(account authn.AccountID)
	// Right gives the answer that proves now, after the challenge of a was shown.
	Right func(a factor.Attempt) factor.Answer
	// Wrong gives an answer of the right shape that proves nothing.
	Wrong func(a factor.Attempt) factor.Answer
	// Secrets lists what must not be readable in the database.
	Secrets func() []string
	// Enrol answers the questions of the factor's enrolment, one after the other: given
	// the prompt that is shown, the right answer. nil when people cannot set it up.
	Enrol func(a factor.Attempt, shown factor.Prompt) factor.Answer
}

// worth are the traits of a proof.
func (h Harness) worth() authn.Traits {
	if h.Evidence == (authn.Traits{}) {
		return h.Traits
	}
	return h.Evidence
}

// single tells whether an answer proves only once.
func (h Harness) single() bool { return h.Traits.SingleUse || h.Spent }

// bench is one house with one factor.
type bench struct {
	House
	Subject
	h Harness
	t *testing.T
}

// Run runs the whole suite.
func Run(t *testing.T, h Harness) {
	for name, test := range map[string]func(*bench){
		"traits are those of the house":        (*bench).traits,
		"right answer is evidence":             (*bench).right,
		"wrong answer is a fault":              (*bench).wrong,
		"garbage is a fault":                   (*bench).garbage,
		"unknown account looks like a mistake": (*bench).unknown,
		"answer proves as often as promised":   (*bench).once,
		"concurrent answers":                   (*bench).concurrent,
		"a failed transaction uses nothing up": (*bench).rolledBack,
		"removed binding proves nothing":       (*bench).removed,
		"one account's answer, another's name": (*bench).others,
		"pending binding proves nothing":       (*bench).pending,
		"damaged payload is no fault":          (*bench).damaged,
		"nothing secret lies open":             (*bench).sealed,
		"challenge is the same when reloaded":  (*bench).reloaded,
		"what is held is what is proved":       (*bench).held,
		"proof before the name":                (*bench).identified,
		"request that has gone":                (*bench).gone,
		"enrolment":                            (*bench).enrolment,
		"enrolment is finished once":           (*bench).enrolledOnce,
		"enrolment belongs to its transaction": (*bench).enrolledElsewhere,
		"words":                                (*bench).words,
		"pages":                                (*bench).pages,
	} {
		t.Run(name, func(t *testing.T) { test(open(t, h)) })
	}
}

func open(t *testing.T, h Harness) *bench {
	schemas := append([]store.Schema{keyring.Schema(), factor.Schema()}, h.Schemas...)
	db, clock := storetest.Open(t, schemas...)
	ring := keyringtest.Open(t, db, bytes.Repeat([]byte{3}, 32))
	words, err := lang.New(nil, append([]lang.Source{h.Words}, h.More...)...)
	if err != nil {
		t.Fatal(err)
	}
	house := House{T: t, DB: db, Clock: clock, Ring: ring, Bindings: factor.NewBindings(db, ring), Words: words}
	b := &bench{House: house, h: h, t: t}
	b.Subject = h.Open(house)
	b.Give(Owner)
	return b
}

// attempt is a try of an account in a transaction of its own.
func (b *bench) attempt(account authn.AccountID) factor.Attempt {
	return b.within(account, authn.NewID("trx"))
}

func (b *bench) within(account authn.AccountID, transaction string) factor.Attempt {
	b.t.Helper()
	a := factor.Attempt{
		Subject: authn.Subject{Account: account, UserName: "s1234567"}, Transaction: transaction,
		Lang: lang.EN, Now: b.Clock.Now(), Memory: map[string]string{}, Proved: !b.h.Traits.First,
		Person: factor.Profile{Names: []string{"青葉", "花子", "Aoba", "Hanako"}},
	}
	if err := b.DB.Read(b.t.Context(), func(tx *store.Tx) (err error) {
		var all []factor.Binding
		all, err = b.Bindings.Of(tx, account)
		a.Bindings = all
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return a
}

// challenged is an attempt whose question was shown.
func (b *bench) challenged(account authn.AccountID) factor.Attempt {
	b.t.Helper()
	a := b.attempt(account)
	if _, err := b.Factor.Challenge(b.t.Context(), a); err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *bench) verify(a factor.Attempt, ans factor.Answer) (factor.Verified, error) {
	return b.Factor.Verify(b.t.Context(), a, ans)
}

func (b *bench) commit(fn func(*store.Tx) error) error { return b.DB.Write(context.Background(), fn) }

// mustFault fails unless err is a fault with a code.
func (b *bench) mustFault(what string, err error) *authn.Fault {
	b.t.Helper()
	f := authn.AsFault(err)
	if f == nil || f.Code == "" {
		b.t.Errorf("%s: %v, which is no fault", what, err)
		return &authn.Fault{}
	}
	return f
}

func (b *bench) traits() {
	if got := b.Factor.Kind(); got != b.h.Kind {
		b.t.Errorf("kind %q", got)
	}
	if got := b.Factor.Traits(); got != b.h.Traits {
		b.t.Errorf("traits %+v, the house says %+v", got, b.h.Traits)
	}
}

func (b *bench) right() {
	a := b.challenged(Owner)
	v, err := b.verify(a, b.Right(a))
	if err != nil {
		b.t.Fatal(err)
	}
	e := v.Evidence
	if e.Kind != b.h.Kind || e.Traits != b.h.worth() || !e.At.Equal(a.Now) {
		b.t.Errorf("evidence %+v", e)
	}
	if e.Binding == "" || e.Binding != a.Active()[0].ID {
		b.t.Errorf("evidence names the binding %q", e.Binding)
	}
	if v.Commit == nil {
		b.t.Fatal("nothing makes it final")
	}
	if err := b.commit(v.Commit); err != nil {
		b.t.Fatal(err)
	}
	if used := b.attempt(Owner).Active()[0].Used; !used.Equal(b.Clock.Now()) {
		b.t.Errorf("the use is not noted: %v", used)
	}
}

func (b *bench) wrong() {
	a := b.challenged(Owner)
	v, err := b.verify(a, b.Wrong(a))
	b.mustFault("wrong answer", err)
	if v.Commit != nil || v.Evidence.Kind != "" {
		b.t.Errorf("a wrong answer comes with %+v", v)
	}
	if used := b.attempt(Owner).Active()[0].Used; !used.IsZero() {
		b.t.Error("a wrong answer counts as use")
	}
	if _, err := b.verify(a, b.Right(a)); err != nil {
		b.t.Errorf("the right answer after a wrong one: %v", err)
	}
}

func (b *bench) garbage() {
	a := b.challenged(Owner)
	good := b.Right(a).Form
	texts := []string{"", " ", "\x00", "\xff\xfe", strings.Repeat("9", 100_000), "０", "<script>", "' OR 1=1 --", "-1", "null"}
	for _, text := range texts {
		form := url.Values{}
		for name := range good {
			form.Set(name, text)
		}
		_, err := b.verify(a, factor.Answer{Form: form})
		b.mustFault("garbage", err)
	}
	for what, form := range map[string]url.Values{"no form": nil, "empty form": {}, "other fields": {"x": {"y"}}} {
		_, err := b.verify(a, factor.Answer{Form: form})
		b.mustFault(what, err)
	}
}

func (b *bench) unknown() {
	if !b.h.Traits.First {
		return // asked only of people who are known by then
	}
	a := b.challenged(Owner)
	_, err := b.verify(a, b.Wrong(a))
	want := b.mustFault("wrong answer", err)
	nobody := b.attempt(Owner)
	nobody.Subject, nobody.Bindings = authn.Subject{}, nil
	shown, err := b.Factor.Challenge(b.t.Context(), nobody)
	if known, errKnown := b.Factor.Challenge(b.t.Context(), a); err != nil || errKnown != nil || shown != known {
		b.t.Errorf("an unknown account is asked %+v (%v), a known one %+v (%v)", shown, err, known, errKnown)
	}
	without := b.attempt(Other)
	for who, x := range map[string]factor.Attempt{"unknown account": nobody, "account without the factor": without} {
		_, err := b.verify(x, b.Wrong(a))
		got := b.mustFault(who, err)
		if got.Code != want.Code || len(got.Facts) != len(want.Facts) {
			b.t.Errorf("%s: %s %v, a wrong answer: %s %v", who, got.Code, got.Facts, want.Code, want.Facts)
		}
		if _, err := b.verify(x, b.Right(a)); b.mustFault(who, err).Code != want.Code {
			b.t.Errorf("%s with somebody's right answer: %v", who, err)
		}
	}
}

func (b *bench) others() {
	b.Give(Other)
	owner := b.challenged(Owner)
	answer := b.Right(owner)
	if v, err := b.verify(owner, answer); err != nil {
		b.t.Fatal(err)
	} else if v.Evidence.Binding != owner.Active()[0].ID {
		b.t.Errorf("evidence for %q", v.Evidence.Binding)
	}
	if b.h.Traits.First {
		return // two people may have the same password
	}
	other := b.challenged(Other)
	_, err := b.verify(other, answer)
	b.mustFault("the answer of another account", err)
}

func (b *bench) gone() {
	a := b.challenged(Owner)
	answer := b.Right(a)
	ctx, cancel := context.WithCancel(b.t.Context())
	cancel()
	v, err := b.Factor.Verify(ctx, a, answer)
	if err != nil && !errors.Is(err, context.Canceled) {
		b.t.Errorf("neither an answer nor the end of the request: %v", err)
	}
	if err == nil && b.commit(v.Commit) != nil {
		b.t.Error("the proof does not hold")
	}
}
