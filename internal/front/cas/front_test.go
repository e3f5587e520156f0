package cas_test

import (
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
		learnt := map[string]fronttest.Assertion{}
		return fronttest.Harness{
			House: g.House,
			Register: func(id string, change func(*rp.Party)) {
				g.service(id, members{"user": "subject"}, func(p *rp.Party) {
					p.Release = []rp.Release{{Attribute: "mail"}}
					change(p)
				})
			},
			Ask: func(id string, passive bool) string {
				if passive {
					return enter(home(id), "gateway", "true")
				}
				return enter(home(id))
			},
			Back: func(b *webtest.Browser, id string) bool { return b.Left() && strings.HasPrefix(b.Location(), home(id)) },
			Learn: func(b *webtest.Browser, id string) (fronttest.Assertion, bool) {
				ticket := b.URL.Query().Get("ticket")
				if !b.Left() || ticket == "" {
					return fronttest.Assertion{}, false
				}
				if a, again := learnt[ticket]; again {
					return a, true
				}
				r := g.validate("p3/serviceValidate", "service", home(id), "ticket", ticket)
				if r.User == "" {
					t.Fatalf("a fresh ticket is not good: %s", r.raw)
				}
				at, err := time.Parse(time.RFC3339, r.of("authenticationDate")[0])
				if err != nil {
					t.Fatal(err)
				}
				a := fronttest.Assertion{
					Subject: r.User, At: at, Attributes: map[string][]string{},
					Level: map[string]authn.Level{"aal1": authn.AAL1, "aal2": authn.AAL2, "aal3": authn.AAL3}[r.of("acr")[0]],
				}
				for _, v := range r.Values.All {
					switch name := v.XMLName.Local; name {
					case "authenticationDate", "longTermAuthenticationRequestTokenUsed", "isFromNewLogin", "acr", "amr":
					default:
						a.Attributes[name] = append(a.Attributes[name], v.Text)
					}
				}
				learnt[ticket] = a
				return a, true
			},
			Told: func(id string) (n int) {
				g.work()
				for i, r := range g.wire.seen {
					if r.URL.String() == home(id) && strings.Contains(g.wire.bodies[i].Get("logoutRequest"), "<samlp:LogoutRequest ") {
						n++
					}
				}
				return n
			},
		}
	})
}
