// Package beyond calls services that strangers registered: those of federations.
//
// It owns the client that dials nothing inside the university, however a name resolves.
// It does not own what is said (saml), nor the addresses that the university itself
// configured, which may well lie inside: feeds, lists, services it registered.
package beyond
