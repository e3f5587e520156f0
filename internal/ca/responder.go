package ca

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Responder is the profile of certificates that sign OCSP answers. They belong to
// nobody, cannot be ordered, and enter the issuance log as people's do.
const Responder = "ocsp-responder"

// maxResponder bounds the life of a responder's certificate: with nocheck nobody asks
// whether it was revoked (RFC 6960 4.2.2.2.1).
const maxResponder = 31 * 24 * time.Hour

// IssueResponder issues the certificate of a responder for an issuer, in the steps of
// any other: serial and intent first, then the signature, then the certificate. t says
// what stands in it.
func (a *Authority) IssueResponder(ctx context.Context, issuer string, t *x509.Certificate, key crypto.PublicKey) (Certificate, error) {
	s, err := a.signing(ctx, issuer)
	if err != nil {
		return Certificate{}, err
	}
	trial, err := s.trialOf(t, key)
	if err != nil {
		return Certificate{}, err
	}
	if err := lintResponder(trial, s.certificate); err != nil {
		return Certificate{}, fmt.Errorf("ca: the certificate of a responder: %w", err)
	}
	hash, err := KeyHash(key)
	if err != nil {
		return Certificate{}, err
	}
	_, token := authn.NewToken()
	p := &Prepared{trial: trial, issuer: s, token: token, certificate: Certificate{
		ID: authn.NewID("cert"), Issuer: s.id, Serial: SerialText(t.SerialNumber), Profile: Responder, Name: trial.Subject.CommonName,
		Shard: a.shard(t.SerialNumber), State: Intended, KeyHash: hash, NotBefore: trial.NotBefore, NotAfter: trial.NotAfter,
	}}
	if err := a.db.Background(ctx, p.insert); err != nil {
		return Certificate{}, err
	}
	signer, err := a.signer(ctx, s)
	if err != nil {
		return Certificate{}, err
	}
	der, err := sealTBS(signer, trial)
	if err != nil {
		return Certificate{}, fmt.Errorf("ca: signing: %w", err)
	}
	if err := p.verify(der); err != nil {
		return Certificate{}, err
	}
	c := p.certificate
	err = a.db.Background(ctx, func(tx *store.Tx) error {
		c.State, c.DER, c.Issued = Active, der, tx.Now
		n, err := tx.Exec(`UPDATE ca_certificate SET state = 'active', der = $1, issued_at = $2
			WHERE id = $3 AND state = 'prepared' AND token = $4 AND intent = $5`, der, store.Millis(tx.Now), c.ID, p.token, intentOf(trial))
		if err == nil && n == 0 {
			err = ErrSpent
		}
		if err != nil {
			return err
		}
		return a.note(tx, "ca.responder", "system", Certificate{}, facts(c))
	})
	return c, err
}

// lintResponder makes sure that nothing but a responder's certificate comes this way.
func lintResponder(c, issuer *x509.Certificate) error {
	noCheck := slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "1.3.6.1.5.5.7.48.1.5" })
	switch {
	case c.IsCA || c.KeyUsage != x509.KeyUsageDigitalSignature:
		return errors.New("it may sign more than answers")
	case !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}) || len(c.UnknownExtKeyUsage) > 0:
		return errors.New("it has other purposes than OCSP answers (RFC 6960 4.2.2.2)")
	case !noCheck:
		return errors.New("id-pkix-ocsp-nocheck is missing")
	case c.NotAfter.Sub(c.NotBefore) > maxResponder || c.NotAfter.After(issuer.NotAfter):
		return errors.New("it lives too long")
	case c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 159 || c.SerialNumber.BitLen() < 64:
		return errors.New("its serial is too short or too long (RFC 5280 4.1.2.2)")
	case len(c.DNSNames)+len(c.EmailAddresses)+len(c.IPAddresses)+len(c.URIs) > 0 || c.Subject.CommonName == "":
		return errors.New("its name is not a responder's")
	}
	return nil
}
