package policy

import (
	"slices"

	"seimon/internal/authn"
)

// kindTraits is what a factor kind can be worth at its best, for checking a
// document. What a proof is really worth, the factor says in its evidence.
type kindTraits struct {
	kind   authn.Kind
	traits authn.Traits
}

// houseKinds lists the kinds that a document may name.
func houseKinds() []kindTraits {
	return []kindTraits{
		{Password, authn.Traits{Class: authn.Know, First: true}},
		{"totp", authn.Traits{Class: authn.Have, SingleUse: true}},
		{"mailcode", authn.Traits{SingleUse: true}},
		{"clientcert", authn.Traits{Class: authn.Have | authn.Know, PhishingResistant: true, HardwareBound: true, UserVerified: true, First: true}},
		{"passkey", authn.Traits{Class: authn.Have | authn.Know, PhishingResistant: true, HardwareBound: true, UserVerified: true, First: true}},
		{"matrix", authn.Traits{Class: authn.Have, SingleUse: true}},
		{"recovery", authn.Traits{Class: authn.Have, SingleUse: true, RecoveryOnly: true}},
		{"deskpass", authn.Traits{Class: authn.Have, SingleUse: true}},
	}
}

func traitsOf(kind authn.Kind) (authn.Traits, bool) {
	for _, k := range houseKinds() {
		if k.kind == kind {
			return k.traits, true
		}
	}
	return authn.Traits{}, false
}

func kindNames() []string {
	var out []string
	for _, k := range houseKinds() {
		out = append(out, string(k.kind))
	}
	slices.Sort(out)
	return out
}
