// Attack asks the real program whether a user name exists, as an attacker would:
// by the words and the status of its answers, and by the time that they take.
//
//	attack/run
//	attack/run -only connections
//
// First it tries what anybody can with a connection: whether every page has its headers,
// whether bytes that no text holds are an error of the house, whether silent, slow and
// endless connections end, and what the hosts of certificates answer to.
//
// Time is compared twice. With the default costs of a hash it shows that everybody
// gets one; with a hash that costs next to nothing it shows what is left around it.
package main
