package clientcert

import (
	"cmp"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/factor"
	"seimon/internal/store"
)

// proof is an answer that counts for an account.
type proof struct {
	label   string
	account authn.AccountID
	keeps   string // where the key is: onCard, inHardware or ""
	cert    string // as Cards call it
	binding factor.Binding
	fresh   bool // the binding is made with the first use of a foreign certificate
	foreign string
	leaf    *x509.Certificate // of a fresh binding
	facts   map[string]string
}

// open reads an answer and judges it for the account at hand, or for the account
// that it belongs to.
func (f *Factor) open(tx *store.Tx, a factor.Attempt, code string, naming bool) (*proof, error) {
	s, err := find(tx, a.Transaction, code)
	if errors.Is(err, errLate) || err == nil && s.spent {
		return nil, authn.NewFault("C1.late")
	}
	if err != nil {
		return nil, err
	}
	if len(s.chain) == 0 {
		return nil, f.nothing(tx, a)
	}
	v, err := f.Judge.Judge(tx, s.chain)
	if err != nil {
		return nil, err
	}
	p := &proof{label: s.label, account: v.Account, keeps: keeps(v), cert: nameOf(v, s.chain[0])}
	p.facts = map[string]string{"name": cmp.Or(v.Name, v.Issuer, "?"), "tail": v.Tail, "issuer": v.Issuer, "serial": v.Serial, "how": s.how}
	if naming && v.Account != "" {
		if a.Subject, a.Person, err = f.People.Known(tx, v.Account); err != nil {
			return nil, err
		}
		if a.Bindings, err = f.bindings(tx, v.Account); err != nil {
			return nil, err
		}
	}
	if fault, err := f.refuse(tx, a, v, s.chain[0]); fault != nil || err != nil {
		if fault == nil {
			return nil, err
		}
		return nil, f.tell(a, p, fault)
	}
	if err := f.bind(tx, a, v, p, s.chain[0]); err != nil {
		if fault := authn.AsFault(err); fault != nil {
			return nil, f.tell(a, p, fault)
		}
		return nil, err
	}
	return p, nil
}

func (f *Factor) bindings(tx *store.Tx, account authn.AccountID) ([]factor.Binding, error) {
	all, err := f.Bindings.Of(tx, account)
	return slices.DeleteFunc(all, func(b factor.Binding) bool { return b.Kind != Kind }), err
}

// nothing is the cause when the browser sent no certificate: cancelled, none there,
// or a card that is not in its reader.
func (f *Factor) nothing(tx *store.Tx, a factor.Attempt) error {
	fault := authn.NewFault("C1")
	if !a.Proved {
		if f.wantsCard(a) {
			fault.Code = "K1"
		}
		return fault
	}
	all, err := f.own(a)
	if err != nil {
		return err
	}
	if old, ok, err := expired(a); err != nil || ok && len(all) == 0 {
		// Browsers do not offer what has expired, and do not say so.
		return cmp.Or(err, f.tell(a, &proof{facts: map[string]string{"name": old.Name, "tail": old.Tail}},
			authn.NewFault("C3", "until", factor.TimeFact(time.Unix(old.NotAfter, 0)))))
	}
	state, err := f.reading(tx, all)
	if err != nil {
		return err
	}
	switch {
	case state.cards > 0 && state.cards == len(all) && state.locked:
		fault = authn.NewFault("K3", "seen", factor.TimeFact(state.seen))
	case state.cards > 0 && state.cards == len(all), f.wantsCard(a):
		fault.Code = "K1"
	case state.cards > 0:
		fault.Code = "K1.both"
	}
	return f.tell(a, &proof{}, fault)
}

// expired is the certificate of the person that expired last.
func expired(a factor.Attempt) (last record, ok bool, err error) {
	for _, b := range a.Active() {
		r, err := readRecord(b.Payload)
		if err != nil {
			return last, false, err
		}
		if a.Now.Unix() >= r.NotAfter && r.NotAfter > last.NotAfter {
			last, ok = r, true
		}
	}
	return last, ok, nil
}

// refuse finds why a certificate does not count for the account at hand. What is told
// first helps most: whose it is, then the card, then the certificate itself, then
// what the university decided about it.
func (f *Factor) refuse(tx *store.Tx, a factor.Attempt, v trust.Verdict, leaf *x509.Certificate) (*authn.Fault, error) {
	ours := v.Certificate.ID != ""
	if v.Account != "" && v.Account != a.Subject.Account {
		if v.Certificate.Person != "" && v.Certificate.Person == a.Subject.Person {
			return authn.NewFault("C2.own"), nil
		}
		return authn.NewFault("C2"), nil
	}
	if f.Cards != nil && (ours || v.Foreign != "") {
		state, since, err := f.Cards.CardOf(tx, nameOf(v, leaf))
		if err != nil {
			return nil, err
		}
		if state != "" && state != "active" {
			return authn.NewFault(cardCode(state), "since", factor.TimeFact(since)), nil
		}
	}
	switch cut, set := f.cutOff(a.Settings); {
	case v.Fault != nil:
		return v.Fault, nil
	case v.Account == "":
		return authn.NewFault("C2.none"), nil
	case v.Certificate.ReplacedBy != "":
		return authn.NewFault("C8"), nil
	case set && leaf.NotBefore.Before(cut):
		return authn.NewFault("C5", "day", factor.TimeFact(cut)), nil
	case ours && v.Certificate.Mail != "" && !hasMail(a.Person, v.Certificate.Mail):
		return f.formerMail(tx, a, v.Certificate.Mail)
	case a.Proved && !enough(a.Requirement, traits(keeps(v))):
		return authn.NewFault("K1.card"), nil
	}
	return nil, nil
}

