// Package policy says who must prove what from where, and decides.
//
// It owns the decision (Decide, Met: pure), the policy document (zones, rules,
// services, enrolment and the settings of the campus; strict TOML), the lookup of
// a zone by address, the comparison and the lint of documents, their versions in
// the database, and the logic of "seimon policy".
//
// It does not own the meaning of evidence (authn), the client address (web), the
// words for a cause (diagnosis) or the record of a decision (audit, written by login).
package policy
