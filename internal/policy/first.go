package policy

import (
	"slices"
	"time"

	"seimon/internal/authn"
)

// ClientCert is the kind that a document may let come before user name and password.
const ClientCert authn.Kind = "clientcert"

// certSettings are the document's words about certificates and IC cards.
type certSettings struct {
	CutOff   string // a day; certificates issued before do not count; empty: all count
	First    bool
	CardOnly bool     // only an IC card may come first
	Services []string // empty: all
	Zones    []string
	Groups   []string
	// Devices is how many certificates of one account may be valid at once.
	Devices int
	// ServerMade lets the server make a key for somebody whose browser cannot.
	ServerMade bool
	Line       int

	servicesLine, serverMadeLine int
}

// FirstQuestion asks whether a proof may come before the password here.
type FirstQuestion struct {
	Service string
	Zone    authn.Zone
	// Named says that it is known who is signing in; Groups are theirs.
	Named  bool
	Groups []string
}

// Offers tells whether a kind is offered before the password. Before somebody is
// named the groups do not count: nothing about anybody may be told then.
func (d *Document) Offers(q FirstQuestion, kind authn.Kind) bool {
	c := d.cert
	return kind == ClientCert && c.First &&
		(len(c.Services) == 0 || slices.Contains(c.Services, q.Service)) &&
		(len(c.Zones) == 0 || slices.ContainsFunc(c.Zones, func(w string) bool { return zoneRank(w, q.Zone) > 0 })) &&
		(len(c.Groups) == 0 || !q.Named || overlap(c.Groups, q.Groups))
}

// Leads gives the traits of a proof as they count here: with First where the
// document lets this proof stand before or in place of the password.
func (d *Document) Leads(q FirstQuestion, kind authn.Kind, t authn.Traits) authn.Traits {
	q.Named = true
	if d.Offers(q, kind) && (!d.cert.CardOnly || t.UserVerified && t.HardwareBound) {
		t.First = true
	}
	return t
}

// readCertificates reads the table clientcert. It comes after zones and groups.
func (b *builder) readCertificates(t *table) {
	b.d.cert.Devices = 5
	if t == nil {
		return
	}
	services, zones, groups := t.list("first_services"), t.list("first_zones"), t.list("first_groups")
	b.checkZones(zones)
	b.checkGroups(groups)
	c := certSettings{
		CutOff: t.day("cut_off"), First: t.flag("first"), CardOnly: t.flag("first_card"),
		Services: texts(services), Zones: texts(zones), Groups: texts(groups),
		Devices: t.number("devices", 5, 1, 50), ServerMade: t.flag("server_made"), serverMadeLine: t.line("server_made"),
		Line: t.here(), servicesLine: t.line("first_services"),
	}
	for _, key := range []string{"first_card", "first_services", "first_zones", "first_groups"} {
		if t.has(key) && !c.First {
			b.fault(t.line(key), "%s has a meaning only with first = true", key)
		}
		if isEmptyList(t.vals[key]) {
			b.fault(t.line(key), "%s is empty; leave it out to mean all of them", key)
		}
	}
	b.d.cert = c
	t.end()
}

// day reads a date such as "2026-04-01", as it was written. When it begins depends on
// the campus's time zone, which a document does not know.
func (t *table) day(key string) string {
	text := t.text(key)
	if text == "" {
		return ""
	}
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		t.wrong(key, `a date such as "2026-04-01"`)
	}
	return text
}
