package saml

import (
	"errors"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// StoredHolder gives the account that has a stored name at a service; ok is false
// when none has.
func StoredHolder(tx *store.Tx, party, name string) (account authn.AccountID, ok bool, err error) {
	err = tx.QueryRow("SELECT account FROM saml_persistent WHERE party = $1 AND value = $2", party, name).Scan(&account)
	if errors.Is(err, store.ErrNoRows) {
		return "", false, nil
	}
	return account, err == nil, err
}

// KnownBy tells whether a service knows an account by an identifier: a persistent
// name, a pairwise-id or a subject-id.
func (f *Front) KnownBy(tx *store.Tx, p rp.Party, account authn.AccountID, attributes map[string][]string, name string) (bool, error) {
	bare, _, _ := strings.Cut(name, "@")
	if strings.EqualFold(f.Parties.SubjectFor(p, account), bare) {
		return true, nil
	}
	public := p
	public.Pairwise = false
	if strings.EqualFold(f.Parties.SubjectFor(public, account), bare) {
		return true, nil
	}
	s, err := f.services.of(p)
	if err != nil {
		return false, err
	}
	v, err := f.persistent(tx, s, person{account: account, attributes: attributes})
	if errors.Is(err, errNoName) {
		return false, nil
	}
	return v == name, err
}
