package policy_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/policy"
)

var now = time.Date(2026, 4, 6, 9, 30, 0, 0, time.UTC)

// houseFactors is the table of the house: every factor with the traits it is worth.
func houseFactors() []authn.Authenticator {
	const know, have, are = authn.Know, authn.Have, authn.Are
	return []authn.Authenticator{
		{Kind: "password", Traits: authn.Traits{Class: know, First: true, AMR: "pwd"}},
		{Kind: "totp", Traits: authn.Traits{Class: have, SingleUse: true, AMR: "otp"}},
		{Kind: "mailcode", Traits: authn.Traits{SingleUse: true}},
		{Kind: "clientcert", Traits: authn.Traits{Class: have, PhishingResistant: true, AMR: "swk"}},
		{Kind: "card", Traits: authn.Traits{Class: have | know, PhishingResistant: true, HardwareBound: true, UserVerified: true, First: true, AMR: "sc"}},
		{Kind: "synced", Traits: authn.Traits{Class: have | are, PhishingResistant: true, UserVerified: true, First: true}},
		{Kind: "synced-touch", Traits: authn.Traits{Class: have, PhishingResistant: true}},
		{Kind: "bound", Traits: authn.Traits{Class: have | are, PhishingResistant: true, HardwareBound: true, UserVerified: true, First: true}},
		{Kind: "matrix", Traits: authn.Traits{Class: have}},
		{Kind: "recovery", Traits: authn.Traits{Class: have, SingleUse: true, RecoveryOnly: true}},
		{Kind: "deskpass", Traits: authn.Traits{Class: have, SingleUse: true}},
	}
}

func factor(kind authn.Kind) authn.Authenticator {
	for _, f := range houseFactors() {
		if f.Kind == kind {
			return f
		}
	}
	panic(kind)
}

func factors(kinds string) []authn.Authenticator {
	var out []authn.Authenticator
	for _, k := range strings.Fields(kinds) {
		out = append(out, factor(authn.Kind(k)))
	}
	return out
}

// proofs makes evidence from words such as "password" or "totp@6m" (six minutes old).
func proofs(words string) []authn.Evidence {
	var out []authn.Evidence
	for _, w := range strings.Fields(words) {
		kind, age, _ := strings.Cut(w, "@")
		old, _ := time.ParseDuration(age)
		f := factor(authn.Kind(kind))
		out = append(out, authn.Evidence{Kind: f.Kind, Traits: f.Traits, At: now.Add(-old)})
	}
	return out
}

