package directory

import (
	"slices"
	"strings"
	"time"
)

// Claims is what the university may say of its people's assurance, because it meets what
// the frameworks ask of an organisation.
type Claims struct {
	// REFEDS says that the university conforms to the REFEDS Assurance Framework 2.0.
	REFEDS bool
	// IAL2 says that GakuNin has accepted the university's proofing.
	IAL2 bool
	// Enterprise are the kinds of account that may use the university's own
	// administrative systems by the way they are issued.
	Enterprise []string
	// Shared are kinds of account behind which stands more than one person.
	Shared []string
	// Values names claims in another way than usual, by the usual name; "" leaves one out.
	Values map[string]string
}

// The values of eduPersonAssurance (REFEDS Assurance Framework 2.0, GakuNin).
const (
	raf           = "https://refeds.org/assurance"
	rafVersion    = raf + "/version/2"
	rafUnique     = raf + "/ID/unique"
	rafNoReassign = raf + "/ID/eppn-unique-no-reassign"
	rafLow        = raf + "/IAP/low"
	rafMedium     = raf + "/IAP/medium"
	rafHigh       = raf + "/IAP/high"
	rafEnterprise = raf + "/IAP/local-enterprise"
	rafMonth      = raf + "/ATP/ePA-1m"
	rafCappuccino = raf + "/profile/cappuccino"
	rafEspresso   = raf + "/profile/espresso"
	gakuninIAL2   = "https://www.gakunin.jp/profile/IAL2"
)

// AssuranceValues lists every value that can be claimed.
func AssuranceValues() []string {
	return []string{raf, rafVersion, rafUnique, rafNoReassign, rafLow, rafMedium, rafHigh, rafEnterprise, rafMonth, rafCappuccino, rafEspresso, gakuninIAL2}
}

// month is within which an affiliation must have been affirmed (RAF 2.0, ATP/ePA-1m).
const month = 31 * 24 * time.Hour

// facts are all that claims are computed from. Neither the network nor the browser nor
// the way of signing in is among them.
type facts struct {
	account    Account
	person     Person
	proofs     []Proof
	ownName    bool // the principal name is made of the user name
	now        time.Time
	affiliated bool
}

// Assurance computes what may be said of an account from the facts on record.
func (c Claims) Assurance(a Account, p Person, ownName bool, now time.Time) []string {
	f := facts{account: a, person: p, ownName: ownName, now: now, affiliated: len(a.Affiliations) > 0}
	for _, proof := range p.Proofs {
		if proof.counts(now) {
			f.proofs = append(f.proofs, proof)
		}
	}
	if slices.Contains(c.Shared, a.Kind) || a.State == Pending {
		return nil // nobody stands behind it, or more than one person does
	}
	var out []string
	if c.REFEDS {
		out = c.refeds(f)
	}
	if c.IAL2 && f.ial2() {
		out = append(out, gakuninIAL2)
	}
	return c.named(out)
}

// refeds are the claims of the REFEDS Assurance Framework 2.0. Higher levels of proofing
// include the lower ones, and all that apply are said.
func (c Claims) refeds(f facts) []string {
	out := []string{raf, rafVersion}
	add := func(value string, ok bool) bool {
		if ok {
			out = append(out, value)
		}
		return ok
	}
	high := f.high()
	medium := high || f.medium()
	unique := add(rafUnique, f.unique())
	add(rafNoReassign, unique && f.ownName)
	add(rafLow, medium || f.low())
	add(rafMedium, medium)
	add(rafHigh, high)
	add(rafEnterprise, slices.Contains(c.Enterprise, f.account.Kind))
	fresh := add(rafMonth, f.affiliated && f.now.Sub(f.account.Affirmed) < month)
	add(rafCappuccino, unique && medium && fresh)
	add(rafEspresso, unique && high && fresh)
	return out
}

// named puts the university's own names for claims in place.
func (c Claims) named(values []string) []string {
	var out []string
	for _, v := range values {
		if own, ok := c.Values[v]; ok {
			v = own
		}
		if v != "" {
			out = append(out, v)
		}
	}
	return out
}

// unique: one person, whom the university can reach; ids of accounts are never used
// again (RAF 2.0, 2.1).
func (f facts) unique() bool { return f.person.Mail != "" || f.person.Notify != "" }

// low: a verified address, or anything better (RAF 2.0, 2.2).
func (f facts) low() bool {
	return !f.person.MailVerified.IsZero() || !f.person.NotifyVerified.IsZero() || len(f.proofs) > 0
}

// medium: a document of the state, compared with the person, or the university's own
// procedure and a confirmed address.
func (f facts) medium() bool {
	address := f.any(func(p Proof) bool { return p.Way == Address })
	return f.any(func(p Proof) bool { return p.compared() && p.best() >= strong }) ||
		address && f.any(func(p Proof) bool { return p.Way == Register })
}

// high: a document of the state whose genuineness was judged by staff who saw it with
// the person, or by its chip.
func (f facts) high() bool {
	return f.any(func(p Proof) bool { return p.watched() && p.best() >= strong })
}

// ial2 is what GakuNin's IAL2 takes over from NIST SP 800-63A (4.4.1.2, 4.4.1.6): one
// superior document, two strong ones, or one strong and two fair ones, all looked at
// with the person; and a confirmed address where nobody stood at the desk.
func (f facts) ial2() bool {
	var kinds []string
	n := map[strength]int{}
	desk, address := false, false
	for _, p := range f.proofs {
		address = address || p.Way == Address
		if !p.watched() {
			continue
		}
		desk = desk || p.desk()
		for _, d := range p.Documents {
			if !slices.Contains(kinds, d) || p.verified() {
				kinds = append(kinds, d)
				n[p.worth(d)]++
			}
		}
	}
	enough := n[superior] >= 1 || n[strong] >= 2 || n[strong] >= 1 && n[fair] >= 2
	return enough && (desk || address)
}

func (f facts) any(fits func(Proof) bool) bool { return slices.ContainsFunc(f.proofs, fits) }

// watched tells whether people or a signature vouch for document and person.
func (p Proof) watched() bool { return p.desk() || p.Way == Supervised || p.Way == Chip }

// desk tells whether the person stood before staff.
func (p Proof) desk() bool { return p.Way == InPerson || p.Way == AtDesk }

// verified tells whether a chip was read.
func (p Proof) verified() bool { return p.Way == Chip || p.Way == AtDesk }

// compared tells whether document and person were compared at all.
func (p Proof) compared() bool { return p.watched() || p.Way == Photo }

// worth is what a document is worth in this proof.
func (p Proof) worth(document string) strength {
	s := documents()[document]
	if p.verified() && s == strong {
		return superior
	}
	return s
}

func (p Proof) best() strength {
	var out strength
	for _, d := range p.Documents {
		out = max(out, p.worth(d))
	}
	return out
}

// computed tells whether a value is one that is only ever computed.
func computed(value string) bool {
	return value == raf || strings.HasPrefix(value, raf+"/") || value == gakuninIAL2
}
