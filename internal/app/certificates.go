package app

import (
	"context"
	"fmt"
	"maps"

	"github.com/pelletier/go-toml/v2"

	"seimon/internal/audit"
	"seimon/internal/ca"
	"seimon/internal/store"
)

// CertificatesConfig is the university's own certificate authority. Its issuers and
// certificates are data in the database; here stands what is written into them.
type CertificatesConfig struct {
	// Base is where lists, answers and issuers' certificates are published over plain
	// HTTP, such as http://pki.example.ac.jp; it stands in every certificate.
	Base string `toml:"base"`
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
	c.OnIssue = func(tx *store.Tx, cert ca.Certificate) error { return eachHook(h.OnIssue, tx, cert) }
	c.OnRevoke = func(tx *store.Tx, cert ca.Certificate) error { return eachHook(h.OnRevoke, tx, cert) }
	c.Note = func(tx *store.Tx, event, actor string, cert ca.Certificate, facts map[string]string) error {
		return h.Audit.Append(tx, audit.Event{Type: event, Account: cert.Account, Actor: actor, Facts: maps.Clone(facts)})
	}
	if h.CA, err = ca.Open(ctx, h.DB, c); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	return nil
}

func eachHook(hooks []ca.Hook, tx *store.Tx, c ca.Certificate) error {
	for _, hook := range hooks {
		if err := hook(tx, c); err != nil {
			return err
		}
	}
	return nil
}