func TestMetTable(t *testing.T) {
	one := authn.Requirement{}
	two := authn.Requirement{Classes: 2}
	named := authn.Requirement{Kinds: []authn.Kind{"totp", "mailcode"}}
	twoNamed := authn.Requirement{Classes: 2, Kinds: []authn.Kind{"totp", "mailcode"}}
	fresh := authn.Requirement{Classes: 2, Fresh: 5 * time.Minute}
	phish := authn.Requirement{PhishingResistant: true}
	hard := authn.Requirement{Classes: 2, PhishingResistant: true, HardwareBound: true, UserVerified: true}
	waived := authn.Requirement{Classes: 2, TrustedBrowser: true}
	none := authn.Requirement{Kinds: []authn.Kind{authn.KindNone}, TrustedBrowser: true}
	for _, c := range []struct {
		name     string
		r        authn.Requirement
		evidence string
		trusted  bool
		want     bool
	}{
		{"nothing proved", one, "", false, false},
		{"password alone", one, "password", false, true},
		{"a second factor is no first", one, "totp", false, false},
		{"second factors alone never", two, "totp matrix clientcert", false, false},
		{"recovery opens no service", one, "recovery", false, false},
		{"recovery is no second class", two, "password recovery", false, false},
		{"password and app", two, "password totp", false, true},
		{"password and grid card", two, "password matrix", false, true},
		{"password and desk pass", two, "password deskpass", false, true},
		{"mail code is no class", two, "password mailcode", false, false},
		{"mail code where named", named, "password mailcode", false, true},
		{"app where named", named, "password totp", false, true},
		{"not the kind that was named", named, "password matrix", false, false},
		{"naming a mail code does not make it a class", twoNamed, "password mailcode", false, false},
		{"two classes by a named kind", twoNamed, "password totp", false, true},
		{"two classes, none of a named kind", twoNamed, "password matrix", false, false},
		{"named kind and class by another", twoNamed, "password mailcode matrix", false, true},
		{"card alone", two, "card", false, true},
		{"synced passkey alone", two, "synced", false, true},
		{"twice the same class", two, "password password", false, false},
		{"all fresh", fresh, "password@5m totp@1m", false, true},
		{"password stale", fresh, "password@5m1s totp@1m", false, false},
		{"app stale", fresh, "password@1m totp@6m", false, false},
		{"phishing resistant", phish, "password clientcert", false, true},
		{"app is not phishing resistant", phish, "password totp", false, false},
		{"certificate alone is no first factor", phish, "clientcert", false, false},
		{"card has every trait", hard, "card", false, true},
		{"traits of two proofs do not add up", hard, "password clientcert synced", false, false},
		{"trusted browser waives the step", waived, "password", true, true},
		{"but not the first factor", waived, "", true, false},
		{"and only where the rule says so", two, "password", true, false},
		{"not for a stranger's browser", waived, "password", false, false},
		{"a waiver needs a fresh first factor", authn.Requirement{Classes: 2, TrustedBrowser: true, Fresh: time.Minute}, "password@2m", true, false},
		{"what cannot be met is not waived", none, "password totp card", true, false},
		{"a named first factor is no step after itself", authn.Requirement{Kinds: []authn.Kind{"password"}}, "password", false, false},
		{"a named card is a step by itself", authn.Requirement{Kinds: []authn.Kind{"card"}}, "card", false, true},
		{"a named card after the password", authn.Requirement{Kinds: []authn.Kind{"card"}}, "password card", false, true},
	} {
		if got := policy.Met(c.r, proofs(c.evidence), c.trusted, now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// lawfullyMet says in other words than the code when a requirement is met.
func lawfullyMet(r authn.Requirement, evidence []authn.Evidence, trusted bool) bool {
	var classes authn.Class
	first := map[authn.Kind]bool{}
	all, step, named := false, false, map[authn.Kind]bool{}
	for _, e := range evidence {
		if e.Traits.RecoveryOnly || r.Fresh != 0 && now.Sub(e.At) > r.Fresh {
			continue
		}
		classes |= e.Traits.Class
		if e.Traits.First {
			first[e.Kind] = true
		}
		all = all || e.Traits.Class != 0 && (e.Traits.PhishingResistant || !r.PhishingResistant) &&
			(e.Traits.HardwareBound || !r.HardwareBound) && (e.Traits.UserVerified || !r.UserVerified)
		if slices.Contains(r.Kinds, e.Kind) {
			named[e.Kind] = true
			step = step || !e.Traits.First || e.Traits.Class.Count() > 1
		}
	}
	step = step || len(named) > 0 && len(first) > 1
	if len(first) == 0 {
		return false
	}
	if trusted && r.TrustedBrowser {
		return true
	}
	return all && classes.Count() >= r.Classes && (step || len(r.Kinds) == 0)
}

// TestMetOverEverything compares Met with the law for every set of up to four proofs and every requirement.
func TestMetOverEverything(t *testing.T) {
	all := houseFactors()
	kinds := [][]authn.Kind{nil, {"totp"}, {"mailcode"}, {"totp", "mailcode"}, {"card"}, {"recovery"}}
	n := 0
	for set := range 1 << len(all) {
		if bits.OnesCount(uint(set)) > 4 {
			continue
		}
		var evidence []authn.Evidence
		for i, f := range all {
			if set>>i&1 == 1 {
				evidence = append(evidence, authn.Evidence{Kind: f.Kind, Traits: f.Traits, At: now.Add(-time.Duration(i) * time.Minute)})
			}
		}
		for traits := range 1 << 5 {
			for classes := range 3 {
				for _, k := range kinds {
					r := authn.Requirement{Classes: classes, Kinds: k, PhishingResistant: traits&1 != 0, HardwareBound: traits&2 != 0, UserVerified: traits&4 != 0, TrustedBrowser: traits&8 != 0}
					if traits&16 != 0 {
						r.Fresh = 5 * time.Minute
					}
					for _, trusted := range []bool{false, true} {
						n++
						if got, want := policy.Met(r, evidence, trusted, now), lawfullyMet(r, evidence, trusted); got != want {
							t.Fatalf("%+v trusted %v, evidence %v: %v", r, trusted, kindsOf(evidence), got)
						}
					}
				}
			}
		}
	}
	if n < 500_000 {
		t.Errorf("only %d combinations", n)
	}
}

func kindsOf(evidence []authn.Evidence) (out []authn.Kind) {
	for _, e := range evidence {
		out = append(out, e.Kind)
	}
	return out
}

func TestDecideTable(t *testing.T) {
	two := authn.Requirement{Classes: 2}
	named := authn.Requirement{Kinds: []authn.Kind{"totp", "mailcode"}}
	for _, c := range []struct {
		name string
		c    policy.Case
		want string // step, kinds or cause
	}{
		{"nobody yet", policy.Case{}, "identify"},
		{"first the password", policy.Case{Known: true, Has: factors("card password totp")}, "prove password card"},
		{"a name that does not exist is asked alike", policy.Case{Known: true, Requirement: two}, "prove password"},
		{"a refusal waits for proof", policy.Case{Known: true, Refused: "P7.expired", Has: factors("password")}, "prove password"},
		{"and comes before a second step", policy.Case{Known: true, Refused: "P7.expired", Requirement: two, Evidence: proofs("password"), Has: factors("password totp")}, "denied P7.expired"},
		{"second step", policy.Case{Known: true, Requirement: two, Evidence: proofs("password"), Has: factors("password totp mailcode matrix")}, "prove totp matrix"},
		{"mail code when named", policy.Case{Known: true, Requirement: named, Evidence: proofs("password"), Has: factors("password totp mailcode matrix")}, "prove totp mailcode"},
		{"recovery is never offered", policy.Case{Known: true, Requirement: two, Evidence: proofs("password"), Has: factors("password recovery")}, "denied Z1"},
		{"two proofs are needed and both are offered", policy.Case{Known: true, Requirement: authn.Requirement{Classes: 2, Kinds: []authn.Kind{"mailcode"}}, Evidence: proofs("password"), Has: factors("password mailcode matrix")}, "prove mailcode matrix"},
		{"enrol what helps", policy.Case{Known: true, Requirement: two, Evidence: proofs("password"), Has: factors("password"), MayEnroll: factors("totp mailcode clientcert")}, "enroll totp clientcert R1.enroll"},
		{"what one has comes before enrolment", policy.Case{Known: true, Requirement: two, Evidence: proofs("password"), Has: factors("password matrix"), MayEnroll: factors("totp")}, "prove matrix"},
		{"enrolment with something one has", policy.Case{Known: true, Requirement: authn.Requirement{Classes: 2, Kinds: []authn.Kind{"mailcode"}}, Evidence: proofs("password"), Has: factors("password matrix"), MayEnroll: factors("mailcode")}, "enroll mailcode R1.enroll"},
		{"enrolment on the strength of an old session", policy.Case{Known: true, Requirement: two, Evidence: proofs("password@11m"), Has: factors("password"), MayEnroll: factors("totp"), EnrolFresh: 10 * time.Minute}, "prove password"},
		{"enrolment after a fresh proof", policy.Case{Known: true, Requirement: two, Evidence: proofs("password@10m"), Has: factors("password"), MayEnroll: factors("totp"), EnrolFresh: 10 * time.Minute}, "enroll totp R1.enroll"},
		{"nothing off campus", policy.Case{Known: true, Requirement: two, Evidence: proofs("password"), Has: factors("password")}, "denied Z1"},
		{"nothing on eduroam", policy.Case{Known: true, Requirement: two, Evidence: proofs("password"), Has: factors("password"), Place: authn.Eduroam}, "denied Z2"},
		{"nothing on the guest network", policy.Case{Known: true, Requirement: two, Evidence: proofs("password"), Has: factors("password"), Place: authn.Guest}, "denied Z2.guest"},
		{"nothing behind a relay", policy.Case{Known: true, Requirement: two, Evidence: proofs("password"), Has: factors("password"), Place: authn.Relay}, "denied Z3"},
		{"nothing in a gap of the zones", policy.Case{Known: true, Requirement: two, Evidence: proofs("password"), Has: factors("password"), Place: policy.Gap}, "denied Z4"},
		{"nothing, and the place is not why", policy.Case{Known: true, Requirement: two, Evidence: proofs("password"), Has: factors("password"), Place: policy.Anywhere}, "denied R1.none"},
		{"what one has is too weak", policy.Case{Known: true, Requirement: authn.Requirement{PhishingResistant: true}, Evidence: proofs("password"), Has: factors("password totp"), Place: authn.Eduroam}, "denied R1"},
		{"must change, after the second step", policy.Case{Known: true, Requirement: two, MustChange: "password", Evidence: proofs("password"), Has: factors("password totp")}, "prove totp"},
		{"must change", policy.Case{Known: true, Requirement: two, MustChange: "password", Agreement: true, Evidence: proofs("password totp"), Has: factors("password totp")}, "change password"},
		{"agreement", policy.Case{Known: true, Agreement: true, Consent: true, Evidence: proofs("password")}, "agree"},
		{"consent", policy.Case{Known: true, Consent: true, Evidence: proofs("password")}, "consent"},
		{"done", policy.Case{Known: true, Evidence: proofs("password")}, "done"},
		{"single sign-on too old", policy.Case{Known: true, Requirement: authn.Requirement{Fresh: time.Minute}, Evidence: proofs("password@2m"), Has: factors("password")}, "prove password"},
		{"only the second step too old", policy.Case{Known: true, Requirement: authn.Requirement{Classes: 2, Fresh: time.Minute}, Evidence: proofs("password totp@2m"), Has: factors("password totp")}, "prove totp"},
		{"passive, nobody", policy.Case{Passive: true}, "denied passive.login"},
		{"passive, step-up", policy.Case{Passive: true, Known: true, Requirement: two, Evidence: proofs("password"), Has: factors("password totp")}, "denied passive.login"},
		{"passive, enrolment", policy.Case{Passive: true, Known: true, Requirement: two, Evidence: proofs("password"), MayEnroll: factors("totp")}, "denied passive.interaction"},
		{"passive, change", policy.Case{Passive: true, Known: true, MustChange: "password", Evidence: proofs("password")}, "denied passive.interaction"},
		{"passive, agreement", policy.Case{Passive: true, Known: true, Agreement: true, Evidence: proofs("password")}, "denied passive.interaction"},
		{"passive, consent", policy.Case{Passive: true, Known: true, Consent: true, Evidence: proofs("password")}, "denied passive.consent"},
		{"passive, refused", policy.Case{Passive: true, Known: true, Refused: "R2", Evidence: proofs("password")}, "denied R2"},
		{"passive, done", policy.Case{Passive: true, Known: true, Evidence: proofs("password")}, "done"},
	} {
		c.c.Now = now
		if got := said(policy.Decide(c.c)); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func said(v policy.Verdict) string {
	words := []string{string(v.Step)}
	for _, k := range v.Kinds {
		words = append(words, string(k))
	}
	if v.Cause != "" {
		words = append(words, string(v.Cause))
	}
	return strings.Join(words, " ")
}

// randomCase draws a case from the whole table of the house.
func randomCase(r *rand.Rand) policy.Case {
	some := func(chance float64) (out []authn.Authenticator) {
		for _, f := range houseFactors() {
			if r.Float64() < chance {
				out = append(out, f)
			}
		}
		r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		return out
	}
	c := policy.Case{Known: r.IntN(10) > 0, Now: now, Has: some(0.5), MayEnroll: some(0.3), Passive: r.IntN(4) == 0, TrustedBrowser: r.IntN(3) == 0}
	c.Requirement = authn.Requirement{
		Classes: r.IntN(3), PhishingResistant: r.IntN(4) == 0, HardwareBound: r.IntN(6) == 0, UserVerified: r.IntN(6) == 0,
		TrustedBrowser: r.IntN(2) == 0, Fresh: time.Duration(r.IntN(3)) * 5 * time.Minute,
	}
	if r.IntN(3) == 0 {
		for _, f := range some(0.3) {
			c.Requirement.Kinds = append(c.Requirement.Kinds, f.Kind)
		}
	}
	for _, f := range some(0.3) {
		c.Evidence = append(c.Evidence, authn.Evidence{Kind: f.Kind, Traits: f.Traits, At: now.Add(-time.Duration(r.IntN(20)) * time.Minute)})
	}
	c.EnrolFresh = time.Duration(r.IntN(2)) * 10 * time.Minute
	if r.IntN(5) == 0 {
		c.Refused = "R2"
	}
	if r.IntN(5) == 0 {
		c.MustChange = "password"
	}
	c.Agreement, c.Consent = r.IntN(5) == 0, r.IntN(5) == 0
	c.Place = []authn.ZoneKind{"", authn.Campus, authn.VPN, authn.Eduroam, authn.Guest, authn.Relay, authn.Elsewhere, policy.Gap, policy.Anywhere}[r.IntN(9)]
	return c
}

func TestDecideKeepsTheLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	steps := map[policy.Step]int{}
	for range 60_000 {
		c := randomCase(r)
		v := policy.Decide(c)
		steps[v.Step]++
		if fault := unlawful(c, v); fault != "" {
			t.Fatalf("%s\ncase %+v\nverdict %+v", fault, c, v)
		}
	}
	for _, s := range []policy.Step{policy.StepIdentify, policy.StepProve, policy.StepEnroll, policy.StepChange, policy.StepAgree, policy.StepConsent, policy.StepDone, policy.StepDenied} {
		if steps[s] < 100 {
			t.Errorf("%s came only %d times", s, steps[s])
		}
	}
}

// unlawful names the law that a verdict breaks.
func unlawful(c policy.Case, v policy.Verdict) string {
	met := lawfullyMet(c.Requirement, c.Evidence, c.TrustedBrowser)
	first := slices.ContainsFunc(c.Evidence, func(e authn.Evidence) bool {
		return e.Traits.First && !e.Traits.RecoveryOnly && (c.Requirement.Fresh == 0 || now.Sub(e.At) <= c.Requirement.Fresh)
	})
	switch {
	case v.Step == policy.StepDone && (!met || !c.Known || c.Refused != "" || c.MustChange != "" || c.Agreement || c.Consent):
		return "done too early"
	case !first && c.Known && v.Step != policy.StepProve && v.Cause != policy.PassiveLogin:
		return "something was told before the first factor"
	case !c.Known && v.Step != policy.StepIdentify && v.Cause != policy.PassiveLogin:
		return "something happened without a name"
	case c.Passive && v.Step != policy.StepDone && v.Step != policy.StepDenied:
		return "a passive request asked something"
	case v.Step == policy.StepDenied && v.Cause == "":
		return "denied without a cause"
	case v.Step != policy.StepDone && len(v.Why) == 0:
		return "no reason"
	case (v.Step == policy.StepProve || v.Step == policy.StepEnroll) && len(v.Kinds) == 0:
		return "nothing is offered"
	}
	other := c
	other.Place = authn.Guest
	if w := policy.Decide(other); w.Step != v.Step || !slices.Equal(w.Kinds, v.Kinds) {
		return "the place changed more than the name of a denial"
	}
	if !first && c.Known {
		bare := policy.Case{Known: true, Requirement: c.Requirement, Evidence: c.Evidence, Now: c.Now, Passive: c.Passive, TrustedBrowser: c.TrustedBrowser}
		for _, a := range c.Has {
			if a.Traits.First {
				bare.Has = append(bare.Has, a)
			}
		}
		if !reflect.DeepEqual(policy.Decide(bare), v) {
			return "before proof the verdict shows more of the account than its first factors"
		}
	}
	if v.Step == policy.StepEnroll && c.EnrolFresh > 0 && !slices.ContainsFunc(c.Evidence, func(e authn.Evidence) bool {
		return e.Traits.First && now.Sub(e.At) <= c.EnrolFresh
	}) {
		return "enrolment on the strength of an old session"
	}
	if slices.Contains(v.Why, "first factor too old to enroll") {
		return ""
	}
	for _, k := range v.Kinds {
		traits := factor(k).Traits
		named := slices.Contains(c.Requirement.Kinds, k)
		switch {
		case v.Step == policy.StepChange:
		case traits.RecoveryOnly:
			return "recovery was offered"
		case traits.Class == 0 && !named:
			return "a class-less kind was offered without being named"
		case v.Step == policy.StepEnroll && !slices.ContainsFunc(c.MayEnroll, func(a authn.Authenticator) bool { return a.Kind == k }):
			return "enrolment of a kind that may not be enrolled"
		case v.Step == policy.StepProve && first && !slices.ContainsFunc(c.Has, func(a authn.Authenticator) bool { return a.Kind == k }):
			return "a kind was offered that the account does not have"
		}
	}
	return ""
}

// TestEveryOfferLeadsOn follows each kind that is offered until the end.
func TestEveryOfferLeadsOn(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	walked := 0
	for range 20_000 {
		c := randomCase(r)
		c.Passive, c.Known, c.EnrolFresh = false, true, 0
		if !slices.ContainsFunc(c.Has, func(a authn.Authenticator) bool { return a.Traits.First }) {
			c.Has = append(c.Has, factor("password"))
		}
		start := policy.Decide(c)
		if start.Step != policy.StepProve || slices.Contains(start.Why, "need first") {
			continue
		}
		for _, k := range start.Kinds {
			end := walk(c, k)
			if end.Step == policy.StepProve || end.Step == policy.StepEnroll || end.Step == policy.StepDenied {
				t.Fatalf("%s of %v leads to %+v\n%+v", k, start.Kinds, end, c)
			}
			walked++
		}
	}
	if walked < 500 {
		t.Errorf("only %d walks", walked)
	}
}

func walk(c policy.Case, kind authn.Kind) policy.Verdict {
	c.Evidence = slices.Clone(c.Evidence)
	for range 6 {
		f := factor(kind)
		c.Evidence = append(c.Evidence, authn.Evidence{Kind: kind, Traits: f.Traits, At: now})
		v := policy.Decide(c)
		if v.Step != policy.StepProve {
			return v
		}
		kind = v.Kinds[0]
	}
	return policy.Verdict{Step: policy.StepProve}
}

func TestHallOrder(t *testing.T) {
	c := policy.Case{Now: now, Requirement: authn.Requirement{Classes: 2}, Has: factors("totp password"), MustChange: "password", Agreement: true, Consent: true}
	var order []string
	for range 10 {
		v := policy.Decide(c)
		order = append(order, said(v))
		switch v.Step {
		case policy.StepIdentify:
			c.Known = true
		case policy.StepProve:
			c.Evidence = append(c.Evidence, proofs(string(v.Kinds[0]))...)
		case policy.StepChange:
			c.MustChange = ""
		case policy.StepAgree:
			c.Agreement = false
		case policy.StepConsent:
			c.Consent = false
		}
		if v.Step == policy.StepDone {
			break
		}
	}
	if got := strings.Join(order, ", "); got != "identify, prove password, prove totp, change password, agree, consent, done" {
		t.Error(got)
	}
}

// TestWaiversAddNoAssurance: what lets a person in does not change what we assert.
func TestWaiversAddNoAssurance(t *testing.T) {
	evidence := proofs("password mailcode")
	for _, trusted := range []bool{false, true} {
		for _, place := range []authn.ZoneKind{authn.Campus, authn.Elsewhere} {
			c := policy.Case{Known: true, Now: now, Evidence: evidence, TrustedBrowser: trusted, Place: place,
				Requirement: authn.Requirement{Kinds: []authn.Kind{"mailcode"}, TrustedBrowser: true}}
			if v := policy.Decide(c); v.Step != policy.StepDone {
				t.Fatalf("%+v", v)
			}
			if a := authn.Assess(c.Evidence); a.Level != authn.AAL1 || slices.Contains(a.AMR, "mfa") {
				t.Errorf("trusted %v in %s: %+v", trusted, place, a)
			}
		}
	}
}

func TestDecideLeavesItsCaseAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 2_000 {
		c := randomCase(r)
		before := fmt.Sprintf("%+v", c)
		policy.Decide(c)
		if fmt.Sprintf("%+v", c) != before {
			t.Fatalf("was %s\nis %+v", before, c)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	c := policy.Case{Known: true, Now: now, Requirement: authn.Requirement{Classes: 2}, Evidence: proofs("password"), Has: factors("password totp mailcode clientcert matrix")}
	for b.Loop() {
		if policy.Decide(c).Step != policy.StepProve {
			b.Fatal()
		}
	}
}
