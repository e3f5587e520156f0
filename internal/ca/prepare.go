package ca

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Prepared is the right to issue one certificate, once, in this process. Its serial
// and a hash of what will be signed are stored already.
type Prepared struct {
	certificate Certificate
	trial       *x509.Certificate
	issuer      *signing
	token       []byte
	used        atomic.Bool
}

// ID is the id of the certificate to be.
func (p *Prepared) ID() string { return p.certificate.ID }

// Certificate is the row as it was stored, without a certificate yet.
func (p *Prepared) Certificate() Certificate { return p.certificate }

// Prepare checks an order, stores serial and intent, and gives the right to issue.
// The faults are C9.form, C9.key, C9.taken, C9.limit and C9.lint; ErrNotReady says
// that no issuer is active. What is not issued within an hour is an orphan.
func (a *Authority) Prepare(ctx context.Context, o Order) (*Prepared, error) {
	profile, err := a.checkOrder(&o)
	if err != nil {
		return nil, err
	}
	hash, err := KeyHash(o.Key)
	if err != nil {
		return nil, authn.NewFault("C9.key", "kind", KeyKind(o.Key), "reason", "kind").Because(err)
	}
	id, cached := a.lastActive(), true
	for range 3 {
		if id == "" {
			if id, err = a.findActive(ctx); err != nil {
				return nil, err
			}
		}
		p, err := a.prepare(ctx, checked{o, profile, hash}, id)
		if stale := cached && errors.Is(err, errDates); !stale && !errors.Is(err, errMoved) {
			return p, err
		}
		id, cached = "", false
	}
	return nil, ErrNotReady
}

// errMoved says that another issuer has become active in between.
var errMoved = errors.New("ca: another issuer has become active")

// errDates says that the issuer is not valid now.
var errDates = errors.New("ca: the issuer is not valid now: is the clock right?")

// lastActive is the issuer that was active when this node last looked. The transaction
// that stores an intent looks again.
func (a *Authority) lastActive() string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.active
}

func (a *Authority) findActive(ctx context.Context) (id string, err error) {
	err = a.db.Read(ctx, func(tx *store.Tx) error {
		id, err = activeIssuer(tx)
		return err
	})
	a.mu.Lock()
	a.active = id
	a.mu.Unlock()
	return id, err
}

