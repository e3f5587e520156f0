package app

import (
	"net/url"
	"slices"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/store"
)

// AssuranceConfig is what the university may say of its people (eduPersonAssurance).
type AssuranceConfig struct {
	// REFEDS says that the university meets what the REFEDS Assurance Framework 2.0 asks
	// of an organisation.
	REFEDS bool `toml:"refeds"`
	// IAL2 says that GakuNin has accepted the university's identity proofing.
	IAL2 bool `toml:"gakunin_ial2"`
	// Enterprise and Shared are kinds of account.
	Enterprise []string `toml:"enterprise"`
	Shared     []string `toml:"shared"`
	// Values puts other identifiers in the place of the usual ones; an empty one leaves
	// the claim out.
	Values map[string]string `toml:"values"`
}

func (c AssuranceConfig) claims() directory.Claims {
	return directory.Claims{REFEDS: c.REFEDS, IAL2: c.IAL2, Enterprise: c.Enterprise, Shared: c.Shared, Values: c.Values}
}

func (c *Config) checkAssurance(wrong complaint) {
	for usual, own := range c.Assurance.Values {
		if !slices.Contains(directory.AssuranceValues(), usual) {
			wrong("assurance.values", "assurance.values: %q is none of the values that are claimed", usual)
		}
		if u, err := url.Parse(own); own != "" && (err != nil || u.Scheme == "" || len(own) > 500) {
			wrong("assurance.values", "assurance.values: %q is no URI", own)
		}
	}
}

// proofColumn is the column of imports that says how somebody was found to be who they say.
func (h *House) proofColumn(zone *time.Location, actor string) directory.Column {
	return directory.Column{
		Name:  "proof",
		Check: func(value string) error { _, err := directory.ReadProof(value, zone); return err },
		Store: func(tx *store.Tx, account authn.AccountID, value string) error {
			p, err := directory.ReadProof(value, zone)
			if err != nil {
				return err
			}
			_, person, err := h.People.ByID(tx, account)
			if err != nil || p.Known(person.Proofs) {
				return err
			}
			p.Person, p.By = person.ID, actor+" (import)"
			if p, err = h.People.Prove(tx, p); err != nil {
				return err
			}
			return h.Audit.Append(tx, audit.Event{
				Type: "account.proofed", Account: account, Actor: actor, Facts: map[string]string{"proof": p.ID, "way": string(p.Way), "by": p.By},
			})
		},
	}
}
