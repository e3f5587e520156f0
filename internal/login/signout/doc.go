// Package signout ends sessions: at the person's wish, or at a service's (RP-initiated
// logout and its like).
//
// It owns the question "sign out?" and the page that says what was ended. It does
// not own sessions and their fan-out (session) or how a protocol asks (front).
package signout
