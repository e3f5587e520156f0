// Package login is the hall: every sign-in passes through it, whichever door it
// came in by and whatever will be proved.
//
// It owns the transaction (one sign-in in one tab), the dispatcher that asks
// policy what comes next, the passes that bind each answer to its step, the
// sign-in pages, and the moment a sign-in ends: session, visit, audit and the
// front's answer are committed together. It does not own what a factor proves
// (factor), what a rule asks (policy), who somebody is (directory), what may be
// released (rp) or how a protocol speaks (front).
package login
