// Package pcsc is a client of pcscd, the daemon that shares card readers on Linux: its
// messages over a Unix socket, without its C library.
//
// It owns the protocol (version 4 of pcsc-lite), readers, connections and exclusive
// use of a card, and the words for what goes wrong at a reader. It does not own what
// is said to the card (card/piv) or which card it is (card).
package pcsc
