package ca

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"seimon/internal/store"
)

// IssuerState is where an issuer stands in its life.
type IssuerState string

// The states of an issuer, in the order in which it passes them. A root has the
// state Anchor all its life.
const (
	IssuerPrepared    IssuerState = "prepared"    // made; nobody needs to know it yet
	IssuerDistributed IssuerState = "distributed" // handed to everything that checks certificates
	IssuerActive      IssuerState = "active"      // signs certificates; one at most
	IssuerStatusOnly  IssuerState = "status-only" // signs lists and answers about what it issued
	IssuerRetired     IssuerState = "retired"     // nothing of it is valid any more
	IssuerRevoked     IssuerState = "revoked"     // on the list of its root; lists and answers say that all it issued is revoked
	Anchor            IssuerState = "anchor"
)

// Issuer is a certification authority of the house.
type Issuer struct {
	ID          string
	Number      int64  // 1, 2, 3 ... in the order they were made
	Name        string // the common name
	State       IssuerState
	Since       time.Time
	Algorithm   string
	Helper      bool // the key lies in the helper
	Certificate *x509.Certificate
	Root        *x509.Certificate // itself for a root
	RootID      string            // its own id for a root
	Created     time.Time
	Revoked     time.Time // zero unless its root revoked it
	Reason      Reason
}

// Counts tells whether an issuer belongs among those that others are to know.
func (i Issuer) Counts() bool { return i.Publishes() && i.Revoked.IsZero() }

// Publishes tells whether lists and answers are made for the issuer.
func (i Issuer) Publishes() bool { return i.State != IssuerPrepared && i.State != IssuerRetired }

// signing is what never changes about an issuer, with its key once opened.
type signing struct {
	id          string
	certificate *x509.Certificate
	root        string
	key         keyRow

	mu     sync.Mutex
	signer crypto.Signer
	trial  crypto.Signer // the throw-away key that stands in for signer in a lint
}

const issuerColumns = "i.id, i.number, i.root, i.name, i.state, i.since, i.algorithm, i.der, i.created_at, i.revoked_at, i.reason, k.handle"

func (a *Authority) scanIssuer(row scanner) (Issuer, error) {
	var i Issuer
	var since, created, revoked int64
	var der []byte
	var handle string
	err := row.Scan(&i.ID, &i.Number, &i.RootID, &i.Name, &i.State, &since, &i.Algorithm, &der, &created, &revoked, &i.Reason, &handle)
	if err != nil {
		return i, err
	}
	i.Since, i.Created, i.Revoked, i.Helper = store.Time(since), store.Time(created), store.Time(revoked), handle != ""
	if i.Certificate, err = x509.ParseCertificate(der); err != nil {
		return i, fmt.Errorf("ca: issuer %s is damaged: %w", i.ID, err)
	}
	return i, nil
}

// all reads roots and issuers in the order they were made.
func (a *Authority) all(tx *store.Tx) ([]Issuer, error) {
	var out []Issuer
	rows, err := tx.Query("SELECT " + issuerColumns + " FROM ca_issuer i JOIN ca_key k ON k.id = i.key_id ORDER BY i.number")
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		i, err := a.scanIssuer(rows)
		out = append(out, i)
		return err
	})
	if err != nil {
		return nil, err
	}
	roots := map[string]*x509.Certificate{}
	for _, i := range out {
		if i.State == Anchor {
			roots[i.ID] = i.Certificate
		}
	}
	for n := range out {
		out[n].Root = roots[out[n].RootID]
	}
	return out, nil
}

// Issuers lists the issuing authorities, the oldest first, without the roots.
func (a *Authority) Issuers(tx *store.Tx) ([]Issuer, error) { return a.kind(tx, false) }

// Roots lists the roots, the oldest first. A root signs issuers and the list of those
// that are revoked, nothing else.
func (a *Authority) Roots(tx *store.Tx) ([]Issuer, error) { return a.kind(tx, true) }

func (a *Authority) kind(tx *store.Tx, root bool) ([]Issuer, error) {
	all, err := a.all(tx)
	var out []Issuer
	for _, i := range all {
		if (i.State == Anchor) == root {
			out = append(out, i)
		}
	}
	return out, err
}

// Issuer reads one issuer or root; ErrNone when there is none.
func (a *Authority) Issuer(tx *store.Tx, id string) (Issuer, error) {
	all, err := a.all(tx)
	if err != nil {
		return Issuer{}, err
	}
	for _, i := range all {
		if i.ID == id {
			return i, nil
		}
	}
	return Issuer{}, ErrNone
}

// Ready tells whether an issuer is active. Without one nothing is offered.
func (a *Authority) Ready(tx *store.Tx) bool {
	_, err := activeIssuer(tx)
	return err == nil
}

// activeIssuer gives the id of the issuer that signs now, or ErrNotReady.
func activeIssuer(tx *store.Tx) (string, error) {
	var id string
	err := tx.QueryRow("SELECT id FROM ca_issuer WHERE state = 'active'").Scan(&id)
	if errors.Is(err, store.ErrNoRows) {
		return "", ErrNotReady
	}
	return id, err
}

