package desk

import (
	"slices"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/lang"
	"seimon/internal/policy"
)

// List joins names for a sentence.
func List(p lang.Printer, names []string) string {
	if p.Tag() == lang.JA {
		return strings.Join(names, "、")
	}
	return strings.Join(names, ", ")
}

// Kinds names factors for a sentence. Kinds that this house does not have are left
// out, unless there is nothing else to name.
func Kinds(p lang.Printer, kinds []authn.Kind) string {
	var names, strange []string
	for _, k := range kinds {
		if name := KindName(p, k); name != string(k) {
			names = append(names, name)
		} else {
			strange = append(strange, name)
		}
	}
	if len(names) == 0 {
		names = strange
	}
	return List(p, names)
}

// KindName is the name of a factor, also of one that this house does not have.
func KindName(p lang.Printer, k authn.Kind) string {
	if id := string(k) + ".name"; p.Has(id) {
		return p.T(id)
	}
	return string(k)
}

// Asks says in whole sentences what a requirement asks for.
func Asks(p lang.Printer, r authn.Requirement) []string {
	if slices.Contains(r.Kinds, authn.KindNone) && len(r.Kinds) == 1 {
		return []string{p.T("desk.asks.nobody")}
	}
	var out []string
	switch {
	case r.HardwareBound:
		out = append(out, p.T("desk.asks.hardware"))
	case r.PhishingResistant || r.UserVerified:
		out = append(out, p.T("desk.asks.phishing"))
	case len(r.Kinds) > 0:
		out = append(out, p.T("desk.asks.kinds", "kinds", Kinds(p, r.Kinds)))
	case r.Classes > 1:
		out = append(out, p.T("desk.asks.two"))
	default:
		out = append(out, p.T("desk.asks.one"))
	}
	if r.Fresh > 0 {
		out = append(out, p.T("desk.asks.fresh", "span", p.Span(r.Fresh)))
	}
	if r.TrustedBrowser && r.SecondStep() {
		out = append(out, p.T("desk.asks.trusted"))
	}
	return out
}

// Next says what the person would meet at the door.
func Next(p lang.Printer, doc *policy.Document, f Forecast) string {
	v := f.Verdict
	switch v.Step {
	case policy.StepDone:
		return p.T("desk.next.done")
	case policy.StepProve:
		return p.T("desk.next.prove", "kinds", Kinds(p, v.Kinds))
	case policy.StepEnroll:
		return p.T("desk.next.enroll", "kinds", Kinds(p, v.Kinds))
	case policy.StepAgree:
		return p.T("desk.next.agree")
	case policy.StepConsent:
		return p.T("desk.next.consent")
	}
	if f.Ruling.Refused != "" && v.Cause == f.Ruling.Refused {
		var groups []string
		for _, g := range f.Ruling.For {
			groups = append(groups, doc.GroupLabel(g, string(p.Tag())))
		}
		return p.T("desk.next.notfor", "groups", List(p, groups))
	}
	return p.T("desk.next.closed")
}

// StandingOf is an account with its bindings and evidence as a forecast sees it.
func StandingOf(set factor.Set, a directory.Account, bindings []factor.Binding, evidence []authn.Evidence) Standing {
	return Standing{Account: a, Has: set.Authenticators(bindings), Evidence: evidence}
}
