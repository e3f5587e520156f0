package saml

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"seimon/internal/authn"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/store"
)

// The kinds of signing keys. RSA is what every service reads; an elliptic curve is
// used for services that register it, once there is such a key.
const (
	RSA = "rsa"
	EC  = "ec"
)

// KeyState is where a signing key stands in its life.
type KeyState string

// The states, in the order in which a key passes them. A key is published from the
// first to the last but one.
const (
	KeyNext    KeyState = "next"    // services learn it; it does not sign
	KeyActive  KeyState = "active"  // it signs
	KeyFormer  KeyState = "former"  // it has signed; still published
	KeyRetired KeyState = "retired" // gone
)

// Key describes a signing key for operators.
type Key struct {
	ID, Algorithm string
	State         KeyState
	Certificate   *x509.Certificate
	Since         time.Time // of the state
	Made          time.Time
}

// keyset is what the front signs with and publishes.
type keyset struct {
	signers   map[string]xmlsig.Key
	ids       map[string]string
	published [][]byte        // certificates, the signing ones first
	trials    map[string]bool // services for which a waiting key signs already
	// opened holds every key that is not retired: what services have encrypted for one
	// of them is read, whichever copy of our metadata they have.
	opened map[string]crypto.Signer
}

// certificateLife is long because services compare keys, not dates.
const certificateLife = 10 * 365 * 24 * time.Hour

// Found makes the first key if there is none, and reads the keys.
func (f *Front) Found(ctx context.Context) error {
	if err := f.load(ctx); err != nil {
		return err
	}
	if f.keys.Load().signers[RSA].Signer == nil {
		fresh, err := f.generate(RSA)
		if err != nil {
			return err
		}
		err = f.DB.Write(ctx, func(tx *store.Tx) error {
			var n int64
			if err := tx.QueryRow("SELECT count(*) FROM saml_key WHERE algorithm = $1 AND state = $2", RSA, string(KeyActive)).Scan(&n); err != nil || n > 0 {
				return err
			}
			return fresh.insert(tx, KeyActive)
		})
		if err != nil {
			return err
		}
	}
	return f.load(ctx)
}

// newKey is a key that is not stored yet.
type newKey struct {
	id, algorithm       string
	certificate, sealed []byte
}

func (k newKey) insert(tx *store.Tx, state KeyState) error {
	_, err := tx.Exec(`INSERT INTO saml_key (id, algorithm, state, certificate, sealed, created_at, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $6)`, k.id, k.algorithm, string(state), k.certificate, k.sealed, store.Millis(tx.Now))
	return err
}

func sealContext(id string) string { return "saml_key:" + id }

// generate makes a key and its self-signed certificate: RSA of 3072 bits, because it
// is to last longer than 2048 bits are recommended for (NIST SP 800-57 part 1), or P-256.
func (f *Front) generate(algorithm string) (newKey, error) {
	var key crypto.Signer
	var err error
	switch algorithm {
	case RSA:
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case EC:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		err = fmt.Errorf("saml: no keys of the kind %q", algorithm)
	}
	if err != nil {
		return newKey{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return newKey{}, err
	}
	name := f.EntityID()
	if u, err := url.Parse(name); err == nil && u.Hostname() != "" {
		name = u.Hostname()
	}
	now := f.DB.Now()
	about := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name[:min(len(name), 64)]},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(certificateLife), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		return newKey{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return newKey{}, err
	}
	id := authn.NewID("sk")
	return newKey{id, algorithm, der, f.Ring.Seal(sealContext(id), private)}, nil
}

const keyColumns = "id, algorithm, state, certificate, sealed, changed_at, created_at"

// eachKey calls fn for every key, oldest first.
func eachKey(tx *store.Tx, fn func(k Key, sealed []byte) error) error {
	rows, err := tx.Query("SELECT " + keyColumns + " FROM saml_key ORDER BY created_at, id")
	return store.Each(rows, err, func(rows *sql.Rows) error {
		var k Key
		var der, sealed []byte
		var since, made int64
		if err := rows.Scan(&k.ID, &k.Algorithm, &k.State, &der, &sealed, &since, &made); err != nil {
			return err
		}
		k.Since, k.Made = store.Time(since), store.Time(made)
		var err error
		if k.Certificate, err = x509.ParseCertificate(der); err != nil {
			return fmt.Errorf("saml: key %s: %w", k.ID, err)
		}
		return fn(k, sealed)
	})
}

