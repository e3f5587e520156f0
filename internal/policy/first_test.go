package policy_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/policy"
)

var (
	softCert = authn.Traits{Class: authn.Have, PhishingResistant: true, AMR: "swk"}
	cardCert = authn.Traits{Class: authn.Have | authn.Know, PhishingResistant: true, HardwareBound: true, UserVerified: true, AMR: "sc"}
)

const firstGroups = "[group.staff]\nja = \"職員\"\nen = \"Staff\"\n[[zone]]\nname = \"lan\"\nkind = \"campus\"\nranges = [\"10.0.0.0/8\"]\n[[rule]]\nclasses = 2\n"

func TestWhatMayComeFirst(t *testing.T) {
	lan := authn.Zone{Name: "lan", Kind: authn.Campus}
	for name, c := range map[string]struct {
		table         string
		q             policy.FirstQuestion
		offered, file bool // offered; a certificate in a file may stand first
		card          bool // a card may
	}{
		"not said":       {"", policy.FirstQuestion{}, false, false, false},
		"said no":        {"first = false\n", policy.FirstQuestion{}, false, false, false},
		"everybody":      {"first = true\n", policy.FirstQuestion{}, true, true, true},
		"cards":          {"first = true\nfirst_card = true\n", policy.FirstQuestion{}, true, false, true},
		"here":           {"first = true\nfirst_zones = [\"campus\"]\n", policy.FirstQuestion{Zone: lan}, true, true, true},
		"elsewhere":      {"first = true\nfirst_zones = [\"lan\"]\n", policy.FirstQuestion{Zone: authn.Zone{Kind: authn.Elsewhere}}, false, false, false},
		"this service":   {"first = true\nfirst_services = [\"a\"]\n", policy.FirstQuestion{Service: "a"}, true, true, true},
		"other service":  {"first = true\nfirst_services = [\"a\"]\n", policy.FirstQuestion{Service: "b"}, false, false, false},
		"nobody named":   {"first = true\nfirst_groups = [\"staff\"]\n", policy.FirstQuestion{}, true, false, false},
		"of the group":   {"first = true\nfirst_groups = [\"staff\"]\n", policy.FirstQuestion{Named: true, Groups: []string{"staff"}}, true, true, true},
		"of another one": {"first = true\nfirst_groups = [\"staff\"]\n", policy.FirstQuestion{Named: true, Groups: []string{"student"}}, false, false, false},
	} {
		d := parse(t, firstGroups+"[clientcert]\n"+c.table)
		if got := d.Offers(c.q, policy.ClientCert); got != c.offered {
			t.Errorf("%s: offered %v", name, got)
		}
		if got := d.Leads(c.q, policy.ClientCert, softCert).First; got != c.file {
			t.Errorf("%s: a file may stand first: %v", name, got)
		}
		if got := d.Leads(c.q, policy.ClientCert, cardCert).First; got != c.card {
			t.Errorf("%s: a card may stand first: %v", name, got)
		}
		otp := authn.Traits{Class: authn.Have, SingleUse: true}
		if d.Offers(c.q, "totp") || d.Leads(c.q, "totp", otp) != otp {
			t.Errorf("%s: an app may stand first", name)
		}
	}
}

func TestCertificateSettingsAreChecked(t *testing.T) {
	for what, table := range map[string]string{
		"group":    "first = true\nfirst_groups = [\"nobody\"]\n",
		"zone":     "first = true\nfirst_zones = [\"nowhere\"]\n",
		"day":      "cut_off = \"April\"\n",
		"alone":    "first_card = true\n",
		"empty":    "first = true\nfirst_zones = []\n",
		"unknown":  "last = true\n",
		"not bool": "first = \"yes\"\n",
	} {
		if _, err := policy.Parse("x.toml", []byte(firstGroups+"[clientcert]\n"+table)); err == nil || !strings.Contains(err.Error(), "x.toml:") {
			t.Errorf("%s: %v", what, err)
		}
	}
	d := parse(t, firstGroups+"[clientcert]\nfirst = true\nfirst_services = [\"gone\"]\ncut_off = \"2026-04-01\"\n")
	if err := d.Check(func(string) bool { return false }); err == nil {
		t.Error("a service that is not there")
	}
	if got := d.Settings(policy.ClientCert)["cut_off"]; got != "2026-04-01" {
		t.Error(got)
	}
}

// TestFirstLeadsNobodyInWithLess: whatever the document lets stand first, who gets in
// has proved what the rule asks, and something that may stand first.
func TestFirstLeadsNobodyInWithLess(t *testing.T) {
	docs := []*policy.Document{
		parse(t, firstGroups), parse(t, firstGroups+"[clientcert]\nfirst = true\n"),
		parse(t, firstGroups+"[clientcert]\nfirst = true\nfirst_card = true\n"),
		parse(t, firstGroups+"[clientcert]\nfirst = true\nfirst_groups = [\"staff\"]\n"),
	}
	r := rand.New(rand.NewPCG(7, 8))
	done := 0
	for range 40_000 {
		d := docs[r.IntN(len(docs))]
		q := policy.FirstQuestion{Named: true}
		if r.IntN(2) == 0 {
			q.Groups = []string{"staff"}
		}
		c := randomCase(r)
		c.Passive, c.Known, c.Refused, c.MustChange, c.Agreement, c.Consent, c.TrustedBrowser = false, true, "", "", false, false, false
		cert := softCert
		if r.IntN(2) == 0 {
			cert = cardCert
		}
		c.Evidence = slices.DeleteFunc(c.Evidence, func(e authn.Evidence) bool { return e.Kind == policy.ClientCert })
		if r.IntN(2) == 0 {
			c.Evidence = append(c.Evidence, authn.Evidence{Kind: policy.ClientCert, Traits: cert, At: now.Add(-time.Duration(r.IntN(600)) * time.Second)})
		}
		bare := slices.Clone(c.Evidence)
		for i, e := range c.Evidence {
			c.Evidence[i].Traits = d.Leads(q, e.Kind, e.Traits)
		}
		if policy.Decide(c).Step != policy.StepDone {
			continue
		}
		done++
		fresh := slices.DeleteFunc(bare, func(e authn.Evidence) bool {
			return e.Traits.RecoveryOnly || c.Requirement.Fresh > 0 && now.Sub(e.At) > c.Requirement.Fresh
		})
		stands := slices.ContainsFunc(fresh, func(e authn.Evidence) bool {
			return e.Traits.First && e.Traits.Class != 0 || e.Kind == policy.ClientCert && d.Leads(q, e.Kind, e.Traits).First
		})
		if !stands || !lawfullyMet(c.Requirement, c.Evidence, false) {
			t.Fatalf("in with less than the rule asks: %+v", c)
		}
		if classes := authn.Assess(fresh).Classes.Count(); classes < c.Requirement.Classes {
			t.Fatalf("in with %d classes: %+v", classes, c)
		}
	}
	if done < 500 {
		t.Errorf("only %d got in", done)
	}
}
