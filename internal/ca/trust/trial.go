package trust

import "time"

// Report is what a trial of an anchor's rules found.
type Report struct {
	At           time.Time  `json:"at,omitzero"`
	Rules        string     `json:"rules,omitempty"` // digest of what was tried
	Accounts     int        `json:"accounts"`
	Certificates int        `json:"certificates"`
	Mapped       int        `json:"mapped"`
	Conflicts    []Conflict `json:"conflicts,omitempty"`
}

// Conflict is one thing that speaks against a rule.
type Conflict struct {
	What   string `json:"what"`   // name, address or certificate
	Detail string `json:"detail"` // what is wrong
}
