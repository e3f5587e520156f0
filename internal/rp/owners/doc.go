// Package owners writes to the people of a service when what it sends does not fit.
//
// It owns when that is worth a message, to whom it goes, and how often at most. It does
// not own what is refused and why (front), the words for people who sign in
// (diagnosis), or how mail is delivered (mail).
package owners
