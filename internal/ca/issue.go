package ca

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Issue signs what was prepared and stores the certificate. It works once: a second
// call, here or after the orphan finder came by, is ErrSpent. On any error the
// certificate was handed to nobody, and its serial is never used again.
func (a *Authority) Issue(ctx context.Context, p *Prepared) (Certificate, error) {
	if p == nil || p.used.Swap(true) {
		return Certificate{}, ErrSpent
	}
	signer, err := a.signer(ctx, p.issuer)
	if err != nil {
		return Certificate{}, err
	}
	der, err := sealTBS(signer, p.trial)
	if err != nil {
		return Certificate{}, fmt.Errorf("ca: signing: %w", err)
	}
	if err := p.verify(der); err != nil {
		return Certificate{}, err
	}
	c := p.certificate
	err = a.db.Write(ctx, func(tx *store.Tx) error {
		c = p.certificate
		c.State, c.DER, c.Issued = Active, der, tx.Now
		n, err := tx.Exec(`UPDATE ca_certificate SET state = 'active', der = $1, issued_at = $2
			WHERE id = $3 AND state = 'prepared' AND token = $4 AND intent = $5
				AND NOT EXISTS (SELECT 1 FROM ca_issuer WHERE id = $6 AND revoked_at > 0)`, der, store.Millis(tx.Now), c.ID, p.token, intentOf(p.trial), c.Issuer)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrSpent
		}
		if err := follow(tx, c); err != nil {
			return err
		}
		if err := hooked(a.cfg.OnIssue, tx, c); err != nil {
			return err
		}
		return a.note(tx, "certificate.issued", "", c, facts(c))
	})
	if err != nil {
		return Certificate{}, err
	}
	return c, nil
}

// verify makes sure that what was signed is what was linted, with the issuer's key.
func (p *Prepared) verify(der []byte) error {
	got, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("ca: what was signed cannot be read: %w", err)
	}
	if !bytes.Equal(got.RawTBSCertificate, p.trial.RawTBSCertificate) {
		return errors.New("ca: something else was signed than was prepared")
	}
	if err := p.issuer.certificate.CheckSignature(got.SignatureAlgorithm, got.RawTBSCertificate, got.Signature); err != nil {
		return fmt.Errorf("ca: the signature is wrong: %w", err)
	}
	return nil
}

// follow marks the certificate that the new one replaces. Of two that want to replace
// the same one, the second is refused.
func follow(tx *store.Tx, c Certificate) error {
	if c.Replaces == "" {
		return nil
	}
	n, err := tx.Exec("UPDATE ca_certificate SET replaced_by = $1 WHERE id = $2 AND account = $3 AND replaced_by = ''", c.ID, c.Replaces, string(c.Account))
	if err == nil && n == 0 {
		err = authn.NewFault("C9.form", "reason", "replaces")
	}
	return err
}

// facts are what the audit keeps of a certificate.
func facts(c Certificate) map[string]string {
	return map[string]string{"certificate": c.ID, "issuer": c.Issuer, "serial": c.Serial, "profile": c.Profile, "name": c.Name}
}
