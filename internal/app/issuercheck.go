package app

import (
	"context"
	"strconv"
	"time"

	"seimon/internal/ca"
	"seimon/internal/diagnosis"
	"seimon/internal/store"
)

// issuerWarning is how long before an issuer cuts the life of new certificates short
// its successor should be made.
const issuerWarning = 90 * 24 * time.Hour

// checkIssuers looks whether certificates can be issued now and for some time yet.
func (h *House) checkIssuers(ctx context.Context) ([]diagnosis.Finding, error) {
	var issuers []ca.Issuer
	var orphans []ca.Certificate
	err := h.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if issuers, err = h.CA.Issuers(tx); err == nil {
			orphans, err = h.CA.Orphans(tx, ca.OrphanAge)
		}
		return err
	})
	if err != nil || len(issuers) == 0 {
		return nil, err
	}
	var out []diagnosis.Finding
	active := false
	for _, i := range issuers {
		if i.State != ca.IssuerActive && i.State != ca.IssuerStatusOnly && i.State != ca.IssuerRevoked {
			continue
		}
		active = active || i.State == ca.IssuerActive
		if _, err := h.CA.Sign(ctx, i.ID); err != nil {
			out = append(out, found("issuer.key", diagnosis.Broken, "issuer", i.Name, "reason", err.Error())...)
		}
		if i.State == ca.IssuerActive {
			out = append(out, h.issuerEnd(i)...)
		}
	}
	if !active {
		out = append(out, found("issuer.none", diagnosis.Broken)...)
	}
	if h.Config.Certificates.Base == "" {
		out = append(out, found("issuer.base", diagnosis.Broken)...)
	}
	if len(orphans) > 0 {
		out = append(out, found("issuer.orphans", diagnosis.Warn, "count", strconv.Itoa(len(orphans)))...)
	}
	return out, nil
}

// issuerEnd judges the end of the active issuer against the life of what it signs.
func (h *House) issuerEnd(i ca.Issuer) []diagnosis.Finding {
	var life time.Duration
	for _, p := range h.CA.Profiles() {
		life = max(life, p.Life())
	}
	until := i.Certificate.NotAfter
	switch now := h.DB.Now(); {
	case !now.Before(until):
		return found("issuer.expired", diagnosis.Broken, "issuer", i.Name, "until", until.UTC().Format(time.RFC3339))
	case !now.Add(life + issuerWarning).Before(until):
		return found("issuer.soon", diagnosis.Warn, "issuer", i.Name, "until", until.UTC().Format(time.RFC3339))
	}
	return nil
}
