// Package vcard is a virtual IC card for the demo and for tests: PIV (NIST SP
// 800-73-4) with the commands of one maker beside it, for the virtual reader of
// vsmartcard (vpcd). It is no product: its private keys lie in a plain file and its
// RSA is not constant in time.
//
// It owns the card's commands and memory and the connection to vpcd. Talking to
// cards, real or virtual, is card/piv; talking to readers is card/pcsc.
package vcard
