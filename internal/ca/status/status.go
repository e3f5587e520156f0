package status

import (
	"crypto/x509"
	"embed"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"seimon/internal/ca"
	"seimon/internal/store"
)

//go:embed schema
var schemaFiles embed.FS

// Schema is the tables of the room.
func Schema() store.Schema { return store.Schema{Room: "status", Files: schemaFiles} }

// Sealer seals the responder's keys at rest (keyring.Ring).
type Sealer interface {
	Seal(context string, plain []byte) []byte
	Unseal(context string, sealed []byte) ([]byte, error)
}

// Config says how the room works here; only Seal is needed.
type Config struct {
	Seal Sealer
	// ListLife is how long a list is valid; a week when 0.
	ListLife time.Duration
	// ListEvery is when a list without changes is signed anew; a sixth of its life
	// when 0, so that many failures in a row do no harm.
	ListEvery time.Duration
	// RootListLife is how long the list of a root is valid; 180 days when 0, since its key
	// may be offline. While the key is here it is signed anew after a sixth of that.
	RootListLife time.Duration
	// AnswerLife is how long an OCSP answer is valid; an hour when 0. It is signed anew
	// at half of it.
	AnswerLife time.Duration
	// Rate bounds what one source may ask for: so many answers a second from memory, and
	// correspondingly fewer signatures and large lists; 200 when 0, no bound below 0.
	Rate int
	// Unlimited are the networks of programs that ask for many people.
	Unlimited []netip.Prefix
	Log       *slog.Logger
}

// full is the shard number of the list that holds everything of an issuer.
const full = 0

// Status publishes lists and answers. It is safe for concurrent use.
type Status struct {
	db  *store.DB
	own *ca.Authority
	cfg Config

	mu      sync.RWMutex
	issuers map[string]*issuer
	lists   map[listKey]*list
	signers map[string]*signer
	read    time.Time // when issuers, lists and signers were read
	until   time.Time // when publishing is tried again after a failure

	answers answers
	limits  *limiter
}

type listKey struct {
	issuer string
	shard  int
}

// issuer is an issuer or root whose status is published.
type issuer struct {
	ca.Issuer
	root   bool
	hashes map[string]hashed // by the identifier of the hash algorithm
	pem    []byte
}

// New returns the room.
func New(db *store.DB, own *ca.Authority, cfg Config) *Status {
	if cfg.ListLife == 0 {
		cfg.ListLife = 7 * 24 * time.Hour
	}
	if cfg.ListEvery == 0 {
		cfg.ListEvery = cfg.ListLife / 6
	}
	if cfg.RootListLife == 0 {
		cfg.RootListLife = 180 * 24 * time.Hour
	}
	if cfg.AnswerLife == 0 {
		cfg.AnswerLife = time.Hour
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Status{
		db: db, own: own, cfg: cfg, issuers: map[string]*issuer{}, lists: map[listKey]*list{}, signers: map[string]*signer{},
		answers: answers{held: map[string]*answer{}}, limits: newLimiter(cfg.Rate, cfg.Unlimited),
	}
}

// Changed notes in the caller's transaction that a certificate was revoked or taken
// off hold. Join it to both hooks of the authority; an ordinary issue is passed over.
func (s *Status) Changed(tx *store.Tx, c ca.Certificate) error {
	if c.State == ca.Active && c.Issued.Equal(tx.Now) {
		return nil
	}
	for _, shard := range []int{c.Shard, full} {
		_, err := tx.Exec("INSERT INTO status_change (issuer, shard, claimed, at) VALUES ($1, $2, 0, $3)", c.Issuer, int64(shard), store.Millis(tx.Now))
		if err != nil {
			return err
		}
	}
	tx.After(func() { s.answers.drop(c.Issuer, c.Serial) })
	return nil
}

// IssuerChanged notes in the caller's transaction that an issuer was revoked: the lists
// of its root must say so.
func (s *Status) IssuerChanged(tx *store.Tx, i ca.Issuer) error {
	for _, shard := range []int{1, full} {
		_, err := tx.Exec("INSERT INTO status_change (issuer, shard, claimed, at) VALUES ($1, $2, 0, $3)", i.RootID, int64(shard), store.Millis(tx.Now))
		if err != nil {
			return err
		}
	}
	return nil
}

// authorities reads the issuers and roots whose status is published.
func (s *Status) authorities(tx *store.Tx) (map[string]*issuer, error) {
	issuers, err := s.own.Issuers(tx)
	if err != nil {
		return nil, err
	}
	roots, err := s.own.Roots(tx)
	if err != nil {
		return nil, err
	}
	out := map[string]*issuer{}
	for _, i := range append(issuers, roots...) {
		if i.Publishes() {
			out[i.ID] = newIssuer(i)
		}
	}
	return out, nil
}

func newIssuer(i ca.Issuer) *issuer {
	chain := []*x509.Certificate{i.Certificate}
	if i.State != ca.Anchor && i.Root != nil {
		chain = append(chain, i.Root)
	}
	return &issuer{Issuer: i, root: i.State == ca.Anchor, hashes: hashesOf(i.Certificate), pem: encodePEM(chain)}
}
