// Package transaction keeps the sign-ins that are under way: one row for each tab.
//
// It owns the row (what was asked, what was proved so far, what each factor noted
// for itself; the private parts sealed), its life, and the passes that bind an
// answer to one step of it. It bounds how many are open in which nobody has proved
// anything (Crowd). It does not own what the next step is: the hall
// (login) asks policy.
package transaction
