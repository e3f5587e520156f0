// Package directory knows the people of the university and their accounts.
//
// It owns people, their names in each script, their mail addresses and whether
// those were verified, the accounts of a person with kind, state, validity,
// groups, affiliations and attributes, the letters that activate an account, how
// people were found to be who they say (proofs) and what the university may claim of
// them (assurance), and the logic of the "user" commands. It does not own passwords or
// anything else that is proved at a sign-in (factor), what leaves the house (rp), who may do what (policy) or sending mail
// (mail).
package directory
