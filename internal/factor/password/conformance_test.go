package password_test

import (
	"net/url"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/factor/factortest"
	"seimon/internal/factor/password"
	"seimon/internal/store"
)

func TestConformance(t *testing.T) {
	factortest.Run(t, factortest.Harness{
		Kind:   "password",
		Traits: authn.Traits{Class: authn.Know, First: true, AMR: "pwd"},
		Words:  password.Words(), Templates: password.Templates(),
		Open: func(h factortest.House) factortest.Subject {
			f := password.New(password.Config{Memory: 64, Time: 1, Queue: 64}, h.Bindings)
			return factortest.Subject{
				Factor: f,
				Give: func(account authn.AccountID) {
					row, err := f.Prepare(h.T.Context(), account, secret, h.Clock.Now())
					if err != nil {
						h.T.Fatal(err)
					}
					if err := h.DB.Write(h.T.Context(), func(tx *store.Tx) error {
						_, err := h.Bindings.Add(tx, row)
						return err
					}); err != nil {
						h.T.Fatal(err)
					}
				},
				Right:   func(factor.Attempt) factor.Answer { return answer(secret) },
				Wrong:   func(factor.Attempt) factor.Answer { return answer("not the password") },
				Secrets: func() []string { return []string{secret, "argon2id"} },
				Enrol: func(factor.Attempt, factor.Prompt) factor.Answer {
					return factor.Answer{Form: url.Values{"new": {"a quite new long secret"}, "repeat": {"a quite new long secret"}}}
				},
			}
		},
	})
}
