package authn_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
)

var (
	pwd  = authn.Traits{Class: authn.Know, First: true, AMR: "pwd"}
	otp  = authn.Traits{Class: authn.Have, SingleUse: true, AMR: "otp"}
	mail = authn.Traits{SingleUse: true}
	card = authn.Traits{Class: authn.Have | authn.Know, PhishingResistant: true, HardwareBound: true, UserVerified: true, AMR: "sc"}
	desk = authn.Traits{Class: authn.Have, SingleUse: true, RecoveryOnly: true}
)

func TestAssuranceComesFromEvidenceAlone(t *testing.T) {
	at := time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
	e := func(traits ...authn.Traits) []authn.Evidence {
		var out []authn.Evidence
		for i, x := range traits {
			out = append(out, authn.Evidence{Kind: authn.Kind(fmt.Sprint("k", i)), Traits: x, At: at.Add(time.Duration(i) * time.Minute)})
		}
		return out
	}
	for name, c := range map[string]struct {
		evidence []authn.Evidence
		level    authn.Level
		amr      string
		auth     time.Time
	}{
		"nothing":            {nil, authn.LevelNone, "", time.Time{}},
		"password":           {e(pwd), authn.AAL1, "pwd", at},
		"password and app":   {e(pwd, otp), authn.AAL2, "mfa otp pwd", at.Add(time.Minute)},
		"two passwords":      {e(pwd, pwd), authn.AAL1, "pwd", at.Add(time.Minute)},
		"password and mail":  {e(pwd, mail), authn.AAL1, "pwd", at},
		"mail alone":         {e(mail), authn.LevelNone, "", time.Time{}},
		"IC card":            {e(card), authn.AAL3, "mfa sc", at},
		"recovery alone":     {e(desk), authn.LevelNone, "", time.Time{}},
		"password, recovery": {e(pwd, desk), authn.AAL1, "pwd", at},
	} {
		a := authn.Assess(c.evidence)
		if a.Level != c.level || strings.Join(a.AMR, " ") != c.amr || !a.AuthTime.Equal(c.auth) {
			t.Errorf("%s: %v %v %v", name, a.Level, a.AMR, a.AuthTime)
		}
	}
}

func TestStricterMeetsBoth(t *testing.T) {
	second := authn.Requirement{Classes: 2, TrustedBrowser: true}
	firm := authn.Requirement{Classes: 2}
	if got := second.Stricter(authn.Requirement{}); !got.TrustedBrowser {
		t.Error("asking for nothing took the waiver away")
	}
	if got := second.Stricter(firm); got.TrustedBrowser {
		t.Error("a service that asks for two classes was waived")
	}
	if got := (authn.Requirement{}).Stricter(firm); got.TrustedBrowser || got.Classes != 2 {
		t.Errorf("%+v", got)
	}
	a := authn.Requirement{Kinds: []authn.Kind{"totp", "mailcode"}, Fresh: time.Hour}
	b := authn.Requirement{Kinds: []authn.Kind{"totp"}, Fresh: time.Minute}
	if got := a.Stricter(b); !slices.Equal(got.Kinds, []authn.Kind{"totp"}) || got.Fresh != time.Minute {
		t.Errorf("%+v", got)
	}
	if got := b.Stricter(authn.Requirement{Kinds: []authn.Kind{"mailcode"}}); !slices.Equal(got.Kinds, []authn.Kind{authn.KindNone}) {
		t.Errorf("kinds that exclude each other became %v", got.Kinds)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	s := struct{ Password authn.Secret }{"open sesame"}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s.Password, "struct", s)
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s.Password, s.Password), string(raw), log.String()} {
		if strings.Contains(text, "sesame") {
			t.Errorf("printed: %s", text)
		}
	}
	if s.Password.Reveal() != "open sesame" {
		t.Error("lost")
	}
}

func TestTokensAreLongAndFoundByHash(t *testing.T) {
	a, hash := authn.NewToken()
	b, _ := authn.NewToken()
	if a == b || len(a) != 43 || !slices.Equal(hash, authn.HashToken(a)) {
		t.Errorf("%q %q", a, b)
	}
}

func TestFaultsKeepTheirFamilyAndTheirSecretCause(t *testing.T) {
	f := authn.NewFault("T2.clock", "seconds", "90").Because(fmt.Errorf("private"))
	if f.Code.Family() != "T2" || authn.AsFault(fmt.Errorf("wrapped: %w", f)) != f || f.Facts["seconds"] != "90" {
		t.Errorf("%+v", f)
	}
}
