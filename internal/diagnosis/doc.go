// Package diagnosis says why: a cause and one next step for every failure.
//
// It owns the support code, the catalogue of causes (who may be told what, which
// facts fill the sentences) with its words in both languages, the help topics that
// advice links to, the replay of a recorded sign-in for the desk ("seimon
// explain"), and the mechanism of "seimon doctor".
//
// It does not own the failures themselves (each room raises its own authn.Fault),
// the record (audit, written by login), the pages (login, desk) or the checks that
// need another room's inside (that room; app registers them).
package diagnosis
