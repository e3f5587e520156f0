// Package xmlsig signs and verifies the one shape of XML signature that SAML uses: an
// enveloped signature over the element that carries it, in exclusive canonical form
// (SAML Core 2.0, 5.4).
//
// Verify is strict: one signature as a child of the element, one reference to the id
// of that very element, the two transforms and no other, and a key that the caller
// knows already; what the message says of keys is not read. It gives back a new tree,
// parsed from the bytes that were hashed, and only that may be read afterwards.
//
// It also has the detached signature of the Redirect binding. It does not know
// SAML's messages, and which keys belong to whom is for the caller to know.
package xmlsig
