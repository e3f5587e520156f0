package oidc_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/front/fronttest"
	"seimon/internal/rp"
	"seimon/internal/web/webtest"
)

func TestFrontKeepsThePromisesOfEveryFront(t *testing.T) {
	fronttest.Run(t, func(t *testing.T) fronttest.Harness {
		g := openEmpty(t)
		told := map[string]*receiver{}
		learnt := map[string]fronttest.Assertion{}
		return fronttest.Harness{
			House: g.House,
			Register: func(id string, change func(*rp.Party)) {
				g.client(id, members{"backchannel_logout_uri": "https://" + id + ".example.org/out"}, func(p *rp.Party) {
					p.Release = []rp.Release{{Attribute: "mail"}}
					change(p)
				})
				told[id] = g.hears(id, http.StatusOK)
			},
			Ask: func(id string, passive bool) string {
				v := asking(id)
				if passive {
					v.Set("prompt", "none")
				}
				return address(v)
			},
			Back: func(b *webtest.Browser, id string) bool { return strings.HasPrefix(b.Location(), callback(id)+"?") },
			Learn: func(b *webtest.Browser, id string) (fronttest.Assertion, bool) {
				code := g.answer(b, id).Get("code")
				if code == "" {
					return fronttest.Assertion{}, false
				}
				if a, again := learnt[code]; again {
					return a, true
				}
				r := g.must(g.redeem(id, code), http.StatusOK)
				c := g.claims(r.text("id_token"))
				a := fronttest.Assertion{
					Subject: c["sub"].(string), At: time.Unix(int64(c["auth_time"].(float64)), 0), Attributes: map[string][]string{},
					Level: map[any]authn.Level{"aal1": authn.AAL1, "aal2": authn.AAL2, "aal3": authn.AAL3}[c["acr"]],
				}
				for name, value := range g.must(g.userInfo(r.text("access_token")), http.StatusOK).body {
					if text, ok := value.(string); ok && name == "email" {
						a.Attributes["mail"] = []string{text}
					} else if name != "sub" && name != "email_verified" {
						a.Attributes[name] = []string{"unexpected"}
					}
				}
				learnt[code] = a
				return a, true
			},
			Told: func(id string) int {
				g.work()
				return len(told[id].forms)
			},
		}
	})
}
