package directory

import (
	"embed"
	"errors"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/store"
)

//go:embed schema
var schema embed.FS

// Schema is the tables of this room.
func Schema() store.Schema { return store.Schema{Room: "directory", Files: schema} }

// ErrNone says that there is no such account, person or letter.
var ErrNone = errors.New("directory: no such entry")

// ErrTaken says that the user name or the person's number is in use already.
var ErrTaken = errors.New("directory: already in use")

// NoticeChoice is when a person wants to be told about a sign-in.
type NoticeChoice string

// The choices.
const (
	NoticeEvery NoticeChoice = "every"
	NoticeNew   NoticeChoice = "new" // only from a browser or a network not seen before
)

// Person is a human being. Accounts come and go; the person stays.
type Person struct {
	ID     authn.PersonID
	Number string // what the university's other systems call the person; empty or unique
	Name   Names
	// Mail is the address given to services, Notify gets notices and one-time
	// codes, Recovery opens a forgotten password. A zero time means not verified.
	Mail             string
	MailVerified     time.Time
	Notify           string
	NotifyVerified   time.Time
	Recovery         string
	RecoveryVerified time.Time
	Lang             lang.Tag // empty: not chosen yet
	Notices          NoticeChoice
	Proofs           []Proof // that were not taken back, in short
}

// State is what was decided about an account. Whether it has begun or expired is
// computed from its dates: see Standing.
type State string

// The states.
const (
	Pending   State = "pending" // waits for its activation letter
	Active    State = "active"
	Suspended State = "suspended"
)

// Account is one of a person's ways to be known here.
type Account struct {
	ID            authn.AccountID
	Person        authn.PersonID
	UserName      string
	Kind          string // student, faculty, staff, parttime, ...
	State         State
	StateSince    time.Time
	StateWhy      string
	StateBy       string
	ValidFrom     time.Time // zero: always
	ValidUntil    time.Time // first instant at which it is over; zero: never
	Groups        []string  // sorted
	Affiliations  []string  // eduPersonAffiliation values
	Attributes    map[string][]string
	AgreedVersion string
	AgreedAt      time.Time
	LastFactor    authn.Kind // the second step used last, offered first
	Created       time.Time
	Affirmed      time.Time // when the affiliations were last confirmed
}

// Subject gives the words in which other rooms speak of this account.
func (a Account) Subject() authn.Subject {
	return authn.Subject{Person: a.Person, Account: a.ID, UserName: a.UserName}
}

// Standing tells whether the account can be used at now: an empty code, or P6
// (waits for activation), P7.suspended, P7.expired or P7.early, and since when
// that is so (for P7.early: from when it will be valid).
func (a Account) Standing(now time.Time) (authn.Code, time.Time) {
	switch {
	case a.State == Suspended:
		return "P7.suspended", a.StateSince
	case !a.ValidUntil.IsZero() && !now.Before(a.ValidUntil):
		return "P7.expired", a.ValidUntil
	case a.State == Pending:
		return "P6", a.StateSince
	case now.Before(a.ValidFrom):
		return "P7.early", a.ValidFrom
	}
	return "", a.StateSince
}

// In tells whether the account is a member of the group.
func (a Account) In(group string) bool { return slices.Contains(a.Groups, group) }

// Directory reads and changes people and accounts.
type Directory struct {
	db     *store.DB
	campus Campus
}

// New opens the directory kept in db. A campus, if given, adds to everybody's attributes.
func New(db *store.DB, campus ...Campus) *Directory {
	d := &Directory{db: db}
	if len(campus) > 0 {
		d.campus = campus[0]
	}
	return d
}
