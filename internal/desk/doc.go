// Package desk holds what several desks for people need: what would happen if
// this person went to that service from there, how the gate sees a request, and
// how the owner of an account is told that something changed.
//
// A forecast asks policy.Decide with the facts that the hall would use; it never
// lets anybody in. The pages are in the rooms below (portal, welcome), the sign-in
// itself in login, the meaning of addresses and rules in policy.
package desk
