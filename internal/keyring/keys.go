package keyring

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"seimon/internal/store"
)

// State is where a signing key stands in its life.
type State string

// The states, in the order in which a key passes them.
const (
	Next      State = "next"
	Active    State = "active"
	Retired   State = "retired"
	Withdrawn State = "withdrawn"
)

// Key describes a signing key for operators. Times not reached are zero.
type Key struct {
	ID        string
	Algorithm string
	State     State
	Published time.Time
	Active    time.Time
	Retired   time.Time
}

// row is a signing key as stored.
type row struct {
	Key
	number int64
	public []byte
	sealed []byte
}

const columns = "id, algorithm, number, state, public, sealed, published_at, active_at, retired_at"

func (k *row) scan(rows *sql.Rows) error {
	var published, active, retired int64
	err := rows.Scan(&k.ID, &k.Algorithm, &k.number, &k.State, &k.public, &k.sealed, &published, &active, &retired)
	k.Published, k.Active, k.Retired = store.Time(published), store.Time(active), store.Time(retired)
	return err
}

// rowsOf reads all keys that are not withdrawn, oldest first.
func rowsOf(tx *store.Tx) ([]row, error) {
	var out []row
	rows, err := tx.Query("SELECT "+columns+" FROM keyring_key WHERE state <> $1 ORDER BY algorithm, number", string(Withdrawn))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var k row
		if err := k.scan(rows); err != nil {
			return err
		}
		out = append(out, k)
		return nil
	})
	return out, err
}

// snapshot is what the ring answers from.
type snapshot struct {
	signers   map[string]SigningKey
	published []published
}

type published struct {
	PublicKey
	state State
	until time.Time // zero: no end in sight
}

// Signer gives the key that signs now with alg. It answers from memory.
func (r *Ring) Signer(alg string) (SigningKey, error) {
	k, ok := r.now.Load().signers[alg]
	if !ok {
		return SigningKey{}, fmt.Errorf("keyring: no key for the algorithm %q", alg)
	}
	return k, nil
}

// Public gives the keys to publish: those that sign, will sign, or have signed
// within the overlap. It answers from memory.
func (r *Ring) Public() []PublicKey {
	now := r.db.Now()
	var out []PublicKey
	for _, p := range r.now.Load().published {
		if p.until.IsZero() || now.Before(p.until) {
			out = append(out, p.PublicKey)
		}
	}
	return out
}

// Keys lists every signing key ever made, for operators.
func (r *Ring) Keys(tx *store.Tx) ([]Key, error) {
	var out []Key
	rows, err := tx.Query("SELECT " + columns + " FROM keyring_key ORDER BY algorithm, number")
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var k row
		if err := k.scan(rows); err != nil {
			return err
		}
		out = append(out, k.Key)
		return nil
	})
	return out, err
}

// load reads the keys into memory. A private half that no configured master key
// opens leaves its key published and the former signer in place.
func (r *Ring) load(ctx context.Context) error {
	var rows []row
	err := r.db.Read(ctx, func(tx *store.Tx) (err error) {
		rows, err = rowsOf(tx)
		return err
	})
	if err != nil {
		return err
	}
	before := r.now.Load()
	next := &snapshot{signers: map[string]SigningKey{}}
	var faults []error
	for _, k := range rows {
		pub, err := x509.ParsePKIXPublicKey(k.public)
		if err != nil {
			return fmt.Errorf("keyring: key %s: %w", k.ID, err)
		}
		p := published{PublicKey: PublicKey{k.ID, k.Algorithm, pub}, state: k.State}
		if k.State == Retired {
			p.until = k.Retired.Add(r.cfg.Overlap)
		}
		next.published = append(next.published, p)
		if k.State != Active {
			continue
		}
		signer, err := r.private(before, k)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		next.signers[k.Algorithm] = signer
	}
	if before != nil {
		for alg, k := range before.signers {
			if _, ok := next.signers[alg]; !ok {
				next.signers[alg] = k
			}
		}
	}
	r.now.Store(next)
	return errors.Join(faults...)
}

// private opens the private half of a key, or takes it from the snapshot before.
func (r *Ring) private(before *snapshot, k row) (SigningKey, error) {
	if before != nil && before.signers[k.Algorithm].ID == k.ID {
		return before.signers[k.Algorithm], nil
	}
	der, err := r.Unseal("keyring_key:"+k.ID, k.sealed)
	if err != nil {
		return SigningKey{}, fmt.Errorf("keyring: key %s: %w", k.ID, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return SigningKey{}, fmt.Errorf("keyring: key %s: %w", k.ID, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return SigningKey{}, fmt.Errorf("keyring: key %s cannot sign", k.ID)
	}
	return SigningKey{k.ID, k.Algorithm, signer}, nil
}

// generate makes a key pair; its id is a hash of its public half.
func (r *Ring) generate(alg string) (row, error) {
	var signer crypto.Signer
	var err error
	switch alg {
	case ES256: // RFC 7518 3.4
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256: // RFC 7518 3.3
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		err = fmt.Errorf("keyring: no keys are kept for the algorithm %q", alg)
	}
	if err != nil {
		return row{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return row{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return row{}, err
	}
	sum := sha256.Sum256(public)
	id := base64.RawURLEncoding.EncodeToString(sum[:12])
	return row{Key: Key{ID: id, Algorithm: alg}, public: public, sealed: r.Seal("keyring_key:"+id, private)}, nil
}
