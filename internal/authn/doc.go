// Package authn holds the words every other room speaks: who is signing in, what
// was proved and how well, what a service asks for, and how a failure is named.
//
// It owns the meaning of assurance (Assess): acr, amr and every protocol's
// equivalent are derived from evidence here and nowhere else. It does not decide
// (policy), store (store and the rooms above it) or show anything (web).
// It imports nothing of ours.
package authn
