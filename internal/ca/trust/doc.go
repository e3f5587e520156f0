// Package trust judges a certificate that somebody presents: whose it is, and what
// is wrong with it.
//
// It owns the trust anchors of other houses with their mapping rules, the revocation
// lists fetched for them, and the judgement itself. A certificate of our own issuers
// is judged by its row: state, account and assurance. One of another house is judged
// by its path, by lists fetched from configured addresses only, and by the rule that
// maps it to an account; when a later list names one that was used here, whoever let
// it in is told (Config.Ended). Nothing found inside a certificate is ever dialled.
//
// It does not own path validation (ca/trust/chain), our own issuers and rows (ca) or
// what an account may do with a certificate: whether it is the account at hand, a cut-
// off date, a former address or a successor (factor/clientcert).
package trust
