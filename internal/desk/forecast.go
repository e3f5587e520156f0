package desk

import (
	"net/netip"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/policy"
	"seimon/internal/rp"
)

// Standing is somebody as a forecast sees them: what they have and what they have
// proved. The zero value is a stranger.
type Standing struct {
	Account  directory.Account
	Has      []authn.Authenticator
	Evidence []authn.Evidence
	Trusted  bool // the browser is one that the person trusts under the rules in force
}

// Place is where somebody would come from. Addr may be invalid for a place that is
// only imagined.
type Place struct {
	Zone authn.Zone
	Addr netip.Addr
}

// OnCampus and Away are the two places that people think in.
func OnCampus() Place { return Place{Zone: authn.Zone{Kind: authn.Campus}} }

// Away is an address that no zone claims.
func Away() Place {
	return Place{Zone: authn.Zone{Name: string(authn.Elsewhere), Kind: authn.Elsewhere}}
}

// Forecast is what would happen at the door of one service.
type Forecast struct {
	Ruling  policy.Ruling
	Case    policy.Case
	Verdict policy.Verdict
}

// Open tells whether the person gets in with what they have; a further proof, the
// agreement or consent may still be asked.
func (f Forecast) Open() bool {
	switch f.Verdict.Step {
	case policy.StepDone, policy.StepProve, policy.StepAgree, policy.StepConsent, policy.StepChange:
		return true
	}
	return false
}

// Forecaster makes forecasts for one document of rules and the factors of the house.
type Forecaster struct {
	Doc     *policy.Document
	Factors factor.Set
	Now     time.Time
}

// For tells what would happen if s went to a service from a place.
func (f Forecaster) For(s Standing, at Place, service string) Forecast {
	return f.with(s, at, service, authn.Requirement{})
}

// with is For under a further requirement.
func (f Forecaster) with(s Standing, at Place, service string, want authn.Requirement) Forecast {
	out := Forecast{Ruling: f.Doc.Rule(policy.Question{Service: service, Groups: s.Account.Groups, Zone: at.Zone, Addr: at.Addr})}
	first := policy.FirstQuestion{Service: service, Zone: at.Zone, Named: true, Groups: s.Account.Groups}
	evidence, has := slices.Clone(s.Evidence), slices.Clone(s.Has)
	for i, e := range evidence {
		evidence[i].Traits = f.Doc.Leads(first, e.Kind, e.Traits)
	}
	for i, a := range has {
		has[i].Traits = f.Doc.Leads(first, a.Kind, a.Traits)
	}
	out.Case = policy.Case{
		Known: true, Requirement: out.Ruling.Requirement.Stricter(want), Evidence: evidence, Has: has,
		TrustedBrowser: s.Trusted, Place: out.Ruling.Place, Now: f.Now, Refused: out.Ruling.Refused,
	}
	if code, _ := s.Account.Standing(f.Now); code != "" && s.Account.ID != "" {
		out.Case.Refused = code
	}
	for _, k := range f.MayEnroll(s, at) {
		out.Case.MayEnroll = append(out.Case.MayEnroll, authn.Authenticator{Kind: k, Traits: f.Factors.Of(k).Traits()})
	}
	out.Verdict = policy.Decide(out.Case)
	return out
}

// MayEnroll lists what the rules let the person set up from a place, provided that
// the first factor is given again.
func (f Forecaster) MayEnroll(s Standing, at Place) []authn.Kind {
	evidence := slices.Clone(s.Evidence)
	for i := range evidence {
		if evidence[i].Traits.First {
			evidence[i].At = f.Now
		}
	}
	var out []authn.Kind
	for _, x := range f.Factors {
		if _, ok := x.(factor.Enroller); !ok || x.Traits().First {
			continue
		}
		if f.Doc.Enrolment(policy.EnrolQuestion{Kind: x.Kind(), Zone: at.Zone, Evidence: evidence}) {
			out = append(out, x.Kind())
		}
	}
	return out
}

// AfterPassword is s as it stands when only the password has just been proved.
func (f Forecaster) AfterPassword(s Standing) Standing {
	s.Evidence, s.Trusted = nil, false
	if p := f.Factors.Of(policy.Password); p != nil {
		s.Evidence = []authn.Evidence{{Kind: p.Kind(), Traits: p.Traits(), At: f.Now}}
	}
	return s
}

// Loss is a service that somebody could enter before a change and not after it.
type Loss struct {
	Party  rp.Party
	Campus bool // not even on campus
	Away   bool // not from off campus
}

// Losses compares what before and after can enter.
func (f Forecaster) Losses(before, after Standing, parties []rp.Party) []Loss {
	before, after = f.AfterPassword(before), f.AfterPassword(after)
	var out []Loss
	for _, p := range parties {
		lost := func(at Place) bool {
			return f.For(before, at, p.ID).Open() && !f.For(after, at, p.ID).Open()
		}
		l := Loss{Party: p, Campus: lost(OnCampus()), Away: lost(Away())}
		if l.Campus || l.Away {
			out = append(out, l)
		}
	}
	return out
}
