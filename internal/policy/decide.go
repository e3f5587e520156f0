package policy

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/authn"
)

// Step is what the hall does next with a sign-in.
type Step string

// The steps, in the order in which a sign-in meets them.
const (
	StepIdentify Step = "identify" // ask who is signing in, or for one of Verdict.Kinds
	StepProve    Step = "prove"    // ask for one of Verdict.Kinds
	StepEnroll   Step = "enroll"   // let the person register one of Verdict.Kinds
	StepChange   Step = "change"   // the authenticator of kind Verdict.Kinds[0] must be changed
	StepAgree    Step = "agree"    // show the agreement
	StepConsent  Step = "consent"  // ask what may leave the house
	StepDone     Step = "done"     // everything asked was proved
	StepDenied   Step = "denied"   // it ends here, because of Verdict.Cause
)

// Causes that Decide itself finds. PassiveX mean that a passive request
// (OIDC prompt=none, SAML IsPassive) would have needed the person.
const (
	PassiveLogin       authn.Code = "passive.login"
	PassiveInteraction authn.Code = "passive.interaction"
	PassiveConsent     authn.Code = "passive.consent"
	// EnrollFirst says why something must be registered on the way.
	EnrollFirst authn.Code = "R1.enroll"
)

// Places beside the kinds of zone, for Case.Place.
const (
	// Anywhere says that the requirement would be the same on campus.
	Anywhere authn.ZoneKind = "anywhere"
	// Gap says that an IPv6 address met campus zones that list only IPv4 ranges.
	Gap authn.ZoneKind = "gap"
)

// Password is the first factor that is asked before any other first factor.
const Password authn.Kind = "password"

// Case is everything a decision depends on. It is recorded as JSON with the
// decision so that it can be replayed.
type Case struct {
	// Known says that a user name was given; it does not say that it exists.
	Known       bool              `json:"known"`
	Requirement authn.Requirement `json:"requirement"`
	Evidence    []authn.Evidence  `json:"evidence,omitempty"`
	// Has is what the account could use now. An account that does not exist has
	// nothing here and is asked for a password like everybody.
	Has []authn.Authenticator `json:"has,omitempty"`
	// MayEnroll is what the account could register here and now.
	MayEnroll []authn.Authenticator `json:"may_enroll,omitempty"`
	// EnrolFresh is the greatest age of the first factor when something is
	// registered on the way; 0 means any. An older one is asked for again first.
	EnrolFresh time.Duration `json:"enrol_fresh,omitempty"`
	// Refused, when set, ends the sign-in once the first factor was proved.
	Refused authn.Code `json:"refused,omitempty"`
	// Agreement and Consent are outstanding.
	Agreement bool `json:"agreement,omitempty"`
	Consent   bool `json:"consent,omitempty"`
	// MustChange is the kind of authenticator that must be changed before going on.
	MustChange     authn.Kind `json:"must_change,omitempty"`
	TrustedBrowser bool       `json:"trusted_browser,omitempty"`
	// Place is Ruling.Place. It only picks the name of a denial.
	Place   authn.ZoneKind `json:"place,omitempty"`
	Now     time.Time      `json:"now"`
	Passive bool           `json:"passive,omitempty"`
}

// Verdict is what to do next. Kinds of the step identify are what may be shown in
// place of a user name. Cause is set when the step is denied or enroll. Why names what was missing, one item per word
// group ("need classes 2 of 1", "stale password 3600s"), for replay and the desk.
type Verdict struct {
	Step  Step         `json:"step"`
	Kinds []authn.Kind `json:"kinds,omitempty"`
	Cause authn.Code   `json:"cause,omitempty"`
	Why   []string     `json:"why,omitempty"`
}

// Decide tells the next step of a sign-in. It is a pure function of the case.
//
// The order is: identify, first factor, refusal, second step (prove, else enroll,
// else denied), change, agree, consent, done. A refusal waits for the first factor
// so that nothing about an account is told before. A change waits for the second
// step so that a stolen password alone cannot replace itself.
func Decide(c Case) Verdict {
	v := c.decide()
	if !c.Passive {
		return v
	}
	switch v.Step {
	case StepIdentify, StepProve:
		return Verdict{Step: StepDenied, Cause: PassiveLogin, Why: v.Why}
	case StepEnroll, StepChange, StepAgree:
		return Verdict{Step: StepDenied, Cause: PassiveInteraction, Why: v.Why}
	case StepConsent:
		return Verdict{Step: StepDenied, Cause: PassiveConsent, Why: v.Why}
	}
	return v
}

// Met tells whether evidence satisfies a requirement at the given time. trusted
// says that the browser is one the person trusts under the policy in force.
func Met(r authn.Requirement, evidence []authn.Evidence, trusted bool, now time.Time) bool {
	return len(missing(r, evidence, trusted, now)) == 0
}

