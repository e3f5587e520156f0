// Package session remembers who is signed in, in which browser, and where they went.
//
// It owns single sign-on sessions with their evidence, the visits made under
// them, the hand-over of visits to sign-out, browsers and which accounts they are
// known to, and the browsers that people trust. Tokens are kept as hashes only,
// and a session's token changes whenever its evidence rises.
//
// It does not judge evidence (policy), sign anyone in or out of a service (login
// and the fronts, through jobs), set cookies (web), or write the audit log (login).
package session