// foreign begins the name of a certificate of another house; its SHA-256 follows.
const foreign = "x509:"

// nameOf is what Cards call a certificate.
func nameOf(v trust.Verdict, leaf *x509.Certificate) string {
	return cmp.Or(v.Certificate.ID, foreign+identifier(leaf.Raw))
}

// cutOff is the moment from when on certificates count: midnight of a day where the
// campus is.
func (f *Factor) cutOff(settings map[string]string) (at time.Time, set bool) {
	at, err := time.ParseInLocation(time.DateOnly, settings["cut_off"], f.Zone)
	return at, err == nil
}

// keeps tells where the private key of a certificate is. Issuers of others that are
// declared to keep keys in hardware are issuers of cards.
func keeps(v trust.Verdict) string {
	switch c := v.Certificate; {
	case c.Card != "", c.Profile == ca.CardProfile, v.Hardware && v.Foreign != "":
		return onCard
	case v.Hardware:
		return inHardware
	}
	return ""
}

// enough tells whether a proof has what a rule asks of one proof alone.
func enough(r authn.Requirement, t authn.Traits) bool {
	return (!r.HardwareBound || t.HardwareBound) && (!r.UserVerified || t.UserVerified)
}

// Former tells of a card that was suspended or reported lost: with it went the binding of
// its certificate, and nobody asks for it any more.
func (f *Factor) Former(tx *store.Tx, account authn.AccountID) (*authn.Fault, error) {
	if f.Cards == nil || account == "" {
		return nil, nil
	}
	old, err := f.Bindings.Retired(tx, account, Kind)
	if err != nil {
		return nil, err
	}
	for _, b := range old {
		r, err := readRecord(b.Payload)
		if err != nil {
			return nil, err
		}
		state, since, err := f.Cards.CardOf(tx, cmp.Or(r.Cert, foreign+b.Identifier))
		if err != nil {
			return nil, err
		}
		if state == "suspended" || state == "lost" {
			return authn.NewFault(cardCode(state), "since", factor.TimeFact(since), "name", r.Name, "tail", r.Tail), nil
		}
	}
	return nil, nil
}

// cardCode is the cause for a card in a state in which it may not sign in.
func cardCode(state string) authn.Code {
	switch state {
	case "suspended", "lost", "replaced", "returned":
		return authn.Code("K4." + state)
	}
	return "K4"
}

// hasMail tells whether an address is the one that the university gave to the person.
func hasMail(p factor.Profile, address string) bool {
	return slices.ContainsFunc(p.Addresses, func(x factor.Address) bool { return x.Use == "mail" && strings.EqualFold(x.Address, address) })
}

// formerMail says since when an address is no longer the person's, where that is known.
func (f *Factor) formerMail(tx *store.Tx, a factor.Attempt, address string) (*authn.Fault, error) {
	fault := authn.NewFault("C6", "mail", address)
	until, err := f.People.FormerMail(tx, a.Subject.Person, address)
	if !until.IsZero() {
		fault.Facts["since"] = factor.TimeFact(until)
	}
	return fault, err
}

// bind finds the binding of the certificate. A certificate of ours got it when it was
// issued; a foreign one gets it with its first use.
func (f *Factor) bind(tx *store.Tx, a factor.Attempt, v trust.Verdict, p *proof, leaf *x509.Certificate) error {
	id := identifier(leaf.Raw)
	for _, b := range a.Active() {
		if b.Identifier != id {
			continue
		}
		_, err := readRecord(b.Payload)
		p.binding = b
		return err
	}
	if v.Foreign == "" {
		return authn.NewFault("C4.removed")
	}
	if _, err := f.Bindings.Ever(tx, v.Account, Kind, id); err == nil { // somebody removed it
		return authn.NewFault("C4.removed")
	} else if !errors.Is(err, factor.ErrNone) {
		return err
	}
	p.foreign, p.leaf = v.Foreign, leaf
	p.fresh, p.binding = true, foreignBinding(v, leaf)
	return nil
}

// tell adds what the page says about the certificate that was shown and, once
// something else was proved, which of the person's own is the right one.
func (f *Factor) tell(a factor.Attempt, p *proof, fault *authn.Fault) error {
	out := &authn.Fault{Code: fault.Code, Cause: fault.Cause, Facts: map[string]string{}}
	for name, value := range p.facts {
		out.Facts[name] = value
	}
	for name, value := range fault.Facts {
		out.Facts[name] = value
	}
	if !a.Proved {
		return out
	}
	right, err := f.own(a)
	if err != nil {
		return err
	}
	right = slices.DeleteFunc(right, func(m mine) bool { return m.Spoiled || m.Tail == p.facts["tail"] })
	if len(right) > 0 {
		m := slices.MaxFunc(right, likelier)
		out.Facts["right"], out.Facts["right_tail"] = m.Name, m.Tail
	}
	return out
}

// likelier compares which of two certificates is meant: the one that signed in last,
// then the one that lasts longer.
func likelier(a, b mine) int { return cmp.Or(a.Used.Compare(b.Used), a.Until.Compare(b.Until)) }

// factsOf turns facts into alternating names and values.
func factsOf(m map[string]string) []string {
	var out []string
	for name, value := range m {
		out = append(out, name, value)
	}
	return out
}
