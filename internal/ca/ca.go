package ca

import (
	"context"
	"crypto"
	"embed"
	"errors"
	"log/slog"
	"sync"
	"time"

	"seimon/internal/store"
)

//go:embed schema
var schemaFiles embed.FS

// Schema is the tables of the room.
func Schema() store.Schema { return store.Schema{Room: "ca", Files: schemaFiles} }

// Sealer seals private keys at rest (keyring.Ring).
type Sealer interface {
	Seal(context string, plain []byte) []byte
	Unseal(context string, sealed []byte) ([]byte, error)
}

// Hook joins another room to what happens to a certificate, in the same transaction.
type Hook func(tx *store.Tx, c Certificate) error

// Note records what was done, for the audit, in the same transaction. c may be zero
// when an issuer is meant; the facts name it then.
type Note func(tx *store.Tx, event, actor string, c Certificate, facts map[string]string) error

// Config says how the authority works here. Only Seal is needed by every use.
type Config struct {
	// Seal keeps the private keys of issuers that live in the database.
	Seal Sealer
	// MAC is a keyed hash per purpose (keyring.Ring.MAC).
	MAC func(purpose string, data []byte) []byte
	// Base is where lists, answers and issuers' certificates are published over plain
	// HTTP, for example "http://pki.example.ac.jp". It is written into certificates.
	Base string
	// Helper is the Unix socket of the program that keeps keys in PKCS#11; may be empty.
	Helper string
	// Keys are the keys behind Helper; nil when there is none.
	Keys KeyStore
	// Profiles are the university's own changes to the profiles, as TOML; may be empty.
	Profiles []byte
	// Realm ends the names of pseudonymous certificates: "anonymous@realm".
	Realm string
	// Shards is over how many lists the revoked certificates are spread; 8 when 0.
	Shards int
	// Zone is the campus's time zone, for the year in names; UTC when nil.
	Zone *time.Location
	// OnIssue and OnRevoke run in the transaction that issues, revokes or restores.
	OnIssue, OnRevoke Hook
	// OnOrphan runs in the transaction that revokes the serial of an orphan: nobody holds
	// that certificate, but lists and answers must know it.
	OnOrphan Hook
	// OnIssuer runs in the transaction that revokes an issuer.
	OnIssuer func(tx *store.Tx, i Issuer) error
	// Note writes the audit event; may be nil.
	Note Note
	Log  *slog.Logger
}

// Errors of look-ups and of the state of the authority.
var (
	// ErrNone says that there is no such certificate or issuer.
	ErrNone = errors.New("ca: there is no such certificate or issuer")
	// ErrNotReady says that no issuer is active.
	ErrNotReady = errors.New("ca: no issuer is active")
	// ErrSpent says that what was prepared has been issued or given up.
	ErrSpent = errors.New("ca: what was prepared is spent")
)

// Authority issues and revokes. It is safe for concurrent use.
type Authority struct {
	db       *store.DB
	cfg      Config
	profiles map[string]Profile

	mu      sync.RWMutex
	loaded  map[string]*signing // issuers and roots by id
	arc     string
	noted   int    // the greatest number of lists that was ever configured, as the database has it
	active  string // the issuer that was active when somebody last looked
	logKey  string // id of the key that signs the heads of the log
	logSign crypto.Signer
}

// Open opens the authority. A database without any issuer is fine: nothing can be
// ordered there until Found has made one.
func Open(ctx context.Context, db *store.DB, cfg Config) (*Authority, error) {
	if cfg.Seal == nil {
		return nil, errors.New("ca: keys need a seal")
	}
	if cfg.Shards == 0 {
		cfg.Shards = 8
	}
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	profiles, err := readProfiles(cfg.Profiles)
	if err != nil {
		return nil, err
	}
	a := &Authority{db: db, cfg: cfg, profiles: profiles, loaded: map[string]*signing{}}
	if err := a.reseal(ctx); err != nil {
		return nil, err
	}
	if err := a.load(ctx); err != nil {
		return nil, err
	}
	return a, a.widen(ctx)
}

// hooked runs a hook that may be absent.
func hooked(h Hook, tx *store.Tx, c Certificate) error {
	if h == nil {
		return nil
	}
	return h(tx, c)
}

// note records an event about a certificate or an issuer.
func (a *Authority) note(tx *store.Tx, event, actor string, c Certificate, facts map[string]string) error {
	if a.cfg.Note == nil {
		return nil
	}
	return a.cfg.Note(tx, event, actor, c, facts)
}
