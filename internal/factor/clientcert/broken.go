package clientcert

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/store"
)

// A card that refuses its PIN, a PIN window that is closed and a page that is left all
// end the same way: the connection breaks after the certificate was asked for, and the
// browser shows a page of its own. TLS tells no more. What is told about it rests on
// what the person holds and on what the desk last read from the card.

// FieldTry is the form field that names a try whose connection broke.
const FieldTry = "try"

// ownLook is how long a browser takes that breaks off by itself: Chromium does so when
// it is asked, shows its window and connects again. What takes longer waits for a person.
const ownLook = time.Second

// Stranded notes that a connection for a try, which was asked for a certificate at the
// time given, ended before it was made. When that was no browser's own short look it
// returns the sign-in: somebody had chosen or was typing a PIN.
func (x *Attempts) Stranded(tx *store.Tx, label string, asked time.Time) (transaction string, err error) {
	n, err := tx.Exec(`UPDATE clientcert_attempt SET stranded = stranded + 1, stranded_at = CASE WHEN stranded = 0 THEN $2 ELSE stranded_at END
		WHERE label = $1 AND answered_at = 0 AND expires_at > $2`, label, store.Millis(tx.Now))
	if err != nil || n == 0 {
		return "", err
	}
	var first, broken int64
	err = tx.QueryRow("SELECT transaction_id, stranded_at, broken_at FROM clientcert_attempt WHERE label = $1", label).Scan(&transaction, &first, &broken)
	if err != nil || broken != 0 || tx.Now.Sub(asked) < ownLook && asked.Sub(store.Time(first)) < ownLook {
		return "", err
	}
	_, err = tx.Exec("UPDATE clientcert_attempt SET broken_at = $2 WHERE label = $1", label, store.Millis(tx.Now))
	return transaction, err
}

// Alone finds the one try that a broken connection to a host of many can belong to: it
// came from the same address, was under way when the certificate was asked for, and
// there is no other. Where two people share an address and a host nothing is said.
func (x *Attempts) Alone(ctx context.Context, host, client string, asked time.Time) (label string, err error) {
	err = x.db.Read(ctx, func(tx *store.Tx) error {
		label = ""
		var n int64
		var first sql.NullString
		err := tx.QueryRow(`SELECT COUNT(*), MIN(label) FROM clientcert_attempt
			WHERE host = $1 AND client = $2 AND expires_at > $3 AND created_at <= $4 AND answered_at = 0`,
			host, client, store.Millis(tx.Now), store.Millis(asked)).Scan(&n, &first)
		if n == 1 {
			label = first.String
		}
		return err
	})
	return label, err
}

// Untold tells whether the newest try of a sign-in broke and nobody was told why.
func (x *Attempts) Untold(ctx context.Context, transaction string) (bool, error) {
	var l last
	err := x.db.Read(ctx, func(tx *store.Tx) (err error) {
		l, err = newest(tx, transaction)
		return err
	})
	return l.untold(), err
}

// broke reads whether a try of a sign-in broke.
func broke(tx *store.Tx, transaction, label string) (bool, error) {
	var n int64
	err := tx.QueryRow("SELECT COUNT(*) FROM clientcert_attempt WHERE label = $1 AND transaction_id = $2 AND broken_at > 0 AND answered_at = 0",
		label, transaction).Scan(&n)
	return n == 1, err
}

// judgeBroken is the cause of a try that broke, kept with the try.
func (f *Factor) judgeBroken(ctx context.Context, a factor.Attempt, label string) error {
	var fault error
	err := f.Bindings.Read(ctx, func(tx *store.Tx) error {
		ok, err := broke(tx, a.Transaction, label)
		switch {
		case err != nil:
			return err
		case !ok:
			fault = authn.NewFault("C1.late")
			return nil
		}
		fault, err = f.Broken(tx, a)
		return err
	})
	if err != nil {
		return err
	}
	code := authn.AsFault(fault).Code
	err = f.Bindings.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE clientcert_attempt SET refused = $3 WHERE label = $1 AND transaction_id = $2 AND answered_at = 0", label, a.Transaction, string(code))
		return err
	})
	return errors.Join(err, fault)
}

// Broken is the cause when the connection broke after a certificate was asked for:
// for somebody with a card that the card refused, or that it is locked.
func (f *Factor) Broken(tx *store.Tx, a factor.Attempt) (fault error, err error) {
	all, err := f.own(a)
	if err != nil {
		return nil, err
	}
	cards := slices.ContainsFunc(all, func(m mine) bool { return m.Card })
	if !a.Proved || !cards {
		if f.wantsCard(a) {
			return authn.NewFault("K2"), nil
		}
		return f.tell(a, &proof{}, authn.NewFault("C1.broken")), nil
	}
	state, err := f.reading(tx, all)
	switch {
	case err != nil:
		return nil, err
	case state.locked && len(all) == state.cards:
		return f.tell(a, &proof{}, authn.NewFault("K3", "seen", factor.TimeFact(state.seen))), nil
	case state.left > 0:
		return f.tell(a, &proof{}, authn.NewFault("K2", "pin_left", strconv.Itoa(state.left), "seen", factor.TimeFact(state.seen))), nil
	}
	return f.tell(a, &proof{}, authn.NewFault("K2")), nil
}

// wantsCard tells whether nothing but a card would do here.
func (f *Factor) wantsCard(a factor.Attempt) bool {
	return a.Requirement.HardwareBound || a.Requirement.UserVerified || !a.Proved && a.Settings["first_card"] == "true"
}

// cardReading is what the desk last read from the cards of a person.
type cardReading struct {
	cards  int
	locked bool // every card is
	left   int  // PIN tries of the only card; 0: unknown
	seen   time.Time
}

func (f *Factor) reading(tx *store.Tx, all []mine) (r cardReading, err error) {
	locked := 0
	for _, m := range all {
		if !m.Card {
			continue
		}
		r.cards++
		if f.Cards == nil {
			continue
		}
		tries, at, err := f.Cards.Reading(tx, m.Cert)
		if err != nil {
			return r, err
		}
		if tries == 0 {
			locked++
		}
		if tries >= 0 {
			r.left, r.seen = tries, at
		}
	}
	r.locked = r.cards > 0 && locked == r.cards
	if r.cards != 1 {
		r.left = 0
	}
	return r, nil
}
