// Package password is the factor that people know.
//
// It owns how passwords are hashed (Argon2id, a bounded number at a time), how
// hashes of older systems are read and replaced at the next sign-in, what a new
// password must look like, and what may be said about a wrong one. It does not
// count tries (throttle), find accounts (directory) or decide when a password alone
// is enough (policy); rows are kept by factor.Bindings.
//
// # Equal work
//
// A known name, an unknown name and an account without a password cost one Argon2id
// computation each and get the same fault P1. The salt stays with the account as long
// as the parameters do, so that this one computation also recognises the last few
// passwords (fault P3) without work that an observer could tell apart. Accounts whose
// hash came from a slow older format cost that format on top; Config.Decoys gives
// unknown names the same mixture.
//
// # Facts
//
// P1 carries full_width, kana and caps_lock, taken from the typed text alone. P3
// carries changed. P9.* (a new password was refused) carries minimum, length or maximum.
package password
