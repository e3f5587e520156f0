// Package metadata reads what a service provider says of itself in SAML metadata and
// tells in words what is missing or unwise in it (Lint).
//
// It owns the form of one provider, Service, which is also what a relying party
// registers. It does not decide what is released (rp), keep anything, or fetch
// anything.
package metadata