func (a *Authority) prepare(ctx context.Context, o checked, active string) (*Prepared, error) {
	s, err := a.signing(ctx, active)
	if err != nil {
		return nil, err
	}
	p, err := a.compose(o, s, a.db.Now())
	if err != nil {
		return nil, err
	}
	if err := a.lint(o.profile, p); err != nil {
		return nil, authn.NewFault("C9.lint").Because(err)
	}
	err = a.db.Background(ctx, func(tx *store.Tx) error {
		if err := a.admit(tx, o.profile, p); err != nil {
			return err
		}
		return p.insert(tx)
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// checked is an order that could stand in a certificate.
type checked struct {
	Order
	profile Profile
	hash    []byte
}

// compose makes the row and, with the throw-away key, what will be signed.
func (a *Authority) compose(o checked, s *signing, now time.Time) (*Prepared, error) {
	serial, profile := newSerial(), o.profile
	life := profile.Life()
	if o.Life > 0 {
		life = min(life, o.Life)
	}
	// The dates of a certificate have no fractions (RFC 5280 4.1.2.5).
	begin := now.Truncate(time.Second).Add(-backdate)
	c := Certificate{
		ID: authn.NewID("cert"), Issuer: s.id, Serial: SerialText(serial), Profile: profile.Name,
		Account: o.Holder.Account, Person: o.Holder.Person, Label: o.Label, Device: o.Device, Card: o.Card, Replaces: o.Replaces,
		Mail: o.Holder.Mail, UPN: o.Holder.UPN, Name: a.commonName(profile, o.Holder, o.Label, now),
		Shard: a.shard(serial), State: Intended, KeyHash: o.hash,
		NotBefore: later(begin, s.certificate.NotBefore), NotAfter: earlier(begin.Add(life), s.certificate.NotAfter),
	}
	if !now.Before(s.certificate.NotAfter) || now.Before(s.certificate.NotBefore) {
		return nil, fmt.Errorf("issuer %s at %s: %w", s.id, now.Format(time.RFC3339), errDates)
	}
	t, err := a.template(profile, c, serial)
	if err != nil {
		return nil, err
	}
	trial, err := s.trialOf(t, o.Key)
	if err != nil {
		return nil, err
	}
	_, token := authn.NewToken()
	return &Prepared{certificate: c, trial: trial, issuer: s, token: token}, nil
}

// shard spreads serials evenly over the lists: 1 to the configured number.
func (a *Authority) shard(serial *big.Int) int {
	return 1 + int(new(big.Int).Mod(serial, big.NewInt(int64(a.cfg.Shards))).Int64())
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// admit refuses what only the database can tell: keys of others, too many
// certificates, a predecessor that is not there. It runs beside other orders, so each
// decision hangs on a row that is locked first.
func (a *Authority) admit(tx *store.Tx, profile Profile, p *Prepared) error {
	c := p.certificate
	if _, err := tx.Exec(`INSERT INTO ca_holder (account, orders) VALUES ($1, 1)
		ON CONFLICT (account) DO UPDATE SET orders = ca_holder.orders + 1`, string(c.Account)); err != nil {
		return err
	}
	var owner string
	err := tx.QueryRow(`INSERT INTO ca_key_owner (key_hash, account) VALUES ($1, $2)
		ON CONFLICT (key_hash) DO UPDATE SET account = ca_key_owner.account RETURNING account`, c.KeyHash, string(c.Account)).Scan(&owner)
	if err != nil {
		return err
	}
	// What is prepared now counts as well: two orders at once cannot pass the limit together.
	var n, own int64
	var active string
	err = tx.QueryRow(`SELECT COALESCE((SELECT id FROM ca_issuer WHERE state = 'active'), ''), (SELECT COUNT(*) FROM ca_key WHERE public = $1),
		(SELECT COUNT(*) FROM ca_certificate WHERE account = $2 AND profile = $3 AND replaced_by = '' AND not_after > $4
			AND id <> $5 AND (state = 'active' OR state = 'prepared' AND created_at > $6))`,
		p.trial.RawSubjectPublicKeyInfo, string(c.Account), c.Profile, store.Millis(tx.Now), c.Replaces, store.Millis(tx.Now.Add(-countedFor))).Scan(&active, &own, &n)
	if err != nil {
		return err
	}
	if active != c.Issuer {
		return errMoved
	}
	if owner != string(c.Account) || own > 0 {
		return authn.NewFault("C9.taken")
	}
	if n >= int64(profile.PerAccount) {
		return authn.NewFault("C9.limit", "limit", strconv.Itoa(profile.PerAccount))
	}
	if c.Replaces == "" {
		return nil
	}
	old, err := a.Get(tx, c.Replaces)
	if errors.Is(err, ErrNone) || err == nil && (old.Account != c.Account || old.Issued.IsZero()) {
		return authn.NewFault("C9.form", "reason", "replaces")
	}
	return err
}

// intentOf is what a row remembers of what will be signed.
func intentOf(cert *x509.Certificate) []byte {
	sum := sha256.Sum256(cert.RawTBSCertificate)
	return sum[:]
}

// countedFor is how long an intent counts toward the limit of an account.
const countedFor = 5 * time.Minute

func (p *Prepared) insert(tx *store.Tx) error {
	c := &p.certificate
	c.Created = tx.Now
	_, err := tx.Exec(`INSERT INTO ca_certificate (id, issuer, serial, profile, account, person, name, label, device, mail, upn, shard,
		not_before, not_after, state, revoked_at, reason, replaces, replaced_by, card, key_hash, intent, token, der, leaf, created_at, issued_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, '', $16, '', $17, $18, $19, $20, $21, -1, $22, 0)`,
		c.ID, c.Issuer, c.Serial, c.Profile, string(c.Account), string(c.Person), c.Name, c.Label, c.Device, c.Mail, c.UPN, c.Shard,
		store.Millis(c.NotBefore), store.Millis(c.NotAfter), string(c.State), c.Replaces, c.Card, c.KeyHash, intentOf(p.trial), p.token, []byte{}, store.Millis(tx.Now))
	return err
}

// maxLabel is the greatest length of a device's name in characters.
const maxLabel = 40

var deviceForm = regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// checkOrder completes an order and refuses one that could not stand in a certificate.
func (a *Authority) checkOrder(o *Order) (Profile, error) {
	p, ok := a.profiles[o.Profile]
	if !ok {
		return p, fmt.Errorf("ca: there is no profile %q", o.Profile)
	}
	if o.Holder.Account == "" {
		return p, errors.New("ca: a certificate belongs to an account")
	}
	if err := checkKey(o.Key, p.Keys); err != nil {
		return p, err
	}
	if o.Device == "" {
		o.Device = uuidURN(newUUID())
	}
	o.Device = strings.ToLower(o.Device)
	o.Label = strings.Join(strings.Fields(o.Label), " ")
	o.Holder.Name = strings.Join(strings.Fields(o.Holder.Name), " ")
	if p.Pseudonymous() {
		o.Holder.Name, o.Holder.Mail, o.Holder.UPN = "", "", ""
		if a.cfg.Realm == "" {
			return p, errors.New("ca: the realm of pseudonymous certificates is not configured")
		}
	}
	refuse := func(field string) (Profile, error) { return p, authn.NewFault("C9.form", "reason", field) }
	switch {
	case !deviceForm.MatchString(o.Device):
		return refuse("device")
	case !printable(o.Label) || utf8.RuneCountInString(o.Label) > maxLabel || o.Label == "" && strings.Contains(p.CommonName, "{label}"):
		return refuse("label")
	case !printable(o.Holder.Name) || o.Holder.Name == "" && strings.Contains(p.CommonName, "{name}"):
		return refuse("name")
	case o.Holder.Mail != "" && !plainAddress(o.Holder.Mail):
		return refuse("mail")
	case o.Holder.UPN != "" && (!printable(o.Holder.UPN) || strings.ContainsAny(o.Holder.UPN, " \t")):
		return refuse("upn")
	}
	return p, nil
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// plainAddress tells whether an address can stand in an rfc822Name: ASCII, without a
// display name (RFC 5280 4.2.1.6).
func plainAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Address == text && len(text) <= 254 && !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}
