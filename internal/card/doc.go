// Package card keeps the university's IC cards through their life: stock,
// personalised, handed over, active, suspended, lost, replaced, returned.
//
// It owns the cards' rows and states, the letters with their PINs, who checked
// which document when a card was handed over or unblocked, and the logic of the
// "card" commands. Below it, piv speaks to a card (SP 800-73-4) and pcsc to the
// reader. It does not own certificates, which are issued and revoked by ca, nor
// proof of possession at sign-in (factor/clientcert), people (directory) or pages
// (desk/cards).
//
// What a card does and what is written down cannot be one transaction. So the
// intent is written first (PIN and PUK sealed, state personalising), each step on
// the card can be repeated, and the same command with the same card goes on where
// it was interrupted.
package card
