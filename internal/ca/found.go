package ca

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Plan says how to found the authority, or what a further issuer is like.
type Plan struct {
	// Organization is the university as certificates name it.
	Organization string
	// Country is its code of two letters (RFC 5280 appendix A, X520countryName); may be empty.
	Country string
	// Root and Issuer are the common names; made from Organization when empty.
	Root, Issuer string
	// Algorithm is one of KeyAlgorithms; P-256 when empty.
	Algorithm string
	// Helper keeps the new keys in the helper instead of the database.
	Helper bool
	// Arc is the object identifier below which the policies lie; when empty a random
	// one is made (ownArc).
	Arc string
	// Actor is who does it, for the record.
	Actor string
}

// How long the certificates of the authority live.
const (
	rootLife   = 20 * 365 * 24 * time.Hour
	issuerLife = 10 * 365 * 24 * time.Hour
)

// ErrFounded says that there is an authority already.
var ErrFounded = errors.New("ca: the authority exists already")

const (
	settingArc    = "arc"
	settingLogKey = "log key"
	settingShards = "shards"
)

// Found makes the root, the first issuer, which is active at once, and the key of the
// issuance log. It works once for a database.
func (a *Authority) Found(ctx context.Context, plan Plan) (Issuer, error) {
	if err := plan.complete(1); err != nil {
		return Issuer{}, err
	}
	if a.cfg.Base == "" {
		return Issuer{}, errors.New("ca: the address of lists and answers is not configured, and it stands in every certificate: set base in [certificates]")
	}
	if err := a.unfounded(ctx); err != nil {
		return Issuer{}, err
	}
	root, err := a.makeRoot(ctx, plan)
	if err != nil {
		return Issuer{}, err
	}
	issuer, err := a.makeIssuer(ctx, plan, root, 2)
	if err != nil {
		return Issuer{}, err
	}
	issuer.state = IssuerActive
	log, _, err := a.makeKey(ctx, "issuance log", P256, false)
	if err != nil {
		return Issuer{}, err
	}
	err = a.db.Write(ctx, func(tx *store.Tx) error {
		// The first setting is the lock: of two nodes that found at once, one fails here.
		n, err := tx.Exec("INSERT INTO ca_setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", settingArc, plan.Arc)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrFounded
		}
		if _, err := tx.Exec("INSERT INTO ca_setting (name, value) VALUES ($1, $2)", settingLogKey, log.id); err != nil {
			return err
		}
		if err := storeShards(tx, a.cfg.Shards); err != nil {
			return err
		}
		if err := errors.Join(log.insert(tx), root.insert(tx), issuer.insert(tx)); err != nil {
			return err
		}
		return a.note(tx, "ca.founded", plan.Actor, Certificate{}, map[string]string{"root": root.name, "issuer": issuer.name, "issuer_id": issuer.id})
	})
	if err != nil {
		return Issuer{}, err
	}
	if err := a.load(ctx); err != nil {
		return Issuer{}, err
	}
	return a.read(ctx, issuer.id)
}

func (a *Authority) unfounded(ctx context.Context) error {
	return a.db.Read(ctx, func(tx *store.Tx) error {
		all, err := a.all(tx)
		if err == nil && len(all) > 0 {
			err = ErrFounded
		}
		return err
	})
}

func (a *Authority) read(ctx context.Context, id string) (out Issuer, err error) {
	err = a.db.Read(ctx, func(tx *store.Tx) error {
		out, err = a.Issuer(tx, id)
		return err
	})
	return out, err
}

var (
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
	arcForm     = regexp.MustCompile(`^[0-2](\.(0|[1-9][0-9]*)){1,20}$`)
)

// complete fills in what may be left out and refuses what could not stand in a certificate.
func (p *Plan) complete(generation int64) error {
	p.Organization = strings.TrimSpace(p.Organization)
	if p.Algorithm == "" {
		p.Algorithm = P256
	}
	if p.Root == "" {
		p.Root = fmt.Sprintf("%s Root CA G%d", p.Organization, generation)
	}
	if p.Issuer == "" {
		p.Issuer = fmt.Sprintf("%s User CA G%d", p.Organization, generation)
	}
	if p.Arc == "" {
		p.Arc = ownArc()
	}
	switch {
	case p.Organization == "" || !printable(p.Organization) || len([]rune(p.Organization)) > 64:
		return errors.New("ca: the name of the university must be 1 to 64 printable characters")
	case p.Country != "" && !countryForm.MatchString(p.Country):
		return fmt.Errorf("ca: the country %q must be two capital letters", p.Country)
	case !printable(p.Root) || !printable(p.Issuer) || len([]rune(p.Root)) > maxName || len([]rune(p.Issuer)) > maxName:
		return fmt.Errorf("ca: the names of root and issuer must be at most %d printable characters: give shorter ones", maxName)
	case !slices.Contains(KeyAlgorithms(), p.Algorithm):
		return fmt.Errorf("ca: the algorithm must be one of %s", strings.Join(KeyAlgorithms(), ", "))
	}
	if _, err := x509.ParseOID(p.Arc); err != nil || !arcForm.MatchString(p.Arc) {
		return fmt.Errorf("ca: %q is not an object identifier", p.Arc)
	}
	return nil
}

