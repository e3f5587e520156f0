package login_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/login"
	"seimon/internal/login/logintest"
	"seimon/internal/policy"
	"seimon/internal/store"
)

// TestNoWayInIsWeakerThanTheRule walks every combination of service, network, way of
// asking and equipment to its end and compares what the service was told with what
// the rule asks: an outcome without a fault must rest on evidence that meets it.
func TestNoWayInIsWeakerThanTheRule(t *testing.T) {
	asks := []string{"", "?force=1", "?passive=1", "?max_age=1h", "?classes=2", "?pick=1", "?hint=s2222222", "?consent=1"}
	for _, app := range []bool{false, true} {
		t.Run(fmt.Sprintf("app=%v", app), func(t *testing.T) {
			g := open(t)
			a := g.Person("s2222222")
			if app {
				g.App(a.ID)
			}
			for _, party := range []string{"library", "webmail", "payroll", "notices"} {
				for _, from := range []string{logintest.Campus, logintest.Eduroam, logintest.Home, logintest.Campus6, logintest.Foreign6} {
					for _, ask := range asks {
						g.walkIn(party, from, ask, a.ID)
						g.Clock.Add(time.Minute)
					}
				}
			}
			judge(t, g)
		})
	}
}

// walkIn signs in once from scratch and once more in the live session, giving
// whatever is asked as far as the person has it.
func (g *gate) walkIn(party, from, ask string, account authn.AccountID) {
	b := g.browser(from)
	for range 2 {
		b.Get("/enter/" + party + ask)
		for range 8 {
			switch {
			case b.Left() || b.Status != 200:
			case b.Field("kind") == "password":
				b.Submit("次へ", "password", logintest.Password)
				continue
			case b.Field("kind") == "totp" && strings.Contains(b.Text(), "アプリに表示されている"):
				g.Clock.Add(31 * time.Second)
				b.Submit("次へ", "code", g.Code(account, 0))
				continue
			case b.Has("次へ") && strings.Contains(b.Text(), "ユーザー名"):
				b.Submit("次へ", "username", "s2222222")
				continue
			}
			break
		}
	}
}

// judge holds each outcome against the rule for the place it came from.
func judge(t *testing.T, g *gate) {
	t.Helper()
	let, kept := 0, 0
	for _, o := range g.front.Outcomes() {
		if o.Fault != nil {
			kept++
			if o.Session.ID != "" || o.Subject.Account != "" || len(o.Attributes) > 0 {
				t.Errorf("%s, %s: a refusal carries %+v", o.Party.ID, o.Zone.Name, o)
			}
			continue
		}
		let++
		if err := meets(g, o); err != nil {
			t.Errorf("%s from %s: %v; evidence %+v", o.Party.ID, o.Zone.Name, err, o.Evidence)
		}
		if got := authn.Assess(o.Evidence); got.Level != o.Assurance.Level {
			t.Errorf("%s from %s: told %v instead of %v", o.Party.ID, o.Zone.Name, o.Assurance.Level, got.Level)
		}
	}
	if let < 40 || kept < 5 {
		t.Fatalf("only %d were let in and %d kept out: the walk did not go far enough", let, kept)
	}
}

func meets(g *gate, o login.Outcome) error {
	var r policy.Ruling
	err := g.DB.Read(g.T.Context(), func(tx *store.Tx) error {
		doc, _, err := g.Policy.Active(tx)
		r = doc.Rule(policy.Question{Service: o.Party.ID, Groups: []string{"student"}, Zone: o.Zone})
		return err
	})
	if err != nil {
		return err
	}
	need := r.Requirement
	need.Fresh = 0 // freshness is judged at the moment of the decision, which has passed
	if strings.Contains(string(o.Request), `"classes"`) {
		need = need.Stricter(authn.Requirement{Classes: 2})
	}
	if !policy.Met(need, o.Evidence, false, o.Evidence[0].At) {
		return fmt.Errorf("rule %q asks for %+v", r.Name, need)
	}
	return nil
}
