// Package factortest is the suite that every factor passes: what the hall, the
// portal and the desk rely on, checked against a real database.
//
// It owns the promises of the contract in package factor. What is special to a kind
// (vectors of a standard, words of a fault) belongs to the tests of that kind.
package factortest
