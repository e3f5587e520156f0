package ca

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

//go:embed profiles.toml
var ownProfiles []byte

// The profiles that Seimon brings.
const (
	PersonDevice  = "person-device"
	CardProfile   = "card"
	WiFiPseudonym = "wifi-pseudonym"
)

// The assurances: how the private key is kept. Each has a policy identifier of its
// own, by which RADIUS servers choose a network and the gate the strength of a proof.
const (
	Software      = "software"
	HardwareBound = "hardware-bound"
	OnCard        = "card"
)

// Assurances lists the assurances in the order of their policy identifiers.
func Assurances() []string { return []string{Software, HardwareBound, OnCard} }

// Profile says what stands in a certificate.
type Profile struct {
	Name string `toml:"-"`
	// Days is how long a certificate lives.
	Days int `toml:"days"`
	// CommonName is a pattern over {name}, {label}, {year}, {pseudonym} and {realm}.
	CommonName string `toml:"common_name"`
	// Names lists the subject alternative names: mail, upn, device.
	Names []string `toml:"subject_alternative_names"`
	// KeyUsage and ExtendedKeyUsage use the names of RFC 5280 4.2.1.3 and 4.2.1.12.
	KeyUsage         []string `toml:"key_usage"`
	ExtendedKeyUsage []string `toml:"extended_key_usage"`
	// Assurance is software, hardware-bound or card.
	Assurance string `toml:"assurance"`
	// Keys lists the kinds of key that are accepted.
	Keys []string `toml:"keys"`
	// PerAccount bounds the usable certificates of an account in this profile.
	PerAccount int `toml:"per_account"`
}

// Life is how long a certificate of the profile lives.
func (p Profile) Life() time.Duration { return time.Duration(p.Days) * 24 * time.Hour }

// Pseudonymous tells whether nothing in the certificate names the person.
func (p Profile) Pseudonymous() bool { return strings.Contains(p.CommonName, "{pseudonym}") }

// Profile gives a profile by its name.
func (a *Authority) Profile(name string) (Profile, bool) {
	p, ok := a.profiles[name]
	return p, ok
}

// Profiles lists the profiles by name.
func (a *Authority) Profiles() []Profile {
	return slices.SortedFunc(maps.Values(a.profiles), func(x, y Profile) int { return cmp.Compare(x.Name, y.Name) })
}

// readProfiles lays the university's values over ours and checks the result.
func readProfiles(own []byte) (map[string]Profile, error) {
	out := map[string]Profile{}
	for _, text := range [][]byte{ownProfiles, own} {
		if err := overlay(out, text); err != nil {
			return nil, fmt.Errorf("ca: profiles: %w", err)
		}
	}
	for name, p := range out {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("ca: profile %s: %w", name, err)
		}
	}
	return out, nil
}

// overlay sets the values that a document names and leaves the others.
func overlay(out map[string]Profile, text []byte) error {
	raw := map[string]map[string]any{}
	if err := toml.Unmarshal(text, &raw); err != nil {
		return err
	}
	for name, values := range raw {
		part, err := toml.Marshal(values)
		if err != nil {
			return err
		}
		p := out[name]
		d := toml.NewDecoder(bytes.NewReader(part))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.Name = name
		out[name] = p
	}
	return nil
}

// maxDays bounds the life of any certificate of a person.
const maxDays = 5 * 366

func (p Profile) check() error {
	for what, c := range map[string]struct{ have, known []string }{
		"subject_alternative_names": {p.Names, []string{"mail", "upn", "device"}},
		"key_usage":                 {p.KeyUsage, slices.Collect(maps.Keys(keyUsages()))},
		"extended_key_usage":        {p.ExtendedKeyUsage, slices.Collect(maps.Keys(extendedKeyUsages()))},
		"assurance":                 {[]string{p.Assurance}, Assurances()},
		"keys":                      {p.Keys, keyKinds()},
	} {
		for _, v := range c.have {
			if !slices.Contains(c.known, v) {
				return fmt.Errorf("%s: %q is unknown", what, v)
			}
		}
	}
	switch {
	case p.Name == Responder:
		return fmt.Errorf("the name is taken")
	case p.Days < 1 || p.Days > maxDays:
		return fmt.Errorf("days must be from 1 to %d", maxDays)
	case p.CommonName == "":
		return fmt.Errorf("common_name is missing")
	case len(p.KeyUsage) == 0 || len(p.ExtendedKeyUsage) == 0:
		return fmt.Errorf("key_usage and extended_key_usage are needed")
	case len(p.Keys) == 0:
		return fmt.Errorf("keys are needed")
	case p.PerAccount < 1:
		return fmt.Errorf("per_account must be at least 1")
	}
	return nil
}
