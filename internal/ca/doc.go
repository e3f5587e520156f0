// Package ca is the issuing house: the university's own certificate authority.
//
// It owns the issuers (a root and the issuing authorities below it) and their life,
// the keys they sign with, the profiles that say what stands in a certificate, the
// way from an order to a certificate (Prepare, Issue), revocation as one row, and the
// log of everything issued that each person and the auditor can check.
//
// It does not own publication of what was revoked (ca/status), the judgement of a
// certificate that somebody presents (ca/trust), cards (card), signing in with a
// certificate (factor/clientcert) or any page (desk/certificates).
//
// An order becomes a certificate in three durable steps, so that no serial is ever
// used twice and no certificate exists without a row: the serial and what is to be
// signed are stored; it is signed; the certificate is stored. A row that stays at the
// first step is an orphan: its serial is revoked, in case somebody holds the signature.
package ca
