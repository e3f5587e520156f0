package status

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"errors"
	"math/big"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/store"
)

// How long a responder's certificate lives and when the next one is made. With
// nocheck it cannot be revoked, so it is short (RFC 6960 4.2.2.2.1).
const (
	signerLife  = 30 * 24 * time.Hour
	signerRenew = 15 * 24 * time.Hour
)

// signer answers for an issuer (RFC 6960 4.2.2.2, a delegated responder).
type signer struct {
	id          string
	certificate *x509.Certificate
	key         crypto.Signer
	hash        crypto.Hash
	algorithm   []byte
}

func sealContext(id string) string { return "status_signer:" + id }

// dueSigners names the issuers whose responder needs a new certificate.
func (s *Status) dueSigners(tx *store.Tx, issuers map[string]*issuer) ([]string, error) {
	until := map[string]time.Time{}
	rows, err := tx.Query("SELECT issuer, MAX(not_after) FROM status_signer WHERE not_before <= $1 AND LENGTH(der) > 0 GROUP BY issuer", store.Millis(tx.Now))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var id string
		var end int64
		err := rows.Scan(&id, &end)
		until[id] = store.Time(end)
		return err
	})
	var out []string
	for id, i := range issuers {
		wanted := tx.Now.Add(signerRenew)
		if i.Certificate.NotAfter.Before(wanted) {
			wanted = i.Certificate.NotAfter.Add(-time.Hour)
		}
		if i.root || !tx.Now.Before(i.Certificate.NotAfter) {
			continue
		}
		unlogged, fault := s.unlogged(tx, id)
		if fault != nil {
			return nil, fault
		}
		if until[id].Before(wanted) || unlogged {
			out = append(out, id)
		}
	}
	return out, err
}

// unlogged tells whether the responder in use has a certificate from before they were
// entered into the issuance log: then it gets another.
func (s *Status) unlogged(tx *store.Tx, issuer string) (bool, error) {
	var serial string
	err := tx.QueryRow("SELECT serial FROM status_signer WHERE issuer = $1 AND not_before <= $2 AND LENGTH(der) > 0 ORDER BY not_after DESC, id DESC LIMIT 1",
		issuer, store.Millis(tx.Now)).Scan(&serial)
	if err == nil {
		_, err = s.own.BySerial(tx, issuer, serial)
		if errors.Is(err, ca.ErrNone) {
			return true, nil
		}
	}
	if errors.Is(err, store.ErrNoRows) {
		err = nil
	}
	return false, err
}

// renew makes a new key and certificate for an issuer's responder. The key is stored
// before anything is signed.
func (s *Status) renew(ctx context.Context, i *issuer) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	id, now := authn.NewID("ocsp"), s.db.Now()
	t := responder(i, now)
	if t.SubjectKeyId, err = ca.KeyHash(key.Public()); err != nil {
		return err
	}
	t.SubjectKeyId = t.SubjectKeyId[:20] // RFC 7093 2, method 4
	err = s.db.Background(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO status_signer (id, issuer, serial, sealed, der, not_before, not_after, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, id, i.ID, ca.SerialText(t.SerialNumber), s.cfg.Seal.Seal(sealContext(id), private), []byte{},
			store.Millis(t.NotBefore), store.Millis(t.NotAfter), store.Millis(tx.Now))
		return err
	})
	if err != nil {
		return err
	}
	c, err := s.own.IssueResponder(ctx, i.ID, t, key.Public())
	if err != nil {
		return err
	}
	return s.db.Background(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec("UPDATE status_signer SET der = $1 WHERE id = $2", c.DER, id); err != nil {
			return err
		}
		// What ended is of no use; its key goes with it.
		_, err := tx.Exec("DELETE FROM status_signer WHERE not_after < $1", store.Millis(tx.Now.Add(-24*time.Hour)))
		return err
	})
}

// responder is the template of a responder's certificate.
func responder(i *issuer, now time.Time) *x509.Certificate {
	serial := make([]byte, 16)
	rand.Read(serial) //nolint:errcheck // never fails (crypto/rand.Read)
	serial[0] = serial[0]&0x7f | 0x40
	begin := now.Truncate(time.Second).Add(-10 * time.Minute)
	end := begin.Add(signerLife)
	if end.After(i.Certificate.NotAfter) {
		end = i.Certificate.NotAfter
	}
	name := pkix.Name{Organization: i.Certificate.Subject.Organization, Country: i.Certificate.Subject.Country}
	name.CommonName = "OCSP " + now.UTC().Format("2006-01-02") + " " + i.Name
	if r := []rune(name.CommonName); len(r) > 64 { // RFC 5280, ub-common-name
		name.CommonName = string(r[:64])
	}
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: name, NotBefore: begin, NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		ExtraExtensions: []pkix.Extension{{Id: oid(1, 3, 6, 1, 5, 5, 7, 48, 1, 5), Value: []byte{5, 0}}}, // RFC 6960 4.2.2.2.1
	}
}

// readSigners reads the newest responder of each issuer; keys that are open already
// stay open.
func (s *Status) readSigners(tx *store.Tx, known map[string]*signer) (map[string]*signer, error) {
	type row struct {
		id, issuer  string
		sealed, der []byte
	}
	var list []row
	rows, err := tx.Query(`SELECT id, issuer, sealed, der FROM status_signer WHERE not_before <= $1 AND not_after > $1 AND LENGTH(der) > 0
		ORDER BY not_after, id`, store.Millis(tx.Now))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var r row
		err := rows.Scan(&r.id, &r.issuer, &r.sealed, &r.der)
		list = append(list, r)
		return err
	})
	newest := map[string]row{}
	for _, r := range list {
		newest[r.issuer] = r
	}
	out := map[string]*signer{}
	for id, r := range newest {
		if k := known[id]; k != nil && k.id == r.id {
			out[id] = k
			continue
		}
		opened, fault := s.openSigner(r.id, r.sealed, r.der)
		if fault != nil {
			err = errors.Join(err, fault)
			continue
		}
		out[id] = opened
	}
	return out, err
}

func (s *Status) openSigner(id string, sealed, der []byte) (*signer, error) {
	private, err := s.cfg.Seal.Unseal(sealContext(id), sealed)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	out := &signer{id: id}
	var ok bool
	if out.key, ok = parsed.(crypto.Signer); !ok {
		return nil, errors.New("status: the responder's key cannot sign")
	}
	if out.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	out.hash, out.algorithm, err = algorithmOf(out.key.Public())
	return out, err
}

// Responder tells until when an issuer's answers can be signed.
type Responder struct {
	Issuer string
	Until  time.Time
}

// Responders lists the certificates that sign answers now.
func (s *Status) Responders(tx *store.Tx) ([]Responder, error) {
	signers, err := s.readSigners(tx, nil)
	var out []Responder
	for id, k := range signers {
		out = append(out, Responder{id, k.certificate.NotAfter})
	}
	return out, err
}

func encodePEM(chain []*x509.Certificate) []byte {
	var out []byte
	for _, c := range chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}
