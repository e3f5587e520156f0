// Package saml is the door for services that speak SAML 2.0: the identity provider of
// the Web Browser SSO profile, as federations deploy it.
//
// It owns the protocol: requests by Redirect and POST, responses by POST, names and
// attributes in the vocabulary of federations, its own metadata and signing keys, and
// what a service provider registers beside its party. It does not own who signs in or
// how: it asks the hall (login) and gets an outcome. Nor does it own parties and
// attribute release (rp), sessions (session) or pages (web).
//
// The XML lies in rooms of its own: xmldoc reads and writes, xmlsig signs and
// verifies, xmlenc encrypts, metadata reads what providers say of themselves.
//
// Its signing keys are not those of the keyring: services pin them for years, so they
// change only at an operator's word (keys.go).
package saml
