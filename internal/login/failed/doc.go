// Package failed is the one table from the errors of a sign-in to the page that a
// person sees: cause, next step, support code and the way on.
//
// It owns which error is which cause and where the page leads. It does not own the
// words of causes (diagnosis), the frame of the page (web), or what goes wrong inside a
// step and is shown there (login).
package failed
