package session

import (
	"embed"
	"errors"
	"time"

	"seimon/internal/authn"
	"seimon/internal/jobs"
	"seimon/internal/lang"
	"seimon/internal/store"
)

//go:embed schema words
var files embed.FS

// Schema is the tables of the room.
func Schema() store.Schema { return store.Schema{Room: "session", Files: files} }

// Words are the names of devices in each language.
func Words() lang.Source { return lang.Source{Room: "session", Files: files} }

// ErrNone says that there is no such session, browser or trust, or no longer.
var ErrNone = errors.New("session: none")

// Submitter takes tasks in the caller's transaction; jobs.Board is one.
type Submitter interface {
	Submit(tx *store.Tx, t jobs.NewTask) error
}

// Config sets the limits of sessions. Zero values mean the defaults.
type Config struct {
	Idle     time.Duration // a session unused for so long is over; 8 hours by default
	Absolute time.Duration // a session is over so long after it began, used or not; 24 hours by default
	// PerAccount bounds the sessions of one account at a time: the least recently
	// used one ends when another is opened. 100 by default.
	PerAccount int
	// Cut is called when all sessions of an account end for a reason, in the same
	// transaction: for what outlives sessions and must not outlive that reason, such as
	// offline access. It may be nil.
	Cut func(tx *store.Tx, account authn.AccountID, why string) error
	// Tell chooses the fronts that hear when a session with a visit of theirs
	// ends; nil means all of them.
	Tell func(front string) bool
}

// Keeper is the door to sessions and browsers. It holds no state of its own and
// is safe for concurrent use.
type Keeper struct {
	cfg  Config
	jobs Submitter
}

// New makes a keeper.
func New(cfg Config, submitter Submitter) *Keeper {
	if cfg.Idle <= 0 {
		cfg.Idle = 8 * time.Hour
	}
	if cfg.Absolute <= 0 {
		cfg.Absolute = 24 * time.Hour
	}
	if cfg.PerAccount <= 0 {
		cfg.PerAccount = 100
	}
	if cfg.Tell == nil {
		cfg.Tell = func(string) bool { return true }
	}
	return &Keeper{cfg: cfg, jobs: submitter}
}

// none turns the absence of a row into ErrNone.
func none(err error) error {
	if errors.Is(err, store.ErrNoRows) {
		return ErrNone
	}
	return err
}

// touched turns "no row was changed" into ErrNone.
func touched(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrNone
	}
	return err
}
