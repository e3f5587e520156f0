// Package shibboleth reads the folder of a Shibboleth identity provider and says what
// of it can be taken over: services and what they receive, metadata feeds with their
// signers, the way persistent identifiers are computed, and those that were stored.
//
// It reads with the strict parser of xmldoc and changes nothing: a Plan is what would
// be done, with a remark on everything that is left behind. Doing it is Plan.Apply.
package shibboleth