// load reads the keys into memory.
func (f *Front) load(ctx context.Context) error {
	next := &keyset{}
	err := f.DB.Read(ctx, func(tx *store.Tx) error {
		*next = keyset{signers: map[string]xmlsig.Key{}, ids: map[string]string{}, trials: map[string]bool{}, opened: map[string]crypto.Signer{}}
		var waiting [][]byte
		err := eachKey(tx, func(k Key, sealed []byte) error {
			if k.State == KeyRetired {
				return nil
			}
			signer, err := f.open(k.ID, sealed)
			if err != nil {
				return err
			}
			next.opened[k.ID] = signer
			slot := k.Algorithm
			if k.State == KeyActive {
				next.published = append(next.published, k.Certificate.Raw)
			} else {
				waiting = append(waiting, k.Certificate.Raw)
				slot += onTrial
			}
			if k.State != KeyFormer {
				next.signers[slot], next.ids[slot] = xmlsig.Key{Signer: signer, Certificate: k.Certificate.Raw}, k.ID
			}
			return nil
		})
		next.published = append(next.published, waiting...)
		if err != nil {
			return err
		}
		return eachTrial(tx, func(party string) { next.trials[party] = true })
	})
	if err != nil {
		return err
	}
	f.keys.Store(next)
	return nil
}

// onTrial marks the slot of the key that waits.
const onTrial = " next"

// eachTrial calls fn for every service on trial with a key that waits.
func eachTrial(tx *store.Tx, fn func(party string)) error {
	rows, err := tx.Query(`SELECT u.party FROM saml_uptake u JOIN saml_key k ON k.id = u.key WHERE u.kind = $1 AND k.state = $2`, uptakeTrial, string(KeyNext))
	return store.Each(rows, err, func(rows *sql.Rows) error {
		var party string
		err := rows.Scan(&party)
		fn(party)
		return err
	})
}

func (f *Front) open(id string, sealed []byte) (crypto.Signer, error) {
	if k := f.keys.Load(); k != nil {
		if have := k.opened[id]; have != nil {
			return have, nil
		}
	}
	der, err := f.Ring.Unseal(sealContext(id), sealed)
	if err != nil {
		return nil, fmt.Errorf("saml: key %s: %w", id, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("saml: key %s: %w", id, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("saml: key %s cannot sign", id)
	}
	return signer, nil
}

// signer gives the key of a kind, else the RSA one.
func (f *Front) signer(algorithm string) (xmlsig.Key, error) {
	k := f.keys.Load()
	if k == nil {
		return xmlsig.Key{}, errors.New("saml: the keys have not been read")
	}
	if s, ok := k.signers[algorithm]; ok {
		return s, nil
	}
	s, ok := k.signers[RSA]
	if !ok {
		return xmlsig.Key{}, errors.New("saml: there is no signing key")
	}
	return s, nil
}

// slotFor is where the key lies that signs for a service: of the kind that it
// registered, else RSA; the one that waits when the service tries it out.
func (k *keyset) slotFor(s *service) string {
	kind := s.Key
	if _, ok := k.signers[kind]; !ok {
		kind = RSA
	}
	if _, ok := k.signers[kind+onTrial]; ok && k.trials[s.ID] {
		return kind + onTrial
	}
	return kind
}

// signerFor gives the key that signs for a service, and its id.
func (f *Front) signerFor(s *service) (xmlsig.Key, string, error) {
	k := f.keys.Load()
	if k == nil {
		return xmlsig.Key{}, "", errors.New("saml: the keys have not been read")
	}
	slot := k.slotFor(s)
	key, err := f.signer(slot)
	return key, k.ids[slot], err
}

// signing tells which key signs for a service.
func (f *Front) signing(s *service) string {
	k := f.keys.Load()
	if k == nil {
		return ""
	}
	return k.ids[k.slotFor(s)]
}
