package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"seimon/internal/authn"
)

// Portal is the service id of the house's own portal. It is always known.
const Portal = "portal"

// Document is one version of what the campus decided. It never changes after
// Parse and is safe for concurrent use.
type Document struct {
	file      string
	text      []byte
	groups    []Group
	zones     []Network
	table     zoneTable
	services  []Service
	rules     []Rule
	enrolment []EnrolmentRule // the first has no kind and is for every kind without a rule of its own
	trust     time.Duration
	trustLine int
	agreement agreement
	password  passwordSettings
	totp      totpSettings
	mailcode  mailcodeSettings
	cert      certSettings
}

// Group is a set of accounts that rules and services may name, with its name in each language.
type Group struct {
	Name   string
	Labels map[string]string // "ja", "en"
	Line   int
}

// Network is a named zone and its ranges.
type Network struct {
	Name   string
	Kind   authn.ZoneKind
	Ranges []netip.Prefix
	Labels map[string]string // "ja", "en"; may be empty
	Line   int
}

// Service says who may use a service. A service that the document does not list is for everybody.
type Service struct {
	Name   string
	Groups []string
	Line   int
}

// Rule says what must be proved for a service (empty: every service) by members
// of groups (empty: everybody) from zones (empty: everywhere; names of zones,
// kinds of zone, "on-campus" or "off-campus").
type Rule struct {
	Name        string
	Service     string
	Groups      []string
	Zones       []string
	Requirement authn.Requirement
	Line        int

	serviceLine, kindsLine, trustedLine int
}

// EnrolmentRule says from where, or after what proof, an authenticator may be registered.
type EnrolmentRule struct {
	Kind    authn.Kind // empty: every kind without a rule of its own
	Zones   []string   // there a first factor is enough
	Classes int        // elsewhere this many classes must have been proved; 0 means never elsewhere
	With    [][]authn.Kind
	Fresh   time.Duration
	Line    int
}

type agreement struct {
	Version string
	Texts   map[string]string
	Line    int
}

type passwordSettings struct {
	Minimum, Alone int // characters
	Line           int
}

type totpSettings struct {
	Devices  int
	LastWins bool
	Line     int
}

type mailcodeSettings struct {
	Lifetime time.Duration
	Line     int
}

// File is the name under which the document was read.
func (d *Document) File() string { return d.file }

// Text is the document as it was written.
func (d *Document) Text() []byte { return slices.Clone(d.text) }

// Zones lists the zones in the order of the document.
func (d *Document) Zones() []Network { return slices.Clone(d.zones) }

// Rules lists the rules in the order of the document, which has no meaning.
func (d *Document) Rules() []Rule { return slices.Clone(d.rules) }

// Services lists the services for which the document says who may use them.
func (d *Document) Services() []Service { return slices.Clone(d.services) }

// Groups lists the groups that the document knows.
func (d *Document) Groups() []Group { return slices.Clone(d.groups) }

// GroupLabel is the name of a group in a language ("ja", "en"), or its own name.
func (d *Document) GroupLabel(group, lang string) string {
	for _, g := range d.groups {
		if g.Name == group && g.Labels[lang] != "" {
			return g.Labels[lang]
		}
	}
	return group
}

// ZoneLabel is the name of a zone in a language ("ja", "en"), or its own name.
func (d *Document) ZoneLabel(zone, lang string) string {
	for _, z := range d.zones {
		if z.Name == zone && z.Labels[lang] != "" {
			return z.Labels[lang]
		}
	}
	return zone
}

// UsesZones tells whether the client address has any effect under this document.
func (d *Document) UsesZones() bool {
	if len(d.zones) > 0 {
		return true
	}
	return slices.ContainsFunc(d.rules, func(r Rule) bool { return len(r.Zones) > 0 }) ||
		slices.ContainsFunc(d.enrolment, func(e EnrolmentRule) bool { return len(e.Zones) > 0 }) || len(d.cert.Zones) > 0
}

// Agreement gives the version of the agreement that people must accept and its
// text in Japanese and English; an empty version means that there is none.
func (d *Document) Agreement() (version, textJA, textEN string) {
	return d.agreement.Version, d.agreement.Texts["ja"], d.agreement.Texts["en"]
}

// TrustFor is how long a browser stays trusted; 0 means that no browser can be.
func (d *Document) TrustFor() time.Duration { return d.trust }

// Settings are the document's settings for one kind of factor, as the factor
// room reads them: password "minimum" and "alone" (characters), totp "devices"
// and "lastWins", mailcode "lifetime" (a Go duration), clientcert "cut_off" (a
// day; it begins at midnight where the campus is), "first", "first_card", "devices" and "serverMade".
func (d *Document) Settings(kind authn.Kind) map[string]string {
	switch kind {
	case Password:
		return map[string]string{"minimum": strconv.Itoa(d.password.Minimum), "alone": strconv.Itoa(d.password.Alone)}
	case "totp":
		return map[string]string{"devices": strconv.Itoa(d.totp.Devices), "lastWins": strconv.FormatBool(d.totp.LastWins)}
	case ClientCert:
		out := map[string]string{"first": strconv.FormatBool(d.cert.First), "first_card": strconv.FormatBool(d.cert.CardOnly)}
		out["devices"], out["serverMade"] = strconv.Itoa(d.cert.Devices), strconv.FormatBool(d.cert.ServerMade)
		if d.cert.CutOff != "" {
			out["cut_off"] = d.cert.CutOff
		}
		return out
	case "mailcode":
		return map[string]string{"lifetime": d.mailcode.Lifetime.String()}
	}
	return map[string]string{}
}