func (c Case) decide() Verdict {
	if !c.Known {
		return Verdict{Step: StepIdentify, Kinds: c.naming(), Why: []string{"need user_name"}}
	}
	why := missing(c.Requirement, c.Evidence, c.TrustedBrowser, c.Now)
	if slices.Contains(why, needFirst) {
		return Verdict{Step: StepProve, Kinds: c.firstKinds(), Why: why}
	}
	if c.Refused != "" {
		return Verdict{Step: StepDenied, Cause: c.Refused, Why: append(why, "refused "+string(c.Refused))}
	}
	if len(why) > 0 {
		return c.secondStep(why)
	}
	switch {
	case c.MustChange != "":
		return Verdict{Step: StepChange, Kinds: []authn.Kind{c.MustChange}, Why: []string{"must_change " + string(c.MustChange)}}
	case c.Agreement:
		return Verdict{Step: StepAgree, Why: []string{"need agreement"}}
	case c.Consent:
		return Verdict{Step: StepConsent, Why: []string{"need consent"}}
	}
	return Verdict{Step: StepDone}
}

// naming lists the first factors that may tell by themselves who is signing in;
// whoever fills the case puts only such kinds there before a name is known.
func (c Case) naming() []authn.Kind {
	var kinds []authn.Kind
	for _, a := range c.Has {
		if a.Kind != Password && a.Traits.First && !a.Traits.RecoveryOnly && a.Traits.Class != 0 && !slices.Contains(kinds, a.Kind) {
			kinds = append(kinds, a.Kind)
		}
	}
	return kinds
}

// firstKinds lists the first factors of the account, the password before the
// others. Without any it is the password, as for a name that does not exist.
func (c Case) firstKinds() []authn.Kind {
	var kinds []authn.Kind
	for _, a := range c.Has {
		if !a.Traits.First || a.Traits.RecoveryOnly || a.Traits.Class == 0 || slices.Contains(kinds, a.Kind) {
			continue
		}
		if a.Kind == Password {
			kinds = slices.Insert(kinds, 0, a.Kind)
		} else {
			kinds = append(kinds, a.Kind)
		}
	}
	if len(kinds) == 0 {
		return []authn.Kind{Password}
	}
	return kinds
}

func (c Case) secondStep(why []string) Verdict {
	if kinds := c.helping(c.Has, nil); len(kinds) > 0 {
		return Verdict{Step: StepProve, Kinds: kinds, Why: why}
	}
	if kinds := c.helping(c.MayEnroll, c.Has); len(kinds) > 0 {
		if !c.firstWithin(c.EnrolFresh) {
			return Verdict{Step: StepProve, Kinds: c.firstKinds(), Why: append(why, "first factor too old to enroll")}
		}
		return Verdict{Step: StepEnroll, Kinds: kinds, Cause: EnrollFirst, Why: append(why, "has nothing that helps")}
	}
	why = append(why, "may enroll nothing that helps")
	return Verdict{Step: StepDenied, Cause: c.stuck(), Why: why}
}

// firstWithin tells whether a first factor was proved not longer ago than age; 0 means ever.
func (c Case) firstWithin(age time.Duration) bool {
	return age == 0 || slices.ContainsFunc(c.Evidence, func(e authn.Evidence) bool {
		return e.Traits.First && !e.Traits.RecoveryOnly && c.Now.Sub(e.At) <= age
	})
}

// helping returns those of candidates that belong to a smallest set which, with
// what is proved already and at most what backs them, would meet the requirement.
func (c Case) helping(candidates, backing []authn.Authenticator) []authn.Kind {
	pool := c.usable(candidates)
	own := len(pool)
	pool = append(pool, c.usable(backing)...)
	for size := 1; size <= min(3, len(pool)); size++ {
		helps := make([]bool, len(pool))
		c.try(pool, nil, 0, size, func(set []int) {
			for _, i := range set {
				helps[i] = true
			}
		})
		var kinds []authn.Kind
		for i := range own {
			if helps[i] && !slices.Contains(kinds, pool[i].Kind) {
				kinds = append(kinds, pool[i].Kind)
			}
		}
		if len(kinds) > 0 {
			return kinds
		}
	}
	return nil
}

// usable drops what can never serve as a step towards a service here.
func (c Case) usable(all []authn.Authenticator) []authn.Authenticator {
	var out []authn.Authenticator
	for _, a := range all {
		named := slices.Contains(c.Requirement.Kinds, a.Kind)
		if !a.Traits.RecoveryOnly && (a.Traits.Class != 0 || named) {
			out = append(out, a)
		}
	}
	return out
}

