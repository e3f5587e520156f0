// Package clientcert is signing in with a client certificate, kept by the browser or
// on an IC card.
//
// It owns the tries to show one (each a name of its own, two minutes, one answer, a
// one-time code bound to the sign-in), the binding of a certificate to an account,
// and the causes for which a certificate does not count for the account at hand. It
// does not own what a certificate is (ca), whether its chain, dates and revocation
// hold and whose it is (ca/trust), what is known of a card (card), or the host at
// which browsers show it (desk/certdoor).
package clientcert
