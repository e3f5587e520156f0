// Package keyring keeps the keys of the house: the seal over secrets at rest, the
// keyed hash that names things without showing them, and the signing keys whose
// public halves services read.
//
// It owns the master key's use (Seal, Unseal), the house secret behind MAC, and
// the life of signing keys: next (published, not yet signing), active (signing),
// retired (no longer signing, still published for the overlap), withdrawn (gone).
// It does not write tokens or JWKS documents (front/oidc), read the configuration
// (app) or decide when its upkeep runs (app, through jobs).
//
// The master key never enters the database. MAC does not depend on it: identifiers
// that services have stored outlive every master key. To replace the master key on
// several nodes, first start all of them with the new key among Old, then with the
// new key as Master and the former one among Old.
package keyring
