// Package status publishes what became of certificates: revocation lists and OCSP
// answers.
//
// It owns the lists with their numbers, the certificates of the OCSP responder, the
// answers and the plain-HTTP listener's handler. Revoking is one row elsewhere; here a
// job signs the lists that are due, and every node answers from memory.
//
// A list is published in four steps, so that two nodes at work at once neither repeat
// nor step back a number: a number is reserved and the waiting changes are claimed for
// it; the revoked certificates are read; the list is signed; it is stored if no higher
// number is there, and the claimed changes are done with. A change that was not in the
// snapshot that was signed stays, and makes the list due again.
//
// It does not own the certificates or their state (ca), nor the judgement of those
// that somebody presents (ca/trust).
package status
