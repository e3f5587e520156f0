package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/authn"
)

// Finding is something that is allowed but unwise.
type Finding struct {
	Code  string            `json:"code"` // stable, such as "mailcode.lifetime"
	Line  int               `json:"line"` // 0 when it is about the whole document
	ID    string            `json:"-"`    // message id in this room's words
	Facts map[string]string `json:"facts,omitempty"`
}

// longTrust is how long a browser may be trusted without a finding.
const longTrust = 30 * 24 * time.Hour

// longMail is how long a mail code may live without a finding (ASVS 5.0 6.5.5, NIST SP 800-63B-4 3.1.3).
const longMail = 10 * time.Minute

// singleFactor is the least length of a password that is the only factor (NIST SP 800-63B-4 3.1.1.2).
const singleFactor = 15

// Lint lists what is allowed but unwise, in line order.
func (d *Document) Lint() []Finding {
	l := &linter{d: d}
	l.lintRules()
	l.lintZones()
	l.lintEnrolment()
	l.lintSettings()
	slices.SortStableFunc(l.found, func(a, b Finding) int { return a.Line - b.Line })
	return l.found
}

type linter struct {
	d     *Document
	found []Finding
}

func (l *linter) add(code string, line int, facts ...string) {
	f := Finding{Code: code, Line: line, ID: "policy.lint." + code}
	for i := 0; i+1 < len(facts); i += 2 {
		if f.Facts == nil {
			f.Facts = map[string]string{}
		}
		f.Facts[facts[i]] = facts[i+1]
	}
	l.found = append(l.found, f)
}

func (l *linter) lintRules() {
	general := false
	for _, r := range l.d.rules {
		general = general || r.Service == "" && len(r.Groups) == 0 && len(r.Zones) == 0
		q := r.Requirement
		if !q.SecondStep() {
			l.add("rule.password-alone", r.Line, "rule", r.Name)
			if q.TrustedBrowser {
				l.add("rule.trust-without-effect", r.trustedLine, "rule", r.Name)
			}
		}
		if r.Service == Portal && !q.SecondStep() {
			l.add("rule.portal", r.Line, "rule", r.Name)
		}
		if slices.Contains(q.Kinds, "mailcode") {
			l.add("rule.mailcode", r.kindsLine, "rule", r.Name)
		}
		for _, k := range q.Kinds {
			if !reachable(q, k) {
				l.add("rule.unreachable", r.kindsLine, "rule", r.Name, "kind", string(k))
			}
		}
		if q.TrustedBrowser && q.SecondStep() && l.d.trust == 0 {
			l.add("rule.trust-without-days", r.trustedLine, "rule", r.Name)
		}
	}
	if !general {
		l.add("rule.no-default", 0)
	}
	l.lintApart()
}

// reachable tells whether a step of this kind after the password can meet the requirement.
func reachable(q authn.Requirement, kind authn.Kind) bool {
	traits, ok := traitsOf(kind)
	if !ok {
		return true
	}
	password, _ := traitsOf(Password)
	now := time.Unix(0, 0)
	return Met(q, []authn.Evidence{{Kind: Password, Traits: password, At: now}, {Kind: kind, Traits: traits, At: now}}, false, now)
}

// lintApart finds rules that hold together for a person in two groups and that
// name no kind in common: that person can never get in.
func (l *linter) lintApart() {
	for i, a := range l.d.rules {
		for _, b := range l.d.rules[:i] {
			if a.Service != b.Service || len(a.Groups) == 0 || len(b.Groups) == 0 || !sameZones(a.Zones, b.Zones) {
				continue
			}
			if slices.Contains(a.Requirement.Stricter(b.Requirement).Kinds, authn.KindNone) {
				l.add("rule.apart", a.Line, "rule", a.Name, "other", b.Name, "line", strconv.Itoa(b.Line))
			}
		}
	}
}

func sameZones(a, b []string) bool {
	return len(a) == 0 && len(b) == 0 || overlap(a, b)
}

func (l *linter) lintZones() {
	words := map[string]bool{}
	for _, r := range l.d.rules {
		for _, z := range r.Zones {
			words[z] = true
		}
	}
	for _, e := range l.d.enrolment {
		for _, z := range e.Zones {
			words[z] = true
		}
	}
	if len(l.d.zones) > 0 && len(words) == 0 {
		l.add("zone.no-effect", l.d.zones[0].Line)
	}
	v6 := false
	for _, z := range l.d.zones {
		v6 = v6 || slices.ContainsFunc(z.Ranges, func(p netip.Prefix) bool { return p.Addr().Is6() })
	}
	for _, z := range l.d.zones {
		has4 := slices.ContainsFunc(z.Ranges, func(p netip.Prefix) bool { return p.Addr().Is4() })
		has6 := slices.ContainsFunc(z.Ranges, func(p netip.Prefix) bool { return p.Addr().Is6() })
		if has4 && !has6 && (z.Kind.OnCampus() || v6) {
			l.add("zone.ipv6", z.Line, "zone", z.Name)
		}
		for _, p := range z.Ranges {
			if z.Kind.OnCampus() && (p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 20) {
				l.add("zone.wide", z.Line, "zone", z.Name, "range", p.String())
			}
		}
	}
	if !l.d.UsesZones() || len(l.d.zones) > 0 {
		return
	}
	l.add("zone.none", 0)
}

func (l *linter) lintEnrolment() {
	for _, e := range l.d.enrolment {
		what := string(e.Kind)
		if what == "" {
			what = "*"
		}
		if e.Classes == 1 {
			l.add("enrolment.password-alone", e.Line, "kind", what)
		}
		if len(e.Zones) == 0 && len(e.With) == 0 && e.Classes == 0 {
			l.add("enrolment.closed", e.Line, "kind", what)
		}
		for _, z := range e.Zones {
			if z == OffCampus || z == string(authn.Elsewhere) || z == string(authn.Guest) || z == string(authn.Eduroam) || z == string(authn.Relay) {
				l.add("enrolment.off-campus", e.Line, "kind", what, "zone", z)
			}
		}
		for _, set := range e.With {
			if len(set) == 1 && set[0] == "mailcode" {
				l.add("enrolment.mailcode", e.Line, "kind", what)
			}
		}
	}
}

func (l *linter) lintSettings() {
	d := l.d
	if d.trust > longTrust {
		l.add("trusted_browser.days", d.trustLine, "days", strconv.Itoa(int(d.trust/(24*time.Hour))))
	}
	if d.mailcode.Lifetime > longMail {
		l.add("mailcode.lifetime", d.mailcode.Line, "lifetime", brief(d.mailcode.Lifetime))
	}
	if d.totp.LastWins {
		l.add("totp.last_wins", d.totp.Line)
	}
	if d.cert.ServerMade {
		l.add("clientcert.server_made", d.cert.serverMadeLine)
	}
	alone := slices.ContainsFunc(d.rules, func(r Rule) bool { return !r.Requirement.SecondStep() })
	if alone && d.password.Alone < singleFactor {
		l.add("password.alone", d.password.Line, "alone", strconv.Itoa(d.password.Alone))
	}
	if d.agreement.Version != "" && strings.TrimSpace(d.agreement.Texts["ja"]) == strings.TrimSpace(d.agreement.Texts["en"]) {
		l.add("agreement.same", d.agreement.Line)
	}
}
