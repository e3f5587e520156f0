package diagnosis

import (
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/policy"
	"seimon/internal/store"
)

// Report is the desk's view of one sign-in.
type Report struct {
	Support   string          `json:"support"`
	Account   authn.AccountID `json:"account,omitempty"`
	UserName  string          `json:"user_name,omitempty"`
	Party     string          `json:"party,omitempty"`
	Address   string          `json:"address,omitempty"`
	Timeline  []Entry         `json:"timeline"`
	Decisions []Replay        `json:"decisions,omitempty"`
	Zone      ZoneView        `json:"zone"`
	// Cause is the code of the last failure; empty when the sign-in succeeded or is still open.
	Cause authn.Code        `json:"cause,omitempty"`
	Facts map[string]string `json:"facts,omitempty"`
	// Outcome is done, denied, failed or open.
	Outcome string `json:"outcome"`
}

// Entry is one event of the timeline.
type Entry struct {
	At    time.Time         `json:"at"`
	Type  string            `json:"type"`
	Actor string            `json:"actor,omitempty"`
	Facts map[string]string `json:"facts,omitempty"`
}

// Replay is one recorded decision, taken again.
type Replay struct {
	At     time.Time      `json:"at"`
	Case   policy.Case    `json:"case"`
	Then   policy.Verdict `json:"then"`
	Now    policy.Verdict `json:"now"`
	Same   bool           `json:"same"`
	Rule   string         `json:"rule,omitempty"`
	Policy int64          `json:"policy"`
}

// ZoneView is where the gate saw the person.
type ZoneView struct {
	Then authn.Zone `json:"then"`           // as recorded
	Now  authn.Zone `json:"now"`            // the same address under the policy in force
	Gap  bool       `json:"gap,omitempty"`  // an IPv6 address while the campus zones list only IPv4
	Rule string     `json:"rule,omitempty"` // the rule that followed from it
}

// Explain reads what is recorded under a support code. store.ErrNoRows means that nothing is.
func Explain(tx *store.Tx, log *audit.Log, book *policy.Book, code string) (Report, error) {
	return Report{}, store.ErrNoRows
}
