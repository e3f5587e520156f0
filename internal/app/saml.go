package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/front/saml"
	"seimon/internal/login"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// SAMLConfig is what the university decides about SAML.
type SAMLConfig struct {
	// EntityID is the name of this identity provider; the address of its metadata when
	// empty. Keep that of a provider that this one replaces.
	EntityID  string `toml:"entity_id"`
	Technical string `toml:"technical_contact"`
	Security  string `toml:"security_contact"`
	Sirtfi    bool   `toml:"sirtfi"`
	// PhishingResistant is the identifier of that profile of REFEDS MFA 2.0.
	PhishingResistant string           `toml:"phishing_resistant"`
	Persistent        PersistentConfig `toml:"persistent"`
}

// PersistentConfig computes persistent names as a former provider did.
type PersistentConfig struct {
	SaltFile string `toml:"salt_file"`
	// SaltBase64 says that the file holds the salt in base64.
	SaltBase64 bool   `toml:"salt_base64"`
	Source     string `toml:"source"`
	Encoding   string `toml:"encoding"`
}

// saml turns the configuration into what the front takes.
func (c *Config) saml() (saml.Settings, error) {
	out := saml.Settings{
		EntityID: c.SAML.EntityID, Scopes: c.University.Scopes, Names: tagged(c.University.Name), ErrorURL: c.Origin + "/portal",
		Technical: c.SAML.Technical, Security: c.SAML.Security, Sirtfi: c.SAML.Sirtfi, PhishingResistant: c.SAML.PhishingResistant,
	}
	if u, err := url.Parse(out.EntityID); out.EntityID != "" && (err != nil || u.Scheme == "" || len(out.EntityID) > 1024) {
		return out, fmt.Errorf("saml.entity_id: %q is no URI", out.EntityID)
	}
	if out.Sirtfi && out.Security == "" {
		return out, errors.New("saml.sirtfi: the framework asks for a security_contact")
	}
	if c.SAML.Persistent.SaltFile == "" {
		return out, nil
	}
	salt, err := readSecret(c.path(c.SAML.Persistent.SaltFile))
	if err != nil {
		return out, fmt.Errorf("saml.persistent.salt_file: %w", err)
	}
	out.Persistent = saml.Computed{Salt: string(salt), Source: c.SAML.Persistent.Source, Encoding: c.SAML.Persistent.Encoding}
	if c.SAML.Persistent.SaltBase64 {
		out.Persistent.Salt, out.Persistent.Salt64 = "", string(salt)
	}
	if err := out.Persistent.Check(); err != nil {
		return out, fmt.Errorf("saml.persistent: %w", err)
	}
	return out, nil
}

func (c *Config) campus() directory.Campus {
	return directory.Campus{Scopes: c.University.Scopes, Name: c.University.Name["en"], NameJA: c.University.Name["ja"], Claims: c.Assurance.claims()}
}

func newSAML(h *House) (login.Front, error) {
	settings, err := h.Config.saml()
	if err != nil {
		return nil, err
	}
	f := saml.New(saml.Rooms{
		DB: h.DB, Hall: h.Hall, Parties: h.Parties, People: h.People, Sessions: h.Sessions, Ring: h.Ring, Audit: h.Audit,
		Client: h.options.Client, Log: h.Log, Settings: settings, Feeds: h.Feeds,
	})
	h.Exit.Lead(f)
	h.sweeps = append(h.sweeps, f.Sweep)
	return f, nil
}

func foundSAML(ctx context.Context, h *House) error { return h.samlFront().Found(ctx) }

func (h *House) samlFront() *saml.Front { return h.Hall.Front(saml.Name).(*saml.Front) }

// SAMLMetadata is where the signed metadata of the identity provider is.
func (h *House) SAMLMetadata() string { return h.samlFront().MetadataURL() }

// enter is where a sign-in to a service of a federation begins.
func (h *House) enter(p rp.Party) string {
	if p.Protocol != saml.Name {
		return ""
	}
	return h.samlFront().StartURL(p.ID)
}

// Surroundings is what the judgement of services and signing keys needs: what federations
// publish of us, and the names of the network.
func (d *Desk) Surroundings() (saml.Surroundings, error) {
	h, err := d.House()
	if err != nil {
		return saml.Surroundings{}, err
	}
	return saml.Surroundings{
		Published: func(tx *store.Tx, feed, certificate string) (saml.Published, bool, error) {
			v, ok, err := h.Feeds.Published(tx, feed, certificate)
			return saml.Published{Since: v.Since, Settled: v.Settled}, ok, err
		},
		Lookup: net.DefaultResolver.LookupHost,
	}, nil
}

// serviceWarning is how long before its end the metadata of a service should be renewed.
const serviceWarning = 7 * 24 * time.Hour

// checkServices warns before the metadata of a registered service dies, and when it cannot
// be fetched any more.
func (h *House) checkServices(ctx context.Context) ([]diagnosis.Finding, error) {
	var all []saml.Renewal
	err := h.DB.Read(ctx, func(tx *store.Tx) (err error) {
		all, err = h.samlFront().Renewals(tx)
		return err
	})
	var out []diagnosis.Finding
	for _, n := range all {
		left := n.Until.Sub(h.DB.Now())
		facts := []string{"service", n.Name, "party", n.Party, "until", n.Until.UTC().Format(time.RFC3339), "days", strconv.Itoa(int(left.Hours() / 24)), "reason", n.Fault}
		switch {
		case !n.Until.IsZero() && left <= 0:
			out = append(out, found("service.expired", diagnosis.Broken, facts...)...)
		case !n.Until.IsZero() && left < serviceWarning && (n.URL == "" || n.Fails > 0):
			out = append(out, found("service.soon", diagnosis.Warn, facts...)...)
		case n.Fails >= 3:
			out = append(out, found("service.failing", diagnosis.Warn, facts...)...)
		}
	}
	return out, err
}

// SAML is what the commands about the SAML identity provider work with.
func (d *Desk) SAML() (*store.DB, *saml.Front, error) {
	h, err := d.House()
	if err != nil {
		return nil, nil, err
	}
	return h.DB, h.samlFront(), nil
}
