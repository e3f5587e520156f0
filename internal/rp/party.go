package rp

import (
	"encoding/json"
	"time"

	"seimon/internal/lang"
)

// The ways in which a person is asked before attributes leave the house.
const (
	ConsentAsk    = "ask"    // the person chooses among optional values and agrees
	ConsentInform = "inform" // the person is shown the values once and after each change
	ConsentNone   = "none"   // the university has decided
)

// Party is one relying party.
type Party struct {
	ID       string              `json:"id"`
	Protocol string              `json:"protocol"` // the name of the front that serves it
	Names    map[lang.Tag]string `json:"names"`
	LogoURL  string              `json:"logo_url,omitempty"`
	HomeURL  string              `json:"home_url,omitempty"`
	Contact  string              `json:"contact,omitempty"` // mail address of the people who run it
	// Sector groups parties that may know an account under one pairwise
	// identifier. It is frozen once the party is in use: changing it changes
	// every subject. Empty means the party alone.
	Sector   string    `json:"sector,omitempty"`
	Pairwise bool      `json:"pairwise,omitempty"`
	Release  []Release `json:"release,omitempty"`
	Consent  string    `json:"consent,omitempty"` // ConsentAsk when empty
	// Registration is what the front needs beside this, in the front's own form.
	Registration json.RawMessage `json:"registration,omitempty"`
	Disabled     bool            `json:"disabled,omitempty"`
	// Source names the feed that a party was found in; empty for those that the
	// university registered itself.
	Source string `json:"source,omitempty"`
	// Version counts the changes of this party; a cache of what was read from it
	// is valid as long as the version is the same.
	Version int64     `json:"version,omitempty"`
	Created time.Time `json:"created,omitzero"`
	Updated time.Time `json:"updated,omitzero"`
}

// Release allows one attribute of the directory to leave for a party.
type Release struct {
	Attribute string `json:"attribute"`
	Required  bool   `json:"required,omitempty"` // the service does not work without it
	// Groups, if any, lets it leave for their members alone.
	Groups []string `json:"groups,omitempty"`
	// Only and Except pick among its values (see Share). More adds other shares; Never is
	// held back whatever they give.
	Only   []string `json:"only,omitempty"`
	Except []string `json:"except,omitempty"`
	More   []Share  `json:"more,omitempty"`
	Never  []string `json:"never,omitempty"`
}

// Weight is about how many bytes the party holds in memory.
func (p Party) Weight() int {
	const bare = 600
	n := bare + len(p.ID) + len(p.LogoURL) + len(p.HomeURL) + len(p.Contact) + len(p.Registration)
	for _, name := range p.Names {
		n += 48 + len(name)
	}
	for _, r := range p.Release {
		n += 64 + len(r.Attribute)
	}
	return n
}

// Name gives the party's name in a language, else in the nearest language that has one.
func (p Party) Name(tag lang.Tag) string {
	for _, t := range []lang.Tag{tag, lang.EN, lang.JA} {
		if n := p.Names[t]; n != "" {
			return n
		}
	}
	for _, n := range p.Names {
		return n
	}
	return p.ID
}

// Check is what a front adds to the rules of this room for the parties of its
// protocol.
type Check struct {
	Protocol string
	// Verify judges p before it is stored and may complete it (a generated
	// secret, a sector taken from its addresses); old is nil for a new party.
	// shown holds what must be shown once now because it is stored only hashed.
	Verify func(p *Party, old *Party) (shown map[string]string, err error)
	// Import, where the protocol has a document of its own in which services describe
	// themselves, makes parties of one, with notes for whoever registers them. ok is
	// false when the text is no such document. May be nil.
	Import func(text []byte, now time.Time) (list []Party, notes []string, ok bool, err error)
	// From notes in a party that Import made where its document came from and will be
	// fetched again. May be nil.
	From func(p *Party, address string) error
}
