package desk

import (
	"net/http"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/web"
)

// Portal is the id of the house's own pages among the parties.
const Portal = policy.Portal

// GateView is how the gate sees one request; the template desk.gate shows it.
type GateView struct {
	Known    bool // the address could be found out
	Address  string
	Version  string // "IPv4" or "IPv6"
	Chain    []Hop
	Header   string // the forwarding header that was believed
	Ignored  []string
	Zone     string // the name people use
	Kind     authn.ZoneKind
	OnCampus bool
	Why      string
	What     string // what this kind of network means
	Next     string // what to do about it; may be empty
	Services []ServiceView
	Person   bool // the rules are those for this person, not for a stranger
}

// Hop is one station between the person and the gate.
type Hop struct {
	Address string
	Role    string // "you", "proxy" or "gate"
}

// ServiceView is what one service asks from here.
type ServiceView struct {
	Name   string
	Here   []string
	Campus []string // what it would ask on campus, when that is something else
	Rule   string   // the name of the rule that decided
	Next   string   // what this person would meet; empty for a stranger
}

// See looks at a request. who is nil for a stranger; parties are the services to
// speak about.
func See(r *http.Request, f Forecaster, who *Standing, parties []rp.Party) GateView {
	p := web.Lang(r)
	client := web.ClientOf(r)
	zone := f.Doc.Zone(client.Addr)
	v := GateView{
		Known: client.Known(), Address: client.Addr.String(), Version: "IPv6", Header: client.Header, Ignored: client.Ignored,
		Zone: f.Doc.ZoneLabel(zone.Name, string(p.Tag())), Kind: zone.Kind, OnCampus: zone.Kind.OnCampus(), Person: who != nil,
	}
	if client.Addr.Is4() {
		v.Version = "IPv4"
	}
	v.chain(client)
	v.explain(p, zone, f.Doc.Gap(client.Addr))
	if zone.Kind == authn.Elsewhere {
		v.Zone = p.T("desk.kind.elsewhere")
	}
	at := Place{Zone: zone, Addr: client.Addr}
	for _, party := range parties {
		if !party.Disabled {
			v.Services = append(v.Services, f.view(p, who, at, party))
		}
	}
	return v
}

func (v *GateView) chain(c web.Client) {
	if len(c.Via) == 0 {
		v.Chain = []Hop{{c.Addr.String(), "you"}, {"", "gate"}}
		return
	}
	if c.Known() {
		v.Chain = append(v.Chain, Hop{c.Addr.String(), "you"})
	}
	for i := len(c.Via) - 1; i >= 0; i-- { // Via begins at the gate's side
		v.Chain = append(v.Chain, Hop{c.Via[i].String(), "proxy"})
	}
	v.Chain = append(v.Chain, Hop{"", "gate"})
}

func (v *GateView) explain(p lang.Printer, zone authn.Zone, gap bool) {
	switch {
	case !v.Known:
		v.Why = p.T("desk.why.unknown")
	case gap && zone.Kind == authn.Elsewhere:
		v.Why = p.T("desk.why.gap")
	case zone.Prefix != "":
		v.Why = p.T("desk.why.range", "range", zone.Prefix, "zone", v.Zone)
	default:
		v.Why = p.T("desk.why.none")
	}
	v.What = p.T("desk.what." + string(v.Kind))
	if id := "desk.todo." + string(v.Kind); p.Has(id) {
		v.Next = p.T(id)
	}
}

// view says what one service asks at a place; who is nil for a stranger.
func (f Forecaster) view(p lang.Printer, who *Standing, at Place, party rp.Party) ServiceView {
	var s Standing
	if who != nil {
		s = *who
	}
	here := f.For(s, at, party.ID)
	out := ServiceView{Name: party.Name(p.Tag()), Here: Asks(p, here.Ruling.Requirement), Rule: here.Ruling.Name}
	if !at.Zone.Kind.OnCampus() && here.Ruling.Place != policy.Anywhere {
		out.Campus = Asks(p, f.For(s, OnCampus(), party.ID).Ruling.Requirement)
	}
	if who != nil {
		out.Next = Next(p, f.Doc, here)
	}
	return out
}
