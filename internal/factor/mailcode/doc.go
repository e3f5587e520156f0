// Package mailcode is the factor of one-time codes sent by mail.
//
// It owns the codes (eight digits, kept as keyed hashes, single use, bound to one
// transaction, the newest only), the addresses that a person has shown to reach, and
// the guard against mailboxes that can only be read after signing in here. It does
// not own sending and its facts (mail), counting tries (throttle) or where such a
// code is enough (policy): a mailbox belongs to no class of authenticators, so a mail
// code counts toward no assurance level (NIST SP 800-63B-4, 3.1.3.1).
package mailcode
