// Package cas is the door for services that speak the CAS protocol, versions 1 to 3
// with proxying, and its SAML 1.1 validation.
//
// It owns the protocol: the login request, one-time tickets, their validation,
// proxying, sign-out by and to services, and what a service registers beside its
// party (Registration), above all which addresses are its own. It does not own who
// signs in or how: it asks the hall (login) and gets an outcome. Nor does it own
// parties and attribute release (rp), sessions (session) or pages (web).
//
// A ticket is stored as its hash alone; what it stands for is sealed. It serves once,
// on whichever node, and is spent by a validation that fails as well.
package cas
