package factortest

import (
	"errors"

	"seimon/internal/authn"
	"seimon/internal/factor"
)

// maxQuestions bounds the questions of an enrolment.
const maxQuestions = 5

// enroller gives the factor as one that people set up, for an account without it.
func (b *bench) enroller() (factor.Enroller, bool) {
	e, ok := b.Factor.(factor.Enroller)
	if ok != (b.Enrol != nil) {
		b.t.Fatal("the harness and the factor do not agree on whether people can set it up")
	}
	return e, ok
}

// finish answers the questions of an enrolment in a transaction until it is finished.
func (b *bench) finish(e factor.Enroller, account authn.AccountID, transaction string) factor.Enrolled {
	b.t.Helper()
	for range maxQuestions {
		shown, err := e.Begin(b.t.Context(), b.within(account, transaction))
		if err != nil {
			b.t.Fatal(err)
		}
		a := b.within(account, transaction)
		done, err := e.Finish(b.t.Context(), a, b.Enrol(a, shown))
		if err == nil {
			return done
		}
		if !errors.Is(err, factor.ErrMore) {
			b.t.Fatal(err)
		}
	}
	b.t.Fatalf("after %d questions there is another one", maxQuestions)
	return factor.Enrolled{}
}

func (b *bench) enrolment() {
	e, ok := b.enroller()
	if !ok {
		return
	}
	trx := authn.NewID("trx")
	shown, err := e.Begin(b.t.Context(), b.within(Other, trx))
	if err != nil {
		b.t.Fatal(err)
	}
	if shown.Template == "" || shown.Title == "" || shown.Button == "" {
		b.t.Errorf("prompt %+v", shown)
	}
	if got := b.within(Other, trx).Active(); len(got) != 0 {
		b.t.Errorf("active before anything was confirmed: %+v", got)
	}
	done := b.finish(e, Other, trx)
	if got := b.within(Other, trx).Active(); len(got) != 0 {
		b.t.Errorf("active before Commit: %+v", got)
	}
	if err := b.commit(done.Commit); err != nil {
		b.t.Fatal(err)
	}
	active := b.within(Other, trx).Active()
	if len(active) != 1 || active[0].ID != done.Binding.ID || active[0].Kind != b.h.Kind || active[0].Label != done.Binding.Label {
		b.t.Errorf("active afterwards: %+v, announced %+v", active, done.Binding)
	}
	if ev := done.Evidence; ev != nil && (ev.Kind != b.h.Kind || ev.Binding != done.Binding.ID || ev.Traits != b.h.worth() || !ev.At.Equal(b.Clock.Now())) {
		b.t.Errorf("evidence %+v", ev)
	}
	if got := b.within(Owner, trx).Active(); len(got) != 1 {
		b.t.Errorf("another account has %d bindings now", len(got))
	}
}

func (b *bench) enrolledOnce() {
	e, ok := b.enroller()
	if !ok {
		return
	}
	done := b.finish(e, Other, authn.NewID("trx"))
	if err := b.commit(done.Commit); err != nil {
		b.t.Fatal(err)
	}
	b.mustFault("made final twice", b.commit(done.Commit))
	if got := b.attempt(Other).Active(); len(got) != 1 {
		b.t.Errorf("%d bindings", len(got))
	}
}

// enrolledElsewhere: what was begun in one place is not finished in another.
func (b *bench) enrolledElsewhere() {
	e, ok := b.enroller()
	if !ok {
		return
	}
	here := b.attempt(Other)
	shown, err := e.Begin(b.t.Context(), here)
	if err != nil {
		b.t.Fatal(err)
	}
	for range maxQuestions {
		a := b.within(Other, here.Transaction)
		answer := b.Enrol(a, shown)
		if len(a.Pending()) > 0 {
			_, err := e.Finish(b.t.Context(), b.attempt(Other), answer)
			if err == nil {
				b.t.Error("another transaction finished it")
			}
			return
		}
		if _, err := e.Finish(b.t.Context(), a, answer); !errors.Is(err, factor.ErrMore) {
			return // nothing is left half-done by this kind
		}
		if shown, err = e.Begin(b.t.Context(), a); err != nil {
			b.t.Fatal(err)
		}
	}
}
