// Package totp is the factor of one-time password apps (RFC 6238).
//
// It owns the secrets shared with the apps, how they get there (a QR code, a key in
// groups, a link), which codes count, and what a wrong code tells: a clock that is
// off, a code used before, an old registration, one that was never finished. It does
// not count tries (throttle) or decide when a code is needed (policy); rows are kept
// by factor.Bindings.
//
// # Which codes count
//
// A code counts when it belongs to the present step, the step before or after it, or
// to the same three around the drift that this device has shown at its last use, and
// when no code of that step or a later one was used (RFC 6238, 5.2 and 6). A code of
// up to ten minutes away never counts; it names the clock's error. Since naming it
// tells that the code will count later, that one code is struck out.
package totp
