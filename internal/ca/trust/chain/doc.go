// Package chain judges certificate paths and revocation lists (RFC 5280 section 6,
// with the policy graph of RFC 9618 instead of the exponential tree).
//
// It owns path building from a few given certificates to pinned anchors, path
// validation (signatures, time, basic constraints, key usage, names, policies,
// critical extensions) and the use of revocation lists (scope, reasons, indirect
// and delta lists). It is pure: no store, no clock, no network. Parsing of single
// certificates and signatures is crypto/x509's.
//
// It does not know what an anchor may be used for, whose a certificate is or where
// lists come from: that is ca/trust.
package chain