// ownArc makes an arc below 2.25 (ITU-T X.667: UUIDs written as integers) of a random
// number of 31 bits. A UUID of full length would be unique beyond doubt, but GnuTLS,
// zlint and programs made with Go before 1.22 cannot read certificates with such a
// long component. A policy is only ever compared together with its issuer, so a
// number that another house has drawn as well does no harm.
func ownArc() string {
	raw := make([]byte, 4)
	rand.Read(raw) //nolint:errcheck // never fails (crypto/rand.Read)
	return fmt.Sprintf("2.25.%d", binary.BigEndian.Uint32(raw)&(1<<31-1)|1<<30)
}

// newIssuer is an issuer or root that is not stored yet.
type newIssuer struct {
	id, name, root string
	number         int64
	state          IssuerState
	key            keyRow
	signer         crypto.Signer
	certificate    *x509.Certificate
}

func (i *newIssuer) insert(tx *store.Tx) error {
	if err := i.key.insert(tx); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO ca_issuer (id, number, root, name, state, since, key_id, algorithm, der, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, i.id, i.number, i.root, i.name, string(i.state), store.Millis(tx.Now),
		i.key.id, i.key.algorithm, i.certificate.Raw, store.Millis(tx.Now))
	return err
}

func (a *Authority) makeRoot(ctx context.Context, plan Plan) (*newIssuer, error) {
	r := &newIssuer{id: authn.NewID("iss"), name: plan.Root, number: 1, state: Anchor}
	r.root = r.id
	var err error
	if r.key, r.signer, err = a.makeKey(ctx, plan.Root, plan.Algorithm, plan.Helper); err != nil {
		return nil, err
	}
	t := plan.authority(plan.Root, a.db.Now(), rootLife)
	t.SubjectKeyId = keyID(r.key.public)
	t.AuthorityKeyId = t.SubjectKeyId
	return r, r.sign(t, t, r.signer)
}

func (a *Authority) makeIssuer(ctx context.Context, plan Plan, root *newIssuer, number int64) (*newIssuer, error) {
	i := &newIssuer{id: authn.NewID("iss"), name: plan.Issuer, root: root.id, number: number, state: IssuerPrepared}
	var err error
	if i.key, i.signer, err = a.makeKey(ctx, plan.Issuer, plan.Algorithm, plan.Helper); err != nil {
		return nil, err
	}
	t := plan.authority(plan.Issuer, a.db.Now(), issuerLife)
	t.NotAfter = earlier(t.NotAfter, root.certificate.NotAfter)
	t.MaxPathLenZero = true // RFC 5280 4.2.1.9: nobody below issues
	t.SubjectKeyId = keyID(i.key.public)
	t.CRLDistributionPoints = []string{a.listURL(root.id, 1)}
	t.IssuingCertificateURL = []string{a.issuerURL(root.id)}
	anyPolicy, err := x509.OIDFromInts([]uint64{2, 5, 29, 32, 0})
	if err != nil {
		return nil, err
	}
	t.Policies = []x509.OID{anyPolicy}
	return i, i.sign(t, root.certificate, root.signer)
}

// authority is what the certificates of root and issuer have in common.
func (p Plan) authority(name string, now time.Time, life time.Duration) *x509.Certificate {
	subject := pkix.Name{Organization: []string{p.Organization}, CommonName: name}
	if p.Country != "" {
		subject.Country = []string{p.Country}
	}
	begin := now.Truncate(time.Second).Add(-time.Hour)
	return &x509.Certificate{
		SerialNumber: newSerial(), Subject: subject, NotBefore: begin, NotAfter: begin.Add(life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func (i *newIssuer) sign(t, parent *x509.Certificate, signer crypto.Signer) error {
	public, err := x509.ParsePKIXPublicKey(i.key.public)
	if err != nil {
		return err
	}
	t.SignatureAlgorithm = signatureAlgorithm(signer.Public())
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, signer)
	if err != nil {
		return err
	}
	i.certificate, err = x509.ParseCertificate(der)
	return err
}

// keyID is the identifier of an issuer's key (RFC 7093 2, method 4, cut to 160 bits).
func keyID(spki []byte) []byte {
	sum := sha256.Sum256(spki)
	return sum[:20]
}

// Policy gives the policy identifier of an assurance, below the arc of this house;
// empty before the authority is founded.
func (a *Authority) Policy(assurance string) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	n := slices.Index(Assurances(), assurance)
	if a.arc == "" || n < 0 {
		return ""
	}
	return fmt.Sprintf("%s.%d", a.arc, n+1)
}

// check refuses an address that could not stand in certificates.
func (c Config) check() error {
	if c.Shards < 1 || c.Shards > 1024 {
		return errors.New("ca: the number of lists must be from 1 to 1024")
	}
	if c.Base == "" {
		return nil
	}
	u, err := url.Parse(c.Base)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || strings.HasSuffix(c.Base, "/") {
		return fmt.Errorf("ca: the address of lists and answers must be of the form http://pki.example.ac.jp, not %q", c.Base)
	}
	return nil
}
