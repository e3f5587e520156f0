// Package throttle slows guessing down: soft locks that grow with each wrong try
// and end by themselves.
//
// It counts per who and factor, apart for browsers that the owner has used, so
// that a stranger cannot lock the owner out; and per source and factor, for tries
// from other browsers. A try counts before it is verified, so that guesses at the
// same time do not pass the limit together. Only success clears a count; a new
// code or a success elsewhere does not. Whether an account exists plays no part.
//
// The rule is the pure function Step; the counts are stored, so all nodes share
// them. The room does not know who is who or which browser is known (the hall),
// nor the words people read (diagnosis).
package throttle
