package keyring

import (
	"context"
	"crypto"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"seimon/internal/store"
)

//go:embed schema
var files embed.FS

// Schema is the tables of the ring.
func Schema() store.Schema { return store.Schema{Room: "keyring", Files: files} }

// The algorithms that the ring keeps keys for (RFC 7518, 3.1).
const (
	ES256 = "ES256"
	RS256 = "RS256"
)

// Algorithms lists what Signer knows, the preferred one first.
func Algorithms() []string { return []string{ES256, RS256} }

// Config says how the ring seals and how long its signing keys live. A zero
// duration means its default.
type Config struct {
	// Master seals; at least 32 random bytes.
	Master []byte
	// Old are former (or coming) master keys, which only open.
	Old [][]byte
	// RotateEvery is how long a key signs; 90 days by default.
	RotateEvery time.Duration
	// Lead is how long a key is published before it may sign; 2 days by default.
	// It must be longer than services keep the published keys in their caches.
	Lead time.Duration
	// Overlap is how long a key stays published after it last signed; 7 days by
	// default. It must be longer than anything signed stays valid.
	Overlap time.Duration
}

func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&c.RotateEvery, 90 * 24 * time.Hour}, {&c.Lead, 48 * time.Hour}, {&c.Overlap, 7 * 24 * time.Hour}} {
		if *d.value == 0 {
			*d.value = d.def
		}
		if *d.value < 0 {
			return c, errors.New("keyring: a duration is negative")
		}
	}
	if c.Lead >= c.RotateEvery {
		return c, fmt.Errorf("keyring: keys must be published (%v) for less time than they sign (%v)", c.Lead, c.RotateEvery)
	}
	return c, nil
}

// Ring holds the keys in memory. It is safe for concurrent use.
type Ring struct {
	db     *store.DB
	cfg    Config
	sealer *sealer
	root   []byte
	upkeep sync.Mutex
	now    atomic.Pointer[snapshot]
}

// SigningKey is the private half that signs now.
type SigningKey struct {
	ID        string
	Algorithm string
	Key       crypto.Signer
}

// PublicKey is a published key.
type PublicKey struct {
	ID        string
	Algorithm string
	Key       crypto.PublicKey
}

// Open reads the keys, makes the first ones if there are none, and seals anew
// what an old master key had sealed. It fails if no configured master key opens
// the keys in the database.
func Open(ctx context.Context, db *store.DB, cfg Config) (*Ring, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := newSealer(cfg.Master, cfg.Old)
	if err != nil {
		return nil, err
	}
	r := &Ring{db: db, cfg: cfg, sealer: s}
	if err := r.openRoot(ctx); err != nil {
		return nil, fmt.Errorf("keyring: the house secret: %w", err)
	}
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	for _, alg := range Algorithms() {
		if r.now.Load().signers[alg].Key == nil {
			if err := r.create(ctx, alg); err != nil {
				return nil, err
			}
		}
	}
	if err := r.reseal(ctx); err != nil {
		return nil, err
	}
	return r, r.load(ctx)
}

// Seal encrypts plain so that only Unseal with the same context opens it. The
// context names the place where the result is kept, such as "binding:ID".
func (r *Ring) Seal(context string, plain []byte) []byte { return r.sealer.seal(context, plain) }

// Unseal opens what Seal made. The error is ErrMaster or ErrSeal.
func (r *Ring) Unseal(context string, sealed []byte) ([]byte, error) {
	return r.sealer.unseal(context, sealed)
}

// Stale tells whether a sealed text should be sealed anew because the master key
// has changed since.
func (r *Ring) Stale(sealed []byte) bool { return r.sealer.stale(sealed) }

// Head is what every text begins with that is sealed under the current master key, and no
// other: a database can look for the texts that are stale.
func (r *Ring) Head() []byte { return append([]byte{sealFormat}, r.sealer.current[:]...) }

// MAC is HMAC-SHA-256 of data under a key of its own for each purpose. It stays
// the same for the life of the database, whatever happens to the master key.
func (r *Ring) MAC(purpose string, data []byte) []byte {
	key, err := hkdf.Expand(sha256.New, r.root, "seimon mac:"+purpose, sha256.Size)
	if err != nil {
		panic(err) // the length is fixed
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	return mac.Sum(nil)
}

const (
	rootName    = "root"
	rootContext = "keyring_secret:" + rootName
)

// openRoot reads the secret behind MAC, or makes it in an empty database.
func (r *Ring) openRoot(ctx context.Context) error {
	fresh := make([]byte, sha256.Size)
	rand.Read(fresh) //nolint:errcheck // never fails (crypto/rand.Read)
	sealed := r.Seal(rootContext, fresh)
	var kept []byte
	err := r.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("INSERT INTO keyring_secret (name, sealed, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
			rootName, sealed, store.Millis(tx.Now))
		if err != nil {
			return err
		}
		return tx.QueryRow("SELECT sealed FROM keyring_secret WHERE name = $1", rootName).Scan(&kept)
	})
	if err != nil {
		return err
	}
	r.root, err = r.Unseal(rootContext, kept)
	return err
}

// reseal brings the ring's own rows under the current master key.
func (r *Ring) reseal(ctx context.Context) error {
	return r.db.Write(ctx, func(tx *store.Tx) error {
		if err := r.resealColumn(tx, "keyring_secret", "name"); err != nil {
			return err
		}
		return r.resealColumn(tx, "keyring_key", "id")
	})
}

func (r *Ring) resealColumn(tx *store.Tx, table, key string) error {
	fresh := map[string][]byte{}
	rows, err := tx.Query("SELECT " + key + ", sealed FROM " + table)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var sealed []byte
		if err := rows.Scan(&id, &sealed); err != nil {
			return err
		}
		if len(sealed) == 0 || !r.Stale(sealed) {
			continue
		}
		plain, err := r.Unseal(table+":"+id, sealed)
		if err != nil {
			return fmt.Errorf("keyring: %s %s: %w", table, id, err)
		}
		fresh[id] = r.Seal(table+":"+id, plain)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close() //nolint:errcheck // read to the end
	for id, sealed := range fresh {
		if _, err := tx.Exec("UPDATE "+table+" SET sealed = $1 WHERE "+key+" = $2", sealed, id); err != nil {
			return err
		}
	}
	return nil
}
