// Package piv speaks to the PIV application of an IC card (NIST SP 800-73-4 part 2,
// unchanged in SP 800-73-5), over anything that carries command APDUs.
//
// It owns commands, chaining and answers in pieces, the data objects that a campus
// card carries, PIN and PUK, the management key, and keys made and used on the card.
// A few commands of one widespread maker fill what the standard leaves open: serial
// number, number of tries, change of the management key; a card without them answers
// ErrUnsupported. It does not own readers (card/pcsc), nor what is done with a card
// and when (card).
package piv
