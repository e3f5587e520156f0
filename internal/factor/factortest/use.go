package factortest

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"sync"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/store"
)

// once checks that an answer of a single-use factor proves once, and any other again.
func (b *bench) once() {
	a := b.challenged(Owner)
	answer := b.Right(a)
	v, err := b.verify(a, answer)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.commit(v.Commit); err != nil {
		b.t.Fatal(err)
	}
	late := b.commit(v.Commit)
	fresh := b.within(Owner, a.Transaction)
	_, again := b.verify(fresh, answer)
	if !b.h.single() {
		if late != nil || again != nil {
			b.t.Errorf("a second time: %v, %v", late, again)
		}
		return
	}
	b.mustFault("the same proof made final twice", late)
	b.mustFault("the same answer again", again)
}

// concurrent lets many requests bring the same answer at the same time, as on many nodes.
func (b *bench) concurrent() {
	const requests = 8
	a := b.challenged(Owner)
	answer := b.Right(a)
	errs := make([]error, requests)
	var wg sync.WaitGroup
	for i := range requests {
		wg.Go(func() {
			v, err := b.Factor.Verify(context.Background(), a, answer)
			if err == nil {
				err = b.commit(v.Commit)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	let := 0
	for _, err := range errs {
		if err == nil {
			let++
		} else {
			b.mustFault("one of many requests", err)
		}
	}
	if want := map[bool]int{true: 1, false: requests}[b.h.single()]; let != want {
		b.t.Errorf("%d of %d requests were let in, want %d", let, requests, want)
	}
}

// rolledBack: Commit may run in a transaction that fails later, and then again.
func (b *bench) rolledBack() {
	a := b.challenged(Owner)
	v, err := b.verify(a, b.Right(a))
	if err != nil {
		b.t.Fatal(err)
	}
	undo := errors.New("undone")
	for range 2 {
		if err := b.commit(func(tx *store.Tx) error { return errors.Join(v.Commit(tx), undo) }); !errors.Is(err, undo) || authn.AsFault(err) != nil {
			b.t.Fatalf("in a transaction that fails: %v", err)
		}
	}
	if err := b.commit(v.Commit); err != nil {
		b.t.Errorf("a proof was used up by a transaction that failed: %v", err)
	}
}

func (b *bench) removed() {
	a := b.challenged(Owner)
	answer := b.Right(a)
	v, err := b.verify(a, answer)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.commit(func(tx *store.Tx) error { return b.Bindings.Remove(tx, a.Active()[0].ID) }); err != nil {
		b.t.Fatal(err)
	}
	b.mustFault("removed between answer and end", b.commit(v.Commit))
	_, err = b.verify(b.within(Owner, a.Transaction), answer)
	b.mustFault("removed", err)
}

func (b *bench) pending() {
	a := b.challenged(Owner)
	answer := b.Right(a)
	for i := range a.Bindings {
		a.Bindings[i].State = factor.Pending
	}
	_, err := b.verify(a, answer)
	b.mustFault("a set-up that was never finished", err)
}

func (b *bench) damaged() {
	a := b.challenged(Owner)
	answer := b.Right(a)
	for _, payload := range []string{"", "{", `{"v":99}`, "null", "\x00\x01"} {
		for i := range a.Bindings {
			a.Bindings[i].Payload = []byte(payload)
		}
		if _, err := b.verify(a, answer); err == nil || authn.AsFault(err) != nil || errors.Is(err, factor.ErrMore) {
			b.t.Errorf("payload %q gives %v: people would be told that they were wrong", payload, err)
		}
	}
}

// sealed looks through the tables, and through the file itself on SQLite.
func (b *bench) sealed() {
	a := b.challenged(Owner)
	v, err := b.verify(a, b.Right(a))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.commit(v.Commit); err != nil {
		b.t.Fatal(err)
	}
	secrets := b.Secrets()
	if len(secrets) == 0 {
		b.t.Fatal("the harness names no secret")
	}
	for where, raw := range b.raw() {
		for _, s := range secrets {
			if strings.Contains(raw, s) || strings.Contains(raw, hex.EncodeToString([]byte(s))) {
				b.t.Errorf("%s holds %q", where, s)
			}
		}
	}
}

// raw gives everything an onlooker of the database sees.
func (b *bench) raw() map[string]string {
	b.t.Helper()
	out := map[string]string{}
	err := b.DB.Read(b.t.Context(), func(tx *store.Tx) error {
		if b.DB.Flavour() == store.SQLite {
			var file string
			if err := tx.QueryRow("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file); err != nil {
				return err
			}
			for _, name := range []string{file, file + "-wal"} {
				bytes, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				out[name] = string(bytes)
			}
			return nil
		}
		for _, table := range append([]string{"factor_binding"}, b.h.Tables...) {
			rows, err := tx.Query("SELECT CAST(x AS TEXT) FROM " + table + " x")
			if err != nil {
				return err
			}
			var all strings.Builder
			for rows.Next() {
				var row string
				if err := rows.Scan(&row); err != nil {
					return errors.Join(err, rows.Close())
				}
				all.WriteString(row)
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				return err
			}
			out[table] = all.String()
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// reloaded: the same transaction is asked the same, and a right answer to the first
// showing still proves after the second.
func (b *bench) reloaded() {
	a := b.challenged(Owner)
	answer := b.Right(a)
	first, err := b.Factor.Challenge(b.t.Context(), a)
	if err != nil {
		b.t.Fatal(err)
	}
	second, err := b.Factor.Challenge(b.t.Context(), a)
	if err != nil || first.Template != second.Template || first.Title != second.Title || first.Button != second.Button {
		b.t.Errorf("%+v, then %+v, %v", first, second, err)
	}
	v, err := b.verify(a, answer)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.commit(v.Commit); err != nil {
		b.t.Error(err)
	}
}

// held: what the account is said to hold is what its proof turns out to be worth.
func (b *bench) held() {
	set := factor.Set{b.Factor}
	if got := set.Authenticators(b.attempt(Other).Bindings); len(got) != 0 {
		b.t.Errorf("an account without the factor holds %+v", got)
	}
	a := b.attempt(Owner)
	got := set.Authenticators(a.Bindings)
	if len(got) != 1 || got[0].Kind != b.h.Kind || got[0].Traits != b.h.worth() {
		b.t.Errorf("one binding is said to be %+v", got)
	}
	for i := range a.Bindings {
		a.Bindings[i].State = factor.Pending
	}
	if got := set.Authenticators(a.Bindings); len(got) != 0 {
		b.t.Errorf("a set-up that was never finished counts as %+v", got)
	}
}

// identified: a proof that comes before any name finds its account, and none other.
func (b *bench) identified() {
	i, ok := b.Factor.(factor.Identifier)
	if !ok {
		return
	}
	nobody := func() factor.Attempt {
		a := b.attempt(Owner)
		a.Subject, a.Bindings, a.Proved = authn.Subject{}, nil, false
		return a
	}
	b.Give(Other)
	for _, who := range []authn.AccountID{Owner, Other} {
		a := nobody()
		mine := b.within(who, a.Transaction)
		account, v, err := i.Identify(b.t.Context(), a, b.Right(mine))
		if err != nil || account != who || v.Evidence.Binding != mine.Active()[0].ID || v.Evidence.Traits != b.h.worth() {
			b.t.Fatalf("%s is found as %q with %+v: %v", who, account, v.Evidence, err)
		}
		if err := b.commit(v.Commit); err != nil {
			b.t.Error(err)
		}
		if b.h.single() {
			account, _, err = i.Identify(b.t.Context(), a, b.Right(mine))
			if err == nil && account != who {
				b.t.Errorf("the next answer finds %q", account)
			}
		}
	}
	a := nobody()
	account, v, err := i.Identify(b.t.Context(), a, b.Wrong(b.within(Owner, a.Transaction)))
	b.mustFault("wrong answer", err)
	if account != "" || v.Commit != nil {
		b.t.Errorf("a wrong answer finds %q", account)
	}
	answer := b.Right(b.within(Owner, a.Transaction))
	account, _, err = i.Identify(b.t.Context(), nobody(), answer)
	b.mustFault("the answer of another sign-in", err)
	if account != "" {
		b.t.Errorf("the answer of another sign-in finds %q", account)
	}
}
