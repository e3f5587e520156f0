package totp_test

import (
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/factor/factortest"
	"seimon/internal/factor/totp"
	"seimon/internal/store"
)

func TestConformance(t *testing.T) {
	factortest.Run(t, factortest.Harness{
		Kind:   "totp",
		Traits: authn.Traits{Class: authn.Have, SingleUse: true, AMR: "otp"},
		Words:  totp.Words(), Templates: totp.Templates(),
		Open: func(h factortest.House) factortest.Subject {
			secrets := map[authn.AccountID]string{
				factortest.Owner: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", factortest.Other: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
			}
			code := func(b factor.Binding) string {
				code, _, err := totp.CodeAt(b, h.Clock.Now())
				if err != nil {
					h.T.Fatal(err)
				}
				return code
			}
			return factortest.Subject{
				Factor: totp.New(totp.Config{}, h.Bindings),
				Give: func(account authn.AccountID) {
					row, err := totp.Import(totp.Config{}, account, "phone", secrets[account], h.Clock.Now())
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
				Right: func(a factor.Attempt) factor.Answer { return typed(code(a.Active()[0])) },
				Wrong: func(a factor.Attempt) factor.Answer {
					far, _, err := totp.CodeAt(a.Active()[0], h.Clock.Now().Add(1000*time.Hour))
					if err != nil {
						h.T.Fatal(err)
					}
					return typed(far)
				},
				Secrets: func() []string {
					return []string{secrets[factortest.Owner], "12345678901234567890", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA", strings.ToLower(secrets[factortest.Owner])}
				},
				Enrol: func(a factor.Attempt, _ factor.Prompt) factor.Answer {
					return typed(code(a.Pending()[0]), "label", "tablet")
				},
			}
		},
	})
}
