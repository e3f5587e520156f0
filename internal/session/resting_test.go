package session_test

import (
	"errors"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/session"
	"seimon/internal/store"
)

func TestSessionsEndWithWhatTheyRestOn(t *testing.T) {
	r := newRoom(t, session.Config{})
	open := func(account authn.AccountID, bindings ...string) string {
		var s session.Session
		r.write(func(tx *store.Tx) (err error) {
			var evidence []authn.Evidence
			for _, b := range bindings {
				evidence = append(evidence, authn.Evidence{Kind: authn.Kind("k" + b), Binding: b, At: tx.Now})
			}
			s, _, err = r.k.Open(tx, session.Session{Subject: authn.Subject{Account: account}, Evidence: evidence})
			return err
		})
		return s.ID
	}
	cert, both, other, stranger := open("a_1", "b_cert"), open("a_1", "b_password", "b_cert"), open("a_1", "b_password"), open("a_2", "b_cert")
	r.write(func(tx *store.Tx) error {
		if none, err := r.k.EndResting(tx, "a_1", "", "x"); err != nil || len(none) > 0 {
			t.Errorf("no binding ends %v, %v", none, err)
		}
		ended, err := r.k.EndResting(tx, "a_1", "b_cert", "certificate revoked")
		if len(ended) != 2 {
			t.Errorf("%d sessions ended", len(ended))
		}
		return err
	})
	r.write(func(tx *store.Tx) error {
		for id, alive := range map[string]bool{cert: false, both: false, other: true, stranger: true} {
			if _, err := r.k.Get(tx, id); errors.Is(err, session.ErrNone) == alive {
				t.Errorf("%s: %v", id, err)
			}
		}
		return nil
	})
}