// load reads the issuers that are not in memory yet. They never change but for
// their state, which is always read from the database.
func (a *Authority) load(ctx context.Context) error {
	type found struct {
		s   *signing
		key string
	}
	var list []found
	settings := map[string]string{}
	err := a.db.Read(ctx, func(tx *store.Tx) error {
		list = nil
		if err := readSettings(tx, settings); err != nil {
			return err
		}
		rows, err := tx.Query("SELECT id, root, der, key_id FROM ca_issuer")
		err = store.Each(rows, err, func(rows *sql.Rows) error {
			f := found{s: &signing{}}
			var der []byte
			if err := rows.Scan(&f.s.id, &f.s.root, &der, &f.key); err != nil {
				return err
			}
			var err error
			if f.s.certificate, err = x509.ParseCertificate(der); err != nil {
				return fmt.Errorf("ca: issuer %s is damaged: %w", f.s.id, err)
			}
			list = append(list, f)
			return nil
		})
		if err != nil {
			return err
		}
		for _, f := range list {
			if f.s.key, err = readKey(tx, f.key); err != nil {
				return err
			}
			if f.s.root == f.s.id { // read anew for each use (rootSigner)
				f.s.key.sealed = nil
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.arc, a.logKey = settings[settingArc], settings[settingLogKey]
	a.noted, err = strconv.Atoi(settings[settingShards])
	if err != nil {
		a.noted = 0
	}
	for _, f := range list {
		if a.loaded[f.s.id] == nil {
			a.loaded[f.s.id] = f.s
		}
	}
	return nil
}

// signing gives an issuer or root from memory, and reads it when another node made it.
func (a *Authority) signing(ctx context.Context, id string) (*signing, error) {
	for again := range 2 {
		a.mu.RLock()
		s := a.loaded[id]
		a.mu.RUnlock()
		if s != nil {
			return s, nil
		}
		if again == 0 {
			if err := a.load(ctx); err != nil {
				return nil, err
			}
		}
	}
	return nil, ErrNone
}

// Chain gives the certificate of an issuer and those above it up to the root; nil for
// an unknown one. Do not call it for a new issuer inside a transaction.
func (a *Authority) Chain(issuer string) []*x509.Certificate {
	var out []*x509.Certificate
	for id := issuer; ; {
		s, err := a.signing(context.Background(), id)
		if err != nil {
			return nil
		}
		out = append(out, s.certificate)
		if s.root == s.id {
			return out
		}
		id = s.root
	}
}

// Sign gives the signer of an issuer or root, for lists and answers about what it
// issued. Certificates of people are signed by Issue alone.
func (a *Authority) Sign(ctx context.Context, issuer string) (crypto.Signer, error) {
	s, err := a.signing(ctx, issuer)
	if err != nil {
		return nil, err
	}
	return a.signer(ctx, s)
}

// signer opens the key of an issuer once and keeps it.
func (a *Authority) signer(ctx context.Context, s *signing) (crypto.Signer, error) {
	if s.root == s.id {
		return a.rootSigner(ctx, s)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signer != nil {
		return s.signer, nil
	}
	signer, err := a.open(ctx, s.key)
	if err != nil {
		return nil, err
	}
	if s.key.handle == "" { // a helper may come back with another connection
		s.signer = signer
	}
	return signer, nil
}

// trialSigner gives the throw-away key of an issuer, made once for each process and
// never stored. It signs in the same way as the real one; with RSA it is short, since
// nobody ever believes what it signed and the time is better spent.
func (s *signing) trialSigner() (crypto.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trial != nil {
		return s.trial, nil
	}
	var err error
	if _, ok := s.certificate.PublicKey.(*rsa.PublicKey); ok {
		s.trial, err = rsa.GenerateKey(rand.Reader, 1024)
	} else {
		s.trial, err = newKey(s.key.algorithm)
	}
	return s.trial, err
}

func readSettings(tx *store.Tx, into map[string]string) error {
	rows, err := tx.Query("SELECT name, value FROM ca_setting")
	return store.Each(rows, err, func(rows *sql.Rows) error {
		var name, value string
		err := rows.Scan(&name, &value)
		into[name] = value
		return err
	})
}

// widen remembers the greatest number of lists that was ever configured: certificates
// that name the last of them live on when the number is made smaller.
func (a *Authority) widen(ctx context.Context) error {
	a.mu.RLock()
	needed := a.arc != "" && a.noted < a.cfg.Shards
	a.mu.RUnlock()
	if !needed {
		return nil
	}
	return a.db.Write(ctx, func(tx *store.Tx) error { return storeShards(tx, a.cfg.Shards) })
}

func storeShards(tx *store.Tx, n int) error {
	_, err := tx.Exec(`INSERT INTO ca_setting (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = $2 WHERE CAST(ca_setting.value AS BIGINT) < $3`, settingShards, strconv.Itoa(n), n)
	return err
}