// try calls found with each set of the given size, beyond what set holds, that meets the requirement.
func (c Case) try(pool []authn.Authenticator, set []int, from, size int, found func([]int)) {
	if len(set) == size {
		evidence := slices.Clone(c.Evidence)
		for _, i := range set {
			evidence = append(evidence, authn.Evidence{Kind: pool[i].Kind, Traits: pool[i].Traits, At: c.Now})
		}
		if Met(c.Requirement, evidence, c.TrustedBrowser, c.Now) {
			found(set)
		}
		return
	}
	for i := from; i < len(pool); i++ {
		c.try(pool, append(set, i), i+1, size, found)
	}
}

// stuck names why nothing that the account has or may register is enough.
func (c Case) stuck() authn.Code {
	hasSecond := slices.ContainsFunc(c.Has, func(a authn.Authenticator) bool {
		return !a.Traits.RecoveryOnly && !(a.Traits.First && a.Traits.Class.Count() < 2)
	})
	r := c.Requirement
	if hasSecond || r.PhishingResistant || r.HardwareBound || r.UserVerified {
		return "R1"
	}
	switch c.Place {
	case authn.Eduroam:
		return "Z2"
	case authn.Guest:
		return "Z2.guest"
	case authn.Relay:
		return "Z3"
	case Gap:
		return "Z4"
	case Anywhere, authn.Campus, authn.VPN:
		return "R1.none"
	}
	return "Z1"
}

const needFirst = "need first"

// missing lists what a requirement still lacks; empty means met.
func missing(r authn.Requirement, evidence []authn.Evidence, trusted bool, now time.Time) []string {
	var why []string
	var good []authn.Evidence
	for _, e := range evidence {
		named := slices.Contains(r.Kinds, e.Kind)
		age := now.Sub(e.At)
		switch {
		case e.Traits.RecoveryOnly:
			why = append(why, "recovery_only "+string(e.Kind))
		case r.Fresh > 0 && age > r.Fresh:
			why = append(why, "stale "+string(e.Kind)+" "+strconv.Itoa(int(age/time.Second))+"s")
		case e.Traits.Class == 0 && !named:
			why = append(why, "not_named "+string(e.Kind))
		default:
			good = append(good, e)
		}
	}
	need := lacking(r, good, trusted)
	if len(need) == 0 {
		return nil
	}
	return append(need, why...)
}

// lacking looks only at evidence that is fresh and may count.
func lacking(r authn.Requirement, good []authn.Evidence, trusted bool) []string {
	var need []string
	if !slices.ContainsFunc(good, func(e authn.Evidence) bool { return e.Traits.First && e.Traits.Class != 0 }) {
		need = append(need, needFirst)
	}
	if slices.Contains(r.Kinds, authn.KindNone) && len(r.Kinds) == 1 {
		return append(need, "need kinds none")
	}
	if trusted && r.TrustedBrowser {
		return need
	}
	var classes authn.Class
	for _, e := range good {
		classes |= e.Traits.Class
	}
	if want := max(1, r.Classes); classes.Count() < want {
		need = append(need, "need classes "+strconv.Itoa(want)+" of "+strconv.Itoa(classes.Count()))
	}
	if t := traitsAsked(r); len(t) > 0 && !slices.ContainsFunc(good, func(e authn.Evidence) bool { return carries(r, e.Traits) }) {
		need = append(need, "need "+strings.Join(t, "+"))
	}
	if len(r.Kinds) > 0 && !slices.ContainsFunc(good, func(e authn.Evidence) bool { return isStep(r, e, good) }) {
		names := make([]string, len(r.Kinds))
		for i, k := range r.Kinds {
			names[i] = string(k)
		}
		need = append(need, "need kinds "+strings.Join(names, "|"))
	}
	return need
}

// carries tells whether one proof alone has every trait asked; traits spread over
// several proofs do not add up.
func carries(r authn.Requirement, t authn.Traits) bool {
	return t.Class != 0 &&
		(!r.PhishingResistant || t.PhishingResistant) &&
		(!r.HardwareBound || t.HardwareBound) &&
		(!r.UserVerified || t.UserVerified)
}

func traitsAsked(r authn.Requirement) []string {
	var t []string
	if r.PhishingResistant {
		t = append(t, "phishing_resistant")
	}
	if r.HardwareBound {
		t = append(t, "hardware_bound")
	}
	if r.UserVerified {
		t = append(t, "user_verified")
	}
	return t
}

// isStep tells whether e is of a named kind and is more than the first factor
// itself: something came before it, or it carries two classes alone.
func isStep(r authn.Requirement, e authn.Evidence, good []authn.Evidence) bool {
	if !slices.Contains(r.Kinds, e.Kind) {
		return false
	}
	if !e.Traits.First || e.Traits.Class.Count() >= 2 {
		return true
	}
	return slices.ContainsFunc(good, func(f authn.Evidence) bool {
		return f.Kind != e.Kind && f.Traits.First && f.Traits.Class != 0
	})
}
