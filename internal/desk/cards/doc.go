// Package cards is the person's desk for IC cards: my cards, my certificate number,
// is my card locked?
//
// It owns the page behind the portal's door that tells what the university knows of a
// card, and the two pages for everybody that tell how to find out on a computer. It
// does not own the cards (card), their certificates (ca, desk/certificates), nor
// unlocking, which happens at the counter (seimon card).
package cards
