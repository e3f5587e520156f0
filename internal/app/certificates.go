package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// CertificatesConfig is the university's own certificate authority. Its issuers and
// certificates are data in the database; here stands what is written into them.
type CertificatesConfig struct {
	// Base is where lists, answers and issuers' certificates are published over plain
	// HTTP, such as http://pki.example.ac.jp; it stands in every certificate.
	Base string `toml:"base"`
	// StatusListen is where they are answered, such as ":80"; plain HTTP, because what
	// is given is signed and is needed to judge certificates.
	StatusListen string `toml:"status_listen"`
	// StatusRate bounds what one address may ask that listener for, in answers a second,
	// and StatusUnlimited names those that may ask for more, such as RADIUS servers and
	// proxies in front.
	StatusRate      int      `toml:"status_rate"`
	StatusUnlimited []string `toml:"status_unlimited"`
	// Helper is the socket of seimon-hsm, when keys lie in PKCS#11.
	Helper string `toml:"helper"`
	// Shards is over how many lists revoked certificates are spread.
	Shards int `toml:"shards"`
	// Realm ends the names of pseudonymous certificates.
	Realm string `toml:"realm"`
	// Profiles changes single values of the profiles.
	Profiles map[string]map[string]any `toml:"profiles"`
}

// authority is the configuration as the room takes it.
func (c *Config) authority() (ca.Config, error) {
	k := c.Certificates
	out := ca.Config{Base: k.Base, Helper: c.path(k.Helper), Shards: k.Shards, Realm: k.Realm}
	var err error
	if out.Zone, err = c.location(); err != nil {
		return out, err
	}
	if len(k.Profiles) > 0 {
		out.Profiles, err = toml.Marshal(k.Profiles)
	}
	return out, err
}

// issuers opens the certificate authority.
func (h *House) issuers(ctx context.Context) error {
	c, err := h.Config.authority()
	if err != nil {
		return err
	}
	c.Seal, c.MAC, c.Log = h.Ring, h.Ring.MAC, h.Log
	if c.Helper != "" {
		c.Keys = ca.NewHelper(c.Helper)
	}
	c.OnIssue = func(tx *store.Tx, cert ca.Certificate) error { return eachHook(h.OnIssue, tx, cert) }
	c.OnRevoke = func(tx *store.Tx, cert ca.Certificate) error { return eachHook(h.OnRevoke, tx, cert) }
	c.OnOrphan = func(tx *store.Tx, cert ca.Certificate) error { return h.Status.Changed(tx, cert) }
	c.OnIssuer = func(tx *store.Tx, i ca.Issuer) error { return h.Status.IssuerChanged(tx, i) }
	c.Note = func(tx *store.Tx, event, actor string, cert ca.Certificate, facts map[string]string) error {
		return h.Audit.Append(tx, audit.Event{Type: event, Account: cert.Account, Actor: actor, Facts: maps.Clone(facts)})
	}
	if h.CA, err = ca.Open(ctx, h.DB, c); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	h.publisher()
	return nil
}

// Holder says what may stand in the certificates of an account: the name in letters
// that every certificate chooser shows, the university's mail address, the user name
// as a principal of the realm.
func (h *House) Holder(a directory.Account, p directory.Person) ca.Holder {
	out := ca.Holder{Account: a.ID, Person: p.ID, Mail: p.Mail}
	n := p.Name
	out.Name = strings.TrimSpace(n.FamilyLatin + " " + n.GivenLatin)
	out.Name = cmp.Or(out.Name, strings.TrimSpace(n.Family+" "+n.Given), a.UserName)
	if realm := h.Config.Certificates.Realm; realm != "" {
		out.UPN = a.UserName + "@" + realm
	}
	return out
}

// Authority is what the commands about certificates work with.
func (d *Desk) Authority() (ca.Office, error) {
	h, err := d.House()
	if err != nil {
		return ca.Office{}, err
	}
	return ca.Office{
		DB: h.DB, CA: h.CA, Actor: d.Actor(), University: h.name(lang.EN),
		Holder: func(tx *store.Tx, user string) (ca.Holder, error) {
			a, p, err := h.People.ByUserName(tx, user)
			if errors.Is(err, directory.ErrNone) {
				return ca.Holder{}, fmt.Errorf("there is no user %q", user)
			}
			return h.Holder(a, p), err
		},
		User: func(tx *store.Tx, account authn.AccountID) string {
			a, _, err := h.People.ByID(tx, account)
			if err != nil {
				return ""
			}
			return a.UserName
		},
		SignLists: h.Status.SignRoot,
		Trail: func(tx *store.Tx, c ca.Certificate) ([]ca.Moment, error) {
			return h.history(tx, h.Words.In(lang.EN), c)
		},
	}, nil
}

func eachHook(hooks []ca.Hook, tx *store.Tx, c ca.Certificate) error {
	for _, hook := range hooks {
		if err := hook(tx, c); err != nil {
			return err
		}
	}
	return nil
}
